"""Exploration runs many seeds in worker processes on all cores, until the seeds or the time are
used up. It reports each failure with its replay token.

    found = explore(Options(scenarios, first=1, seeds=1000, jobs=2), on_progress=print)

Rules
- Seed s runs scenario s mod (number of scenarios), whatever the first seed is: a seed means the
  same run in every exploration over the same scenarios.
- Results are taken in the order of seeds, and each worker returns only a few figures for each run.
  So the results do not depend on the number or speed of the jobs, unless the exploration ends by
  time or by Ctrl-C.
- 30 seeds of one scenario in a row are a batch, judged by C20 where the scenario has a band. All
  runs of a scenario together are another: every fault of it must have acted somewhere (C17).
"""

import gc
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import closing
from time import monotonic
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from lab.campaign.judged_run import JudgedRun, blamed, run_judged
from lab.campaign.reached import Reached
from lab.campaign.reached_rows import ROWS
from lab.campaign.replay_token import PLANTED, config_of
from lab.campaign.worker_pool import worker_pool
from lab.checkers import BATCH, Band, Coverage, Outcome, Sample, Verdict
from lab.checkers.lag_band import RUNS_MIN
from lab.plan.scenario import Scenario, names
from lab.trace.kinds import Totals

CHUNK_S = 0.3  # work handed to a worker at once
CHUNK_MAX = 64
AHEAD = 3  # chunks for each job that wait or run
REACHED_RUNS = 1000  # of all scenarios: what none of them reached, no seed tests
FAILURES_MAX = 1000  # kept; the others are counted
LAG_BAND = BATCH["C20"]


class Options(Struct, frozen=True):
    scenarios: tuple[Scenario, ...]
    first: int = 1
    seeds: int | None = 1000  # None: until the time is over
    jobs: int = 1
    time_s: float | None = None
    first_failure: bool = False
    bands: dict[str, Band] = {}  # by `config_of` a scenario
    reached: bool = False  # also count the states that runs reach: `lab.campaign.reached`
    real: int = 0  # rounds on real processes, from the first seed on
    real_scenarios: tuple[Scenario, ...] = ()  # of these; none: `lab.real.rounds.SCENARIOS`
    only: tuple[str, ...] = ()  # rules that judge; none: all of one run
    planted: str = ""  # a bug that the caller has planted meanwhile: replays plant it again

    def scenario_of(self, seed: int) -> Scenario:
        return self.scenarios[seed % len(self.scenarios)]


class SeedResult(Struct, frozen=True, array_like=True):
    """The result of one run, as a worker returns it."""

    seed: int
    outcome: Outcome
    rule: str  # the first that fails, else the first required that is unknown
    reason: str
    token: str  # of a failure
    simulated_us: int
    deliveries: int
    events: int
    fired: dict[str, int]
    enabled: tuple[str, ...]
    sample: Sample | None
    reached: dict[str, int] = {}  # by row of `lab.campaign.reached`


class RoundResult(Struct, frozen=True):
    """The result of one round on real processes, see `lab.real.rounds`."""

    scenario: str
    seed: int
    outcome: Outcome
    rule: str
    reason: str
    took_s: float


class SeedFailure(Struct, frozen=True):
    scenario: str
    seed: int
    rule: str
    reason: str
    token: str  # "": a batch failed, and no single run
    command: str  # that has it again


class BatchResult(Struct, frozen=True):
    """The verdict of C20 on one batch."""

    scenario: str
    first: int
    last: int
    outcome: Outcome
    reason: str


class ExploreRow(Struct):
    """How often runs reached one state. Mutable."""

    runs: Counter[str] = field(default_factory=Counter)  # by scenario
    times: int = 0

    def add(self, scenario: str, times: int) -> None:
        self.runs[scenario] += 1
        self.times += times


