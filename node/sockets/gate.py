"""A gate: accepts connections at a port and passes bounded bytes on to a ZeroMQ socket behind it.

    somebody --tcp or ipc--> [listener, Passage] --ipc, no name--> ROUTER or XPUB --> pump

libzmq counts messages and limits the size of one frame. It limits neither the bytes of a message
of many frames nor the number of connections, and where its input has stopped at a receive limit, a
connection that breaks can end the process (an assertion of libzmq 4.3.5). So the sockets behind a
gate have no receive limit, and the gate lets in only as much as may lie there unread. Bytes pass as
they are: with keys the gate reads as little as anybody else on the way.

Rules
- What libzmq holds of one connection is at most `message_bytes` and one read beyond; whoever has
  that much there and completes no message in `STALLED_S` is hung up on.
- Those who were never `known` share `strangers_bytes`. Over that, whose bytes have waited longest
  is hung up on. The known share `known_bytes`: over that nothing more is read of them for a while.
- There are at most `connections` at a time. For a newcomer another has to go: the one that has been
  silent for longest, strangers first.
- While a gate is paused nothing is read from outside, and TCP holds the senders back. What has
  passed is still read out of libzmq, so nothing stops inside it.
- Of a known peer that rests (`node.core.inbox`) nothing is read meanwhile, so that what it sends
  costs neither passing, nor deciphering, nor decoding.
- Out, `has_way` bounds what libzmq is given for somebody who does not read.
- Each hanging up is counted by its reason.
"""

import asyncio
import errno
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import zmq
from msgspec import Struct

from node.core.ports import Fields, Note
from node.sockets.listening import HANDSHAKE_MS, bind_unnamed, spare, tune
from node.sockets.passage import FRAME_CHARGE, READ_OFF, Passage, drain
from node.sockets.pump import Guard, RawSocket, bare
from node.sockets.tcp_connection import TcpConnection, fd_of, peer_of

STALLED_S = 1.0
REST_S = 0.25  # at most, until it is asked again whether a peer rests
ACCEPT_MAX = 64  # in one turn of the loop
AGAIN_S = 0.1  # until the listener is looked at again after accepting has failed
INNER_BACKLOG = 4096
READ_BYTES = 64 * 1024
OWED_MAX = 512 * 1024  # of answers to one connection that libzmq is given and that are not read
NOTE_EVERY_S = 10.0  # for the same reason
PARTS_MAX = 4  # of a message that are kept; no sound one has more


class GateLimits(Struct, frozen=True):
    message_bytes: int  # of one connection, in libzmq
    strangers_bytes: int  # of all that are not known
    known_bytes: int
    connections: int


