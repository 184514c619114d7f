"""The feed: every arrival of this node, published to whoever watches. One way.

A PUB socket on ipc, one frame per arrival. It has no handler for anything: what an observer sends,
beyond libzmq's own subscriptions, is never read. An observer that is slow loses what does not fit
its bounded queue, sees the jump in the numbers, and reads the missing part from the timeline.
"""

import asyncio
from collections.abc import Sequence

import msgspec
import zmq

from domain.arrival import Arrival
from node.api import FeedArrival, TimelineItem
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
    ) -> None:
        self._loop = loop
        self._context = context
        self._node = node
        self._path = IpcPath(path)
        self._guard = guard
        self._socket: RawSocket | None = None
        self._fd = -1
        self._encode = msgspec.msgpack.Encoder().encode
        self.published = 0

    def start(self) -> None:
        assert self._socket is None, "started twice"
        self._socket = socket = self._context.socket(zmq.PUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
        socket.setsockopt(zmq.MAXMSGSIZE, 1024)
        socket.setsockopt(zmq.HANDSHAKE_IVL, 3000)
        self._path.bind(socket)
        # Subscriptions are taken in as they come, not at the next publication: that one would
        # already miss the newcomer.
        self._fd = socket.getsockopt(zmq.FD)  # type: ignore[assignment]
        self._loop.add_reader(self._fd, self._guard(self._take_in))
        self._take_in()

    def stop(self) -> None:
        if self._socket is None:
            return
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._fd = -1
        self._path.remove()
        self._socket.close(linger=0)
        self._socket = None

    def leave(self) -> None:
        """Let nobody new in."""
        self._path.remove()

    def publish(self, arrivals: Sequence[tuple[int, Arrival]]) -> None:
        socket = self._socket
        if socket is None:
            return
        for number, arrival in arrivals:
            item = TimelineItem(arrival.event, arrival.received_at_ms, arrival.via, arrival.skewed)
            socket.send(self._encode(FeedArrival(self._node, number, item)), zmq.DONTWAIT)
        self.published += len(arrivals)

    def _take_in(self) -> None:
        if self._socket is not None:
            self._socket.getsockopt(zmq.EVENTS)
