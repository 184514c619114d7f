"""Bits that change under a running node: believed, found by a read or by the scrub, pulled back."""

from typing import Literal

import pytest
from msgspec.structs import replace

from lab.checkers.run_sample import silent_of
from lab.plan.faults import Astray, DiskOptions, Kill, Op, Plan, Rot, Timed, word
from lab.sim.world import Result, run_plan
from lab.trace.kinds import Boot, Final, Fired, Note, Totals
from tests.lab.sim.judged import wrong

NODES = ("n1", "n2", "n3")
SECOND_US = 1_000_000
SEEDS = range(30)


def plan(seed: int, scrub_bytes_s: int, *faults: Timed) -> Plan:
    """Small segments, so that most of the journal is sealed, and a burst of posts."""
    ops = tuple(Op(n, n * 100_000, "c", "n1", "post", "ann", f"message {n}") for n in range(1, 31))
    disk = DiskOptions(segment_bytes=500, scrub_bytes_s=scrub_bytes_s)
    return Plan("rot", seed, NODES, 8 * SECOND_US, 8 * SECOND_US, ops, faults, disk=disk)


def rot(number: int, at_s: float, flips: int = 1) -> Timed:
    at_us = int(at_s * SECOND_US)
    return Timed(number, at_us, at_us, Rot("n1", flips))


def kill(number: int, at_s: float) -> Timed:
    at_us = int(at_s * SECOND_US)
    return Timed(number, at_us, at_us + SECOND_US // 2, Kill("n1", "stop"))


def of(result: Result, kind: type) -> list[tuple[int, object]]:
    return [(e.t_us, e.data) for e in result.trace if type(e.data) is kind and e.node == "n1"]


def noted(result: Result, event: str) -> list[int]:
    return [at for at, data in of(result, Note) if data.event == event]  # type: ignore[attr-defined]


def test_the_scrub_finds_rot_and_the_node_pulls_back_what_was_lost() -> None:
    found = lost = 0
    for seed in SEEDS:
        result = run_plan(plan(seed, 50_000, rot(1, 4.0)))
        assert wrong(result) == [], f"seed {seed}"
        boots = [data for _, data in of(result, Boot)]
        found += bool([at for at in noted(result, "journal_damaged") if at < 8 * SECOND_US])
        lost += sum(one.quarantined for one in boots)  # type: ignore[attr-defined]
        ((_, end),) = of(result, Final)
        assert (end.missing, end.holes) == (0, 0)  # type: ignore[attr-defined]
        assert len(end.arrivals) >= 30  # type: ignore[attr-defined]
    assert found > len(SEEDS) // 2
    assert lost > len(SEEDS) // 2


@pytest.mark.parametrize("how", [None, "folder", "segment", "emptied"])
def test_what_damages_a_disk_counts_as_a_fault_that_acted(
    how: Literal["folder", "segment", "emptied"] | None,
) -> None:
    fault = Rot("n1", 1) if how is None else Astray("n1", how)
    result = run_plan(plan(1, 50_000, Timed(1, 4 * SECOND_US, 5 * SECOND_US, fault)))
    (totals,) = [event.data for event in result.trace if type(event.data) is Totals]
    assert totals.fired[word(fault)] == 1
    assert silent_of(totals) == ()


def test_without_a_scrub_nothing_is_found_before_somebody_reads_it() -> None:
    for seed in SEEDS:
        result = run_plan(plan(seed, 0, rot(1, 4.0)))
        assert wrong(result) == [], f"seed {seed}"
        assert all(at > 8 * SECOND_US for at in noted(result, "journal_damaged"))


def test_checkpoints_are_believed_and_then_found_rotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the start itself, which needs some bodies, or by whoever reads or scrubs later."""
    monkeypatch.setattr(
        "node.storage.offset_index.CHUNK_BYTES", 128
    )  # a start reads a frame, not a segment
    doubted = later = 0
    for seed in SEEDS:
        one = plan(seed, 0, rot(1, 4.0), kill(2, 4.5))
        result = run_plan(replace(one, disk=replace(one.disk, segment_bytes=1500)))
        assert wrong(result) == [], f"seed {seed}"
        assert [at for at, _ in of(result, Fired)] == [4 * SECOND_US]
        doubted += bool(noted(result, "checkpoints_doubted"))
        boots = [data for _, data in of(result, Boot)]
        assert len(boots) > 1
        holes = [boot.holes for boot in boots]  # type: ignore[attr-defined]
        later += not holes[1] and any(holes[2:])
    assert doubted > 0 and later > len(SEEDS) // 3, (doubted, later)


def test_scrubbing_changes_nothing_where_nothing_rots() -> None:
    without = run_plan(plan(1, 0))
    scrubbed = run_plan(replace(plan(1, 0), disk=replace(plan(1, 0).disk, scrub_bytes_s=20_000)))
    assert without.ledger == scrubbed.ledger
    assert not noted(scrubbed, "journal_damaged")
    assert scrubbed.acts > without.acts
