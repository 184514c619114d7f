"""Liveness: from every state the nodes must be able to reach agreement.

From the given state on no fault happens and nobody posts: disks complete their writes, packets
arrive, hanging exchanges are given up, and each node has a round with each other. After a few such
turns all nodes must show the same events. It is C6 (convergence), checked for every state.
"""

from msgspec import Struct

from lab.modelcheck.node_machine import Persist, Timeout
from lab.modelcheck.state_space import SearchState, SearchStep, Space, Standing, TroubleError

TURNS_MAX = 4
STEPS_MAX = 100  # of one turn; three sound nodes fall silent after about forty
STEPS_TOLD_MAX = 20


class Trap(Struct, frozen=True):
    what: str
    steps: tuple[str, ...]  # what was tried


class Settling:
    """Mutable: it remembers what has led to agreement."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._sound: set[Standing] = set()

    def trap(self, state: SearchState) -> Trap | None:
        """Why they never agree from here on, or None."""
        way = _Way(self._space, state)
        try:
            what = self._settle(way)
        except TroubleError as trouble:
            what = f"left alone: {trouble}"
        if not what:
            self._sound.update(way.standings)
            return None
        return Trap(what, way.describe())

    def _settle(self, way: "_Way") -> str:
        for turn in range(TURNS_MAX + 1):
            if turn:
                self._everybody_calls(way)
            if not self._falls_silent(way):
                return "C12: left alone, they never fall silent"
            if way.state.standing in self._sound or self._agree(way.state):
                return ""
        lines = "; ".join(self._space.standing_told(way.state))
        return f"C6: left alone, they never agree: {lines}"

    def _agree(self, state: SearchState) -> bool:
        seen = self._space.seen(state)
        return len({frozenset(one.visible) for one in seen}) == 1

    def _everybody_calls(self, way: "_Way") -> None:
        space = self._space
        for index in range(len(way.state.nodes)):
            if space.locals.seen[way.state.nodes[index]].busy:
                way.go(SearchStep(index, Timeout()))
            for step in list(space.rounds(way.state, index)):
                way.go(step)

    def _falls_silent(self, way: "_Way") -> bool:
        """When nothing is under way any more, neither to a disk nor to a node."""
        for _ in range(STEPS_MAX):
            state = way.state
            if state.standing in self._sound:
                return True
            pending = [i for i, seen in enumerate(self._space.seen(state)) if seen.pending]
            if pending:
                way.go(SearchStep(pending[0], Persist()))
            elif state.mails:
                way.go(self._space.arrival(state.mails[0]))
            else:
                return True
        return False


class _Way:
    """A walk from a state. Mutable."""

    def __init__(self, space: Space, state: SearchState) -> None:
        self._space = space
        self.state = state
        self._taken: list[tuple[SearchState, SearchStep]] = []

    def go(self, step: SearchStep) -> None:
        """Raises TroubleError, and has the step that led to it."""
        self._taken.append((self.state, step))
        self.state = self._space.after(self.state, step)

    @property
    def standings(self) -> list[Standing]:
        return [*(state.standing for state, _ in self._taken), self.state.standing]

    def describe(self) -> tuple[str, ...]:
        steps = [self._space.describe(state, step) for state, step in self._taken]
        more = len(steps) - STEPS_TOLD_MAX
        if more > 0:
            steps[STEPS_TOLD_MAX:] = [f"(and {more} steps more)"]
        return tuple([f"left alone: {step}" for step in steps])
