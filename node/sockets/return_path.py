"""Bounds what a peer may send on a connection that this node dialled, where nothing is expected.

libzmq reads whatever a peer sends there, and keeps a message of endless frames in memory as long as
it goes on. So the descriptor of the connection is watched from here as well: whoever has sent more
than `BACK_BYTES_MAX` since the handshake is hung up on. What the kernel counted is asked for when
something comes, and not before.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

from node.sockets.pump import Guard

BACK_BYTES_MAX = 1024 * 1024  # heartbeats of older nodes are some bytes every few seconds
AGAIN_S = 0.01
_RECEIVED = struct.Struct("@128xQ")  # tcpi_bytes_received in struct tcp_info


class ReturnPath:
    """Of one connection: `on_flood` is called before it is hung up on."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        fd: int,
        port: int,
        on_flood: Callable[[], None],
        guard: Guard,
    ) -> None:
        """`fd` is libzmq's, and may be closed or another's by now: its peer's port says."""
        self._loop = loop
        self._on_flood = on_flood
        self._on_readable = guard(self._look)
        self._resume = guard(self._watch)
        self._again: asyncio.TimerHandle | None = None
        self._socket: socket.socket | None = None
        with contextlib.suppress(OSError):
            copy = socket.fromfd(fd, socket.AF_INET, socket.SOCK_STREAM)
            if _is_to(copy, port):
                self._socket = copy
                self._watch()
            else:
                copy.close()

    def close(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _watch(self) -> None:
        self._again = None
        if self._socket is not None:
            self._loop.add_reader(self._socket.fileno(), self._on_readable)

    def _look(self) -> None:
        """Something has come, or the connection has ended, which libzmq says soon."""
        assert self._socket is not None
        self._loop.remove_reader(self._socket.fileno())
        if _received(self._socket) <= BACK_BYTES_MAX:
            self._again = self._loop.call_later(AGAIN_S, self._resume)
            return
        self._on_flood()
        with contextlib.suppress(OSError):  # it may have ended
            # A reset, when libzmq closes its end: the peer is not to wait for a window to open.
            linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._socket.shutdown(socket.SHUT_RDWR)


def _is_to(connection: socket.socket, port: int) -> bool:
    name = connection.getpeername()
    return isinstance(name, tuple) and name[1] == port


def _received(connection: socket.socket) -> int:
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED.size)
    except OSError:
        return 0
    return int(_RECEIVED.unpack(info)[0]) if len(info) == _RECEIVED.size else 0
