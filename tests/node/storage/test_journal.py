"""The journal writes all or nothing, says what is safe, and says why when it cannot."""

import errno
from pathlib import Path
from random import Random

import pytest

from node.core.ports import EpochRecord, EventRecord, Record
from node.storage.blocks import BLOCK_RECORDS
from node.storage.files import DiskFull, FaultyStorage, FileStorage, MemoryStorage, StorageError
from node.storage.journal import Journal, JournalOptions
from tests.node.journals import Writer, commit, open_journal, small_journal


def test_what_was_appended_is_found_again_in_order() -> None:
    storage, held = small_journal()
    journal, found = open_journal(storage)
    assert list(found.records) == held
    assert list(found.records) == held  # each reading starts again
    assert found.count == len(found.records) == len(held)
    assert journal.written == journal.durable == len(held)
    assert found.segments == 3


def test_a_new_journal_asks_for_an_epoch_until_one_is_opened() -> None:
    storage = MemoryStorage()
    journal, found = open_journal(storage)
    assert (found.epoch, found.must_open_epoch, found.incarnation) == (None, "new log", 1)
    storage = storage.killed()
    journal, found = open_journal(storage)
    assert (found.epoch, found.must_open_epoch, found.incarnation) == (None, "new log", 2)
    commit(journal, [EpochRecord(77, "new log", 1)])
    _, found = open_journal(storage.killed())
    assert (found.epoch, found.must_open_epoch, found.incarnation) == (77, "", 3)


def test_the_last_opened_epoch_counts() -> None:
    storage = MemoryStorage()
    journal, _ = open_journal(storage)
    journal.append([EpochRecord(5, "new log", 1), *Writer().events(3), EpochRecord(6, "x", 2)])
    journal.append(Writer().events(3))
    _, found = open_journal(storage.killed())
    assert found.epoch == 6


def test_written_and_durable_are_counted_apart() -> None:
    storage = MemoryStorage()
    journal, _ = open_journal(storage)
    writer = Writer()
    journal.append(writer.events(3))
    assert (journal.written, journal.durable) == (3, 0)
    journal.sync()
    assert (journal.written, journal.durable) == (3, 3)
    journal.append(writer.events(2))
    assert (journal.written, journal.durable) == (5, 3)
    assert open_journal(storage.power_cut())[1].count == 3
    assert open_journal(storage.killed())[1].count == 5


def test_an_opening_makes_durable_what_a_kill_left() -> None:
    storage = MemoryStorage()
    journal, _ = open_journal(storage)
    journal.append(Writer().events(3))
    storage = storage.killed()
    journal, found = open_journal(storage)
    assert journal.durable == found.count == 3
    assert open_journal(storage.power_cut())[1].count == 3


def test_one_append_is_one_write() -> None:
    class Counting(MemoryStorage):
        appends = 0

        def append(self, name: str, data: bytes) -> int:
            self.appends += 1
            return super().append(name, data)

    storage = Counting()
    journal, _ = open_journal(storage)
    before = storage.appends
    journal.append(Writer().events(BLOCK_RECORDS * 2 + 5))
    assert storage.appends == before + 1
    assert open_journal(storage.killed())[1].count == BLOCK_RECORDS * 2 + 5
    journal.append([])
    assert storage.appends == before + 1


def test_large_records_are_cut_into_frames_by_bytes() -> None:
    records: list[Record] = [EventRecord(bytes([i]) * 120_000, 1, "rumor", "n2") for i in range(60)]
    storage = MemoryStorage()
    journal, _ = open_journal(storage)
    commit(journal, records)
    _, found = open_journal(storage.killed())
    assert list(found.records) == records


def test_segments_are_sealed_at_their_size() -> None:
    storage = MemoryStorage()
    journal, _ = open_journal(storage, segment_bytes=2000)
    writer = Writer()
    held: list[Record] = []
    for _ in range(50):
        batch = writer.events(2)
        journal.append(batch)
        held += batch
    names = [name for name in storage.names() if name.endswith(".seg")]
    assert len(names) >= 5
    assert all(storage.size(name) < 2500 for name in names)
    assert list(open_journal(storage.killed())[1].records) == held
    # Sealed segments are durable, whether anybody synced or not.
    assert journal.durable > 0
    assert open_journal(storage.power_cut())[1].count == journal.durable


def test_a_clean_stop_is_told_from_an_unclean_one() -> None:
    for clean in (True, False):
        storage, held = small_journal(clean=clean)
        _, found = open_journal(storage)
        assert found.clean is clean
        assert found.count == len(held)


def test_closing_twice_is_closing_once() -> None:
    storage = MemoryStorage()
    journal, _ = open_journal(storage)
    assert journal.close(clean=True) == ""
    assert "closed before" in journal.close(clean=True)


# --- failures -----------------------------------------------------------------------------------


def test_a_full_disk_cuts_back_to_the_last_whole_frame_and_works_again_later() -> None:
    storage = FaultyStorage(10**9, errno.ENOSPC, always=True)
    journal, _ = open_journal(storage)
    writer = Writer()
    commit(journal, writer.events(3))
    size = storage.size("00000001.seg")
    storage.fail_at, storage._cut_short = storage.calls + 1, False
    for _ in range(3):
        with pytest.raises(DiskFull, match="No space left on device; free some room") as caught:
            journal.append(writer.events(2))
        assert not caught.value.final
        assert storage.size("00000001.seg") == size
        assert (journal.written, journal.durable) == (3, 3)
    storage.fail_at = 10**9
    batch = writer.events(2)
    commit(journal, batch)
    assert (journal.written, journal.durable) == (5, 5)
    assert list(open_journal(storage.killed())[1].records)[-2:] == batch