class ExploreResult(Struct):
    """The results so far. Mutable."""

    options: Options
    runs: int = 0
    last: int = -1  # seed
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    unknown: Counter[tuple[str, str]] = field(default_factory=Counter)  # by rule and reason
    enabled: Counter[str] = field(default_factory=Counter)  # runs, by fault of their plans
    fired: Counter[str] = field(default_factory=Counter)  # times, by what faults did
    simulated_us: int = 0
    deliveries: int = 0
    events: int = 0
    failures: list[SeedFailure] = []
    failures_count: int = 0
    batches: list[BatchResult] = []
    wall_s: float = 0.0
    ended: Literal["seeds", "time", "failure", "interrupted"] = "seeds"
    samples: dict[str, list[Sample]] = {}  # by scenario
    ran: Counter[str] = field(default_factory=Counter)  # runs, by scenario
    reached: dict[str, ExploreRow] = {}  # by row of `lab.campaign.reached`
    real: list[RoundResult] = []

    @property
    def outcome(self) -> Outcome:
        """Fail if any run or batch failed or a row is missed, unknown if none of them passed."""
        if self.failures_count or self.missed:
            return "fail"
        passed = self.outcomes["pass"] or any(one.outcome == "pass" for one in self.real)
        return "pass" if passed else "unknown"

    @property
    def unknown_share(self) -> float:
        return self.outcomes["unknown"] / self.runs if self.runs else 0.0

    @property
    def seeds_s(self) -> float:
        return self.runs / self.wall_s if self.wall_s else 0.0

    def take(self, seen: SeedResult) -> None:
        what = self.options.scenario_of(seen.seed)
        scenario = what.name
        self.runs += 1
        self.ran[scenario] += 1
        self.last = seen.seed
        self.outcomes[seen.outcome] += 1
        self.simulated_us += seen.simulated_us
        self.deliveries += seen.deliveries
        self.events += seen.events
        self.fired.update(seen.fired)
        self.enabled.update(seen.enabled)
        for row, times in seen.reached.items():
            self._row(row).add(scenario, times)
        if seen.outcome == "unknown":
            self.unknown[seen.rule, seen.reason] += 1
        elif seen.outcome == "fail":
            bug = self.options.planted
            token = f"{bug}{PLANTED}{seen.token}" if bug else seen.token
            again = f"chatlab lab replay {token}"
            self._fail(
                SeedFailure(
                    scenario=scenario,
                    seed=seen.seed,
                    rule=seen.rule,
                    reason=seen.reason,
                    token=token,
                    command=again,
                )
            )
        if seen.sample is not None:
            growing = self.samples.setdefault(scenario, [])
            growing.append(seen.sample)
            band = self.options.bands.get(config_of(what))
            if band is not None and len(growing) % RUNS_MIN == 0:
                self._judge_batch(scenario, growing[-RUNS_MIN:], band)

    def take_round(self, seen: RoundResult) -> None:
        self.real.append(seen)
        if seen.outcome == "fail":
            named = " ".join(one.name for one in self.options.real_scenarios)
            again = f"chatlab lab explore {named} --seeds 0 --real 1 --first {seen.seed}"
            again = " ".join(again.split())
            self._fail(
                SeedFailure(
                    scenario=seen.scenario,
                    seed=seen.seed,
                    rule=seen.rule,
                    reason=seen.reason,
                    token="",
                    command=again,
                )
            )

    def _row(self, row: str) -> ExploreRow:
        found = self.reached.get(row)
        if found is None:
            found = self.reached[row] = ExploreRow()
        return found

    @property
    def never(self) -> list[str]:
        """The rows that no run reached; empty if `reached` was off."""
        return [row for row in ROWS if row not in self.reached] if self.options.reached else []

    @property
    def missed(self) -> list[str]:
        """The rows that this many runs over all of chatlab's scenarios should have reached, and did
        not.
        """
        if self.runs < REACHED_RUNS or not set(names()) <= self.ran.keys():
            return []
        return self.never

    def _judge_batch(self, scenario: str, samples: Sequence[Sample], band: Band) -> None:
        verdict = LAG_BAND.judge(samples, band)
        first, last = samples[0].seed, samples[-1].seed
        self.batches.append(BatchResult(scenario, first, last, verdict.outcome, verdict.reason))
        if verdict.outcome == "fail":
            reason = f"{verdict.reason} (seeds {first} to {last} of it)"
            told = " ".join(one.name for one in self.options.scenarios)
            again = f"chatlab lab explore {told} --first {first} --seeds {last - first + 1}"
            if self.options.planted:
                again += f" --plant {self.options.planted}"
            self._fail(
                SeedFailure(
                    scenario=scenario,
                    seed=first,
                    rule=LAG_BAND.rule.id,
                    reason=reason,
                    token="",
                    command=again,
                )
            )

    def coverage(self) -> dict[str, Verdict]:
        """C17 over all runs of each scenario that had a whole batch."""
        return {
            scenario: Coverage().judge(samples)
            for scenario, samples in sorted(self.samples.items())
            if len(samples) >= RUNS_MIN
        }

    def _fail(self, failure: SeedFailure) -> None:
        self.failures_count += 1
        if len(self.failures) < FAILURES_MAX:
            self.failures.append(failure)


