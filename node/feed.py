"""The feed: every arrival of this node, published to whoever watches. One way.

An XPUB socket on ipc, and one on TCP for those who have an observer key, if asked for
(`node.curve`); one frame per arrival. An observer that is slow loses what does not fit its bounded
queue, sees the jump in the numbers, and reads the missing part from the timeline.

There is no handler for anything. The feed has one topic, everything, and an observer can ask for it
or not. libzmq would keep every other topic it is sent, without a bound, as long as the connection
stands (and has done so already when the feed reads of it). So whoever sends anything else is hung
up on, and counted.
"""

import asyncio
import contextlib
import socket as system
from collections.abc import Sequence
from functools import partial

import msgspec
import zmq

from domain.arrival import Arrival
from node.api import FeedArrival, TimelineItem
from node.curve import LockedDoor, bind_locked
from node.ipc import IpcPath
from node.pump import Guard, Pump, RawContext, RawSocket, bare

HIGH_WATER = 1024  # arrivals per observer
ASKED_MAX = 16  # requests of one observer that wait to be read; libzmq reads no more from it
EVERYTHING, NOTHING = b"\x01", b"\x00"  # to subscribe, or no longer, to the topic of no letters


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
        self.endpoint = ""  # of the locked one
        self._encode = msgspec.msgpack.Encoder().encode
        self.published = 0
        self.refused = 0  # requests for anything but everything

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
            taken = partial(self._on_frames, socket)
            self._pumps.append(Pump(self._loop, socket, guard=self._guard, on_frames=taken))

    def _pub(self) -> RawSocket:
        socket = self._context.socket(zmq.XPUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
        socket.setsockopt(zmq.RCVHWM, ASKED_MAX)
        socket.setsockopt(zmq.MAXMSGSIZE, 1024)
        socket.setsockopt(zmq.HANDSHAKE_IVL, 3000)
        socket.setsockopt(zmq.XPUB_MANUAL, 1)
        self._sockets.append(socket)
        return socket

    def _on_frames(self, socket: RawSocket, frames: list[zmq.Frame]) -> None:
        asked = frames[0].bytes
        if asked == EVERYTHING:
            socket.setsockopt(zmq.SUBSCRIBE, b"")  # of the observer that this was read from
        elif asked == NOTHING:
            socket.setsockopt(zmq.UNSUBSCRIBE, b"")
        elif not asked.startswith(NOTHING):  # else libzmq forgets a topic of one that has gone
            self.refused += 1
            hang_up(frames[0], socket)

    def stop(self) -> None:
        self._path.remove()
        for pump in self._pumps:
            pump.close()
        for socket in self._sockets:
            socket.close(linger=0)
        self._pumps.clear()
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
        for pump in self._pumps:
            pump.look()


def hang_up(frame: zmq.Frame, bound: RawSocket) -> None:
    """End the connection that a frame came by. libzmq has no call for that, but names it.

    The number may be that of another connection by now, so it must be one of this door.
    """
    endpoint = bound.getsockopt_string(zmq.LAST_ENDPOINT)
    with (
        contextlib.suppress(OSError, ValueError),  # it is gone, or no socket
        system.fromfd(int(str(frame.get("__fd"))), system.AF_UNIX, system.SOCK_STREAM) as open_,
    ):
        name = open_.getsockname()
        if isinstance(name, tuple):
            ours = endpoint.startswith("tcp://") and endpoint.endswith(f":{name[1]}")
        else:
            ours = endpoint == f"ipc://{name}"
        if ours:
            open_.shutdown(system.SHUT_RDWR)