def test_a_disk_that_is_full_at_a_rotation_leaves_the_old_segment_usable() -> None:
    storage = FaultyStorage(10**9, errno.ENOSPC)
    journal, _ = open_journal(storage, segment_bytes=1)
    writer = Writer()
    held: list[Record] = writer.events(1)
    commit(journal, held)
    for offset in range(1, 6):
        storage.fail_at, storage._cut_short = storage.calls + offset, False
        batch = writer.events(1)
        try:
            journal.append(batch)
        except StorageError as error:
            assert not error.final
            journal.append(batch)
        held += batch
    journal.close(clean=True)
    _, found = open_journal(storage.killed())
    assert list(found.records) == held
    assert (found.torn_bytes, found.quarantined, found.clean) == (0, (), True)


def test_a_failed_sync_is_final_and_what_was_not_durable_is_gone() -> None:
    storage = FaultyStorage(10**9, errno.EIO)
    journal, _ = open_journal(storage)
    writer = Writer()
    commit(journal, writer.events(2))
    journal.append(writer.events(3))
    storage.fail_at = storage.calls + 1
    with pytest.raises(
        StorageError, match=r"cannot sync 00000001\.seg: Input/output error"
    ) as caught:
        journal.sync()
    assert caught.value.final
    assert (journal.written, journal.durable) == (2, 2)
    for call in (journal.sync, lambda: journal.append(writer.events(1))):
        with pytest.raises(StorageError, match="cannot sync") as again:
            call()
        assert again.value.final
    journal.close(clean=True)
    _, found = open_journal(storage.killed())
    assert (found.count, found.clean) == (2, False)


def test_what_a_failed_sync_cut_off_does_not_come_back_after_a_power_cut() -> None:
    """The cut is synced, too: else the file could have its old length again, and old content."""
    storage = FaultyStorage(10**9, errno.EIO)
    journal, _ = open_journal(storage)
    writer = Writer()
    commit(journal, writer.events(2))
    journal.append(writer.events(3))
    storage.fail_at = storage.calls + 1
    with pytest.raises(StorageError, match="cannot sync"):
        journal.sync()
    for seed in range(100):
        _, found = open_journal(storage.power_cut(Random(seed)))
        assert (found.count, found.torn_bytes) == (2, 0)


def test_in_a_relaxed_mode_a_failed_sync_keeps_what_was_acknowledged_as_written() -> None:
    storage = FaultyStorage(10**9, errno.EIO)
    journal, _ = open_journal(storage, durability="interval")
    journal.append(Writer().events(3))
    storage.fail_at = storage.calls + 1
    with pytest.raises(StorageError):
        journal.sync()
    assert (journal.written, journal.durable) == (3, 0)
    assert open_journal(storage.killed())[1].count == 3


def test_a_write_that_cannot_be_cut_back_is_final() -> None:
    storage = FaultyStorage(10**9, errno.EIO, always=True)
    journal, _ = open_journal(storage)
    storage.fail_at = storage.calls + 1
    with pytest.raises(StorageError, match="cannot cut back") as caught:
        journal.append(Writer().events(1))
    assert caught.value.final
    assert journal.failed


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("always", [False, True])
@pytest.mark.parametrize("nth", range(1, 31))
def test_any_failing_call_breaks_no_promise(nth: int, always: bool, code: int) -> None:
    """Whatever fails when: what was reported durable is there, and nothing else is invented."""
    storage = FaultyStorage(nth, code, always=always)
    held: list[Record] = []
    durable = 0
    offered: list[Record] = []
    journal = None
    try:
        journal, _ = open_journal(storage, segment_bytes=600)
        writer = Writer()
        for _ in range(12):
            batch = writer.events(2)
            offered += batch
            try:
                journal.append(batch)
            except StorageError as error:
                assert "\n" not in str(error)
                if error.final:
                    raise
                del offered[-2:]
                writer = rewound(held)
                continue
            held += batch
            journal.sync()
            durable = journal.durable
            assert durable == len(held)
        journal.close(clean=True)
    except StorageError:
        pass
    storage.fail_at = 10**9
    storage.always = False
    for after in (storage.killed(), storage.power_cut()):
        _, found = open_journal(after)
        records = list(found.records)
        assert records[:durable] == held[:durable]
        assert records == offered[: len(records)]
        assert not found.quarantined


def rewound(held: list[Record]) -> Writer:
    """A writer that goes on after the records that are held."""
    writer = Writer()
    for _ in held:
        writer.event()
    return writer


# --- one owner ----------------------------------------------------------------------------------


def test_another_nodes_journal_is_refused_untouched() -> None:
    storage, _ = small_journal()
    before = {name: storage.read(name, 0, 10**6) for name in storage.names()}
    with pytest.raises(StorageError, match="this journal belongs to node n1, not to n2"):
        open_journal(storage, node="n2")
    assert before == {name: storage.read(name, 0, 10**6) for name in storage.names()}


def test_real_files_and_memory_hold_the_same_bytes(tmp_path: Path) -> None:
    """The fake is the product: only the directory's identity differs."""
    real = FileStorage(tmp_path)
    fake = MemoryStorage()
    for storage in (real, fake):
        storage.nonce = lambda size: b"x" * size  # type: ignore[method-assign]
        journal, _ = Journal.open(storage, "n1", JournalOptions(segment_bytes=300), 0)
        writer = Writer()
        for _ in range(10):
            commit(journal, writer.events(1))
    names = [name for name in fake.names() if name.endswith(".seg")]
    assert len(names) > 2
    for name in names:
        assert real.read(name, 0, 10**6) == fake.read(name, 0, 10**6)
    real.close()
