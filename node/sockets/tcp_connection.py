"""Identifies and ends the TCP connection that a frame came by: libzmq offers neither.

libzmq puts the number of the descriptor on a frame. A frame may be read after its connection has
ended, and the number be that of another file, so a connection is known by its inode as well, and
by the name of its other end (`node.sockets.gate`).
"""

import contextlib
import os
import socket
from typing import NamedTuple

import zmq


class TcpConnection(NamedTuple):
    fd: int
    inode: int

    @classmethod
    def of(cls, fd: int) -> "TcpConnection | None":
        """None if it has ended."""
        try:
            return cls(fd, os.fstat(fd).st_ino)
        except OSError:
            return None

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


def fd_of(frame: zmq.Frame) -> int:
    """Of libzmq's end, or -1 if nobody sent the frame: libzmq makes some itself."""
    try:
        return int(str(frame.get("__fd")))
    except (ValueError, zmq.ZMQError):
        return -1


def peer_of(fd: int) -> str:
    """The name of the other end of a socket, as text; empty if it is none any more."""
    try:
        with _socket_of(fd) as ours:
            return str(ours.getpeername())
    except OSError:
        return ""


def _socket_of(fd: int) -> socket.socket:
    """A copy of the descriptor, whatever it is. The family is only a label here."""
    return socket.fromfd(fd, socket.AF_UNIX, socket.SOCK_STREAM)
