"""Recovery returns what is whole, keeps what is not, and never lets a dot be used twice."""

from pathlib import Path
from random import Random
from shutil import copytree

import pytest

from node.core.ports import Durability, EpochRecord
from node.storage.files import FileStorage, MemoryStorage, Storage
from node.storage.headers import FORMAT_VERSION, Identity
from node.storage.recovery import IDENTITY_FILE, LOST_IDENTITY_JUMP, load_identity, save_identity
from node.storage.scan import RecoveryRefused, scan_journal
from node.storage.segments import list_segments, read_frames
from tests.node.journals import (
    EPOCH,
    Writer,
    commit,
    damaged,
    forgetful,
    open_journal,
    small_journal,
)

BIG = 10**9


def segments_of(storage: Storage) -> list[str]:
    return [segment.name for segment in list_segments(storage)]


def frames_of(storage: Storage) -> list[tuple[str, int, int, int]]:
    """Every frame as (file, offset, end, records in it)."""
    return [
        (segment.name, frame.offset, frame.end, frame.count)
        for segment in scan_journal(storage).segments
        for frame, _ in read_frames(storage, segment)
    ]


def settled(storage: MemoryStorage) -> MemoryStorage:
    """After the start that repaired: with the epoch opened that it asked for."""
    journal, found = open_journal(storage)
    if found.must_open_epoch:
        commit(journal, [EpochRecord(EPOCH + found.incarnation, found.must_open_epoch, 1)])
    return storage.killed()


# --- a cut at every byte ------------------------------------------------------------------------


def test_a_log_cut_at_any_byte_keeps_exactly_the_whole_frames_before_the_cut() -> None:
    storage, held = small_journal()
    layout = frames_of(storage)
    names = segments_of(storage)
    for index, name in enumerate(names):
        for cut in range(storage.size(name)):
            after = forgetful(storage)
            for later in names[index + 1 :]:
                after.remove(later)
            after.truncate(name, cut)
            whole = [
                (end, count)
                for file, _, end, count in layout
                if file < name or (file == name and end <= cut)
            ]
            end_of_whole = max((e for f, _, e, _ in layout if f == name and e <= cut), default=0)
            torn = cut - end_of_whole
            tail = after.read(name, end_of_whole, torn)
            _, found = open_journal(after)
            assert list(found.records) == held[: sum(count for _, count in whole)]
            assert (found.torn_bytes, found.quarantined) == (torn, ())
            if torn:
                assert after.read(found.kept_as, 0, BIG) == tail
                assert "tail repaired" in found.must_open_epoch
            _, again = open_journal(after.killed())
            assert list(again.records) == list(found.records)
            assert again.torn_bytes == 0
            assert again.must_open_epoch == found.must_open_epoch


def test_a_sealed_segment_cut_at_any_byte_costs_what_was_cut_and_nothing_later() -> None:
    storage, held = small_journal()
    first, second, *_ = segments_of(storage)
    layout = frames_of(storage)
    for name in (first, second):
        for cut in range(storage.size(name)):
            after = storage.killed()
            after.truncate(name, cut)
            after.sync(name)
            _, found = open_journal(after)
            expected, at = [], 0
            for file, _, end, count in layout:
                if file != name or end <= cut:
                    expected += held[at : at + count]
                at += count
            assert list(found.records) == expected
            assert found.lost == len(held) - len(expected)
            assert found.torn_bytes == 0
            if found.lost:
                assert found.must_open_epoch


# --- a flip at every byte -----------------------------------------------------------------------


