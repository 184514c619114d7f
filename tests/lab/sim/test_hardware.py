"""Disks that misplace sectors, disks put into the wrong machine, transports that fail: all act, are
counted, and lose only what is permitted.
"""

from unittest.mock import patch

from lab.checkers import Judge
from lab.plan.faults import Fault, Kill, Op, Plan, Timed, Worker
from lab.sim.world import Result, run_plan
from lab.trace.kinds import Boot, Dropped, Fired, Note, StartRefused, Totals
from node.storage import recovery
from tests.lab.sim.judged import wrong

NODES = ("n1", "n2", "n3")
SECOND_US = 1_000_000


def ran(*faults: Fault, seed: int = 5) -> Result:
    """Each lasts half a second, one after the other."""
    ops = tuple(Op(n, n * 200_000, "c", "n1", "post", "ann", f"message {n}") for n in range(1, 16))
    timed = [
        Timed(n, n * SECOND_US, n * SECOND_US + 500_000, one) for n, one in enumerate(faults, 1)
    ]
    return run_plan(Plan("hardware", seed, NODES, 5 * SECOND_US, 5 * SECOND_US, ops, tuple(timed)))


def failing(result: Result) -> list[str]:
    judging = Judge()
    judging.see_all(result.trace)
    return [one.rule for one in judging.verdicts() if one.outcome == "fail"]


def fired(result: Result) -> dict[str, int]:
    return next(e.data.fired for e in result.trace if type(e.data) is Totals)


def sound(result: Result) -> bool:
    return wrong(result) == []


def test_spoilt_sectors_are_found_told_and_pulled_back_from_peers() -> None:
    found = set()
    for seed in range(12):
        result = ran(Kill("n1", sectors=1), Kill("n1"), seed=seed)
        assert sound(result), f"seed {seed}"
        told = [e.data.what for e in result.trace if type(e.data) is Fired]
        assert len(told) == 1 and fired(result)[told[0]] == 1
        found |= {told[0]}
        boots = [e.data for e in result.trace if type(e.data) is Boot and e.node == "n1"]
        refused = any(type(e.data) is StartRefused for e in result.trace)
        assert refused or boots[1].holes or boots[1].torn_bytes or boots[1].must_open_epoch
    assert found == {"stale", "misdirected"}


def test_a_node_refuses_the_disk_of_another_and_goes_on_with_its_own() -> None:
    result = ran(Kill("n1", disk="other"))
    (refused,) = [e.data.reason for e in result.trace if type(e.data) is StartRefused]
    assert "this journal belongs to node n" in refused and refused.endswith(", not to n1")
    boots = [e.data for e in result.trace if type(e.data) is Boot and e.node == "n1"]
    assert [boot.disk for boot in boots] == ["new", "same"]
    assert len(boots[1].arrivals) == 4
    assert fired(result) == {"kill": 1, "disk_other": 1}
    assert sound(result)


def test_a_node_that_opens_any_disk_is_seen() -> None:
    with patch.object(recovery, "refuse_unless_ours", lambda *args: None):
        assert "C5" in failing(ran(Kill("n1", disk="other")))


def test_a_transport_that_fails_loses_packets_and_starts_again() -> None:
    result = ran(Worker("n1"))
    notes = [
        (e.t_us, e.data.event)
        for e in result.trace
        if type(e.data) is Note and e.data.event.startswith("worker_") and e.node == "n1"
    ]
    assert notes == [(SECOND_US, "worker_crashed"), (1_500_000, "worker_restarted")]
    assert any(type(e.data) is Dropped and e.node == "n1" for e in result.trace)
    assert fired(result) == {"partition": fired(result)["partition"], "worker": 1}
    assert sound(result)


def test_a_transport_of_a_node_that_is_down_or_dies_needs_no_restart() -> None:
    kill = Timed(1, SECOND_US, 2 * SECOND_US, Kill("n1"))
    for begin_us in (900_000, 1_100_000):
        worker = Timed(2, begin_us, begin_us + 400_000, Worker("n1"))
        result = run_plan(Plan("hardware", 5, NODES, 3 * SECOND_US, SECOND_US, (), (kill, worker)))
        said = [e.data.event for e in result.trace if type(e.data) is Note]
        assert said.count("worker_crashed") == (begin_us < SECOND_US)
        assert "worker_restarted" not in said
