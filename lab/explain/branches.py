"""Runs branches of a failed run in worker processes, for `lab.explain.inevitable`.

    found = inevitable(FailedRun(source, seed, rule, "drop"), last, seeds=100, jobs=2, budget_s=30)

Rules
- A branch fails if the same checker fails. Its seed depends on the run's seed, the moment and its
  number alone: how many jobs there are changes no result, unless the time is over.
- What becomes of faults of the plan that begin after the moment: `drop`, they do not happen;
  `keep`, they happen at their times; `fresh`, others are drawn, as the scenario draws them.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import Literal

from msgspec import Struct

from lab.campaign.explore import tune
from lab.campaign.judged_run import LAB, plan_of, run_judged
from lab.campaign.replay_token import Source
from lab.campaign.worker_pool import worker_pool
from lab.explain.inevitable import Search, Trial
from lab.explain.shrink import broken_by
from lab.plan.draw import redrawn
from lab.plan.faults import Timed
from lab.plan.random_streams import seed_of
from lab.plan.scenario import Scenario, named
from lab.sim.branch import Branch

LaterFaults = Literal["drop", "keep", "fresh"]
DRILLED = ("C21", LAB.id)  # what drills can break: branches for other rules go without them
Ended = Literal["done", "time", "interrupted"]
Runner = Callable[[list[Trial]], Iterable[bool]]


class FailedRun(Struct, frozen=True):
    source: Source
    seed: int
    rule: str  # that fails
    later: LaterFaults = "drop"

    def scenario(self) -> Scenario:
        """What draws fresh faults. Raises ScenarioError for a plan whose scenario is not here."""
        return self.source if isinstance(self.source, Scenario) else named(self.source.scenario)

    def fails(self, trial: Trial) -> bool:
        after, number = trial
        seed = seed_of(self.seed, f"branch {after} {number}")
        judged = run_judged(
            self.source,
            self.seed,
            only=(self.rule,) if self.rule != LAB.id else (),
            branch=Branch(after, seed, self._faults(seed), drills=self.rule in DRILLED),
        )
        return broken_by(judged, self.rule)

    def _faults(self, seed: int) -> tuple[Timed, ...] | None:
        if self.later == "fresh":
            return redrawn(self.scenario(), plan_of(self.source, self.seed), seed)
        return () if self.later == "drop" else None


class Inevitable(Struct, frozen=True):
    search: Search
    took_s: float
    ended: Ended


def inevitable(
    run: FailedRun,
    last: int,
    *,
    seeds: int,
    jobs: int,
    budget_s: float,
    on_progress: Callable[[Search, float], None] = lambda *_: None,
) -> Inevitable:
    """Search moments 0 to `last` of the run. Ctrl-C ends it early and keeps the results so far."""
    began_s = monotonic()
    search = Search(last, seeds)
    ended: Ended = "done"
    try:
        with _runner(run, jobs) as runner:
            for trial, failed in _results(search, runner):
                search.take(trial, failed=failed)
                took_s = monotonic() - began_s
                on_progress(search, took_s)
                if took_s > budget_s:
                    ended = "time"
                    break
    except KeyboardInterrupt:
        ended = "interrupted"
    return Inevitable(search, monotonic() - began_s, ended)


def _results(search: Search, runner: Runner) -> Iterator[tuple[Trial, bool]]:
    while trials := search.wanted():
        yield from zip(trials, runner(trials), strict=True)


@contextmanager
def _runner(run: FailedRun, jobs: int) -> Iterator[Runner]:
    if jobs == 1:
        yield partial(map, run.fails)
    else:
        with worker_pool(jobs, _begin_worker, run) as pool:
            yield partial(pool.map, _fails)


_run: FailedRun | None = None  # of this worker process


def _begin_worker(run: FailedRun) -> None:
    global _run  # noqa: PLW0603  (an initializer has no other way to leave something)
    tune()
    _run = run


def _fails(trial: Trial) -> bool:
    assert _run is not None
    return _run.fails(trial)