def test_a_flip_at_any_byte_returns_nothing_wrong_and_drops_nothing_silently() -> None:
    storage, held = small_journal(segments=2, commits=3)
    layout = frames_of(storage)
    last = layout[-1]
    for name in segments_of(storage):
        for at in range(storage.size(name)):
            after = damaged(storage, name, at, 1 << at % 8)
            size = after.size(name)
            _, found = open_journal(after)
            records = list(found.records)
            start, hit = 0, (0, 0)
            for file, first, end, count in layout:
                if file == name and first <= at < end:
                    hit = (start, start + count)
                start += count
            assert records == held[: hit[0]] + held[hit[1] :]
            if name == last[0] and at >= last[1]:
                assert found.torn_bytes == last[2] - last[1]
                assert after.read(found.kept_as, 0, BIG)
            else:
                assert found.torn_bytes == 0
                assert after.size(name) >= size  # the damaged bytes are still there
                (hole,) = found.quarantined
                assert hole.name == name
                assert hole.offset <= at < hole.offset + hole.length
                assert hole.records == hit[1] - hit[0] == found.lost
            assert found.must_open_epoch
            assert found.new_holes == len(found.quarantined)


def test_damage_is_noted_once_and_the_epoch_it_cost_is_opened_once() -> None:
    storage, _ = small_journal()
    after = damaged(storage, "00000002.seg", 300)
    journal, found = open_journal(after)
    assert [hole.known for hole in found.quarantined] == [False]
    assert found.must_open_epoch == "damage in the journal"
    # Before the epoch is opened another start asks for it again, and tells of the damage again:
    # the one that noted it may have failed before anybody heard. It is not noted twice.
    journal, again = open_journal(after.killed())
    assert [(hole.known, hole.marked > 0) for hole in again.quarantined] == [(False, True)]
    assert (again.must_open_epoch, again.lost) == (found.must_open_epoch, found.lost)
    assert journal.written == found.count
    writer = Writer(epoch=EPOCH + 1)
    commit(journal, [writer.opening(), *writer.events(2)])
    _, later = open_journal(journal._storage.killed())  # type: ignore[attr-defined]
    assert (later.must_open_epoch, later.epoch) == ("", EPOCH + 1)
    assert [hole.known for hole in later.quarantined] == [True]
    assert (later.new_holes, later.lost, later.count) == (0, 0, found.count + 3)


def test_what_damage_took_is_read_again_where_it_stood_if_its_bytes_come_back() -> None:
    """So a sector that the disk writes to the wrong place may do (`bad-hardware` 20065695)."""
    storage, held = small_journal()
    after = damaged(storage, "00000002.seg", 300)
    journal, found = open_journal(after)
    gone = [record for record in held if record not in list(found.records)]
    assert len(gone) == found.lost > 0
    later = [Writer(epoch=EPOCH + 1).opening(), *gone]  # peers had them
    commit(journal, later)
    _, found = open_journal(damaged(after, "00000002.seg", 300))
    assert list(found.records) == held + later
    assert (found.quarantined, found.torn_bytes, found.must_open_epoch) == ((), 0, "")


def test_garbage_and_zeros_at_the_end_are_a_torn_tail() -> None:
    storage, held = small_journal()
    name = segments_of(storage)[-1]
    whole = storage.read(name, 0, BIG)
    for tail in (b"\0", bytes(4096), b"garbage" * 100, whole[:20], Random(1).randbytes(5000)):
        after = storage.killed()
        after.set(name, whole + tail)
        journal, found = open_journal(after)
        assert list(found.records) == held
        assert (found.torn_bytes, found.quarantined) == (len(tail), ())
        assert after.read(found.kept_as, 0, BIG) == tail
        assert after.read(name, 0, BIG)[: len(whole)] == whole
        writer = Writer(epoch=9)
        commit(journal, [writer.opening(), *writer.events(2)])
        _, again = open_journal(after.killed())
        assert (again.count, again.torn_bytes) == (len(held) + 3, 0)


def test_a_whole_frame_behind_the_damage_is_never_cut_off_even_where_it_does_not_belong() -> None:
    storage, _ = small_journal()
    name = segments_of(storage)[-1]
    after = storage.killed()
    whole = after.read(name, 0, BIG)
    after.set(name, whole[:200] + whole[207:])  # seven bytes are gone: all behind them moved
    size = after.size(name)
    journal, found = open_journal(after)
    assert found.torn_bytes == 0
    assert len(found.quarantined) == 1
    assert after.size(name) == size
    commit(journal, [Writer(epoch=9).opening()])  # goes to a segment of its own
    _, again = open_journal(after.killed())
    assert again.count == found.count + 1
    assert (again.quarantined[0].known, again.torn_bytes) == (True, 0)


