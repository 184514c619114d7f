"""The feed: every arrival of this node, published to whoever watches. One way.

A PUB socket on ipc, and one on TCP for those who have an observer key, if asked for (`node.curve`);
one frame per arrival. There is no handler for anything: what an observer sends, beyond libzmq's own
subscriptions, is never read. An observer that is slow loses what does not fit its bounded queue,
sees the jump in the numbers, and reads the missing part from the timeline.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec
import zmq

from domain.arrival import Arrival
from node.api import FeedArrival, TimelineItem
from node.curve import LockedDoor, bind_locked
from node.ipc import IpcPath
from node.pump import Guard, RawContext, RawSocket, bare

HIGH_WATER = 1024  # arrivals per observer


class Feed:
    """A supervised worker."""

    name = "feed"

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: RawContext,
        *,
        node: str,
        path: str,
        guard: Guard = bare,
        locked: LockedDoor | None = None,
    ) -> None:
        self._loop = loop
        self._context = context
        self._node = node
        self._path = IpcPath(path)
        self._guard = guard
        self._locked = locked
        self._sockets: list[RawSocket] = []
        self.endpoint = ""  # of the locked one
        self._encode = msgspec.msgpack.Encoder().encode
        self.published = 0

    def start(self) -> None:
        assert not self._sockets, "started twice"
        self._path.bind(self._pub())
        if self._locked is not None:
            # The system's choice of a port is kept, so that a restart comes back to it.
            self.endpoint = bind_locked(self._pub(), "feed", self._locked)
            self._locked = LockedDoor(self.endpoint, self._locked.keyring)
        for socket in self._sockets:
            # Subscriptions are taken in as they come, not at the next publication: that one would
            # already miss the newcomer.
            take_in = partial(socket.getsockopt, zmq.EVENTS)
            self._loop.add_reader(_fd_of(socket), self._guard(take_in))
            take_in()

    def _pub(self) -> RawSocket:
        socket = self._context.socket(zmq.PUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
        socket.setsockopt(zmq.MAXMSGSIZE, 1024)
        socket.setsockopt(zmq.HANDSHAKE_IVL, 3000)
        self._sockets.append(socket)
        return socket

    def stop(self) -> None:
        self._path.remove()
        for socket in self._sockets:
            self._loop.remove_reader(_fd_of(socket))
            socket.close(linger=0)
        self._sockets.clear()

    def leave(self) -> None:
        """Let nobody new in by the path. (Unbinding the other socket would cut who is in.)"""
        self._path.remove()

    def publish(self, arrivals: Sequence[tuple[int, Arrival]]) -> None:
        if not self._sockets:
            return
        for number, arrival in arrivals:
            item = TimelineItem(arrival.event, arrival.received_at_ms, arrival.via, arrival.skewed)
            frame = self._encode(FeedArrival(self._node, number, item))
            for socket in self._sockets:
                socket.send(frame, zmq.DONTWAIT)
        self.published += len(arrivals)


def _fd_of(socket: RawSocket) -> int:
    fd: int = socket.getsockopt(zmq.FD)  # type: ignore[assignment]
    return fd
