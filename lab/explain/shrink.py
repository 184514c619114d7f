"""Shrinking: reduces a plan that fails to a smaller plan that fails in the same checker.

    small = shrink(plan, "C1", budget_s=30)
    small.plan, small.steps, small.runs

The steps are repeated until nothing can be removed any more, or the time is over:
1. Delta debugging (Zeller and Hildebrandt 2002, ddmin) over the ops and faults of the plan. Each
   draws from a random stream of its own, so that what remains has the same effect as before.
2. Each packet that a rate of loss took becomes a cut of one link for one microsecond, and these are
   shrunk like any other fault (`lab.explain.shrink_passes.pinned`).
3. Simplifications (`lab.explain.shrink_passes`): fewer nodes, shorter phases, rounder times,
   plainer texts and links, one change at a time. A candidate counts if the same rule fails; the
   reason may be another one.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from time import monotonic
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lab.campaign.judged_run import LAB, JudgedRun, run_judged
from lab.explain.shrink_passes import phases, pinned, simpler
from lab.plan.faults import Op, Plan, Timed

Item = Op | Timed
One = TypeVar("One")
BUDGET_S = 30.0


class Shrunk(Struct, frozen=True):
    plan: Plan
    rule: str
    runs: int  # that it took
    took_s: float
    done: bool  # False: the time was over, or a person ended it
    before: int  # steps

    @property
    def steps(self) -> int:
        return size_of(self.plan)


class ShrinkProgress(Struct, frozen=True):
    """The state of the search, reported after each candidate."""

    doing: str
    runs: int
    steps: int
    left_s: float


class _Over(Exception):
    """The time is over."""


def size_of(plan: Plan) -> int:
    return len(plan.ops) + len(plan.faults)


def fails(plan: Plan, rule: str) -> bool:
    """Whether this checker fails on this plan. No other checker runs."""
    return broken_by(run_judged(plan, only=(rule,) if rule != LAB.id else ()), rule)


def broken_by(judged: JudgedRun, rule: str) -> bool:
    return any(one.rule == rule and one.outcome == "fail" for one in judged.verdicts)


def shrink(
    plan: Plan,
    rule: str,
    *,
    budget_s: float = BUDGET_S,
    on_progress: Callable[[ShrinkProgress], None] = lambda _: None,
    failing: Callable[[Plan, str], bool] = fails,
) -> Shrunk:
    """The plan must fail. What comes back fails in the same rule, and has at most as many steps."""
    shrinker = Shrinker(plan, rule, budget_s, on_progress, failing)
    done = shrinker.run()
    return Shrunk(
        shrinker.best, rule, shrinker.runs, shrinker.spent_s, done=done, before=size_of(plan)
    )


class Shrinker:
    """Mutable. `best` is the smallest plan so far that fails."""

    def __init__(
        self,
        plan: Plan,
        rule: str,
        budget_s: float,
        on_progress: Callable[[ShrinkProgress], None],
        failing: Callable[[Plan, str], bool],
    ) -> None:
        self.best = plan
        self.rule = rule
        self.runs = 0
        self._budget_s = budget_s
        self._began_s = monotonic()
        self._on_progress = on_progress
        self._failing = failing
        self._doing = ""
        self._tried: set[bytes] = set()

    @property
    def spent_s(self) -> float:
        return monotonic() - self._began_s

    def run(self) -> bool:
        """Whether nothing helps any more; False where the time was over before."""
        try:
            self._doing = "shortening"
            self._shorter()  # first of all, for then each run takes less time
            before: Plan | None = None
            while before != self.best:
                before = self.best
                self._doing = "taking out steps"
                self._fewer()
                self._doing = "pinning lost packets"
                self._pin()
                self._doing = "making it plainer"
                self._plainer()
        except (_Over, KeyboardInterrupt):  # what was found so far is worth having
            return False
        return True

    def attempt(self, candidate: Plan) -> bool:
        """Take this one instead, if it fails too. Raises _Over."""
        key = blake2b(msgspec.msgpack.encode(candidate), digest_size=16).digest()
        if candidate == self.best or key in self._tried:
            return False
        if self.spent_s > self._budget_s:
            raise _Over
        self._tried.add(key)
        self.runs += 1
        failed = self._failing(candidate, self.rule)
        if failed:
            self.best = candidate
        left_s = max(self._budget_s - self.spent_s, 0.0)
        self._on_progress(ShrinkProgress(self._doing, self.runs, size_of(self.best), left_s))
        return failed

    def _shorter(self) -> None:
        for candidate in phases(self.best, self.rule):
            self.attempt(candidate)

    def _fewer(self) -> None:
        items: list[Item] = [*self.best.ops, *self.best.faults]
        ddmin(items, lambda kept: self.attempt(with_items(self.best, kept)))

    def _pin(self) -> None:
        """Only where the cuts alone do it, and few of them are left in the end."""
        before = self.best
        candidate = pinned(before)
        if candidate is None or not self.attempt(candidate):
            return
        self._doing = "choosing among lost packets"
        self._fewer()
        if size_of(self.best) > size_of(before) + PINNED_MORE:
            self.best = before

    def _plainer(self) -> None:
        again = True
        while again:
            again = False
            for candidate in simpler(self.best, self.rule):
                if self.attempt(candidate):
                    again = True
                    break


PINNED_MORE = 4  # steps that single packets may add, for being exact


def with_items(plan: Plan, kept: Sequence[Item]) -> Plan:
    """The plan with these of its items and no others, in its own order."""
    ids = {(type(one), one.id) for one in kept}
    return replace(
        plan,
        ops=tuple([one for one in plan.ops if (Op, one.id) in ids]),
        faults=tuple([one for one in plan.faults if (Timed, one.id) in ids]),
    )


def ddmin(items: list[One], test: Callable[[list[One]], bool]) -> list[One]:
    """A list that `test` accepts, as it accepted this one, and of which every item is needed.

    Zeller's search with one change: what cannot go is not tried again before the next size.
    """
    if items and test([]):
        return []
    size = len(items) // 2
    while size and len(items) > 1:
        before, begin = len(items), 0
        while begin < len(items):
            rest = items[:begin] + items[begin + size :]
            if rest and test(rest):
                items = rest
            else:
                begin += size
        size = min(size // 2, len(items) // 2) if size > 1 else int(len(items) < before)
    return items
