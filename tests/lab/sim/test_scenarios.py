"""Scenario files, and the runs that they make: sound, and with the faults that they promise."""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from gossip.config import GossipConfig
from lab.plan.draw import draw
from lab.plan.faults import plan_from_json, plan_to_json
from lab.plan.scenario import SCENARIOS, ScenarioError, ThresholdRanges, load, named, names
from lab.sim.world import Result, run
from lab.trace.kinds import Final, Phase
from tests.lab.sim.judged import wrong

SEEDS = range(300, 312)

# What must have acted at least once, in so many seeds. `down`: a packet came to a dead node.
FIRES = {
    "calm": set[str](),
    "lossy": {"loss", "burst", "duplicate", "reorder", "corrupt", "latency", "narrow"},
    "partition": {"partition", "hold"},
    "crash-storm": {"kill", "pause", "point", "slow_sync"},
    "power-cuts": {"kill", "disk_errors", "short_writes"},
    "bit-rot": {"kill", "flip"},
    "bad-hardware": {"kill", "stale", "misdirected", "disk_other", "worker"},
    "clock-trouble": {"clock_offset", "clock_drift"},
    "churn": {"kill", "disk_empty", "disk_older", "pause"},
    "disguises": {"loss", "kill"},
    "hot-origin": {"narrow", "partition"},
    "all": {"partition", "kill"},
    "corners": {"kill", "slow_sync", "partition"},
    "directories": {"kill", "disk_moved", "disk_unnamed", "end_lost"},
    "few-ranges": {"loss", "kill", "disk_empty"},
    "forks": {"kill", "disk_older", "partition"},
    "full-at-start": {"kill", "disk_full"},
    "full-disk": {"disk_full"},
    "long-backlog": {"partition"},
    "lost-checkpoints": {"kill"},
    "many-epochs": {"kill"},
    "opened-folds": {"kill", "partition"},
    "replicated-all": {"loss", "partition"},
    "rotations": {"disk_full"},
    "rotten-checkpoints": {"kill", "flip"},
    "rumors": {"kill", "loss"},
    "slow-disk": {"slow_sync"},
    "stop-on-bad-disk": {"kill", "disk_errors"},
    "taken-away": {"kill", "astray", "end_lost"},
}


@cache
def runs(name: str) -> list[Result]:
    return [run(named(name), seed) for seed in SEEDS]


@pytest.mark.parametrize("name", names())
def test_runs_are_sound(name: str) -> None:
    for result in runs(name):
        assert wrong(result) == [], f"{name}, seed {result.plan.seed}"


@pytest.mark.parametrize("name", ["calm", "lossy", "partition", "crash-storm", "clock-trouble"])
def test_where_no_disk_loses_anything_nothing_is_lacking(name: str) -> None:
    for result in runs(name):
        ends = [event.data for event in result.trace if type(event.data) is Final]
        assert [(end.missing, end.holes) for end in ends] == [(0, 0)] * len(ends)


def test_limits_are_drawn_for_each_seed_and_each_by_itself() -> None:
    scenario = named("corners")
    plans = [draw(scenario, seed) for seed in range(40)]
    assert {plan.gossip.ranges_max for plan in plans} >= {1, 2, 16}
    assert len({plan.disk.unwritten.records for plan in plans}) > 20
    assert isinstance(scenario.cuts, ThresholdRanges)
    fewer = replace(scenario, cuts=replace(scenario.cuts, ranges_max=UNSET))
    for plan in plans:
        other = draw(fewer, plan.seed)
        assert other.gossip.ranges_max == GossipConfig().ranges_max
        assert other == replace(plan, gossip=replace(plan.gossip, ranges_max=16))
        assert plan_from_json(plan_to_json(plan)) == plan


@pytest.mark.parametrize("name", names())
def test_its_faults_act_and_are_counted(name: str) -> None:
    fired: Counter[str] = Counter()
    for result in runs(name):
        fired.update(result.ledger.fired)
    assert FIRES[name] - fired.keys() == set()
    if name == "calm":
        assert not fired


def test_a_run_has_its_phases_in_order() -> None:
    for result in runs("all"):
        phases = [(e.t_us, e.data) for e in result.trace if type(e.data) is Phase]
        assert [phase.name for _, phase in phases] == ["faults", "heal", "liveness", "end"]
        assert phases[1][0] == result.plan.faults_us
        assert phases[2][1].bound_us == result.plan.liveness_us
        assert phases[3][0] == phases[2][0] + result.plan.liveness_us
        assert result.trace.events[-1].data == Phase("end")
        healed_at = phases[1][0]
        late = [
            e for e in result.trace if e.kind in ("fault", "fired", "crash") and e.t_us > healed_at
        ]
        assert late == []


def test_time_never_goes_back_and_causes_come_first() -> None:
    for result in runs("all"):
        before = 0
        for event in result.trace:
            assert event.t_us >= before
            assert event.cause is None or event.cause < event.seq
            before = event.t_us


# --- files ----------------------------------------------------------------------------------------


def test_all_of_them_come_along() -> None:
    assert names() == sorted(FIRES)
    assert {path.stem for path in SCENARIOS.iterdir()} == set(FIRES)
    for name in names():
        assert named(name).name == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "name: x\nabout: y\nfaultz: {}\n",
            "x.yaml:3:1: faultz: unknown key: did you mean faults?",
        ),
        (
            "name: x\nabout: y\nfaults:\n  loss: {shar: [0, 1]}\n",
            "x.yaml:4:10: faults.loss.shar: unknown key: did you mean share?",
        ),
        (
            "name: x\nabout: y\nfaults:\n  loss: {share: [0, 2]}\n",
            "x.yaml:4:21: faults.loss.share[1]: expected a number <= 1.0",
        ),
        (
            "name: x\nabout: y\nfaults:\n  loss: {share: [0.5, 0.1]}\n",
            "x.yaml:4:17: faults.loss.share: from 0.5 to 0.1 is empty",
        ),
        (
            "name: x\nabout: y\ncuts:\n  ranges_max: [0, 2]\n",
            "x.yaml:4:15: cuts.ranges_max: expected int >= 1",
        ),
        ("name: x\n", "x.yaml:1:1: about is missing"),
        ("- 1\n", "x.yaml: expected keys and values, at least `name` and `about`"),
        ("name: x\nname: y\n", "x.yaml:2:1: 'name' is given twice, first in line 1"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert str(caught.value) == f"{tmp_path}/{says}"


def test_a_scenario_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ScenarioError, match="no scenario 'calmm': there are all, bad-hardware, bit-rot"
    ):
        named("calmm")
    with pytest.raises(ScenarioError, match=r"cannot read it: No such file"):
        load(tmp_path / "y.yaml")