def test_an_empty_or_torn_new_segment_is_taken_up_again() -> None:
    storage, held = small_journal()
    name = f"{len(segments_of(storage)) + 1:08d}.seg"
    for tail, reason in ((b"", ""), (b"\xf7lab\1", "tail repaired")):
        after = storage.killed()
        after.set(name, tail)
        journal, found = open_journal(after)
        assert list(found.records) == held
        assert found.must_open_epoch == reason
        commit(journal, [Writer(epoch=9).opening()])
        _, again = open_journal(after.killed())
        assert (again.count, again.quarantined, again.torn_bytes) == (len(held) + 1, (), 0)


def test_a_stale_frame_is_not_read_a_second_time() -> None:
    """The newest segment was replaced by an older one under its name."""
    storage, held = small_journal()
    names = segments_of(storage)
    after = storage.killed()
    after.set(names[2], after.read(names[1], 0, BIG))
    with pytest.raises(RecoveryRefused, match="belongs to another journal"):
        open_journal(after)
    _, found = open_journal(after, recover="salvage")
    in_last = sum(count for file, _, _, count in frames_of(storage) if file == names[2])
    assert list(found.records) == held[:-in_last]


# --- modes --------------------------------------------------------------------------------------


def test_strict_refuses_any_damage_and_changes_nothing() -> None:
    storage, _ = small_journal()
    last = segments_of(storage)[-1]
    torn = storage.killed()
    torn.append(last, b"half a frame")
    flipped = damaged(storage, "00000002.seg", 300)
    for after, where in ((torn, last), (flipped, "00000002.seg")):
        before = {name: after.read(name, 0, BIG) for name in after.names()}
        with pytest.raises(RecoveryRefused, match=f"{where}: .* damaged bytes at offset"):
            open_journal(after, recover="strict")
        assert before == {name: after.read(name, 0, BIG) for name in after.names()}
    with pytest.raises(RecoveryRefused, match=r"CRC expected .* actual"):
        open_journal(flipped, recover="strict")
    open_journal(storage, recover="strict")


def test_a_missing_segment_is_refused_but_by_salvage() -> None:
    storage, held = small_journal()
    storage.remove("00000002.seg")
    for mode in ("strict", "tail"):
        with pytest.raises(RecoveryRefused, match=r"00000002\.seg is missing; put it back"):
            open_journal(storage.killed(), recover=mode)
    after = storage.killed()
    _, found = open_journal(after, recover="salvage")
    assert found.missing == ("00000002.seg",)
    assert found.lost == len(held) - found.count > 0
    assert found.must_open_epoch == "damage in the journal"
    after = settled_salvage(after.killed())
    _, again = open_journal(after, recover="salvage")
    assert (again.must_open_epoch, again.new_holes) == ("", 0)


def settled_salvage(storage: MemoryStorage) -> MemoryStorage:
    journal, _ = open_journal(storage, recover="salvage")
    commit(journal, [EpochRecord(9, "damage", 1)])
    return storage.killed()


def test_a_segment_of_another_journal_is_refused_but_by_salvage() -> None:
    storage, held = small_journal()
    other = MemoryStorage("other")
    open_journal(other)
    name = f"{len(segments_of(storage)) + 1:08d}.seg"
    storage.set(name, other.read("00000001.seg", 0, BIG))
    with pytest.raises(RecoveryRefused, match=f"{name} belongs to another journal"):
        open_journal(storage.killed())
    _, found = open_journal(storage.killed(), recover="salvage")
    assert list(found.records) == held


