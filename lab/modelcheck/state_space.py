"""The state space: states, the possible steps out of each, and the state that a step leads to."""

from collections.abc import Iterator

from msgspec import Struct

from domain.arrival import TAG_BYTES
from gossip.entry import hash_of
from gossip.packets import WITH_RUNS
from gossip.wire import decode
from lab.modelcheck.bounds import Bounds, Workload
from lab.modelcheck.local_states import LocalStates, LocalStateSet
from lab.modelcheck.node_machine import (
    Act,
    Build,
    CrashStep,
    Mail,
    Persist,
    PostStep,
    Receive,
    Round,
    Timeout,
)
from lab.terminal.formats import counted

Standing = tuple[tuple[int, ...], tuple[int, ...]]  # of a state: nodes and packets, no bounds


class SearchState(Struct, frozen=True, gc=False):
    """`nodes` are local states. What is left of each bound is part of a state: it can do less."""

    nodes: tuple[int, ...]
    mails: tuple[int, ...]  # sorted, equal ones as often as they are
    rounds: int
    drops: int
    copies: int
    crashes: int
    timeouts: int

    @property
    def standing(self) -> Standing:
        return self.nodes, self.mails


class SearchStep(Struct, frozen=True, gc=False):
    """One node's act; or a packet that is lost, where `act` is None."""

    node: int
    act: Act | None
    mail: int = -1
    stays: bool = False


class TroubleError(Exception):
    """A step that no sound core takes."""


class Space:
    """Mutable: it gets to know local states and packets as it is walked."""

    def __init__(self, workload: Workload, build: Build) -> None:
        self.workload = workload
        self.names = workload.names
        self.locals = LocalStateSet(workload, build)
        self.mails: list[Mail] = []
        self.refs_in: list[tuple[str, ...]] = []  # the entries in each packet
        self._numbers: dict[Mail, int] = {}

    def first(self, b: Bounds) -> SearchState:
        births = tuple(self.locals.births)
        return SearchState(
            nodes=births,
            mails=(),
            rounds=b.rounds,
            drops=b.drops,
            copies=b.copies,
            crashes=b.crashes,
            timeouts=b.timeouts,
        )

    def seen(self, state: SearchState) -> list[LocalStates]:
        return [self.locals.seen[local] for local in state.nodes]

    # --- steps ----------------------------------------------------------------------------------

    def possible(self, state: SearchState) -> Iterator[SearchStep]:
        for index, seen in enumerate(self.seen(state)):
            if seen.posts < self.workload.posts[index]:
                yield SearchStep(index, PostStep())
            if seen.pending:
                yield SearchStep(index, Persist())
            if state.rounds:
                yield from self.rounds(state, index)
            if state.timeouts and seen.busy:
                yield SearchStep(index, Timeout())
            if state.crashes:
                yield SearchStep(index, CrashStep(kept=False))
                if seen.pending:
                    yield SearchStep(index, CrashStep(kept=True))
        for number in dict.fromkeys(state.mails):
            arrives = self.arrival(number)
            yield arrives
            if state.drops:
                yield SearchStep(arrives.node, None, number)
            if state.copies:
                yield SearchStep(arrives.node, arrives.act, number, stays=True)

    def rounds(self, state: SearchState, index: int) -> Iterator[SearchStep]:
        """The rounds that this node can begin."""
        seen = self.locals.seen[state.nodes[index]]
        for peer in self.names:
            if peer != seen.name and peer not in seen.busy:
                yield SearchStep(index, Round(peer))

    def arrival(self, number: int) -> SearchStep:
        mail = self.mails[number]
        return SearchStep(self.names.index(mail.receiver), Receive(mail), number)

    def after(self, state: SearchState, step: SearchStep) -> SearchState:
        """Raises TroubleError."""
        nodes, mails = state.nodes, list(state.mails)
        if step.mail >= 0 and not step.stays:
            mails.remove(step.mail)
        if step.act is not None:
            local, effects = self.locals.do(nodes[step.node], step.act)
            if effects.problems:
                raise TroubleError(effects.problems[0])
            nodes = (*nodes[: step.node], local, *nodes[step.node + 1 :])
            mails += [self._number(mail) for mail in effects.sends]
        kind = type(step.act)
        return SearchState(
            nodes=nodes,
            mails=tuple(sorted(mails)),
            rounds=state.rounds - (kind is Round),
            drops=state.drops - (step.act is None),
            copies=state.copies - step.stays,
            crashes=state.crashes - (kind is CrashStep),
            timeouts=state.timeouts - (kind is Timeout),
        )

    def _number(self, mail: Mail) -> int:
        number = self._numbers.get(mail)
        if number is None:
            number = self._numbers[mail] = len(self.mails)
            self.mails.append(mail)
            self.refs_in.append(_refs_in(mail))
        return number

    # --- for people -----------------------------------------------------------------------------

    def describe(self, state: SearchState, step: SearchStep) -> str:
        """A step out of this state, in a sentence."""
        seen = self.locals.seen[state.nodes[step.node]]
        name, act = seen.name, step.act
        if act is None:
            return f"{self.mail_told(step.mail)} is lost"
        if type(act) is Receive:
            stays = ", and is still under way" if step.stays else ""
            return f"{self.mail_told(step.mail)} arrives{stays}"
        if type(act) is PostStep:
            return f'somebody posts "{name} says {seen.posts + 1}" at {name}'
        if type(act) is Persist:
            return f"the disk of {name} takes {counted(seen.pending, 'record')}"
        if type(act) is Round:
            return f"{name} begins a round with {act.peer}"
        if type(act) is Timeout:
            return f"{name} gives up its exchange with {', '.join(seen.busy)}"
        assert type(act) is CrashStep
        if not seen.pending:
            return f"{name} crashes and starts again"
        fate = "on its disk" if act.kept else "gone"
        records = counted(seen.pending, "record")
        return f"{name} crashes and starts again: {records} under way, now {fate}"

    def mail_told(self, number: int) -> str:
        mail, refs = self.mails[number], self.refs_in[number]
        what = f" of {', '.join(_dot(ref) for ref in refs)}" if refs else ""
        return f"the {mail.kind}{what} from {mail.sender} to {mail.receiver}"

    def standing_told(self, state: SearchState) -> tuple[str, ...]:
        """Each node in a line, then each packet."""
        lines = [_as_line(seen) for seen in self.seen(state)]
        return (*lines, *[self.mail_told(number) + " is under way" for number in state.mails])


def _refs_in(mail: Mail) -> tuple[str, ...]:
    body = decode(mail.data).body
    if not isinstance(body, WITH_RUNS):
        return ()
    return tuple(
        [
            f"{run.origin}.{run.epoch:x}:{seq}#{hash_of(data)[:TAG_BYTES].hex()}"
            for run in body.runs
            for seq, data in enumerate(run.data, run.first)
        ]
    )


def _dot(ref: str) -> str:
    """n1:2, for people: with one log per node that is enough."""
    dot = ref.partition("#")[0]
    return f"{dot.partition('.')[0]}:{dot.rpartition(':')[2]}"


def _as_line(seen: LocalStates) -> str:
    shows = ", ".join(_dot(ref) for ref in seen.visible) or "nothing"
    pending = f", {counted(seen.pending, 'record')} on the way to its disk" if seen.pending else ""
    return f"{seen.name} shows {shows}{pending}"
