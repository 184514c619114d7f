"""Details of the journal that whole runs rarely reach, each with what goes wrong without it."""

import errno
import os
from pathlib import Path

import pytest

from node.config.os_errors import complaint
from node.core.entry_store import _LogBytes
from node.process.pidfile import write_pid_file
from node.process.scrub import ColdReader
from node.storage import frames
from node.storage.files import FaultyStorage, FileStorage, MemoryStorage, StorageError
from node.storage.frames import Frame
from node.storage.headers import Quarantined, decode_mark
from node.storage.offset_index import OffsetIndex
from node.storage.recovery import replace_file
from node.storage.repair import repair_storage
from node.storage.scan import scan_journal
from node.storage.segments import list_segments, read_frames
from node.storage.verify import examine_storage
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


class Told(MemoryStorage):
    """Writes down what it is asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, ...]] = []

    def append(self, name: str, data: bytes) -> int:
        self.calls.append(("append", name))
        return super().append(name, data)

    def sync(self, name: str) -> None:
        self.calls.append(("sync", name))
        super().sync(name)

    def sync_dir(self) -> None:
        self.calls.append(("sync_dir",))
        super().sync_dir()

    def rename(self, old: str, new: str) -> None:
        self.calls.append(("rename", old, new))
        super().rename(old, new)


def test_a_new_file_is_synced_before_it_takes_the_place_of_the_old_one() -> None:
    storage = Told()
    replace_file(storage, "a", b"new")
    assert storage.calls == [
        ("append", "a.part"),
        ("sync", "a.part"),
        ("rename", "a.part", "a"),
        ("sync_dir",),
    ]


def marks_of(storage: MemoryStorage) -> list[object]:
    return [
        decode_mark(payload)
        for segment in scan_journal(storage).segments
        for frame, payload in read_frames(storage, segment)
        if frame.type == frames.MARK
    ]


def test_known_damage_is_marked_once_however_often_the_node_starts() -> None:
    storage, _ = small_journal()
    after = damaged(storage, "00000002.seg", 300)
    for _ in range(4):
        journal, found = open_journal(after)
        if found.must_open_epoch:
            commit(journal, [Writer(epoch=EPOCH + 1).opening()])
        journal.close(clean=True)
        assert sum(type(mark) is Quarantined for mark in marks_of(after)) == 1


def test_damage_that_healed_and_came_again_is_new() -> None:
    """A sector that the disk brings back, and takes a second time."""
    storage, held = small_journal()
    after = damaged(storage, "00000002.seg", 300)
    for number in range(3):
        journal, found = open_journal(after)
        assert (found.new_holes, found.must_open_epoch) == (1, "damage in the journal")
        assert found.lost > 0
        commit(journal, [Writer(epoch=EPOCH + number + 1).opening()])
        journal.close(clean=True)
        _, again = open_journal(after)
        assert (again.new_holes, again.must_open_epoch) == (0, "")
        after = damaged(after, "00000002.seg", 300)  # the same byte: it is whole again
        journal, found = open_journal(after)
        assert (found.quarantined, found.must_open_epoch) == ((), "")
        assert list(found.records)[: len(held)] == held
        journal.close(clean=True)
        after = damaged(after, "00000002.seg", 300)


def swapped(storage: MemoryStorage) -> tuple[MemoryStorage, int]:
    """One frame is another whole one, with its place and numbers: only the chain can tell."""
    after = forgetful(storage)
    name = "00000002.seg"
    data = bytearray(after.read(name, 0, BIG))
    found = [frame for frame in frames.scan(bytes(data)) if type(frame) is Frame]
    old, behind = found[1], found[2]
    payload = bytes(reversed(frames.payload_of(bytes(data), old)))
    new, _ = frames.encode(
        payload,
        type=frames.MARK,
        offset=old.offset,
        previous=old.previous,
        number=old.number,
        count=old.count,
    )
    data[old.offset : old.end] = new
    after.set(name, bytes(data))
    return after, behind.offset


def test_whole_frames_that_do_not_chain_have_a_hole_of_no_length_between_them() -> None:
    storage, _ = small_journal()
    after, at = swapped(storage)
    (hole,) = scan_journal(after).holes
    assert (hole.segment, hole.offset, hole.length) == (2, at, 0)
    assert "does not follow" in hole.cause


def test_the_mark_of_a_hole_of_no_length_stands_before_the_frame_that_was_behind_it() -> None:
    storage, _ = small_journal()
    after, at = swapped(storage)
    repair_storage(after)
    assert examine_storage(after).whole
    segment = scan_journal(after).segments[1]
    kinds = {frame.offset: (frame.type, payload) for frame, payload in read_frames(after, segment)}
    kind, payload = kinds[at]
    assert kind == frames.MARK
    assert decode_mark(payload) == Quarantined(2, at, 0, 0)


def test_of_two_kept_descriptors_the_older_one_gives_way(tmp_path: Path) -> None:
    """A sync error shows only on the descriptor that wrote: the segment's must stay."""
    storage = FileStorage(tmp_path / "j")
    for name in ("a", "b", "c"):
        storage.create(name)
        storage.append(name, b"x")
    kept = {os.readlink(f"/proc/self/fd/{fd}") for fd in storage._appending.values()}
    assert kept == {str(tmp_path / "j" / name) for name in ("b", "c")}
    storage.close()


