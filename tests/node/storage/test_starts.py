"""A start counts once: no two starts of a directory have one incarnation, whatever is lost."""

import errno
from contextlib import suppress
from random import Random

import pytest
from msgspec.structs import replace

from node.storage.files import FaultyStorage, MemoryStorage, StorageError
from node.storage.journal import Journal, JournalOptions
from node.storage.recovery import IDENTITY_FILE, LOST_IDENTITY_JUMP, load_identity, save_identity
from node.storage.scan import scan_journal
from node.storage.segments import list_segments
from tests.node.journals import Crowded, Writer, commit, open_journal, small_journal


def without_identity(storage: MemoryStorage) -> MemoryStorage:
    after = storage.killed()
    after.remove(IDENTITY_FILE)
    return after.killed()


def faulty(storage: MemoryStorage, fail_at: int, code: int = errno.EIO) -> FaultyStorage:
    after = FaultyStorage(fail_at, code, always=True, name=storage.name)
    for name in storage.names():
        after.set(name, storage.read(name, 0, 10**9))
    return after


def started(storage: MemoryStorage) -> int:
    journal, found = open_journal(storage)
    journal.close(clean=False)
    return found.incarnation


@pytest.mark.parametrize("nth", range(1, 21))
def test_a_start_that_lost_the_identity_and_failed_leaves_the_next_one_as_careful(
    nth: int,
) -> None:
    """The one that found it lost may have written a new one, and no segment."""
    storage, _ = small_journal()
    used = [0]
    for _ in range(3):
        spoilt = faulty(without_identity(storage), nth)
        with suppress(StorageError):
            used.append(started(spoilt))
        storage = spoilt.killed()
        used.append(started(storage))
        storage = storage.killed()
    assert used == sorted(set(used))


def test_an_older_identity_that_is_put_back_is_seen_through() -> None:
    """A sector that the disk wrote to the wrong place can do that."""
    storage, _ = small_journal()
    old = storage.read(IDENTITY_FILE, 0, 10**9)
    used = [started(storage) for _ in range(3)]
    storage.set(IDENTITY_FILE, old)
    journal, found = open_journal(storage)
    assert found.incarnation > max(used)
    assert "the identity file is lost" in found.must_open_epoch
    assert found.incarnation > LOST_IDENTITY_JUMP
    journal.close(clean=True)
    assert started(storage) == found.incarnation + 1


def test_many_starts_in_one_segment_are_counted_though_the_identity_is_lost() -> None:
    storage, _ = small_journal()
    used = []
    for _ in range(5):
        identity = load_identity(storage)
        assert identity is not None
        # As if there had been so many starts before, each of them killed.
        later = identity.incarnation + LOST_IDENTITY_JUMP - 2
        save_identity(storage, replace(identity, incarnation=later))
        used += [started(storage) for _ in range(3)]
        storage = without_identity(storage)
        used.append(started(storage))
    assert used == sorted(set(used))


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_lost_and_fails_in_between(seed: int) -> None:
    """IDENTITY lost or put back, starts that fail anywhere, kills and power cuts, in any order."""
    rng = Random(seed)
    storage: MemoryStorage = MemoryStorage()
    olds: list[bytes] = []
    used: list[int] = []
    for _ in range(40):
        if IDENTITY_FILE in storage.names():
            olds.append(storage.read(IDENTITY_FILE, 0, 10**9))
        harm = rng.randrange(5)
        if harm == 0 and IDENTITY_FILE in storage.names():
            storage = without_identity(storage)
        elif harm == 1 and olds:
            storage.set(IDENTITY_FILE, rng.choice(olds))
        spoilt = faulty(storage, rng.choice((10**9, rng.randrange(1, 25))))
        options = JournalOptions(rng.choice(("always", "interval")), segment_bytes=400)
        try:
            journal, found = Journal.open(spoilt, "n1", options, 0)
            used.append(found.incarnation)
            for _ in range(rng.randrange(4)):
                commit(journal, Writer("n2").events(1))
            journal.close(clean=rng.random() < 0.3)
        except StorageError:
            pass
        storage = spoilt.power_cut() if rng.random() < 0.3 else spoilt.killed()
    assert used == sorted(set(used)), used


def test_a_full_disk_keeps_no_start_from_being_counted() -> None:
    storage = Crowded()
    journal, _ = open_journal(storage, durability="interval")
    journal.append(Writer().events(2))
    storage.full = True
    used = []
    for _ in range(3):
        _, found = open_journal(storage, durability="interval")
        used.append(found.incarnation)
    assert used == [2, 3, 4]
    # Where a segment must be begun for that, there is none without room, and no start.
    storage.remove(IDENTITY_FILE)
    with pytest.raises(StorageError, match="No space left"):
        open_journal(storage, durability="interval")
    storage.full = False
    assert open_journal(storage, durability="interval")[1].incarnation > LOST_IDENTITY_JUMP + 1


def test_the_journal_tells_of_each_start_once() -> None:
    storage, _ = small_journal(segments=1)
    size = storage.size("00000001.seg")
    assert scan_journal(storage).started == 1  # by the header of the segment that it began
    for number in (2, 3):
        started(storage)
        assert scan_journal(storage).started == number
    added = storage.size("00000001.seg") - size
    assert added == 2 * (40 + 4)
    assert len(list_segments(storage)) == 1
