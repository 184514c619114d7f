"""The feed: a worker that publishes every arrival of this node to subscribed observers. One way.

An XPUB socket on ipc, and one on TCP for those who have an observer key, if asked for
(`node.security.curve`); one frame per arrival. Nothing is encoded while nobody subscribes. An
observer that is slow loses what does not fit its bounded queue, sees the jump in the numbers, and
reads the missing part from the timeline.

What observers cost is bounded, too: all together get `DELIVERIES_PER_S` frames in the long run, so
that each of many gets fewer. The oldest arrivals of a turn that are over that are left out for all.

There is no handler for anything. The feed has one topic, everything, and an observer may ask for it
or not. libzmq keeps every other topic that it is sent, without a bound, as long as the connection
stands, and has done so before the feed reads of it. So who sends anything else is hung up on.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import zmq

from domain.arrival import Arrival
from node.control.messages import FeedArrival, TimelineItem
from node.core.ports import Note
from node.security.curve import CurveListener, listen_locked
from node.sockets.gate import Gate, GateLimits, gates_counters
from node.sockets.ipc import IpcPath
from node.sockets.listening import HANDSHAKE_MS, connections_max
from node.sockets.pump import Guard, Pump, RawContext, RawSocket, bare
from node.sockets.tcp_connection import TcpConnection

HIGH_WATER = 1024  # arrivals per observer
# Of requests of one observer: libzmq is to keep few topics before one of them is read.
REQUEST_BYTES_MAX = 8 * 1024
ALL_REQUESTS_BYTES_MAX = 1024 * 1024
CONNECTIONS_MAX = 256
DELIVERIES_PER_S = 2500  # frames to all observers together
DELIVERIES_BURST = 20_000  # that may be saved up
REFILL_S = 0.25  # what goes out together costs fewer calls than one by one
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
        on_note: Callable[[Note], None] = lambda _: None,
        guard: Guard = bare,
        locked: CurveListener | None = None,
    ) -> None:
        self._loop = loop
        self._context = context
        self._node = node
        self._path = IpcPath(path)
        self._guard = guard
        self._locked = locked
        self._sockets: list[RawSocket] = []
        self._pumps: list[Pump] = []
        self._subscribed: set[TcpConnection] = set()
        self._astray: set[RawSocket] = set()  # where libzmq is wrong about whom a request is from
        self.endpoint = ""  # of the locked one
        limits = GateLimits(
            REQUEST_BYTES_MAX,
            ALL_REQUESTS_BYTES_MAX,
            ALL_REQUESTS_BYTES_MAX,
            connections_max(CONNECTIONS_MAX, share=0.25 if locked is None else 0.125),
        )
        self.gates = [Gate(loop, "feed", limits, on_note, guard) for _ in range(2)]
        self._encode = msgspec.msgpack.Encoder().encode
        self.published = 0
        self.refused = 0  # requests for anything but everything
        self.left_out = 0  # arrivals, since observers had got as many as they may
        self._allowance = float(DELIVERIES_BURST)
        self._refilled_s = loop.time()

    def start(self) -> None:
        assert not self._sockets, "started twice"
        self.gates[0].open(self._path.listen(), self._pub())
        if self._locked is not None:
            socket = self._pub()
            # The system's choice of a port is kept, so that a restart comes back to it.
            listener, self.endpoint = listen_locked(socket, "feed", self._locked)
            self.gates[1].open(listener, socket)
            self._locked = CurveListener(self.endpoint, self._locked.keyring)
        # Subscriptions are taken in as they come, not at the next publication: that one would
        # already miss the newcomer.
        self._pumps = [
            self._pump(socket, gate)
            for socket, gate in zip(self._sockets, self.gates, strict=False)
        ]

    def _pump(self, socket: RawSocket, gate: Gate) -> Pump:
        settle, hear = partial(self._settle, socket), partial(self._on_frames, socket, gate)
        return Pump(
            loop=self._loop,
            socket=socket,
            on_parts=None,
            on_turn=settle,
            guard=self._guard,
            on_frames=hear,
        )

    def _pub(self) -> RawSocket:
        socket = self._context.socket(zmq.XPUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
        socket.setsockopt(zmq.XPUB_MANUAL, 1)  # what is subscribed to is said here
        socket.setsockopt(zmq.MAXMSGSIZE, 1024)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        self._sockets.append(socket)
        return socket

    def stop(self) -> None:
        self._path.remove()
        for gate in self.gates:
            gate.close()
        for pump in self._pumps:
            pump.close()
        for socket in self._sockets:
            socket.close(linger=0)
        self._pumps.clear()
        self._sockets.clear()
        self._subscribed.clear()
        self._astray.clear()

    def look(self) -> str:
        """Listen anew where somebody has removed the socket. Returns its path then, else "".

        Raises OSError if that cannot be.
        """
        return self._path.listen_again(self.gates[0].reopen)

    def leave(self) -> None:
        """Let nobody new in by the path. (Unbinding the other socket would cut who is in.)"""
        self._path.remove()

    def publish(self, arrivals: Sequence[tuple[int, Arrival]]) -> None:
        if not self._sockets:
            return
        self.published += len(arrivals)
        if not self.watched:
            return
        allowed = self._allowed(len(arrivals))
        self.left_out += len(arrivals) - allowed
        for number, arrival in arrivals[len(arrivals) - allowed :]:
            item = TimelineItem(arrival.event, arrival.received_at_ms, arrival.via, arrival.skewed)
            frame = self._encode(FeedArrival(self._node, number, item))
            for socket in self._sockets:
                socket.send(frame, zmq.DONTWAIT)
        if allowed:
            for pump in self._pumps:
                pump.look()

    def _allowed(self, arrivals: int) -> int:
        """How many of these may go out to all who subscribe."""
        now_s = self._loop.time()
        since_s = now_s - self._refilled_s
        if since_s >= REFILL_S:
            gone = [one for one in self._subscribed if not one.is_open]
            self._subscribed.difference_update(gone)
            more = since_s * DELIVERIES_PER_S
            self._allowance = min(self._allowance + more, DELIVERIES_BURST)
            self._refilled_s = now_s
        each = max(len(self._subscribed), 1)
        allowed = min(arrivals, int(self._allowance) // each)
        self._allowance -= allowed * each
        return allowed

    @property
    def counters(self) -> dict[str, int]:
        return {
            "feed_published": self.published,
            "feed_left_out": self.left_out,
            "feed_refused": self.refused,
            **gates_counters(self.gates),
        }

    @property
    def watched(self) -> bool:
        """Whether anybody subscribes. Those who have gone are forgotten as they are met."""
        while self._subscribed:
            connection = self._subscribed.pop()
            if connection.is_open:
                self._subscribed.add(connection)
                return True
        return False

    def _on_frames(self, socket: RawSocket, gate: Gate, frames: list[zmq.Frame]) -> None:
        """libzmq takes each part of a message for a request of its own, and so does this.

        But when it hands over what is no request, it goes on to the next one in its list of whom
        requests are from. From then on an answer would go to somebody else, until all has been read
        that has come. Who asks in between is hung up on, too, and comes again.
        """
        for frame in frames:
            asked = frame.bytes
            if asked[:1] not in (EVERYTHING, NOTHING):
                self._astray.add(socket)
            who = gate.read(frame)
            if who is None:
                continue  # it has gone; its topics are forgotten
            known = socket not in self._astray
            if known and asked == EVERYTHING:
                socket.setsockopt(zmq.SUBSCRIBE, b"")  # of whom this was read from
                self._subscribed.add(who)
            elif known and asked == NOTHING:
                socket.setsockopt(zmq.UNSUBSCRIBE, b"")
                self._subscribed.discard(who)
            else:
                self.refused += 1
                who.hang_up()

    def _settle(self, socket: RawSocket) -> None:
        """After a drain: whether nothing is left to read."""
        if socket in self._astray:
            events: int = socket.getsockopt(zmq.EVENTS)  # type: ignore[assignment]
            if not events & zmq.POLLIN:
                self._astray.discard(socket)
            for pump in self._pumps:
                pump.look()
