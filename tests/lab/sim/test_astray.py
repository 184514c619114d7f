"""Somebody moves, removes or empties the journal of a running node, which has it open."""

import pytest
from msgspec.structs import replace

from lab.plan.faults import Astray, DiskOptions, Kill, Op, Plan, Timed
from lab.sim.world import Result, run_plan
from lab.trace.kinds import Crash, Final, Fired, Note, StartRefused, Unwritten
from tests.lab.sim.judged import wrong

NODES = ("n1", "n2", "n3")
SECOND_US = 1_000_000
SEEDS = range(12)
QUIET_US = 6 * SECOND_US  # no client has anything to say from then on


def plan(seed: int, *faults: Timed, scrub_bytes_s: int = 100_000) -> Plan:
    ops = tuple(Op(n, n * 100_000, "c", "n1", "post", "ann", f"message {n}") for n in range(1, 31))
    disk = DiskOptions(segment_bytes=2000, scrub_bytes_s=scrub_bytes_s)
    return Plan("astray", seed, NODES, 20 * SECOND_US, 8 * SECOND_US, ops, faults, disk=disk)


def astray(at_s: float, until_s: float, how: str) -> Timed:
    fault = Astray("n1", how)  # type: ignore[arg-type]
    return Timed(1, int(at_s * SECOND_US), int(until_s * SECOND_US), fault)


def of(result: Result, kind: type) -> list[tuple[int, object]]:
    return [(e.t_us, e.data) for e in result.trace if type(e.data) is kind and e.node == "n1"]


@pytest.mark.parametrize("how", ["folder", "segment", "emptied"])
def test_it_is_noticed_before_the_next_answer_and_nobody_loses_anything(how: str) -> None:
    for seed in SEEDS:
        result = run_plan(plan(seed, astray(1.55, 9.0, how)))
        assert wrong(result) == [], f"seed {seed}"
        (failure,) = [data for _, data in of(result, Unwritten)]
        assert failure.final  # type: ignore[attr-defined]
        assert "while the node ran" in failure.reason  # type: ignore[attr-defined]
        ((_, end),) = of(result, Final)
        assert (end.missing, end.holes, end.health) == (0, 0, "running")  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", ["folder", "segment", "emptied"])
def test_a_node_that_writes_nothing_notices_within_a_pass_of_its_scrub(how: str) -> None:
    noticed = 0
    for seed in SEEDS:
        result = run_plan(plan(seed, astray(8.0, 14.0, how)))
        assert wrong(result) == [], f"seed {seed}"
        noticed += any(at < 11 * SECOND_US for at, _ in of(result, Unwritten))
    assert noticed == len(SEEDS)


@pytest.mark.parametrize("how", ["folder", "segment", "emptied"])
def test_a_node_that_never_looks_notices_when_somebody_reads(how: str) -> None:
    """No scrub, and nothing is written any more."""
    for seed in SEEDS:
        result = run_plan(plan(seed, astray(8.0, 14.0, how), scrub_bytes_s=0))
        assert wrong(result) == [], f"seed {seed}"
        assert bool(of(result, Crash)) is (how != "folder"), f"seed {seed}"  # that comes back
        ((_, end),) = of(result, Final)
        assert (end.missing, end.holes, end.health) == (0, 0, "running")  # type: ignore[attr-defined]


def test_a_start_without_its_directory_is_refused_until_it_is_put_back() -> None:
    for seed in SEEDS:
        kill = Timed(2, 4 * SECOND_US, 5 * SECOND_US, Kill("n1"))
        result = run_plan(plan(seed, astray(3.5, 9.0, "folder"), kill))
        assert wrong(result) == [], f"seed {seed}"
        refusals = of(result, StartRefused)
        assert refusals and all(at < 9 * SECOND_US for at, _ in refusals)
        assert "is not there" in refusals[0][1].reason  # type: ignore[attr-defined]
        ((_, end),) = of(result, Final)
        assert len(end.arrivals) >= 15  # type: ignore[attr-defined]


def test_what_is_away_cannot_be_moved_away_again() -> None:
    kill = Timed(3, 6 * SECOND_US, 7 * SECOND_US, Kill("n1"))
    for seed in SEEDS:
        twice = (astray(3.5, 9.0, "folder"), replace(astray(4.0, 5.0, "folder"), id=2))
        result = run_plan(plan(seed, *twice, kill))
        assert wrong(result) == [], f"seed {seed}"
        assert len([data for _, data in of(result, Fired) if data.what == "astray"]) == 1  # type: ignore[attr-defined]
        assert of(result, Final), f"seed {seed}"


def test_what_was_emptied_is_told_of_by_the_start_that_follows() -> None:
    for seed in SEEDS:
        kill = Timed(2, int(4.01 * SECOND_US), 5 * SECOND_US, Kill("n1"))
        result = run_plan(plan(seed, astray(4.0, 4.0, "emptied"), kill))
        assert wrong(result) == [], f"seed {seed}"
        assert [data for _, data in of(result, Fired) if data.what == "end_lost"]  # type: ignore[attr-defined]
        assert not of(result, StartRefused)
        opened = [data for _, data in of(result, Note) if data.event == "epoch_opened"]  # type: ignore[attr-defined]
        assert opened
