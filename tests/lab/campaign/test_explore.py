"""Exploring: the same whatever the number of jobs, and honest about what it found."""

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

import lab.campaign.explore
from lab.campaign.calibration import bands, measure, store
from lab.campaign.explore import ExploreResult, Options, explore
from lab.campaign.judged_run import run_judged
from lab.campaign.reached_rows import ROWS
from lab.campaign.replay_token import config_of, parse
from lab.checkers import Band
from lab.checkers.lag_band import LagSpan
from lab.plan.faults import Plan
from lab.plan.scenario import named, names
from lab.sim.world import World

SOME = tuple(named(name) for name in ("lossy", "crash-storm", "power-cuts"))


def told(found: ExploreResult) -> bytes:
    """All that was found, but for how long it took, and on how many jobs."""
    kept = [getattr(found, name) for name in found.__struct_fields__ if name != "wall_s"]
    return msgspec.json.encode([one for one in kept if not isinstance(one, Options)], enc_hook=str)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A laboratory that fails in every seventh seed."""
    start = World.start

    def fails(self: World) -> None:
        start(self)
        if self.plan.seed % 7 == 3:
            raise ArithmeticError(f"seed {self.plan.seed} is odd")

    monkeypatch.setattr(World, "start", fails)


def test_one_job_or_two_or_three_find_the_same(broken: None) -> None:
    alone, *others = (explore(Options(SOME, 100, 30, jobs)) for jobs in (1, 2, 3))
    assert alone.runs == 30 and alone.last == 129 and alone.ended == "seeds"
    for found in others:
        assert told(found) == told(alone)
    assert alone.outcomes["fail"] == alone.failures_count == 5
    assert alone.outcome == "fail"
    assert {one.rule for one in alone.failures} == {"LAB"}
    first = alone.failures[0]
    assert first.seed == 101 and first.scenario == SOME[101 % 3].name
    assert "ArithmeticError: seed 101 is odd" in first.reason
    assert first.command == f"chatlab lab replay {first.token}"
    assert parse(first.token).seed == 101 and parse(first.token).source == first.scenario


def test_the_first_failure_is_that_of_the_lowest_seed(broken: None) -> None:
    for jobs in (1, 2):
        found = explore(Options(SOME, 1, 10_000, jobs, first_failure=True))
        assert (found.ended, found.last, found.runs) == ("failure", 3, 3)
        assert [one.seed for one in found.failures] == [3]


def test_a_seed_means_the_same_run_wherever_one_begins() -> None:
    late = Options(SOME, 50, 3)
    early = Options(SOME, 1, 100)
    assert [late.scenario_of(seed) for seed in (50, 51, 52)] == [
        early.scenario_of(seed) for seed in (50, 51, 52)
    ]


def test_figures_of_sound_runs() -> None:
    calls: list[int] = []
    found = explore(Options(SOME, 1, 12, 1), lambda one: calls.append(one.runs))
    assert calls == list(range(1, 13))
    assert found.runs == found.outcomes.total() == 12
    assert found.simulated_us > 12 * 15_000_000 and found.deliveries > 1000
    assert found.fired["loss"] > 0 and found.enabled["loss"] <= 12
    assert 0 <= found.unknown_share <= 1 and found.seeds_s > 0
    assert sum(found.unknown.values()) == found.outcomes["unknown"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_it_ends_when_the_time_is_over(jobs: int) -> None:
    found = explore(Options(SOME, 1, None, jobs, time_s=0.3))
    assert found.ended == "time" and found.runs > 0 and found.wall_s < 20


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_keeps_what_was_found(jobs: int) -> None:
    def stop(found: ExploreResult) -> None:
        if found.runs >= 3:
            raise KeyboardInterrupt

    found = explore(Options(SOME, 1, 100_000, jobs), stop)
    assert found.ended == "interrupted" and 3 <= found.runs < 1000


def test_a_batch_of_thirty_is_held_to_its_band() -> None:
    wide = Band(100, 30, LagSpan(1e9, 2e9), LagSpan(1e9, 2e9), LagSpan(1e9, 2e9))
    narrow = Band(100, 30, LagSpan(1.0, 2.0), LagSpan(1.0, 2.0), LagSpan(1.0, 2.0))
    calm = named("calm")
    found = explore(Options((calm,), 1, 35, 2, bands={config_of(calm): wide}))
    assert [(one.first, one.last, one.outcome) for one in found.batches] == [(1, 30, "pass")]
    found = explore(Options((calm,), 1, 35, 2, bands={config_of(calm): narrow}))
    (failure,) = found.failures
    assert failure.rule == "C20" and found.outcome == "fail" and not failure.token
    assert failure.command == "chatlab lab explore calm --first 1 --seeds 30"
    assert explore(Options((calm,), 1, 30, 1)).batches == []  # no band, no judgement


def test_bands_are_kept_for_scenarios_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "bands.json"
    assert bands(path) == {}
    band = measure(named("calm"), 1, 30)
    assert 0 < band.lag_us.mean <= band.lag_us.highest
    store(named("calm"), band, path)
    assert bands(path) == {config_of(named("calm")): band}
    store(replace(named("calm"), name="other"), band, path)
    assert len(bands(path)) == 2


def test_the_bands_that_come_along_can_be_read() -> None:
    known = {config_of(named(name)) for name in names()}
    assert bands().keys() <= known, "a scenario has changed: chatlab lab calibrate"


def test_coverage_is_told_of_whole_batches() -> None:
    found = explore(Options((named("lossy"),), 1, 30, 2))
    assert found.coverage().keys() == {"lossy"}
    assert found.coverage()["lossy"].rule == "C17"
    assert explore(Options((named("lossy"),), 1, 2, 1)).coverage() == {}


def test_workers_are_told_few_figures() -> None:
    """What a worker sends for a run is small beside what the run is."""
    seen = lab.campaign.explore.look(Options(SOME), 5)
    assert len(msgspec.msgpack.encode(seen)) < 1000 < seen.events


def test_a_plan_is_run_by_its_own_seed() -> None:
    plan = Plan("p", 5, ("n1", "n2"), 300_000, 1_000_000)
    judged = run_judged(plan, 99)
    assert judged.seed == 5 and judged.outcome == "unknown"


def test_what_runs_reach_is_counted_and_changes_nothing() -> None:
    """The rows are the same on one job or two, and a run that is looked at is the same run."""
    power = (named("power-cuts"),)
    plain = explore(Options(power, 1, 12, 1))
    alone, pooled = (explore(Options(power, 1, 12, jobs, reached=True)) for jobs in (1, 2))
    assert plain.reached == {} and plain.never == []
    assert (alone.outcomes, alone.events, alone.fired) == (
        plain.outcomes,
        plain.events,
        plain.fired,
    )
    assert alone.reached == pooled.reached
    assert alone.reached["epoch: new log"].runs == {"power-cuts": 12}
    assert alone.reached["storage failed for good"].times > 0
    assert "fork" in alone.never and "receipt" not in alone.never
    assert alone.reached.keys() <= set(ROWS)