def test_a_newer_format_is_refused_untouched() -> None:
    storage, _ = small_journal()
    identity = load_identity(storage)
    assert identity is not None
    newer = Identity(**{f: getattr(identity, f) for f in identity.__struct_fields__})
    newer = type(newer)("n1", b"d" * 16, "p", 1, "always", format_version=FORMAT_VERSION + 1)
    save_identity(storage, newer)
    before = {name: storage.read(name, 0, BIG) for name in storage.names()}
    for mode in ("strict", "tail", "salvage"):
        with pytest.raises(RecoveryRefused, match="format 2, this chatlab reads up to 1"):
            open_journal(storage, recover=mode)
    assert before == {name: storage.read(name, 0, BIG) for name in storage.names()}


# --- identity and epochs ------------------------------------------------------------------------


def test_incarnations_only_grow() -> None:
    storage, _ = small_journal()
    seen = []
    for _ in range(4):
        storage = storage.killed()
        seen.append(open_journal(storage)[1].incarnation)
    assert seen == [2, 3, 4, 5]
    storage.remove(IDENTITY_FILE)
    _, found = open_journal(storage)
    assert found.incarnation > LOST_IDENTITY_JUMP
    assert found.must_open_epoch == "the identity file is lost"


def test_incarnations_grow_when_the_identity_is_lost_again_and_again() -> None:
    """Also when no header of a segment can be read any more."""
    storage, held = small_journal()
    seen = [0]
    for header_too in (False, True, True, False, False):
        storage = storage.killed()
        storage.remove(IDENTITY_FILE)
        if header_too:
            storage = damaged(storage, segments_of(storage)[-1], 20)
        journal, found = open_journal(storage)
        assert found.incarnation > seen[-1]
        assert found.count == len(held)
        seen.append(found.incarnation)
        journal.close(clean=True)


def test_a_damaged_identity_counts_as_lost() -> None:
    storage, held = small_journal()
    after = damaged(storage, IDENTITY_FILE, 60)
    _, found = open_journal(after)
    assert (found.count, found.must_open_epoch) == (len(held), "the identity file is lost")


def test_a_copied_directory_opens_a_new_epoch_and_its_original_does_not(tmp_path: Path) -> None:
    journal, _ = open_journal(FileStorage(tmp_path / "a"))
    commit(journal, [Writer().opening()])
    journal.close(clean=True)
    copytree(tmp_path / "a", tmp_path / "b")
    for path, reason in ((tmp_path / "a", ""), (tmp_path / "b", "the data directory is a copy")):
        journal, found = open_journal(FileStorage(path))
        assert found.must_open_epoch == reason
        journal.close(clean=True)
    # The wish lasts until it is met.
    journal, found = open_journal(FileStorage(tmp_path / "b"))
    assert found.must_open_epoch == "the data directory is a copy"
    commit(journal, [EpochRecord(5, found.must_open_epoch, 1)])
    journal.close(clean=True)
    journal, found = open_journal(FileStorage(tmp_path / "b"))
    assert found.must_open_epoch == ""
    journal.close(clean=True)


@pytest.mark.parametrize("mode", ["interval", "none"])
def test_an_unclean_stop_in_a_relaxed_mode_opens_a_new_epoch(mode: Durability) -> None:
    storage = MemoryStorage()
    journal, _ = open_journal(storage, durability=mode)
    commit(journal, [Writer().opening()])
    unclean = storage.killed()
    journal.close(clean=True)
    assert open_journal(storage.killed())[1].must_open_epoch == ""
    # The mode that counts is the one of the process that stopped.
    _, found = open_journal(unclean, durability="always")
    assert found.must_open_epoch == f"unclean stop in mode {mode}"
    # Even if that start dies at once, the wish is kept.
    _, again = open_journal(unclean.killed(), durability="always")
    assert again.must_open_epoch == found.must_open_epoch
    assert open_journal(settled(unclean.killed()))[1].must_open_epoch == ""


def test_an_unclean_stop_in_mode_always_goes_on_in_its_epoch() -> None:
    storage, _ = small_journal(clean=False)
    assert open_journal(storage)[1].must_open_epoch == ""
