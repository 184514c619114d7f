"""Sends to one peer: a DEALER socket, the bounded queue in front of it, and its counters.

ZeroMQ takes a packet only for a connection that stands and has room. What it does not take waits
here: at most `bytes_max` bytes (delayed packets included) and at most `age_s` seconds, since older
packets are of no use to anybody. Beyond that packets are dropped and counted, by reason:

    no_address    nobody has said yet where the peer listens
    no_key        the node has a keyring, and no key of the peer is on it
    unreachable   no connection for `age_s`
    slow          a connection, but the peer did not read for `age_s`: it is busy, or stopped
    queue_full    over `bytes_max`
    closed        waiting when the socket was closed
    unexpected    no packet to the peer, but messages of it: nobody has a reason to send any there,
                  and who sends much is hung up on (`node.sockets.return_path`)
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import zmq
from msgspec import Struct, field

from node.security.curve import dial
from node.security.keyring import Keyring
from node.sockets.listening import HANDSHAKE_MS
from node.sockets.pump import Guard, Pump, RawContext, RawSocket, bare
from node.sockets.return_path import ReturnPath

QUEUE_BYTES_MAX = 4 * 1024 * 1024
QUEUE_AGE_S = 1.0
# Messages, not bytes, is all that libzmq counts: at most this many packets beyond the queue.
HIGH_WATER = 16
# A peer whose machine or cable is gone is found out by TCP: by probes while nothing is under way
# (10 s without a word, then two that stay unanswered), and by what is not acknowledged otherwise.
# libzmq's heartbeats would say the same, but one that meets an input that has stopped ends the
# process.
KEEPALIVE_IDLE_S = 10
KEEPALIVE_S = 3
KEEPALIVES = 2
UNACKED_MS = 10_000
RECONNECT_MS = 50
RECONNECT_MAX_MS = 250  # bounds how long a peer that came back is still not reached

_OPTIONS = (
    (zmq.LINGER, 0),
    (zmq.IMMEDIATE, 1),  # nothing is queued for a connection that does not stand
    (zmq.SNDHWM, HIGH_WATER),
    (zmq.RCVHWM, 0),  # input must not stop, also if a peer sends what it has no reason to
    (zmq.MAXMSGSIZE, 1024),
    (zmq.RECONNECT_IVL, RECONNECT_MS),
    (zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS),
    (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
    (zmq.TCP_KEEPALIVE, 1),
    (zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S),
    (zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_S),
    (zmq.TCP_KEEPALIVE_CNT, KEEPALIVES),
    (zmq.TCP_MAXRT, UNACKED_MS),
)


class Traffic(Struct):
    """What went to one peer and came from it. Counts outlive restarts of the worker."""

    sent_packets: int = 0
    sent_bytes: int = 0
    received_packets: int = 0
    received_bytes: int = 0
    dropped: dict[str, int] = field(default_factory=dict)  # reason -> packets
    sent_by_kind: dict[type, int] = field(default_factory=dict)  # class of the body -> bytes
    received_by_kind: dict[type, int] = field(default_factory=dict)

    def sent(self, frame: "Frame") -> None:
        kind, size = frame.kind, len(frame.data)
        self.sent_packets += 1
        self.sent_bytes += size
        self.sent_by_kind[kind] = self.sent_by_kind.get(kind, 0) + size

    def received(self, kind: type, size: int) -> None:
        self.received_packets += 1
        self.received_bytes += size
        self.received_by_kind[kind] = self.received_by_kind.get(kind, 0) + size

    def drop(self, reason: str, packets: int = 1) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + packets


class Frame(NamedTuple):
    """A packet as it goes over the wire, and the class of its body."""

    data: bytes
    kind: type


class PeerSender:
    """`on_dropped(peer, reason)` is called after each drop that the queue decided."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: RawContext,
        peer: str,
        endpoint: str | None,
        on_dropped: Callable[[str, str], None],
        guard: Guard = bare,
        bytes_max: int = QUEUE_BYTES_MAX,
        age_s: float = QUEUE_AGE_S,
        keyring: Keyring | None = None,
    ) -> None:
        self.peer = peer
        self.endpoint = endpoint
        self.traffic = Traffic()
        self.queued_bytes = 0  # waiting for the socket, and delayed
        self.connected = False
        self._loop = loop
        self._context = context
        self._on_dropped = on_dropped
        self._guard = guard
        self._bytes_max = bytes_max
        self._age_s = age_s
        self._keyring = keyring
        self.key: bytes | None = None  # the peer's, with which it was dialled
        self._queue: deque[tuple[float, Frame]] = deque()  # since when, frame
        self._delayed: set[asyncio.TimerHandle] = set()
        self._expiry: asyncio.TimerHandle | None = None
        self._dealer: RawSocket | None = None
        self._pump: Pump | None = None
        self._monitor: RawSocket | None = None
        self._monitor_pump: Pump | None = None
        self._back: ReturnPath | None = None

    def open(self) -> None:
        assert self._dealer is None, "opened twice"
        if self._keyring is not None:
            self.key = self._keyring.trusted.public_of(self.peer, "peer")
        if self.endpoint is None or (self._keyring is not None and self.key is None):
            return
        self._dealer = dealer = self._context.socket(zmq.DEALER)
        for option, value in _OPTIONS:
            dealer.setsockopt(option, value)
        dealer.setsockopt(zmq.IPV6, "[" in self.endpoint)
        if self._keyring is not None and self.key is not None:
            dial(dealer, self._keyring.own, self.key)
        self._monitor = dealer.get_monitor_socket(
            zmq.EVENT_CONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        )
        self._monitor_pump = Pump(self._loop, self._monitor, self._on_event, guard=self._guard)
        dealer.connect(self.endpoint)
        self._pump = Pump(self._loop, dealer, self._on_unexpected, self._flush, self._guard)

    def close(self) -> None:
        if self._queue or self._delayed:
            self.traffic.drop("closed", len(self._queue) + len(self._delayed))
        for timer in self._delayed:
            timer.cancel()
        if self._expiry is not None:
            self._expiry.cancel()
        self._delayed.clear()
        self._queue.clear()
        self._expiry = None
        self.queued_bytes = 0
        self.connected = False
        self._unwatch_back()
        for pump in (self._pump, self._monitor_pump):
            if pump is not None:
                pump.close()
        self._pump = self._monitor_pump = None
        if self._dealer is not None and self._monitor is not None:
            self._dealer.disable_monitor()  # first, or libzmq waits for ever to tell a closed end
            self._monitor.close(linger=0)
            self._dealer.close(linger=0)
        self._dealer = self._monitor = None

    # --- sending --------------------------------------------------------------------------------

    def put(self, frame: Frame) -> None:
        """To the socket if it takes it and nothing waits before it, else into the queue."""
        if self._dealer is None:
            self._drop("no_address" if self.endpoint is None else "no_key")
            return
        if not self._queue and self._sent(frame):
            return
        size = len(frame.data)
        if self._has_room_for(size):
            self._queue.append((self._loop.time(), frame))
            self.queued_bytes += size
            self._arm()
            # A failed send may have taken the signal that the socket can be written again.
            self._flush_if_writable()

    def put_later(self, frame: Frame, delay_ms: float) -> None:
        size = len(frame.data)
        if not self._has_room_for(size):
            return
        self.queued_bytes += size

        def due() -> None:
            self._delayed.discard(timer)
            self.queued_bytes -= size
            self.put(frame)

        timer = self._loop.call_later(delay_ms / 1000, self._guard(due))
        self._delayed.add(timer)

    def _has_room_for(self, size: int) -> bool:
        if self.queued_bytes + size <= self._bytes_max:
            return True
        self._drop("queue_full")
        return False

    def _sent(self, frame: Frame) -> bool:
        assert self._dealer is not None
        try:
            self._dealer.send(frame.data, zmq.DONTWAIT)
        except zmq.Again:
            return False
        self.traffic.sent(frame)
        return True

    def _flush(self) -> None:
        """Whatever the socket takes. Called on every sign of life from it."""
        while self._queue and self._sent(self._queue[0][1]):
            self.queued_bytes -= len(self._queue.popleft()[1].data)

    def _flush_if_writable(self) -> None:
        if self._pump is not None and self._pump.look() & zmq.POLLOUT:
            self._flush()

    def _arm(self) -> None:
        """Come back when the oldest frame is too old."""
        if self._expiry is None and self._queue:
            wait_s = max(0.0, self._queue[0][0] + self._age_s - self._loop.time()) + 0.001
            self._expiry = self._loop.call_later(wait_s, self._guard(self._expire))

    def _expire(self) -> None:
        self._expiry = None
        self._flush_if_writable()
        limit_s = self._loop.time() - self._age_s
        expired = 0
        while self._queue and self._queue[0][0] <= limit_s:
            self.queued_bytes -= len(self._queue.popleft()[1].data)
            expired += 1
        if expired:
            self._drop("slow" if self.connected else "unreachable", expired)
        self._arm()

    def _drop(self, reason: str, packets: int = 1) -> None:
        self.traffic.drop(reason, packets)
        self._on_dropped(self.peer, reason)

    # --- what comes from the sockets ------------------------------------------------------------

    def _on_unexpected(self, _: list[bytes]) -> None:
        self.traffic.drop("unexpected")  # nobody has a reason to send on this connection

    def _watch_back(self, fd: int) -> None:
        self._unwatch_back()
        assert self.endpoint is not None
        port = int(self.endpoint.rpartition(":")[2])
        self._back = ReturnPath(self._loop, fd, port, self._on_flood, self._guard)

    def _unwatch_back(self) -> None:
        if self._back is not None:
            self._back.close()
            self._back = None

    def _on_flood(self) -> None:
        self._drop("unexpected")

    def _on_event(self, parts: list[bytes]) -> None:
        """From the monitor: two bytes of event and four of value, then an address."""
        event = int.from_bytes(parts[0][:2], "little")
        if event == zmq.EVENT_CONNECTED:
            self._watch_back(int.from_bytes(parts[0][2:6], "little"))
            return
        self.connected = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
        if not self.connected:
            self._unwatch_back()
        if self.connected:
            self._flush_if_writable()
