"""Where the things of a cluster live: the same answer for everybody, and for the owner only."""

import os
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dot import ORIGIN_CHARS_MAX
from node.config.cluster_file import ClusterConfig, ConfigError, NodeConfig
from node.config.paths import (
    BOOK_BYTES_MAX,
    SHORT_DIR,
    SOCKET_BYTES_MAX,
    AddressBook,
    ClusterPaths,
    private_dir,
)


def cluster(name: str = "chatlab", data_dir: str | None = None) -> ClusterConfig:
    return ClusterConfig([NodeConfig("n1")], name, data_dir)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- arithmetic -----------------------------------------------------------------------------------


def test_everything_of_a_node_is_in_its_folder() -> None:
    paths = ClusterPaths(Path("/srv/lab"), cluster())
    assert paths.root == Path("/srv/lab/.chatlab/chatlab")
    assert paths.address_book == paths.root / "nodes.json"
    assert paths.launcher_pid == paths.root / "launcher.pid"
    assert paths.launcher_socket == paths.root / "launcher.sock"
    node = paths.node("n1")
    assert node.dir == paths.root / "n1"
    found = [node.journal_dir, node.log_file, node.stderr_file, node.pid_file, node.control]
    names = ["journal", "node.jsonl", "stderr.txt", "node.pid", "control"]
    assert found == [node.dir / name for name in names]
    assert node.feed == node.dir / "feed"


@pytest.mark.parametrize(
    ("data_dir", "root"),
    [
        (None, "/srv/lab/.chatlab/c"),
        ("state", "/srv/lab/state/c"),
        ("../state/", "/srv/state/c"),
        ("/var/lib/x", "/var/lib/x/c"),
        (".", "/srv/lab/c"),
    ],
)
def test_a_data_dir_is_relative_to_the_folder_of_the_file(data_dir: str | None, root: str) -> None:
    assert ClusterPaths(Path("/srv/lab"), cluster("c", data_dir)).root == Path(root)


def test_a_home_is_found_or_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ana")
    assert ClusterPaths(Path("/x"), cluster("c", "~/s")).root == Path("/home/ana/s/c")
    with pytest.raises(ConfigError, match=r"^data_dir: ") as caught:
        ClusterPaths(Path("/x"), cluster("c", "~nobody-of-that-name/s"))
    assert "\n" not in str(caught.value)


def test_the_same_folder_gives_the_same_paths_however_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for deep in ("a", "d" * 100):
        (tmp_path / deep).mkdir()
        absolute = ClusterPaths(tmp_path / deep, cluster())
        for base in (Path(deep), Path(".") / deep / ".." / deep):
            again = ClusterPaths(base, cluster())
            assert again.node("n1") == absolute.node("n1")
            assert again.launcher_socket == absolute.launcher_socket


@given(st.text("aé", min_size=1, max_size=150), st.integers(1, ORIGIN_CHARS_MAX))
def test_a_socket_path_always_fits(folder: str, length: int) -> None:
    paths = ClusterPaths(Path("/srv") / folder, cluster("c" * 32))
    node = paths.node("n" * length)
    sockets = [node.control, node.feed, paths.launcher_socket]
    assert all(len(os.fsencode(path)) <= SOCKET_BYTES_MAX for path in sockets)
    assert node.journal_dir.is_relative_to(paths.root)


def test_deep_clusters_have_short_folders_of_their_own() -> None:
    deep = Path("/srv") / ("d" * 100)
    one, other = (ClusterPaths(deep / name, cluster()) for name in ("a", "b"))
    assert one.node("n1").control.is_relative_to(SHORT_DIR)
    assert one.node("n1").control != other.node("n1").control
    assert one.node("n1").control.parent.name == "n1"
    # All nodes of a cluster agree, however long their own names are.
    assert one.node("n1").control.parents[1] == one.node("n" * 32).control.parents[1]


# --- folders --------------------------------------------------------------------------------------


def test_folders_are_made_for_the_owner_only_and_again_without_harm(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        paths = ClusterPaths(tmp_path, cluster())
        for _ in range(2):
            paths.make()
            paths.node("n1").make()
    finally:
        os.umask(before)
    for folder in (paths.root, paths.node("n1").dir, paths.node("n1").journal_dir):
        assert mode_of(folder) == 0o700


def test_the_folder_of_short_sockets_is_made_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.config.paths.SHORT_DIR", tmp_path)
    paths = ClusterPaths(tmp_path / ("d" * 100), cluster())
    paths.make()
    node = paths.node("n1")
    node.make()
    for folder in (node.control.parent, paths.launcher_socket.parent, node.dir):
        assert mode_of(folder) == 0o700


def test_a_folder_that_others_can_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "open").chmod(0o755)
    private_dir(tmp_path / "open")
    assert mode_of(tmp_path / "open") == 0o700


def test_where_everybody_may_write_a_link_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.config.paths.SHORT_DIR", tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        private_dir(tmp_path / "link")


def test_a_folder_of_somebody_else_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        private_dir(tmp_path / "theirs")


def test_a_file_in_the_way_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        private_dir(tmp_path / "file")


# --- the address book -----------------------------------------------------------------------------


def test_a_book_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    book = AddressBook(tmp_path / "below" / "nodes.json")
    assert book.load() == {}
    addresses = {"n1": "tcp://127.0.0.1:20001", "n2": "tcp://127.0.0.1:20002"}
    book.save(addresses)
    assert book.load() == addresses
    assert mode_of(book.path) == 0o600
    book.save({})
    assert book.load() == {}
    assert os.listdir(book.path.parent) == ["nodes.json"]


def test_a_book_that_cannot_be_saved_leaves_the_old_one(tmp_path: Path) -> None:
    book = AddressBook(tmp_path / "nodes.json")
    book.save({"n1": "a"})
    (tmp_path / f".nodes.json.{os.getpid()}").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        book.save({"n1": "b"})
    assert book.load() == {"n1": "a"}


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'{"n1": 7}', b"\xff", b'{"n1": "\xff"}', b" " * (BOOK_BYTES_MAX + 1)],
)
def test_what_is_no_book_is_one_line_with_a_way_out(tmp_path: Path, data: bytes) -> None:
    book = AddressBook(tmp_path / "nodes.json")
    book.path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"is not an address book .*: remove it") as caught:
        book.load()
    assert "\n" not in str(caught.value)


def test_a_book_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read it: Is a directory"):
        AddressBook(tmp_path).load()


def test_a_book_is_json_that_people_can_read(tmp_path: Path) -> None:
    book = AddressBook(tmp_path / "nodes.json")
    book.save({"n1": "tcp://127.0.0.1:20001"})
    text = book.path.read_text()
    assert msgspec.json.decode(text) == book.load()
    assert len(text.splitlines()) == 3
