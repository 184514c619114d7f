"""The connection that a frame came by, where libzmq has no name for it and no call to end it.

libzmq puts the number of the descriptor on a frame. A frame may be read after its connection has
ended, and the number be that of another file, so a connection is known by its inode as well, and
is only taken for one if it came in by the door that it is asked about.
"""

import contextlib
import os
import socket
from typing import NamedTuple

import zmq

from node.pump import RawSocket


class Connection(NamedTuple):
    fd: int
    inode: int

    @property
    def is_open(self) -> bool:
        try:
            return os.fstat(self.fd).st_ino == self.inode
        except OSError:
            return False

    def hang_up(self) -> None:
        with contextlib.suppress(OSError), _socket_of(self.fd) as ours:  # or it has ended already
            if os.fstat(ours.fileno()).st_ino == self.inode:
                ours.shutdown(socket.SHUT_RDWR)


def connection_of(frame: zmq.Frame, door: RawSocket) -> Connection | None:
    """None if it has ended, or if nobody sent the frame: libzmq makes some itself."""
    try:
        fd = int(str(frame.get("__fd")))
        with _socket_of(fd) as ours:
            if _is_at(ours.getsockname(), door.getsockopt_string(zmq.LAST_ENDPOINT)):
                return Connection(fd, os.fstat(ours.fileno()).st_ino)
    except (OSError, ValueError, zmq.ZMQError):
        pass
    return None


def _socket_of(fd: int) -> socket.socket:
    """A copy of the descriptor, whatever it is. The family is only a label here."""
    return socket.fromfd(fd, socket.AF_UNIX, socket.SOCK_STREAM)


def _is_at(name: object, endpoint: str) -> bool:
    if isinstance(name, tuple):
        return endpoint.startswith("tcp://") and endpoint.endswith(f":{name[1]}")
    return endpoint == f"ipc://{name}"
