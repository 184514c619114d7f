"""A journal that ends before what was durable has lost its end, and IDENTITY knows.

No frame of the journal can say so: what is left is whole. Without a new epoch the node would give
dots away a second time.
"""

from pathlib import Path

import pytest
from msgspec.structs import replace

from node.core.ports import EpochRecord
from node.storage.checkpoint_files import checkpoint_name
from node.storage.files import FileStorage, MemoryStorage
from node.storage.recovery import IDENTITY_FILE, load_identity, save_identity
from node.storage.repair import repair_storage
from node.storage.scan import RecoveryRefused, scan_journal
from node.storage.segments import list_segments, read_frames
from node.storage.verify import examine_storage, repair
from tests.node.journals import (
    EPOCH,
    Writer,
    commit,
    forgetful,
    open_journal,
    small_journal,
)

BIG = 10**9
LOST = "the end of the journal is lost"


def ends_of_frames(storage: MemoryStorage, name: str) -> list[int]:
    (segment,) = [one for one in scan_journal(storage).segments if one.name == name]
    return [frame.end for frame, _ in read_frames(storage, segment)]


def cut(storage: MemoryStorage, segment: int, at: int) -> MemoryStorage:
    """So much of this segment is left, and nothing of those after it."""
    after = storage.killed()
    for one in list_segments(after):
        if one.number > segment:
            after.remove(one.name)
        elif one.number == segment and at:
            after.truncate(one.name, min(at, after.size(one.name)))  # it would grow, too
        elif one.number == segment:
            after.remove(one.name)
    return after.killed()


def cuts(storage: MemoryStorage) -> list[tuple[int, int, int]]:
    """Every (segment, size, records left) at which a journal can end without a torn tail."""
    found = [(1, 0, 0)]
    count = 0
    for segment in scan_journal(storage).segments:
        for frame, _ in read_frames(storage, segment):
            count += frame.count
            found.append((segment.number, frame.end, count))
    return found


def test_after_a_clean_stop_every_loss_of_a_record_at_the_end_is_seen() -> None:
    storage, held = small_journal(clean=True)
    for segment, size, left in cuts(storage):
        after = cut(storage, segment, size)
        journal, found = open_journal(after)
        if left == len(held):  # only the mark of the clean stop, or nothing, is gone
            assert (found.must_open_epoch, found.quarantined) == ("", ())
            continue
        assert LOST in found.must_open_epoch
        (hole,) = found.quarantined
        assert (hole.records, hole.length, hole.known) == (len(held) - left, 0, False)
        assert (found.lost, found.new_holes) == (len(held) - left, 1)
        assert "the journal ends before what was durable" in hole.cause
        assert list(found.records) == held[:left]
        # The numbers of what is lost are not given out a second time.
        writer = Writer(epoch=EPOCH + 1)
        commit(journal, [writer.opening(), *writer.events(2)])
        assert scan_journal(after).next_number == len(held) + 1 + 3
        journal.close(clean=True)
        _, again = open_journal(after.killed())
        assert (again.must_open_epoch, again.quarantined, again.count) == ("", (), left + 3)


def test_a_killed_process_knows_of_what_it_sealed_and_of_what_it_found() -> None:
    storage, _ = small_journal(clean=False)
    identity = load_identity(storage)
    assert identity is not None and identity.last_segment == 3
    for segment, size, left in cuts(storage):
        _, found = open_journal(cut(storage, segment, size))
        # What it wrote into the last segment is not known to have been there: see the document.
        seen = segment < 3 or left < identity.next_number - 1
        assert (LOST in found.must_open_epoch) == seen
    journal, found = open_journal(storage)
    reached = found.count
    for segment, size, left in cuts(storage):
        _, found = open_journal(cut(storage, segment, size))
        assert (LOST in found.must_open_epoch) == (segment < 3 or left < reached)
    assert journal.written == reached


