"""One node's real runtime, on a disk that stalls, fills up and fails."""

import asyncio

import pytest

from lab.terminal.formats import utc_text
from node.control.messages import Accepted, Failed, Post
from node.core.interface import Acked
from node.core.ports import EventRecord
from node.core.write_state import WriteBounds
from node.process import runtime
from node.process.structured_log import utc_now
from node.storage.codec import decode_block, encode_block
from node.storage.journal import Journal, JournalOptions
from tests.node.loops import run, until
from tests.node.replicas import WALL_MS, Node
from tests.node.runtimes import RuntimeBench

FEW = WriteBounds(records=4)


async def _behind(bench: RuntimeBench) -> None:
    """One call to the disk stalls until more has come than may wait for it."""
    bench.disk.going.clear()
    bench.receive(1)
    await until(bench.disk.stalled.is_set)
    for _ in range(3):
        bench.receive(4)
        await until(lambda: not bench.runtime.turns.waiting)
    assert bench.said("writes_behind")
    assert bench.replica.counters["unwritable"] == 2, "one packet went over the bound"


def test_a_node_hears_and_answers_while_its_disk_stalls_and_catches_up_later() -> None:
    async def main() -> None:
        async with RuntimeBench(unwritten=FEW) as bench:
            await _behind(bench)
            assert (await bench.status()).state == "running"
            bench.disk.going.set()
            await until(lambda: bench.said("writes_caught_up"))
            bench.receive(1)
            await until(lambda: bench.runtime.running.durable >= 7)

    run(main)


def test_a_node_hears_again_after_a_stalled_write_that_fails() -> None:
    async def main() -> None:
        async with RuntimeBench(unwritten=FEW) as bench:
            await _behind(bench)
            bench.disk.full = True
            bench.disk.going.set()
            await until(lambda: bench.said("writes_refused"))
            assert (await bench.status()).state == "read_only"
            (refused,) = await bench.ask(Post(1, "ana", "no room", "", 1000))
            assert type(refused) is Failed
            assert refused.code == "disk_full"
            bench.disk.full = False
            await until(lambda: bench.said("writes_resumed"))
            await until(lambda: bench.runtime.running.durable >= 6)
            status = await bench.status()
            assert (status.state, status.events) == ("running", 5)

    run(main)


def test_a_node_hears_again_after_a_stalled_sync_that_fails_and_stays_read_only() -> None:
    async def main() -> None:
        async with RuntimeBench(unwritten=FEW) as bench:
            bench.disk.stalls = "sync"
            await _behind(bench)
            bench.disk.eio_at_sync = True
            bench.disk.going.set()
            await until(lambda: bench.said("writes_refused"))
            assert (await bench.status()).state == "read_only"

    run(main)


def test_nothing_is_called_durable_that_no_sync_has_seen() -> None:
    """In a relaxed mode a failed write says how far the journal is written, and no more."""

    async def main() -> None:
        async with RuntimeBench("none") as bench:
            bench.receive(10)
            await until(lambda: bench.runtime.running.written == 11)
            durable = bench.runtime.running.durable
            bench.disk.full = True
            bench.receive(1)
            await until(lambda: bench.said("append_failed"))
            status = await bench.status()
            assert (status.written_upto, status.durable_upto) == (11, durable)
            assert durable < 11

    run(main)


def test_a_core_that_fails_while_it_stops_is_not_stepped_again_and_the_stop_is_not_clean() -> None:
    async def main() -> None:
        bench = RuntimeBench()
        async with bench:
            calls: list[str] = []

            def broken(*_: object) -> None:
                calls.append("step")
                raise RuntimeError("a bug")

            bench.runtime.stop("asked to")
            vars(bench.replica).update(step=broken, drain=lambda: calls.append("drain"))
            bench.receive(1)
            closed = await bench.finish()
            assert calls == ["step"]
            assert closed.unclean == "the replica failed: RuntimeError: a bug"
            assert len(bench.said("core_crashed")) == 1
        journal, recovery = Journal.open(bench.disk.killed(), "n1", JournalOptions(), 0)
        assert not recovery.clean
        journal.close(clean=False)

    run(main)


def test_a_stop_answers_what_is_in_flight_and_takes_nothing_new() -> None:
    async def main() -> None:
        async with RuntimeBench() as bench:
            bench.disk.stalls = "sync"
            bench.disk.going.clear()
            bench.send(Post(1, "ana", "in flight", "", 5000))
            await until(bench.disk.stalled.is_set)
            bench.runtime.stop("asked to")
            finishing = asyncio.ensure_future(bench.finish())
            await until(lambda: bench.runtime.turns.leaving)
            (late,) = await bench.ask(Post(2, "ana", "too late", "", 1000))
            assert type(late) is Failed
            assert late.code == "stopping"
            bench.disk.going.set()
            closed = await finishing
            assert closed.unclean == ""
            (reply,) = await bench.replies(1)
            assert type(reply) is Accepted

    run(main)


def test_before_1970_a_clock_counts_as_1970(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: -5_000_000_000)
    assert runtime.wall_ms() == 0
    record = EventRecord(b"x", runtime.wall_ms(), "local", "")
    assert decode_block(encode_block([record])) == [record]
    node = Node()
    node.clock_off_ms = -WALL_MS
    assert type(node.post("at the beginning of time")) is Acked


@pytest.mark.parametrize("years", [-3000, -60, 500_000])
def test_no_clock_is_too_wrong_for_a_line_of_the_log(
    monkeypatch: pytest.MonkeyPatch, years: int
) -> None:
    seconds = years * 31_557_600.0
    monkeypatch.setattr("time.time", lambda: seconds)
    monkeypatch.setattr("time.time_ns", lambda: round(seconds) * 10**9)
    assert utc_now()[:4] == ("1970" if years < 0 else "9999")
    assert runtime.wall_ms() == (0 if years < 0 else 253_402_300_799_000)
    assert utc_text(runtime.wall_ms())[:4] == utc_now()[:4]
