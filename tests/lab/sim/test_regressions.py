"""Runs that went wrong once. Each seed stands for a bug, and says which.

Seeds depend on how plans are drawn: where that changes, the directed plan of the same bug stays.
"""

from collections.abc import Iterator

import pytest

from lab.campaign.judged_run import run_judged
from lab.checkers import Judge
from lab.plan.faults import DiskErrors, DiskFull, Kill, Op, Plan, Timed
from lab.plan.scenario import named
from lab.sim.disk import SimDisk
from lab.sim.world import run, run_plan
from lab.trace.kinds import Boot, Crash, Fail, Ok, Written
from node.storage.files import StorageError
from node.storage.journal import Journal, JournalOptions
from tests.lab.sim.judged import wrong
from tests.node.journals import Writer


@pytest.mark.parametrize(
    ("scenario", "seed"),
    [
        # Journal: what a failed sync left in the page cache was called durable by the next start,
        # because its own sync succeeded. A power cut then took it. (Modes interval and none.)
        ("power-cuts", 45),
        ("power-cuts", 110),
        ("power-cuts", 150),
        # Journal: the same, where the disk was full at the next start, so that nothing could be
        # written anew: it only synced, and called durable what no sync could write.
        ("power-cuts", 1004319),
        # Recovery: a node that lost its IDENTITY twice counted the same starts again, because no
        # header of a segment had said how far it had come; or because that was lost as well.
        ("bit-rot", 20000576),
        ("bad-hardware", 20001235),
        ("bit-rot", 20028362),
        ("all", 20045069),
        # Recovery: a start set a hole aside and failed after that; the next one called it known.
        ("power-cuts", 20030119),
        # Receipts: after an older copy of its disk was put back, a node took a peer's word about
        # what its log had been for one about what it wrote at the same positions since.
        ("churn", 60086954),
        ("churn", 60096337),
        # Folding: a log that one side told in a line and the other one in a fold. The folds fitted,
        # so nobody opened them, and nobody saw what was lacking of it.
        ("opened-folds", 40507),
        # Simulator: a narrow link kept its queue after it was healed, for minutes.
        ("hot-origin", 2073),
        ("hot-origin", 2900),
    ],
)
def test_it_does_not_happen_again(scenario: str, seed: int) -> None:
    assert wrong(run(named(scenario), seed)) == []


@pytest.mark.parametrize(
    ("scenario", "seed"),
    [
        # C5: a hole at the end of a journal counts no records, and was taken for silence.
        ("bad-hardware", 258),
        # C1: what a spoilt sector took came back from peers, and a power cut took it, not synced
        # again, once more. The checker had forgotten the sector.
        ("all", 748),
        # C7: an own event came back from a peer and named what the next own event, of the same
        # turn, therefore does not name. The trace tells of the second one first.
        ("opened-folds", 5031),
        # C5: the journal of another node, of which bits were flipped in the header of its only
        # segment and in IDENTITY: no name was left by which it could be refused.
        ("bad-hardware", 820003827),
    ],
)
def test_checkers_raise_no_false_alarm_again(scenario: str, seed: int) -> None:
    judging = Judge()
    judging.see_all(run(named(scenario), seed).trace)
    assert [one for one in judging.verdicts() if one.outcome == "fail"] == []


def test_nobody_is_held_to_an_ack_that_waits_for_a_sync_where_nodes_do_not_sync() -> None:
    """C12: a plan without a fault and with durability none, where `durable` comes with a seal."""
    assert run_judged(named("all"), 800_004_688).outcome == "pass"


def test_what_a_failed_sync_left_is_durable_only_once_it_is_written_anew() -> None:
    """A failed sync, a restart, a power cut; mode interval, so that the records stay."""
    disk = SimDisk("d", lambda what, where: None)
    options = JournalOptions("interval")
    journal, _ = Journal.open(disk, "n1", options, 0)
    writer = Writer()
    journal.append([writer.opening()])
    journal.sync()
    journal.append(writer.events(3))
    disk.faults.errors["sync"] = [(1.0, _Always())]  # type: ignore[list-item]
    with pytest.raises(StorageError):
        journal.sync()
    disk.faults.errors.clear()
    disk.killed()
    journal, recovery = Journal.open(disk, "n1", options, 0)
    assert (recovery.count, journal.durable) == (4, 4)
    disk.files = disk.files.power_cut()
    disk.power_cut(_Never())  # type: ignore[arg-type]
    _, recovery = Journal.open(disk, "n1", options, 0)
    assert recovery.count == 4


def test_what_a_full_disk_keeps_from_being_written_anew_is_not_called_durable() -> None:
    """A failed sync, a start on a full disk, a power cut; mode interval."""
    plan = Plan(
        "directed",
        1,
        ("n1", "n2"),
        6_000_000,
        2_000_000,
        (
            Op(1, 1_000_000, "c", "n1", "post", "ann", "one", "written"),
            Op(2, 2_000_000, "d", "n1", "post", "ann", "two", "written"),
            Op(3, 4_600_000, "d", "n1", "post", "ann", "three", "durable"),
        ),
        (
            Timed(1, 1_000_000, 1_150_000, DiskErrors("n1", "sync", 1.0)),
            Timed(2, 1_050_000, 4_000_000, DiskFull("n1", 300)),
            Timed(3, 3_000_000, 3_500_000, Kill("n1", "power")),
            Timed(4, 1_250_000, 1_350_000, Kill("n1")),  # it was read-only for good
        ),
        durability="interval",
    )
    result = run_plan(plan)
    assert wrong(result) == []
    seen = [event.data for event in result.trace if event.node == "n1"]
    assert any(type(data) is Boot and data.unsynced for data in seen), "the plan missed its moment"
    assert [data.code for data in seen if type(data) is Fail] == ["disk_full"]
    assert [data.op for data in seen if type(data) is Ok] == [1, 3]


class _Always:
    def random(self) -> float:
        return 0.0


class _Never:
    def getrandbits(self, _: int) -> int:
        return 0


def durable_then_gone(plan: Plan) -> Iterator[tuple[int, int]]:
    """For each boot of n1: records that it was told are durable, and records that came back."""
    durable = 0
    for event in run_plan(plan).trace:
        data = event.data
        if event.node != "n1":
            continue
        if type(data) is Written:
            durable = data.durable
        elif type(data) is Crash and data.how != "power":
            durable = 0
        elif type(data) is Boot and data.disk == "same":
            yield durable, len(data.recovered)


def test_the_same_as_a_plan() -> None:
    plan = Plan(
        "directed",
        1,
        ("n1", "n2"),
        4_000_000,
        2_000_000,
        (Op(1, 1_000_000, "c", "n1", "post", "ann", "one", "written"),),
        (
            Timed(1, 1_000_000, 1_200_000, DiskErrors("n1", "sync", 1.0)),
            Timed(2, 3_000_000, 3_500_000, Kill("n1", "power")),
            Timed(3, 1_250_000, 1_350_000, Kill("n1")),  # it was read-only for good
        ),
        durability="interval",
    )
    pairs = list(durable_then_gone(plan))
    assert len(pairs) >= 2
    assert all(durable <= back for durable, back in pairs)
