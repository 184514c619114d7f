"""Socket paths: their length, their folder, and whose they are."""

import os
from pathlib import Path

import pytest

from node.sockets.ipc import IpcError, IpcPath


def test_a_path_that_is_too_long_is_one_clear_line() -> None:
    with pytest.raises(IpcError, match="AF_UNIX path too long") as caught:
        IpcPath("/tmp/" + "x" * 200).listen()
    assert "\n" not in str(caught.value)
    with pytest.raises(IpcError, match="cannot bind"):
        IpcPath("/proc/nowhere/x").listen()
    with pytest.raises(IpcError, match="cannot bind"):
        IpcPath("/proc/self/x").listen()


def test_a_path_taken_over_by_somebody_else_is_left_to_them(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    first, second = IpcPath(path), IpcPath(path)
    with first.listen(), second.listen():
        first.remove()
        assert os.path.exists(path)
        second.remove()
        assert not os.path.exists(path)
        second.remove()


def test_a_socket_that_a_killed_process_left_is_replaced_and_a_file_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    IpcPath(path).listen().close()
    assert os.path.exists(path)
    with IpcPath(path).listen():
        assert os.stat(path).st_mode & 0o777 == 0o700
    os.unlink(path)
    Path(path).write_text("a file of somebody's")
    with pytest.raises(IpcError, match="cannot bind"):
        IpcPath(path).listen()
    assert Path(path).read_text() == "a file of somebody's"
