"""One node's real runtime, on a disk that stalls, fills up and fails."""

from tests.node.loops import run, until
from tests.node.runtimes import RuntimeBench


async def _held_back(bench: RuntimeBench) -> None:
    """One call to the disk stalls until more has come than the committer's queue takes."""
    bench.runtime._committer._queue_records_max = 4
    bench.disk.going.clear()
    bench.receive(1)
    await until(bench.disk.stalled.is_set)
    for _ in range(3):
        bench.receive(4)
        await until(lambda: not bench.runtime._inbox)
    assert bench.runtime._held


def test_a_node_hears_again_after_a_stalled_write_that_fails() -> None:
    async def main() -> None:
        async with RuntimeBench() as bench:
            await _held_back(bench)
            bench.disk.full = True
            bench.disk.going.set()
            await until(lambda: bench.said("writes_refused"))
            assert (await bench.status()).state == "read_only"
            bench.disk.full = False
            await until(lambda: bench.said("writes_resumed"))
            await until(lambda: bench.runtime.running.durable >= 14)
            status = await bench.status()
            assert (status.state, status.events) == ("running", 13)

    run(main)


def test_a_node_hears_again_after_a_stalled_sync_that_fails_and_stays_read_only() -> None:
    async def main() -> None:
        async with RuntimeBench() as bench:
            bench.disk.stalls = "sync"
            await _held_back(bench)
            bench.disk.eio_at_sync = True
            bench.disk.going.set()
            await until(lambda: bench.said("writes_refused"))
            assert (await bench.status()).state == "read_only"

    run(main)
