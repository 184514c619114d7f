"""When a failure became inevitable: the probability of failing, from moments of a run on. Pure.

A moment is the `seq` of an event of the trace: what has happened up to and with it stays, and what
comes after it is left to chance again (`lab.sim.branch`). A `Search` says which branches to run
next, and takes their results. It estimates the probability at a few moments over the whole run, and
finds by bisection the event between the last moment that is mostly fine and the first that is
mostly lost.

Rules
- A moment is mostly fine if the upper bound of its probability is below 1/2, mostly lost if the
  lower bound is above 1/2, and open otherwise. The bounds are Wilson's (1927) at 95 %.
- A moment is run in batches, until its side is known or it had `seeds` branches. The two moments
  beside the step get all `seeds`, and where that changes a side the bisection goes on.
- If the probability crosses 1/2 more than once, the last crossing that was seen counts.
- The level of 95 % is that of one look at one moment. Bisection takes some ten moments, and looks
  at each of them more than once.
"""

from math import sqrt
from statistics import NormalDist
from typing import Literal

from msgspec import Struct

Z = NormalDist().inv_cdf(0.975)
BATCH = 10  # branches at once
SPREAD = 12  # moments over the whole run
SPREAD_RUNS = 20  # branches at each of them, at least
Side = Literal["fine", "lost", "open"]
Trial = tuple[int, int]  # moment, number of the branch there


def wilson(failed: int, runs: int) -> tuple[float, float]:
    """Bounds of a probability of which `failed` of `runs` were seen: from 0 to 1 if none was."""
    if not runs:
        return 0.0, 1.0
    p, zz = failed / runs, Z * Z
    middle = p + zz / (2 * runs)
    half = Z * sqrt(p * (1 - p) / runs + zz / (4 * runs * runs))
    whole = 1 + zz / runs
    low = 0.0 if not failed else (middle - half) / whole
    return low, 1.0 if failed == runs else (middle + half) / whole


class Estimate(Struct):
    """The branches of one moment. Mutable."""

    after: int
    runs: int = 0
    failed: int = 0

    @property
    def share(self) -> float:
        return self.failed / self.runs if self.runs else 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        return wilson(self.failed, self.runs)

    @property
    def side(self) -> Side:
        low, high = self.bounds
        return "fine" if high < 0.5 else "lost" if low > 0.5 else "open"


class Search:
    """Mutable. Run what is `wanted` and `take` the results, until nothing is."""

    def __init__(self, last: int, seeds: int) -> None:
        """Moments are 0 to `last`, each with `seeds` branches at most."""
        self.last = last
        self.seeds = seeds
        self._at: dict[int, Estimate] = {}
        self._spread = sorted({round(last * at / (SPREAD - 1)) for at in range(SPREAD)})

    @property
    def estimates(self) -> list[Estimate]:
        """Those that have a branch at least, in order."""
        return [self._at[moment] for moment in sorted(self._at)]

    @property
    def runs(self) -> int:
        return sum(one.runs for one in self._at.values())

    @property
    def fine(self) -> Estimate | None:
        """The last moment that is mostly fine."""
        return next((one for one in reversed(self.estimates) if one.side == "fine"), None)

    @property
    def lost(self) -> Estimate | None:
        """The first one after it that is mostly lost."""
        begin = -1 if self.fine is None else self.fine.after
        later = [one for one in self.estimates if one.after > begin]
        return next((one for one in later if one.side == "lost"), None)

    def wanted(self) -> list[Trial]:
        """The branches to run next; none if there is nothing more to know."""
        for moment in (0, self.last):
            if self._unsettled(moment):
                return self._batch(moment)
        probe = self._probe()
        if probe is not None:
            return self._batch(probe)
        least = min(SPREAD_RUNS, self.seeds)
        thin = [moment for moment in self._spread if self._runs(moment) < least]
        if thin:
            return [trial for moment in thin for trial in self._batch(moment)]
        for one in (self.fine, self.lost):
            if one is not None and one.runs < self.seeds:
                return self._batch(one.after)
        return []

    def take(self, trial: Trial, *, failed: bool) -> None:
        one = self._at.setdefault(trial[0], Estimate(trial[0]))
        one.runs += 1
        one.failed += failed

    def _probe(self) -> int | None:
        """The next moment between fine and lost; what stays open is narrowed from both sides."""
        fine, lost = self.fine, self.lost
        if lost is None or (fine is None and lost.after == 0):
            return None
        begin = -1 if fine is None else fine.after
        between = [one.after for one in self.estimates if begin < one.after < lost.after]
        for moment in between:
            if self._unsettled(moment):
                return moment
        first, final = (between[0], between[-1]) if between else (lost.after, lost.after)
        if fine is not None and first - begin > 1:
            return (begin + first) // 2
        return (final + lost.after) // 2 if lost.after - final > 1 else None

    def _unsettled(self, moment: int) -> bool:
        one = self._at.get(moment)
        return one is None or (one.side == "open" and one.runs < self.seeds)

    def _runs(self, moment: int) -> int:
        return self._at[moment].runs if moment in self._at else 0

    def _batch(self, moment: int) -> list[Trial]:
        begin = self._runs(moment)
        return [(moment, at) for at in range(begin, min(begin + BATCH, self.seeds))]
