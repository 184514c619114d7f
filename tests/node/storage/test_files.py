"""The storages keep one contract: what append counted is there, what sync promised survives."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from node.storage.files import (
    LOCK,
    FaultyStorage,
    FileReader,
    FileStorage,
    MemoryStorage,
    Storage,
    StorageError,
    StorageLocked,
)


@pytest.fixture(params=["file", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    made: Storage = FileStorage(tmp_path / "j") if request.param == "file" else MemoryStorage()
    yield made
    made.close()


def test_files_are_created_appended_read_cut_renamed_and_removed(storage: Storage) -> None:
    storage.create("a")
    with pytest.raises(FileExistsError):
        storage.create("a")
    assert storage.append("a", b"hello") == 5
    assert storage.append("a", b" world") == 6
    storage.sync("a")
    storage.sync_dir()
    assert storage.size("a") == 11
    assert storage.read("a", 0, 100) == b"hello world"
    assert storage.read("a", 6, 2) == b"wo"
    storage.truncate("a", 5)
    storage.append("a", b"!")
    assert storage.read("a", 0, 100) == b"hello!"
    storage.create("b")
    storage.rename("a", "b")
    assert [name for name in storage.names() if name != LOCK] == ["b"]
    assert storage.read("b", 0, 100) == b"hello!"
    storage.remove("b")
    with pytest.raises(FileNotFoundError):
        storage.size("b")
    with pytest.raises(FileNotFoundError):
        storage.append("b", b"x")


def test_nonces_differ(storage: Storage) -> None:
    assert len(storage.nonce(16)) == 16
    assert storage.nonce(16) != storage.nonce(16)


def test_the_directory_and_its_files_are_private(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "j")
    storage.create("a")
    assert os.stat(tmp_path / "j").st_mode & 0o777 == 0o700
    assert os.stat(tmp_path / "j" / "a").st_mode & 0o777 == 0o600
    assert os.stat(tmp_path / "j" / LOCK).st_mode & 0o777 == 0o600
    storage.close()
    storage.close()  # twice is once


def test_a_second_open_is_refused_and_names_the_holder(tmp_path: Path) -> None:
    first = FileStorage(tmp_path)
    with pytest.raises(StorageLocked, match=f"already open by pid {os.getpid()}"):
        FileStorage(tmp_path)
    first.create("a")  # the first one is unharmed
    first.close()
    FileStorage(tmp_path).close()


def test_another_process_is_refused_too_and_leaves_no_harm(tmp_path: Path) -> None:
    first = FileStorage(tmp_path)
    script = (
        "import sys; from pathlib import Path; from node.storage.files import *\n"
        "try: FileStorage(Path(sys.argv[1]))\n"
        "except StorageLocked as error: print(error)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"already open by pid {os.getpid()}" in told.stdout
    with pytest.raises(StorageLocked, match=str(os.getpid())):
        FileStorage(tmp_path)  # the pid in the file is still the first one's
    first.close()


def test_a_child_does_not_inherit_the_lock(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    child = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        close_fds=False,
    )
    assert child.stdout is not None
    child.stdout.readline()  # it runs: until its exec is through, it does hold the lock
    storage.close()
    FileStorage(tmp_path).close()
    child.communicate(b"\n")


def test_a_path_that_is_no_directory_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot be opened") as caught:
        FileStorage(tmp_path / "file")
    assert "\n" not in str(caught.value)
    with pytest.raises(StorageError, match="Not a directory"):
        FileStorage(tmp_path / "file" / "sub")


def test_the_place_changes_with_a_copy_and_not_with_a_move(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "a")
    place = storage.place()
    storage.close()
    (tmp_path / "a").rename(tmp_path / "b")
    moved = FileStorage(tmp_path / "b")
    assert moved.place() == place
    copy = FileStorage(tmp_path / "a")
    assert copy.place() != place
    moved.close()
    copy.close()


def test_reading_takes_no_lock(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    storage.create("a")
    storage.append("a", b"x" * 100)
    assert FileReader(tmp_path).read("a", 10, 1000) == b"x" * 90
    storage.close()


# --- the model of a power cut -------------------------------------------------------------------


def test_a_kill_keeps_what_was_written_and_a_power_cut_what_was_synced() -> None:
    storage = MemoryStorage()
    storage.create("a")
    storage.append("a", b"one")
    storage.sync("a")
    storage.sync_dir()
    storage.append("a", b"two")
    storage.create("b")
    assert storage.killed().read("a", 0, 9) == b"onetwo"
    assert storage.killed().names() == ["a", "b"]
    assert storage.power_cut().read("a", 0, 9) == b"one"
    assert storage.power_cut().names() == ["a"]


def test_a_cut_that_was_not_synced_is_undone_by_a_power_cut() -> None:
    storage = MemoryStorage()
    storage.create("a")
    storage.append("a", b"abcdef")
    storage.sync("a")
    storage.sync_dir()
    storage.truncate("a", 2)
    storage.append("a", b"XY")
    assert storage.power_cut().read("a", 0, 9) == b"abcdef"
    storage.truncate("a", 1)
    assert storage.power_cut().read("a", 0, 9) == b"abcdef"
    storage.sync("a")
    assert storage.power_cut().read("a", 0, 9) == b"a"


def test_a_power_cut_with_a_generator_keeps_every_synced_byte() -> None:
    storage = MemoryStorage()
    storage.create("a")
    storage.append("a", b"d" * 700)
    storage.sync("a")
    storage.sync_dir()
    storage.append("a", b"u" * 2000)
    seen = set()
    for seed in range(200):
        after = storage.power_cut(Random(seed)).read("a", 0, 5000)
        assert after[:700] == b"d" * 700
        assert set(after[700:]) <= {0, ord("u")}
        seen.add(after)
    assert len(seen) > 20


@pytest.mark.parametrize("always", [False, True])
def test_a_faulty_storage_fails_the_nth_call(always: bool) -> None:
    storage = FaultyStorage(3, errno.EIO, always=always)
    storage.create("a")
    storage.append("a", b"x")
    with pytest.raises(OSError, match="Input/output"):
        storage.sync("a")
    if always:
        with pytest.raises(OSError, match="Input/output"):
            storage.sync("a")
    else:
        storage.sync("a")


def test_a_full_disk_writes_short_first() -> None:
    storage = FaultyStorage(2, errno.ENOSPC)
    storage.create("a")
    assert storage.append("a", b"12345678") == 4
    with pytest.raises(OSError, match="No space"):
        storage.append("a", b"5678")
    assert storage.append("a", b"5678") == 4


def test_what_is_in_its_place_is_not_astray(storage: Storage) -> None:
    storage.create("a")
    storage.append("a", b"hello")
    assert storage.astray({"a": 5}) == ""
    storage.append("a", b" world")  # more than is asked for is fine
    assert storage.astray({"a": 5}) == ""
    storage.create("b")
    storage.rename("b", "a")  # one's own doing
    assert storage.astray({"a": 0}) == ""


@pytest.mark.parametrize("how", ["removed", "moved", "emptied", "replaced", "a link", "a folder"])
def test_a_file_that_is_not_in_its_place_is_told(tmp_path: Path, how: str) -> None:
    storage = FileStorage(tmp_path / "j")
    file = tmp_path / "j" / "a"
    storage.create("a")
    storage.append("a", b"hello")
    if how == "emptied":
        os.truncate(file, 0)
    else:
        file.rename(tmp_path / "away")
    if how == "replaced":
        file.write_bytes(b"hello, and more")
    elif how == "a link":
        file.symlink_to(tmp_path / "away")
    elif how == "a folder":
        file.mkdir()
    told = storage.astray({"a": 5})
    words = {"emptied": "0 of 5 bytes are left", "removed": "removed", "moved": "moved"}
    assert words.get(how, "was replaced") in told and str(file) in told
    storage.close()


@pytest.mark.parametrize("what", ["folder", "parent", "LOCK", "another folder", "another LOCK"])
def test_a_directory_or_a_lock_that_is_not_in_its_place_is_told(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "n1" / "j"
    storage = FileStorage(folder)
    storage.create("a")
    if what == "LOCK":
        (folder / LOCK).unlink()
    elif what == "another LOCK":
        (folder / LOCK).rename(folder / "LOCK.away")
        (folder / LOCK).write_text("1\n")
    elif what == "parent":
        (tmp_path / "n1").rename(tmp_path / "n1.away")
    else:
        folder.rename(tmp_path / "j.away")
        if what == "another folder":
            folder.mkdir()
            (folder / "a").touch()
    assert "moved, removed or replaced" in storage.astray({"a": 0})
    storage.close()


def test_put_back_it_is_in_its_place_again(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "j")
    (tmp_path / "j").rename(tmp_path / "away")
    assert storage.astray({})
    (tmp_path / "away").rename(tmp_path / "j")
    assert storage.astray({}) == ""
    storage.close()


def test_memory_goes_on_writing_to_what_was_removed_as_a_descriptor_does() -> None:
    storage = MemoryStorage()
    storage.create("a")
    storage.append("a", b"hello")
    before = storage.vanish("a")
    assert storage.append("a", b" world") == 6
    storage.sync("a")
    assert storage.names() == [] and "removed" in storage.astray({"a": 5})
    assert storage.killed().names() == []
    storage.come_back(*before)
    assert storage.astray({"a": 11}) == ""
    storage.set("a", b"another")
    assert "replaced" in storage.astray({"a": 5})


def test_a_lock_is_taken_where_there_is_a_directory_only_if_asked(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        FileStorage(tmp_path / "j", make=False)
    assert not (tmp_path / "j").exists()
