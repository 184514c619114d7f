"""A connection is known by more than the number of its descriptor, which others get after it."""

import os
import socket

from node.sockets.tcp_connection import TcpConnection


def test_a_connection_is_over_when_its_number_is_that_of_another_file() -> None:
    ours, theirs = socket.socketpair()
    known = TcpConnection(ours.fileno(), os.fstat(ours.fileno()).st_ino)
    assert known.is_open
    other, far = socket.socketpair()
    os.dup2(other.fileno(), ours.fileno())
    assert not known.is_open
    known.hang_up()  # not on another
    other.send(b"still here")
    assert far.recv(64) == b"still here"
    for one in (ours, theirs, other, far):
        one.close()
    assert not known.is_open
    known.hang_up()


def test_who_is_hung_up_on_hears_of_it() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        TcpConnection(ours.fileno(), os.fstat(ours.fileno()).st_ino).hang_up()
        assert theirs.recv(1) == b""
