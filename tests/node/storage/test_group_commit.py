"""What a committer does next, act by act, without a thread: on a log that is two numbers."""

from collections.abc import Sequence
from typing import cast

import pytest

from node.core.checkpoint import Checkpoint
from node.core.interface import Persisted, PersistFailed
from node.core.ports import Durability, EventRecord, Record
from node.storage.files import DiskFull, StorageError
from node.storage.group_commit import (
    RENEW_US,
    Act,
    CommitBounds,
    GroupCommit,
    Progress,
    comes_to_something,
    size_of,
)


class Log:
    def __init__(self, written: int = 0, durable: int = 0, *, unrenewed: bool = False) -> None:
        self.written, self.durable, self.unrenewed = written, durable, unrenewed
        self.batches: list[int] = []
        self.kept: list[object] = []
        self.fails: StorageError | None = None

    def _fail(self) -> None:
        error, self.fails = self.fails, None
        if error is not None:
            raise error

    def append(self, records: Sequence[Record]) -> None:
        self._fail()
        self.batches.append(len(records))
        self.written += len(records)

    def sync(self) -> None:
        self._fail()
        self.durable = self.written

    def renew(self) -> None:
        self._fail()
        self.unrenewed = False
        self.durable = self.written

    def check(self) -> None:
        self._fail()

    def keep(self, checkpoint: Checkpoint) -> str:
        self.kept.append(checkpoint)
        return "no room" if checkpoint is BAD else ""


BAD = cast("Checkpoint", object())


def one(size: int = 10) -> EventRecord:
    return EventRecord(bytes(size), 1, "rumor", "n2")


def many(count: int) -> list[Record]:
    return [one() for _ in range(count)]


class Bench:
    def __init__(
        self, durability: Durability = "always", log: Log | None = None, **bounds: int
    ) -> None:
        self.log = log or Log()
        self.group = GroupCommit(self.log, durability, 1000, CommitBounds(**bounds))
        self.now_us = 0

    def does(self) -> tuple[Act, Progress | None]:
        """One act, with what is to be reported of it."""
        act = self.group.next(self.now_us)
        if act in (Act.WAIT, Act.CLOSE):
            return act, None
        return act, self.group.settle(act, self.group.perform(act), self.now_us)

    def acts(self) -> list[Act]:
        """Until it waits or closes."""
        acts: list[Act] = []
        while not acts or acts[-1] not in (Act.WAIT, Act.CLOSE):
            acts.append(self.does()[0])
        return acts


def test_always_appends_syncs_and_waits() -> None:
    bench = Bench()
    bench.group.submit(many(2))
    assert bench.does() == (Act.APPEND, Persisted(2, 0))
    bench.group.submit(many(3))
    assert bench.does() == (Act.SYNC, Persisted(2, 2))
    bench.group.submit(many(4))
    assert bench.acts() == [Act.APPEND, Act.SYNC, Act.WAIT]
    assert bench.log.batches == [2, 7], "what queued up during a sync shares the next one"
    assert (bench.group.commits, bench.group.until_us) == (2, None)


def test_interval_syncs_when_the_oldest_unsynced_record_is_so_old() -> None:
    bench = Bench("interval")
    bench.group.submit(many(1))
    assert bench.acts() == [Act.APPEND, Act.WAIT]
    assert bench.group.until_us == 1000
    bench.now_us = 400
    bench.group.submit(many(1))
    assert bench.acts() == [Act.APPEND, Act.WAIT]
    assert bench.group.until_us == 1000
    bench.now_us = 999
    assert bench.acts() == [Act.WAIT]
    bench.now_us = 1000
    assert bench.does() == (Act.SYNC, Persisted(2, 2))
    bench.group.submit(many(1))
    assert bench.acts() == [Act.APPEND, Act.WAIT]
    assert bench.group.until_us == 2000


def test_none_never_syncs_by_itself() -> None:
    bench = Bench("none")
    bench.group.submit(many(1))
    bench.now_us = 10**9
    assert bench.acts() == [Act.APPEND, Act.WAIT]
    assert bench.group.until_us is None
    bench.group.stop(drain=True)
    assert bench.acts() == [Act.CLOSE]


def test_one_append_takes_whole_submissions_up_to_its_bound() -> None:
    bench = Bench("none", commit_bytes=200)
    for _ in range(5):
        bench.group.submit([one(20)])  # 84 bytes each
    bench.group.submit([one(500)])
    bench.group.submit([one(20)])
    assert bench.group.queued_bytes == 6 * 84 + 564
    bench.acts()
    assert bench.log.batches == [2, 2, 1, 1, 1], "one above the bound goes alone"
    assert (bench.group.queued_records, bench.group.queued_bytes) == (0, 0)