def explore(
    options: Options, on_progress: Callable[[ExploreResult], None] = lambda _: None
) -> ExploreResult:
    """Run the seeds and report progress. Ctrl-C ends it early and keeps the results so far."""
    began_s = monotonic()
    found = ExploreResult(options)
    try:
        _simulate(options, found, on_progress, began_s)
    except KeyboardInterrupt:
        found.ended = "interrupted"
    finally:
        found.wall_s = monotonic() - began_s
    return found


def _simulate(
    options: Options,
    found: ExploreResult,
    on_progress: Callable[[ExploreResult], None],
    began_s: float,
) -> None:
    runs = _inline(options) if options.jobs == 1 else _pooled(options)
    with closing(runs):
        for chunk in runs:
            for seen in chunk:
                found.take(seen)
                if options.first_failure and found.failures_count:
                    found.ended = "failure"
                    return
            found.wall_s = monotonic() - began_s
            on_progress(found)
            if options.time_s is not None and found.wall_s >= options.time_s:
                found.ended = "time"
                return


# --- one seed -------------------------------------------------------------------------------------


def look(options: Options, seed: int) -> SeedResult:
    """Run one seed and return a short summary of it."""
    if not options.reached:
        return seen_of(run_judged(options.scenario_of(seed), seed, only=options.only))
    reached = Reached()
    judged = run_judged(options.scenario_of(seed), seed, only=options.only, watch=reached)
    reached.look(judged.trace)
    return replace(seen_of(judged), reached=dict(reached.counts))


def seen_of(judged: JudgedRun) -> SeedResult:
    rule = reason = token = ""
    if judged.outcome != "pass":
        rule, reason = blamed(judged)
    if judged.outcome == "fail":
        token = str(judged.token)
    totals = next((e.data for e in reversed(judged.trace.events) if type(e.data) is Totals), None)
    return SeedResult(
        seed=judged.seed,
        outcome=judged.outcome,
        rule=rule,
        reason=reason,
        token=token,
        simulated_us=judged.simulated_us,
        deliveries=totals.counts.get("delivered", 0) if totals else 0,
        events=len(judged.trace),
        fired=totals.fired if totals else {},
        enabled=totals.enabled if totals else (),
        sample=judged.sample,
    )


# --- on all cores ---------------------------------------------------------------------------------


def _seeds(options: Options) -> range:
    return range(
        options.first, options.first + (1 << 62 if options.seeds is None else options.seeds)
    )


def _inline(options: Options) -> Generator[list[SeedResult], None, None]:
    for seed in _seeds(options):
        yield [look(options, seed)]


def _pooled(options: Options) -> Generator[list[SeedResult], None, None]:
    """Chunks in the order of seeds. Their size follows what a run takes, and changes no result."""
    waiting: deque[Future[tuple[float, list[SeedResult]]]] = deque()
    seeds, at, size = _seeds(options), 0, 1
    with worker_pool(options.jobs, _begin_worker, options) as pool:
        while True:
            while len(waiting) < AHEAD * options.jobs and at < len(seeds):
                waiting.append(pool.submit(_work, seeds[at], min(size, len(seeds) - at)))
                at += size
            if not waiting:
                return
            took_s, chunk = waiting.popleft().result()
            if chunk:
                size = max(1, min(CHUNK_MAX, int(CHUNK_S * len(chunk) / max(took_s, 1e-6))))
            yield chunk


_options: Options | None = None  # of this worker process


def _begin_worker(options: Options) -> None:
    global _options  # noqa: PLW0603  (an initializer has no other way to leave something)
    tune()
    _options = options


def _work(first: int, count: int) -> tuple[float, list[SeedResult]]:
    options = _options
    assert options is not None
    began_s = monotonic()
    seen: list[SeedResult] = []
    for seed in range(first, first + count):
        seen.append(look(options, seed))
        if options.first_failure and seen[-1].outcome == "fail":
            break
    return monotonic() - began_s, seen


def tune() -> None:
    """Set the garbage collector to run rarely: runs are short and make few cycles."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
