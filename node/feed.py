"""The feed: every arrival of this node, published to whoever watches. One way.

An XPUB socket on ipc, and one on TCP for those who have an observer key, if asked for
(`node.curve`); one frame per arrival. Nothing is encoded while nobody subscribes: for that alone
subscriptions are counted. There is no handler for anything: whatever else an observer sends is
thrown away unread. An observer that is slow loses what does not fit its bounded queue, sees the
jump in the numbers, and reads the missing part from the timeline.
"""

import asyncio
from collections.abc import Sequence

import msgspec
import zmq

from domain.arrival import Arrival
from node.api import FeedArrival, TimelineItem
from node.curve import LockedDoor, bind_locked
from node.ipc import IpcPath
from node.pump import Guard, Pump, RawContext, RawSocket, bare

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
        self._pumps: list[Pump] = []
        self._subscribed = 0  # prefixes that somebody has subscribed to
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
        # Subscriptions are taken in as they come, not at the next publication: that one would
        # already miss the newcomer.
        self._pumps = [
            Pump(self._loop, socket, self._on_subscription, guard=self._guard)
            for socket in self._sockets
        ]

    def _pub(self) -> RawSocket:
        socket = self._context.socket(zmq.XPUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
        socket.setsockopt(zmq.MAXMSGSIZE, 1024)
        socket.setsockopt(zmq.HANDSHAKE_IVL, 3000)
        self._sockets.append(socket)
        return socket

    def stop(self) -> None:
        self._path.remove()
        for pump in self._pumps:
            pump.close()
        for socket in self._sockets:
            socket.close(linger=0)
        self._pumps, self._subscribed = [], 0
        self._sockets.clear()

    def leave(self) -> None:
        """Let nobody new in by the path. (Unbinding the other socket would cut who is in.)"""
        self._path.remove()

    def publish(self, arrivals: Sequence[tuple[int, Arrival]]) -> None:
        if not self._sockets:
            return
        self.published += len(arrivals)
        if not self._subscribed:
            return
        for number, arrival in arrivals:
            item = TimelineItem(arrival.event, arrival.received_at_ms, arrival.via, arrival.skewed)
            frame = self._encode(FeedArrival(self._node, number, item))
            for socket in self._sockets:
                socket.send(frame, zmq.DONTWAIT)
        for pump in self._pumps:
            pump.look()

    def _on_subscription(self, parts: list[bytes]) -> None:
        """libzmq tells of the first subscription to a prefix (1), and when the last has ended (0).

        It takes every part that begins so for a subscription, so that nobody can forge a notice,
        and it may tell of one behind other parts of the same message.
        """
        for part in parts:
            if part[:1] == b"\1":
                self._subscribed += 1
            elif part[:1] == b"\0":
                self._subscribed -= 1