def test_a_cut_keeps_the_chunk_of_the_last_record_that_is_kept() -> None:
    index = OffsetIndex()
    index.add(3, 1, 40, 900)
    index.add(1, 2, 40, 400)
    index.cut(4)
    assert (len(index), index.find(4).segment) == (2, 2)
    index.cut(3)
    assert (len(index), index.last, index.find(3).segment) == (1, 3, 1)


def test_numbers_above_the_prefix_join_it_when_the_gap_closes() -> None:
    shelf = _LogBytes()
    for seq, number in ((3, 30), (2, 20), (5, 50), (1, 10)):
        shelf.settle(seq, number)
    assert (list(shelf.numbers), shelf.loose) == ([10, 20, 30], {5: 50})
    shelf.extend(4, (40,))
    assert (list(shelf.numbers), shelf.loose) == ([10, 20, 30, 40, 50], {})


@pytest.mark.parametrize("nth", range(1, 5))
def test_a_rotation_that_failed_leaves_the_seal_of_the_next_one_right(nth: int) -> None:
    """Or the checkpoint of that segment is not believed."""
    storage = FaultyStorage(10**9, errno.EIO)
    journal, _ = open_journal(storage, segment_bytes=400)
    writer = Writer()
    while storage.size("00000001.seg") < 400:
        commit(journal, writer.events(1))
    storage.fail_at = storage.calls + nth
    with pytest.raises(StorageError) as caught:
        journal.append(writer.events(1))
    assert not caught.value.final
    storage.fail_at = 10**9
    journal.append(writer.events(1))
    (seal,) = journal.take_seals()
    data = storage.read("00000001.seg", 0, BIG)
    last = [frame for frame in frames.scan(data) if type(frame) is Frame][-1]
    assert (seal.tail, seal.size, seal.crc) == (last.offset, last.end, last.crc)


# --- what only a real directory has --------------------------------------------------------------


def test_the_names_above_a_new_journal_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def told(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", told)
    path = tmp_path / "lab" / "n1" / "journal"
    FileStorage(path).close()
    assert synced == [str(parent) for parent in list(path.parents)[:4]]
    synced.clear()
    FileStorage(path).close()
    assert synced == []  # it is not new any more


def test_a_folder_above_that_cannot_be_synced_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="cannot be opened: Input/output error"):
        FileStorage(tmp_path / "journal")


def test_a_scrub_lets_nothing_go_that_may_be_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages whose sync failed are called clean, and a copy in memory is all there is of them."""
    dropped: list[str] = []

    def told(fd: int, offset: int, length: int, advice: int) -> None:
        assert advice == os.POSIX_FADV_DONTNEED
        dropped.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name)

    storage = FileStorage(tmp_path / "j")
    journal, _ = open_journal(storage, durability="interval", segment_bytes=300)
    writer = Writer()
    while len(list_segments(storage)) < 3:
        journal.append(writer.events(1))
    monkeypatch.setattr(os, "posix_fadvise", told)
    reader = ColdReader(tmp_path / "j")
    for segment in list_segments(storage):
        data = reader.read(segment.name, 0, segment.size)
        assert data == storage.read(segment.name, 0, segment.size)
    assert dropped == ["00000001.seg", "00000002.seg"]
    journal.close(clean=True)


def test_a_pid_file_that_cannot_be_put_in_its_place_leaves_nothing_beside_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "node.pid"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        write_pid_file(path)
    assert os.listdir(tmp_path) == ["node.pid"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.EIO, "Input/output error", "/d/a", None, "/d/node.pid"),
         "/d/node.pid: Input/output error; the disk is failing: see the system's log"),
        (OSError(errno.EMFILE, "Too many open files"),
         "Too many open files; raise the limit of open files: ulimit -n"),
        (OSError(errno.ESTALE, "Stale file handle", "/d/a"), "/d/a: Stale file handle"),
        (OSError("said by ourselves"), "said by ourselves"),
    ],
)  # fmt: skip
def test_what_the_system_refuses_is_one_line_with_what_helps(error: OSError, line: str) -> None:
    assert complaint(error) == line