class Gate:
    """Belongs to one worker; `guard` fences its callbacks."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        door: str,
        limits: GateLimits,
        on_note: Callable[[Note], None],
        guard: Guard = bare,
        *,
        locked: bool = False,
        on_way: Callable[[], None] = lambda: None,
        rests_s: Callable[[str], float] = lambda _: 0.0,
    ) -> None:
        self.loop = loop
        self.limits = limits
        self.guard = guard
        self.room = bytearray(READ_BYTES)  # what one read takes; passages share it
        self.hung_up: dict[str, int] = {}  # reason -> connections
        self.strangers_held = self.known_held = 0
        self.paused = False
        self._door = door
        self._on_note = on_note
        self._told_s: dict[str, float] = {}  # reason -> when
        self._locked = locked
        self._rests_s = rests_s  # for how long nothing is to be read of this one
        self._on_way = on_way  # called when somebody who did not read has read
        self._listener: socket.socket | None = None
        self._socket: RawSocket | None = None
        self._inner = -1  # the path of the socket behind, which has no name any more
        self._accept = guard(self._accept_some)
        self._passages: dict[str, Passage] = {}  # by the name of the inner end
        self._named: dict[bytes, Passage] = {}  # by the routing id that libzmq gave it
        self._waiting: set[Passage] = set()  # known ones, for room
        self._timer: asyncio.TimerHandle | None = None
        self._again: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        return len(self._passages)

    @property
    def held(self) -> int:
        """Bytes that libzmq has and the worker has not read yet, as they are charged."""
        return self.strangers_held + self.known_held

    @property
    def message_bytes(self) -> int:
        return self.limits.message_bytes

    @property
    def counters(self) -> dict[str, int]:
        return {
            f"{self._door}_connections": self.connections,
            f"{self._door}_unread_bytes": self.held,
            **{f"{self._door}_hung_up_{why}": count for why, count in self.hung_up.items()},
        }

    def newcomers(self) -> list[str]:
        """The addresses of those who came just now and have not said a whole message yet."""
        since_s = self.loop.time() - HANDSHAKE_MS / 1000
        passages = self._passages.values()
        return [
            passage.address
            for passage in passages
            if not passage.heard and passage.began_s >= since_s
        ]

    def open(self, listener: socket.socket, behind: RawSocket) -> None:
        """Bind the socket behind, and let people in to it. The gate owns the listener from now."""
        assert self._listener is None, "opened twice"
        self._listener, self._socket = listener, behind
        behind.setsockopt(zmq.RCVHWM, 0)
        behind.setsockopt(zmq.BACKLOG, INNER_BACKLOG)
        self._inner = bind_unnamed(behind)
        listener.settimeout(0)
        self.loop.add_reader(listener.fileno(), self._accept)

    def close(self, linger_ms: int = 0) -> None:
        """Hang up on everybody. What the socket behind, closed before, still sends gets so long."""
        self.shut()
        if linger_ms:
            drain(list(self._passages.values()), time.monotonic() + linger_ms / 1000)
        for passage in list(self._passages.values()):
            passage.close()
        for timer in (self._timer, self._again):
            if timer is not None:
                timer.cancel()
        self._timer = self._again = None
        self.paused = False
        self._waiting.clear()
        if self._inner >= 0:
            os.close(self._inner)
            self._inner = -1
        self._socket = None
        assert not self._passages
        assert not self.held

    def shut(self) -> None:
        """Let nobody new in."""
        if self._listener is not None:
            self.loop.remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def reopen(self, listener: socket.socket) -> None:
        """Let people in by this listener instead. Those who are in stay."""
        self.shut()
        self._listener = listener
        listener.settimeout(0)
        self.loop.add_reader(listener.fileno(), self._accept)

    def pause(self, *, paused: bool) -> None:
        """Read nothing from outside, or go on."""
        self.paused = paused
        for passage in list(self._passages.values()):
            passage.update()

    # --- messages, out of libzmq ----------------------------------------------------------------

    def message(self) -> list[Any]:
        """One message of the ROUTER behind: a routing id, then parts. Raises zmq.Again.

        Parts are bytes, or frames where the gate is locked. Whose it is gets room for more. At most
        `PARTS_MAX` parts are returned.
        """
        socket = self._socket
        assert socket is not None
        name = socket.recv(zmq.DONTWAIT)
        passage = self._named.get(name)
        parts: list[Any] = [name]
        charge, count = 0, 0
        while socket.getsockopt(zmq.RCVMORE):
            part: Any
            if self._locked or passage is None:
                frame = socket.recv(zmq.DONTWAIT, copy=False)
                if passage is None:
                    passage = self._learn(name, frame)
                part, size = (frame if self._locked else frame.bytes), len(frame)
            else:
                part = socket.recv(zmq.DONTWAIT)
                size = len(part)
            charge += size + FRAME_CHARGE + READ_OFF
            count += 1
            if count <= PARTS_MAX:
                parts.append(part)
        if passage is not None:
            passage.read(charge)
        return parts

    def read(self, frame: zmq.Frame) -> TcpConnection | None:
        """One frame of a socket behind that names nobody: whose it is gets room for more."""
        assert self._socket is not None
        passage = self._passages.get(peer_of(fd_of(frame)))
        if passage is None:
            return None
        passage.read(len(frame) + FRAME_CHARGE + READ_OFF)
        return TcpConnection.of(fd_of(frame))

    def know(self, name: bytes, whose: str = "") -> None:
        """Whoever has this routing id is one of ours; `whose`: a peer, who may have to rest."""
        passage = self._named.get(name)
        if passage is not None and whose:
            passage.whose = whose
        if passage is not None and not passage.known:
            self.strangers_held -= passage.held
            self.known_held += passage.held
            passage.known = True

    def hang_up_on(self, name: bytes, reason: str) -> None:
        """On whoever has this routing id, if the connection stands."""
        passage = self._named.get(name)
        if passage is not None:
            self.hang_up(passage, reason)

    # --- answers, into libzmq -------------------------------------------------------------------

    def has_way(self, name: bytes) -> bool:
        """Whether more may be sent to who has this routing id. If not, `on_way` is called later."""
        passage = self._named.get(name)
        if passage is None or passage.owed < OWED_MAX:
            return True
        passage.awaited = True
        return False

    def sent(self, name: bytes, size: int) -> None:
        passage = self._named.get(name)
        if passage is not None:
            passage.owed += size

    def way(self) -> None:
        """Somebody who is awaited has read."""
        self._on_way()

    def _learn(self, name: bytes, frame: zmq.Frame) -> Passage | None:
        """Whose routing id is this? libzmq tells the descriptor, if the connection stands."""
        passage = self._passages.get(peer_of(fd_of(frame)))
        if passage is None or passage.name:
            return None  # it has ended, and its descriptor is another's
        passage.name = name
        self._named[name] = passage
        return passage

    # --- passages ask ---------------------------------------------------------------------------

    def took(self, passage: Passage, charge: int) -> None:
        """So much of it is in libzmq now; less, if negative."""
        if passage.known:
            self.known_held += charge
            if self._waiting and self.known_held < self.limits.known_bytes:
                waiting, self._waiting = self._waiting, set()
                for waiter in waiting:
                    waiter.update()
            return
        self.strangers_held += charge
        while self.strangers_held > self.limits.strangers_bytes:
            self.hang_up(self._longest_waiting(), "strangers_full")

    def rests(self, passage: Passage) -> bool:
        """Nothing is to be read of it for a while. It is updated after that."""
        if passage.resting is not None:
            return True
        rest_s = self._rests_s(passage.whose) if passage.whose else 0.0
        if rest_s > 0:
            passage.resting = self.loop.call_later(min(rest_s, REST_S), self.guard(passage.rested))
        return rest_s > 0

    def has_room(self, passage: Passage) -> bool:
        if not passage.known or self.known_held < self.limits.known_bytes:
            return True
        self._waiting.add(passage)
        self._watch()
        return False

    def stalled(self) -> None:
        """Some passage has as much in libzmq as it may: see later whether that is read."""
        self._watch()

    def hang_up(self, passage: Passage, reason: str) -> None:
        passage.close()
        self._refused(reason, passage.address)

    def ended(self, passage: Passage) -> None:
        """The passage has closed."""
        if self._passages.pop(passage.inner_name, None) is None:
            return
        self._named.pop(passage.name, None)
        self._waiting.discard(passage)
        charge, passage.held = -passage.held, 0
        self.took(passage, charge)

    def _longest_waiting(self) -> Passage:
        strangers = [
            passage for passage in self._passages.values() if passage.held and not passage.known
        ]
        return min(strangers, key=lambda passage: (not passage.unread, passage.read_at_s))

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(STALLED_S / 2, self.guard(self._look))

    def _look(self) -> None:
        """Twice in a row nothing was read of it, and there were turns of the loop in between."""
        self._timer = None
        full = self.known_held >= self.limits.known_bytes
        for passage in list(self._passages.values()):
            over = passage.held >= self.limits.message_bytes or (full and passage.held)
            if not over or self.paused or passage.reads != passage.reads_seen:
                passage.suspected = False
            elif passage.suspected:
                large = passage.held >= self.limits.message_bytes
                self.hang_up(passage, "message_too_large" if large else "known_full")
                continue
            else:
                passage.suspected = True
            passage.reads_seen = passage.reads
            if over:
                self._watch()
        if self._waiting:
            self._watch()

    # --- newcomers ------------------------------------------------------------------------------

    def _accept_some(self) -> None:
        assert self._listener is not None
        for _ in range(ACCEPT_MAX):
            try:
                outer, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ECONNABORTED:
                    self._rest(error)
                    return
                continue
            self._let_in(outer, f"{address[0]}:{address[1]}" if address else "")

    def _rest(self, error: OSError) -> None:
        """Descriptors are used up, or memory: by others, for the gate keeps to its share."""
        assert self._listener is not None
        self._refused("no_descriptor", error.strerror or "")
        self.loop.remove_reader(self._listener.fileno())
        self._again = self.loop.call_later(AGAIN_S, self.guard(self._resume))

    def _resume(self) -> None:
        self._again = None
        if self._listener is not None:
            self.loop.add_reader(self._listener.fileno(), self._accept)

    def _refused(self, reason: str, address: str) -> None:
        count = self.hung_up[reason] = self.hung_up.get(reason, 0) + 1
        now_s = self.loop.time()
        if reason in self._told_s and now_s - self._told_s[reason] < NOTE_EVERY_S:
            return
        self._told_s[reason] = now_s
        fields: Fields = {
            "door": self._door,
            "reason": reason,
            "count": count,
            "address": address,
        }
        self._on_note(Note("hung_up", "warning", fields))

    def _let_in(self, outer: socket.socket, address: str) -> None:
        if len(self._passages) >= self.limits.connections:
            silent = min(self._passages.values(), key=lambda other: (other.known, other.read_at_s))
            self.hang_up(silent, "connections_full")
        try:
            inner = self._dialled()
        except OSError as error:
            outer.close()
            self._refused("no_descriptor", f"{address} {error.strerror}")
            return
        outer.settimeout(0)
        tune(outer)
        passage = Passage(self, outer, inner, address)
        self._passages[passage.inner_name] = passage
        passage.update()

    def _dialled(self) -> socket.socket:
        """A connection to the socket behind, with a name of its own that tells it from others."""
        inner = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            spare(inner.fileno())
            inner.bind(b"")  # the system gives it a name that nobody else has
            inner.settimeout(0)
            inner.connect(f"/proc/self/fd/{self._inner}")
        except OSError:
            inner.close()
            raise
        return inner


def gates_counters(gates: list[Gate]) -> dict[str, int]:
    """Of the gates of one door, added up."""
    counters: dict[str, int] = {}
    for gate in gates:
        for name, count in gate.counters.items():
            counters[name] = counters.get(name, 0) + count
    return counters
