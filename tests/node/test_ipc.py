"""Socket paths: their length, their folder, and whose they are."""

import os
from pathlib import Path

import pytest
import zmq

from node.ipc import IpcError, IpcPath
from node.pump import RawContext
from tests.node.loops import run


def test_a_path_that_is_too_long_is_one_clear_line() -> None:
    async def main() -> None:
        context: RawContext = zmq.Context()
        socket = context.socket(zmq.ROUTER)
        try:
            with pytest.raises(IpcError, match="the limit is 107") as caught:
                IpcPath("/tmp/" + "x" * 200).bind(socket)
            assert "\n" not in str(caught.value)
            with pytest.raises(IpcError, match="cannot bind"):
                IpcPath("/proc/nowhere/x").bind(socket)
            with pytest.raises(IpcError, match="cannot bind"):  # libzmq itself says no
                IpcPath("/proc/self/x").bind(socket)
        finally:
            context.destroy(linger=0)

    run(main)


def test_a_path_taken_over_by_somebody_else_is_left_to_them(tmp_path: Path) -> None:
    context: RawContext = zmq.Context()
    path = str(tmp_path / "s")
    try:
        first, second = IpcPath(path), IpcPath(path)
        sockets = [context.socket(zmq.ROUTER) for _ in range(2)]
        first.bind(sockets[0])
        second.bind(sockets[1])
        first.remove()
        assert os.path.exists(path)
        second.remove()
        assert not os.path.exists(path)
        second.remove()
    finally:
        context.destroy(linger=0)