def test_a_failed_append_drops_what_is_queued_until_it_is_handed_on() -> None:
    bench = Bench(commit_bytes=1)
    bench.group.submit(many(1))
    bench.group.submit(many(5))
    bench.log.fails = DiskFull("no room")
    assert bench.does() == (Act.APPEND, PersistFailed(0, "disk_full", "no room", False))
    assert bench.group.queued_records == 0
    assert not bench.group.submit(many(1))
    assert bench.acts() == [Act.WAIT]
    bench.group.resume()
    assert bench.group.submit(many(1))
    assert bench.acts() == [Act.APPEND, Act.SYNC, Act.WAIT]


def test_what_was_written_before_a_failed_append_is_synced_all_the_same() -> None:
    bench = Bench("interval")
    bench.group.submit(many(2))
    bench.acts()
    bench.group.submit(many(1))
    bench.log.fails = StorageError("gone")
    assert bench.does() == (Act.APPEND, PersistFailed(2, "storage_error", "gone", False))
    bench.now_us = 1000
    assert bench.does() == (Act.SYNC, Persisted(2, 2))


@pytest.mark.parametrize("error", [StorageError("EIO"), DiskFull("no room")])
def test_a_failed_sync_is_final(error: StorageError) -> None:
    bench = Bench()
    bench.group.submit(many(1))
    bench.does()
    bench.group.keep([BAD])
    bench.log.fails = error
    failure = PersistFailed(1, "storage_error", str(error), True)
    assert bench.does() == (Act.SYNC, failure)
    assert bench.group.failed == failure
    bench.group.resume()
    assert not bench.group.submit(many(1))
    assert bench.group.keep([BAD, BAD, BAD, BAD, BAD]) == 0, "none is waited for, none is told"
    assert bench.acts() == [Act.WAIT]
    assert bench.group.failing("again", final=True) is None, "it is told once"
    assert bench.log.kept == []
    bench.group.stop(drain=True)
    assert bench.acts() == [Act.CLOSE]


def test_a_final_failure_of_an_append_is_final() -> None:
    bench = Bench()
    bench.group.submit(many(1))
    bench.log.fails = StorageError("cannot cut back", final=True)
    assert bench.does()[1] == PersistFailed(0, "storage_error", "cannot cut back", True)
    assert bench.group.failed is not None


def test_what_a_full_disk_held_up_is_tried_again_and_never_synced_before() -> None:
    bench = Bench("interval", Log(3, 0, unrenewed=True))
    bench.log.fails = DiskFull("no room")
    assert bench.does() == (Act.RENEW, None), "senders are told by their own records"
    assert bench.acts() == [Act.WAIT]
    assert bench.group.until_us == RENEW_US
    bench.now_us = RENEW_US
    assert bench.does() == (Act.RENEW, Persisted(3, 3))
    assert bench.acts() == [Act.WAIT]
    assert bench.group.until_us is None


def test_one_checkpoint_is_written_after_each_commit_and_all_where_there_is_time() -> None:
    bench = Bench(commit_bytes=1)
    good = cast("Checkpoint", object())
    bench.group.submit(many(1))
    bench.group.submit(many(1))
    assert bench.group.keep([good, BAD, good, good, good, good]) == 2
    acts = [Act.APPEND, Act.SYNC, Act.KEEP] * 2 + [Act.KEEP] * 2 + [Act.WAIT]
    assert bench.acts() == acts
    assert bench.log.kept == [good, BAD, good, good]
    assert bench.group.keep([]) == 0


def test_why_a_checkpoint_was_not_written_is_told() -> None:
    bench = Bench()
    bench.group.keep([BAD])
    bench.does()
    assert bench.group.unkept == "no room"
    bench.group.keep([cast("Checkpoint", object())])
    bench.does()
    assert bench.group.unkept == ""


def test_a_stop_with_drain_writes_everything_and_one_without_nothing() -> None:
    bench = Bench(commit_bytes=1)
    bench.group.submit(many(1))
    bench.group.submit(many(2))
    bench.group.keep([BAD])
    bench.group.stop(drain=True)
    assert not bench.group.submit(many(1))
    assert bench.group.keep([BAD]) == 0
    assert bench.acts() == [Act.APPEND, Act.SYNC, Act.KEEP, Act.APPEND, Act.SYNC, Act.CLOSE]
    dropped = Bench()
    dropped.group.submit(many(1))
    dropped.group.stop(drain=False)
    assert dropped.acts() == [Act.CLOSE]
    assert dropped.log.batches == []


def test_a_replica_is_not_told_in_mode_always_of_what_is_only_written() -> None:
    assert comes_to_something(Persisted(3, 0), always=False)
    assert not comes_to_something(Persisted(3, 2), always=True)
    assert comes_to_something(Persisted(3, 3), always=True)
    assert comes_to_something(PersistFailed(3, "disk_full", "", False), always=True)


def test_a_record_counts_with_its_data() -> None:
    assert size_of(many(2)) == 2 * 74
