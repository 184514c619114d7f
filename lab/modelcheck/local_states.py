"""Local states: the part of a state that belongs to one node, identified by a number. The result of
an act on a local state is computed once, by replaying the node's acts, and cached.
"""

from msgspec import Struct

from lab.modelcheck.bounds import Workload
from lab.modelcheck.invariants import local_problems
from lab.modelcheck.node_machine import Act, Build, Effects, NodeMachine, Shared


class LocalStates(Struct, frozen=True):
    """The facts of a local state that the search needs."""

    name: str
    posts: int
    pending: int
    busy: tuple[str, ...]  # peers with an open exchange
    visible: tuple[str, ...]  # refs in arrival order
    held: tuple[str, ...]  # refs on disk or on their way to it
    root: bytes
    problems: tuple[str, ...]


class _Way(Struct, frozen=True):
    """How a local state was reached first."""

    parent: int
    act: Act | None  # None: by birth


class LocalStateSet:
    """All local states reached so far. Mutable."""

    def __init__(self, workload: Workload, build: Build) -> None:
        self._shared = Shared(workload, build)
        self._ways: list[_Way] = []
        self._by_fingerprint: dict[bytes, int] = {}
        self._done: dict[tuple[int, Act], tuple[int, Effects]] = {}
        self.seen: list[LocalStates] = []
        self.births = [self._register(machine, -1, None) for machine in self._newborn()]

    def __len__(self) -> int:
        return len(self.seen)

    def do(self, local: int, act: Act) -> tuple[int, Effects]:
        """The local state after this act, and what else came of it."""
        key = (local, act)
        found = self._done.get(key)
        if found is None:
            machine = self._rebuilt(local)
            effects = machine.do(act)
            after = local
            if not effects.problems:
                try:
                    after = self._register(machine, local, act)
                except Exception as error:  # so far gone that it cannot even be looked at
                    effects = Effects((), (f"{machine.name}: {error!r} when looked at",))
            found = self._done[key] = (after, effects)
        return found

    def _newborn(self) -> list[NodeMachine]:
        return [self._machine(name) for name in self._shared.workload.names]

    def _machine(self, name: str) -> NodeMachine:
        return NodeMachine(name, self._shared)

    def _rebuilt(self, local: int) -> NodeMachine:
        """The very same node again, by its own acts from its birth."""
        acts: list[Act] = []
        at = local
        while (act := self._ways[at].act) is not None:
            acts.append(act)
            at = self._ways[at].parent
        machine = self._machine(self.seen[local].name)
        for act in reversed(acts):
            machine.do(act)
        return machine

    def _register(self, machine: NodeMachine, parent: int, act: Act | None) -> int:
        mark = machine.fingerprint()
        number = self._by_fingerprint.get(mark)
        if number is None:
            number = self._by_fingerprint[mark] = len(self.seen)
            self._ways.append(_Way(parent, act))
            self.seen.append(_look(machine))
        return number


def _look(machine: NodeMachine) -> LocalStates:
    return LocalStates(
        name=machine.name,
        posts=machine.posts,
        pending=len(machine.pending),
        busy=machine.busy(),
        visible=machine.visible(),
        held=machine.refs([*machine.disk, *machine.pending]),
        root=machine.replica.root,
        problems=tuple(local_problems(machine)),
    )