def test_the_wish_and_the_loss_outlive_a_crash_at_any_moment() -> None:
    """Until the epoch is opened; and the numbers stay taken once the mark is durable."""
    storage, held = small_journal(clean=True)
    last = ends_of_frames(storage, "00000003.seg")
    after = cut(storage, 3, last[1])
    for crash in (MemoryStorage.killed, MemoryStorage.power_cut):
        again = crash(after)
        for _ in range(3):
            journal, found = open_journal(again)
            assert LOST in found.must_open_epoch
            assert scan_journal(again).next_number == len(held) + 1
            again = crash(again)
        commit(open_journal(again)[0], [EpochRecord(EPOCH + 1, LOST, 1)])
        assert open_journal(again)[1].must_open_epoch == ""
        assert journal.written == found.count


def test_the_last_segment_is_missed_though_no_record_was_known_to_be_in_it() -> None:
    storage = MemoryStorage()
    journal, _ = open_journal(storage, segment_bytes=300)
    writer = Writer()
    commit(journal, [writer.opening()])
    while len(list_segments(storage)) < 3:
        commit(journal, writer.events(1))
    after = cut(storage, 2, BIG)
    _, found = open_journal(after)
    assert LOST in found.must_open_epoch
    assert "00000003.seg is missing" in found.quarantined[0].cause


def test_a_lost_end_is_refused_by_mode_strict_and_changes_nothing() -> None:
    storage, _ = small_journal(clean=True)
    after = cut(storage, 2, BIG)
    before = {name: after.read(name, 0, BIG) for name in after.names()}
    with pytest.raises(RecoveryRefused, match="the journal ends before what was durable"):
        open_journal(after, recover="strict")
    assert {name: after.read(name, 0, BIG) for name in after.names()} == before
    open_journal(after, recover="salvage")


def test_verify_calls_a_lost_end_damage_until_it_is_repaired(tmp_path: Path) -> None:
    storage, held = small_journal(clean=True)
    for segment, size, left in cuts(storage)[1:]:
        after = cut(storage, segment, size)
        report = examine_storage(after)
        if left == len(held):
            assert report.whole
            continue
        assert not report.whole
        (finding,) = report.findings
        assert (finding.severity, finding.length) == ("damage", 0)
        assert f"{len(held) - left} records lost" in finding.what
        repaired = repair_storage(after)
        assert repaired.lost == len(held) - left
        assert examine_storage(after).whole
        assert repair_storage(after).actions == ()
        _, found = open_journal(after)
        assert LOST in found.must_open_epoch
        assert scan_journal(after).next_number == len(held) + 1
    path = tmp_path / "j"
    path.mkdir()
    for name in after.names():
        (path / name).write_bytes(storage.read(name, 0, BIG) if name in storage.names() else b"")
    (path / "00000003.seg").unlink()
    assert repair(path).lost > 0
    FileStorage(path).close()


def test_an_identity_of_an_earlier_chatlab_tells_of_what_it_found() -> None:
    storage, _ = small_journal(clean=True)
    _, found = open_journal(storage)
    after = forgetful(storage)
    identity = load_identity(after)
    assert identity is not None and identity.must_open_from == found.count + 1
    save_identity(after, replace(identity, next_number=0, last_segment=0))
    assert open_journal(after.killed())[1].must_open_epoch == ""
    assert LOST in open_journal(cut(after, 2, BIG))[1].must_open_epoch


def test_no_checkpoint_outlives_the_end_that_it_tells_of() -> None:
    storage, _ = small_journal(clean=True)
    after = cut(storage, 2, BIG)
    after.set(checkpoint_name(2), b"whatever it says")
    open_journal(after)
    assert checkpoint_name(2) not in after.names()


def test_identity_is_written_no_more_than_it_must() -> None:
    """Once at a start after a clean stop; and at a seal, and at a stop that has news."""
    storage = Counting()
    journal, _ = open_journal(storage)
    assert storage.identities == 2  # of nothing, it knew nothing
    commit(journal, [Writer().opening()])
    assert storage.identities == 2
    journal.close(clean=True)
    assert storage.identities == 3
    journal, _ = open_journal(storage)
    journal.close(clean=True)
    assert storage.identities == 4


class Counting(MemoryStorage):
    identities = 0

    def rename(self, old: str, new: str) -> None:
        self.identities += new == IDENTITY_FILE
        super().rename(old, new)
