"""How a journal is left, and what the next start makes of it: the clean mark, and doubt."""

import errno
import os
from functools import partial

import pytest

from node.core.ports import Durability
from node.storage.files import DiskFull, FaultyStorage, MemoryStorage, StorageError
from node.storage.scan import scan_journal
from node.storage.segments import SEGMENT_SUFFIX
from tests.node.journals import Crowded, Writer, commit, open_journal

MODES: tuple[Durability, ...] = ("always", "interval", "none")


class Spoilt(MemoryStorage):
    """Counts down over the writes and syncs of segments; the one that comes to 0 fails."""

    fails_in = 0
    code = errno.EIO

    def _count(self, name: str) -> None:
        if name.endswith(SEGMENT_SUFFIX) and self.fails_in:
            self.fails_in -= 1
            if not self.fails_in:
                raise OSError(self.code, os.strerror(self.code))

    def append(self, name: str, data: bytes) -> int:
        self._count(name)
        return super().append(name, data)

    def sync(self, name: str) -> None:
        self._count(name)
        super().sync(name)


# --- a clean stop -------------------------------------------------------------------------------


def test_the_mark_of_a_clean_stop_is_written_after_the_sync_and_is_durable() -> None:
    for durability in MODES:
        storage = MemoryStorage()
        journal, _ = open_journal(storage, durability=durability)
        journal.append(Writer().events(3))
        assert journal.close(clean=True) == ""
        for after in (storage.killed(), storage.power_cut()):
            _, found = open_journal(after, durability=durability)
            assert (found.count, found.clean) == (3, True)


@pytest.mark.parametrize("durability", MODES)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_stop_whose_sync_fails_is_not_clean_whatever_survives(
    durability: Durability, nth: int
) -> None:
    """The n-th call of the close fails: the sync, the write of the mark, the sync of the mark."""
    storage = Spoilt()
    journal, _ = open_journal(storage, durability=durability)
    commit(journal, Writer().events(2))
    journal.append(Writer().events(3))
    storage.fails_in = nth
    with pytest.raises(StorageError, match="Input/output error"):
        journal.close(clean=True)
    assert journal.durable == (2 if nth == 1 else 5)
    assert not scan_journal(storage).clean_stop
    _, found = open_journal(storage.killed(), durability=durability)
    assert not found.clean
    assert found.count == (2 if nth == 1 and durability == "always" else 5)


def test_a_mark_that_finds_no_room_is_told() -> None:
    storage = Spoilt()
    storage.code = errno.ENOSPC
    journal, _ = open_journal(storage)
    journal.append(Writer().events(3))
    storage.fails_in = 2
    assert "No space left on device" in journal.close(clean=True)
    assert journal.durable == 3
    _, found = open_journal(storage.power_cut())
    assert (found.count, found.clean) == (3, False)


def test_a_journal_that_failed_says_so_at_its_close() -> None:
    storage = FaultyStorage(10**9, errno.EIO)
    journal, _ = open_journal(storage, durability="interval")
    journal.append(Writer().events(3))
    storage.fail_at = storage.calls + 1
    with pytest.raises(StorageError):
        journal.sync()
    assert "cannot sync" in journal.close(clean=True)
    assert not open_journal(storage.killed(), durability="interval")[1].clean


# --- what the last process left, and no room to write it anew ------------------------------------


def left_unclean(durability: Durability) -> Crowded:
    """Three synced records, two that are only written, no clean stop; and the disk is full."""
    storage = Crowded()
    journal, _ = open_journal(storage, durability=durability)
    writer = Writer()
    commit(journal, writer.events(3))
    journal.append(writer.events(2))
    storage.full = True
    return storage


def test_what_cannot_be_written_anew_is_not_called_durable_until_it_is() -> None:
    storage = left_unclean("interval")
    for _ in range(2):  # a stop in between is not clean, and the next start is as careful
        journal, found = open_journal(storage, durability="interval")
        assert (found.count, found.unsynced, found.clean) == (5, 5, False)
        assert (journal.written, journal.durable, journal.unrenewed) == (5, 0, True)
        append = partial(journal.append, Writer().events(1))
        for call in (append, journal.sync, journal.renew):
            with pytest.raises(DiskFull, match=r"renew 00000001\.seg: No space left") as caught:
                call()
            assert not caught.value.final
            assert (journal.written, journal.durable) == (5, 0)
            assert not any(name.endswith(".part") for name in storage.names())
        journal.close(clean=True)
    journal, _ = open_journal(storage, durability="interval")
    storage.full = False
    journal.append(Writer().events(1))
    assert (journal.written, journal.durable, journal.unrenewed) == (6, 5, False)
    assert open_journal(storage.power_cut(), durability="interval")[1].count == 5
    journal.close(clean=True)
    assert journal.durable == 6
    assert open_journal(storage.power_cut(), durability="interval")[1].clean


def test_only_the_last_segment_can_be_in_doubt() -> None:
    storage = Crowded()
    journal, _ = open_journal(storage, durability="none", segment_bytes=600)
    writer = Writer()
    while "00000003.seg" not in storage.names():
        journal.append(writer.events(1))
    sealed = journal.durable
    journal.append(writer.events(1))
    storage.full = True
    journal, found = open_journal(storage, durability="none")
    assert 0 < sealed == journal.durable == found.count - found.unsynced < found.count


def test_no_segment_begins_behind_one_that_is_in_doubt() -> None:
    """Only the last segment is looked at by a start: a new one would hide the doubt."""
    storage = left_unclean("interval")
    storage.too_large = ".seg.part"
    data = storage.read("00000001.seg", 0, 10**9)
    whole = scan_journal(storage).segments[0].ranges[0][1]
    moved = data[: scan_journal(storage).tail] + bytes(40) + data[scan_journal(storage).tail :]
    storage.set("00000001.seg", moved[: whole + 40])  # damage at the end, and a whole frame in it
    for _ in range(2):
        with pytest.raises(StorageError, match="No space left"):
            open_journal(storage, durability="interval")
        assert "00000002.seg" not in storage.names()
    storage.full = False
    journal, found = open_journal(storage, durability="interval")
    assert (found.unsynced, found.count, found.new_holes) == (0, 3, 1)
    assert journal.durable == 3


def test_mode_always_leaves_nothing_in_doubt_and_shows_nothing_in_doubt() -> None:
    journal, found = open_journal(left_unclean("always"))
    assert (found.unsynced, journal.durable) == (0, 5)
    storage = left_unclean("interval")
    for _ in range(2):
        with pytest.raises(StorageError, match="No space left"):
            open_journal(storage)
    assert open_journal(storage, durability="interval")[1].unsynced == 5  # it was not forgotten
    storage.full = False
    journal, found = open_journal(storage)
    assert (found.unsynced, found.must_open_epoch) == (0, "new log")
    commit(journal, [Writer().opening()])
    assert open_journal(storage)[1].must_open_epoch == ""  # it was left in mode always
