"""Breadth-first search over the states of the model. The step that first reached each state is
kept, so the path to any state is a shortest one.
"""

from collections import deque
from collections.abc import Callable
from time import monotonic

from lab.modelcheck.bounds import NODES_MAX, Bounds, Workload
from lab.modelcheck.invariants import forks
from lab.modelcheck.liveness import Settling
from lab.modelcheck.node_machine import Build
from lab.modelcheck.result import Nearest, SearchResult, Violation
from lab.modelcheck.state_space import SearchState, SearchStep, Space, TroubleError
from node.core.replica import Replica

LOOK_EVERY = 256  # states between two looks at the clock


OnProgress = Callable[[float | None, str], None]  # a share of the time or states at most, and what


def search(
    workload: Workload | None = None,
    bounds: Bounds | None = None,
    build: Build = Replica,
    on_progress: OnProgress | None = None,
) -> SearchResult:
    """Search all states within bounds, up to the first violation.

    `on_progress` gets the share of the time or of the states that is used up, and a line of text.
    """
    explorer = _Explorer(workload or Workload(), bounds or Bounds(), build, on_progress)
    return explorer.run()


class _Explorer:
    """Mutable; for one run."""

    def __init__(
        self,
        workload: Workload,
        bounds: Bounds,
        build: Build,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._on_progress = on_progress
        assert 1 <= len(workload.posts) <= NODES_MAX, "for two or three nodes"
        self._bounds = bounds
        self._posts = sum(workload.posts)
        self._space = Space(workload, build)
        self._settling = Settling(self._space)
        self._ways: dict[SearchState, tuple[SearchState, SearchStep] | None] = {}
        self._steps = 0
        self._goals = 0
        self._goal: SearchState | None = None
        self._nearest: tuple[int, SearchState] | None = None

    def run(self) -> SearchResult:
        bounds, space, began_s = self._bounds, self._space, monotonic()
        first = space.first(bounds)
        self._ways[first] = None
        self._look_at(first)
        waiting = deque([(first, 0)])
        depth = looked = 0
        complete = True
        violation = self._violation(first)
        while waiting and violation is None:
            state, depth = waiting.popleft()
            looked += 1
            late = False
            if looked % LOOK_EVERY == 0:
                took_s = monotonic() - began_s
                late = took_s > bounds.seconds
                self._tell(looked, depth, took_s)
            if late or len(self._ways) >= bounds.states:
                complete = False
                break
            if depth == bounds.steps:
                complete &= next(space.possible(state), None) is None
                continue
            for step in space.possible(state):
                self._steps += 1
                try:
                    after = space.after(state, step)
                except TroubleError as trouble:
                    path = (*self._path(state), space.describe(state, step))
                    violation = Violation(str(trouble), path)
                    break
                if after in self._ways:
                    continue
                self._ways[after] = (state, step)
                self._look_at(after)
                violation = self._violation(after)
                if violation is not None:
                    break
                waiting.append((after, depth + 1))
        if violation is None and bounds.settle:
            violation, seen_all = self._first_trap(began_s + bounds.seconds)
            complete &= seen_all
        deepest = len(violation.path) if violation is not None else depth
        complete = complete and violation is None
        return self._found(deepest, monotonic() - began_s, complete, violation)

    def _tell(self, looked: int, depth: int, took_s: float) -> None:
        """Report progress. The number of states is not known, so it is the used share of the
        bounds.
        """
        if self._on_progress is not None:
            bounds, met = self._bounds, len(self._ways)
            used = max(took_s / bounds.seconds if bounds.seconds else 1.0, met / bounds.states)
            text = f"{met:,} states, {looked:,} looked at, {depth} steps deep"
            self._on_progress(min(used, 1.0), text)

    # --- judging --------------------------------------------------------------------------------

    def _violation(self, state: SearchState) -> Violation | None:
        what = self._wrong(state)
        return Violation(what, self._path(state)) if what else None

    def _wrong(self, state: SearchState) -> str:
        """What is wrong in this state, or ""."""
        seen = self._space.seen(state)
        for one in seen:
            for problem in one.problems:
                return problem
        refs = [ref for one in seen for ref in one.held]
        refs += [ref for number in state.mails for ref in self._space.refs_in[number]]
        for fork in forks(refs):
            return fork
        if len({frozenset(one.visible) for one in seen}) != len({one.root for one in seen}):
            return "C6: equal roots do not mean equal events here, or the other way round"
        return ""

    def _first_trap(self, until_s: float) -> tuple[Violation | None, bool]:
        """The nearest state from which they never agree; and whether all states were asked."""
        for number, state in enumerate(self._ways):
            if number % LOOK_EVERY == 0 and number:
                if monotonic() > until_s:
                    return None, False
                if self._on_progress is not None:
                    share = number / len(self._ways)
                    self._on_progress(
                        share, f"which of {len(self._ways):,} states lead to agreement"
                    )
            trap = self._settling.trap(state)
            if trap is not None:
                return Violation(trap.what, (*self._path(state), *trap.steps)), True
        return None, True

    def _look_at(self, state: SearchState) -> None:
        """Is it the goal, or nearer to it than all before?"""
        seen = self._space.seen(state)
        missing = self._posts * len(seen) - sum(len(one.visible) for one in seen)
        if self._nearest is None or missing < self._nearest[0]:
            self._nearest = (missing, state)
        if missing == 0:
            self._goals += 1
            self._goal = self._goal or state

    # --- telling --------------------------------------------------------------------------------

    def _found(
        self, depth: int, seconds: float, complete: bool, violation: Violation | None
    ) -> SearchResult:
        assert self._nearest is not None
        missing, state = self._nearest
        return SearchResult(
            states=len(self._ways),
            steps=self._steps,
            locals=len(self._space.locals),
            depth=depth,
            seconds=seconds,
            complete=complete,
            violation=violation,
            goal=self._path(self._goal) if self._goal is not None else None,
            goals=self._goals,
            nearest=Nearest(missing, self._path(state), self._space.standing_told(state)),
        )

    def _path(self, state: SearchState) -> tuple[str, ...]:
        steps: list[str] = []
        way = self._ways[state]
        while way is not None:
            before, step = way
            steps.append(self._space.describe(before, step))
            way = self._ways[before]
        return tuple(reversed(steps))
