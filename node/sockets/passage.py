"""One connection through a gate: passes bytes both ways unchanged, and counts what goes in.

In: what libzmq holds of the connection is `held` bytes: what passed, and `FRAME_CHARGE` for each
frame that began (libzmq keeps some 100 bytes for the smallest), less what was read out. While it
may hold no more, nothing is read from outside. Out: at most one read waits for a slow reader.

The bounds of frames are the only thing that is looked at (ZMTP 3, RFC 23). They are in the clear
with keys too.
"""

import asyncio
import select
import socket
import time
from typing import Protocol

from node.sockets.pump import Guard

FRAME_CHARGE = 256
READ_OFF = 64  # what a frame may be larger on the way than when it is read: its head, and a box
READ_DRAIN = 64 * 1024
READ_SMALL = 4 * 1024  # while no large frame is under way
GREETING_BYTES = 64
PREFACE_MAX = 4 * 1024  # of a handshake
LONG, COMMAND = 0x02, 0x04
_QUIET = socket.MSG_NOSIGNAL  # an end that has gone is an error here, and no signal
BEATS = (b"\x04PING", b"\x04PONG")  # libzmq answers those, and keeps nothing of them


class ByteMeter:
    """Counts the frames that begin in a stream of bytes."""

    def __init__(self) -> None:
        self.left = GREETING_BYTES  # of the frame under way
        self.preface = GREETING_BYTES  # the charge of all before the first message
        self._talking = False
        self._head = b""  # of the next one, as far as it has come

    def feed(self, data: bytes | bytearray | memoryview) -> int:
        """Of how many more bytes than `data` this is a charge; a heartbeat is none at all."""
        at, end, charge = 0, len(data), 0
        while True:
            if self.left:
                step = min(self.left, end - at)
                self.left -= step
                at += step
            if at >= end:
                return charge
            if self._head:
                take = (9 if self._head[0] & LONG else 2) - len(self._head)
                head = self._head + bytes(data[at : at + take])
            else:
                take = 9 if data[at] & LONG else 2
                head = bytes(data[at : at + take])
            if len(head) < (9 if head[0] & LONG else 2):
                self._head = head
                return charge
            self._head = b""
            at += take
            self.left = int.from_bytes(head[1:], "big")
            if head[0] & COMMAND and bytes(data[at : at + 5]) in BEATS:
                charge -= self.left + len(head)
                continue
            charge += FRAME_CHARGE
            self._talking = self._talking or not head[0] & COMMAND
            if not self._talking and self.preface + self.left <= PREFACE_MAX:
                self.preface += self.left + len(head) + FRAME_CHARGE


class Keeper(Protocol):
    """The gate, as a passage sees it."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def guard(self) -> Guard: ...
    @property
    def room(self) -> bytearray:
        """What one read takes; passages share it."""
        ...

    @property
    def message_bytes(self) -> int: ...
    @property
    def paused(self) -> bool:
        """Nothing is read from outside."""
        ...

    def took(self, passage: "Passage", charge: int) -> None: ...
    def has_room(self, passage: "Passage") -> bool: ...
    def rests(self, passage: "Passage") -> bool: ...
    def stalled(self) -> None: ...
    def ended(self, passage: "Passage") -> None: ...
    def way(self) -> None: ...


class Passage:
    def __init__(
        self, gate: Keeper, outer: socket.socket, inner: socket.socket, address: str
    ) -> None:
        self._gate = gate
        self._outer = outer
        self._inner = inner
        self.address = address
        self.inner_name = str(inner.getsockname())
        self.name = b""  # the routing id that libzmq gave it, once known
        self.known = False
        self.whose = ""  # of which peer, once known
        self.resting: asyncio.TimerHandle | None = None  # nothing is read until then
        self.began_s = gate.loop.time()
        self.heard = False  # a message of it was read
        self.held = 0
        self.owed = 0  # of what was sent to it, how much has not passed to outside yet
        self.awaited = False  # somebody waits for that to become less
        self.read_at_s = self.began_s  # when something of it was read, or it began to hold
        self.reads = self.reads_seen = 0
        self.suspected = False
        self._meter = ByteMeter()
        self._in = b""  # read from outside, not taken by the inner end yet
        self._out = b""
        self._ended = False  # outside: what has come is still passed on
        self._closed = False
        self._reading = self._writing_in = self._writing_out = False
        self._on_outer = gate.guard(self._from_outside)
        self._on_inner = gate.guard(self._from_inside)
        self._flush_in = gate.guard(self._pass_in)
        self._flush_out = gate.guard(self._pass_out)
        gate.loop.add_reader(inner.fileno(), self._on_inner)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self.resting is not None:
            self.resting.cancel()
        for end in (self._outer, self._inner):
            self._gate.loop.remove_reader(end.fileno())
            self._gate.loop.remove_writer(end.fileno())
            end.close()
        self._in = self._out = b""
        self._gate.ended(self)
        if self.awaited:
            self._gate.way()

    @property
    def unread(self) -> int:
        """What is held without the handshake, of which libzmq keeps nothing."""
        return self.held if self.heard else max(0, self.held - self._meter.preface)

    def read(self, charge: int) -> None:
        """The worker has read a message of it."""
        if not self.heard:
            self.heard = True
            charge += self._meter.preface  # the handshake is over
        self.reads += 1
        self.read_at_s = self._gate.loop.time()
        charge = min(charge, self.held)
        self.held -= charge
        self._gate.took(self, -charge)
        if not self._reading:
            self.update()

    def rested(self) -> None:
        self.resting = None
        self.update()

    def update(self) -> None:
        """Read from outside if there is room for it, and not otherwise."""
        if self._closed:
            return
        gate = self._gate
        wanted = not (self._in or self._ended or gate.paused)
        if wanted and self.held >= gate.message_bytes:
            wanted = False
            gate.stalled()
        if wanted and (not gate.has_room(self) or gate.rests(self)):
            wanted = False
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                gate.loop.add_reader(self._outer.fileno(), self._on_outer)
            else:
                gate.loop.remove_reader(self._outer.fileno())

    # --- in -------------------------------------------------------------------------------------

    def _from_outside(self) -> None:
        if not self._gate.has_room(self) or self._gate.rests(self):
            self.update()
            return
        room = self._gate.room
        size = min(len(room), self._meter.left + READ_SMALL)
        try:
            got = self._outer.recv_into(room, size)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            got = 0
        if not got:
            self._ended = True
            self.update()
            self._pass_in()
            return
        data = memoryview(room)[:got]
        if not self.unread:
            self.read_at_s = self._gate.loop.time()
        charge = max(0, got + self._meter.feed(data))
        self.held += charge
        self._gate.took(self, charge)
        if self._closed:
            return  # there was no room for it
        try:
            sent = self._inner.send(data, _QUIET)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.close()
            return
        if sent < got:
            self._in = bytes(data[sent:])
            self._pass_in()
        self.update()

    def _pass_in(self) -> None:
        if self._closed:
            return
        try:
            while self._in:
                self._in = self._in[self._inner.send(self._in, _QUIET) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.close()
            return
        if bool(self._in) != self._writing_in:
            self._writing_in = bool(self._in)
            if self._in:
                self._gate.loop.add_writer(self._inner.fileno(), self._flush_in)
            else:
                self._gate.loop.remove_writer(self._inner.fileno())
        if not self._in:
            if self._ended:
                self.close()
            else:
                self.update()

    # --- out ------------------------------------------------------------------------------------

    def _from_inside(self) -> None:
        try:
            got = self._inner.recv_into(self._gate.room)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            got = 0
        if not got:
            self.close()
            return
        self._out = bytes(memoryview(self._gate.room)[:got])
        self._pass_out()

    def _pass_out(self) -> None:
        if self._closed:
            return
        try:
            while self._out:
                sent = self._outer.send(self._out, _QUIET)
                self._out = self._out[sent:]
                self.owed = max(0, self.owed - sent)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.close()
            return
        if self.awaited and not self._out:
            self.awaited = False
            self._gate.way()
        if bool(self._out) != self._writing_out:
            self._writing_out = bool(self._out)
            loop = self._gate.loop
            if self._out:
                loop.remove_reader(self._inner.fileno())
                loop.add_writer(self._outer.fileno(), self._flush_out)
            else:
                loop.remove_writer(self._outer.fileno())
                loop.add_reader(self._inner.fileno(), self._on_inner)

    @property
    def inner_fd(self) -> int:
        return self._inner.fileno()

    def drain(self, patience_s: float) -> bool:
        """Pass on what the inner end has, waiting for a slow reader. False: there is no more."""
        try:
            self._outer.settimeout(max(patience_s, 0.001))
            data, self._out = self._out + self._inner.recv(READ_DRAIN), b""
            self._outer.sendall(data, _QUIET)
        except OSError:
            return False
        return bool(data)


def drain(passages: list[Passage], until_s: float) -> None:
    """Pass on what libzmq still sends until it has closed its ends: it was told to.

    Blocks, for the loop may be about to end, until that moment of the monotonic clock at most.
    """
    poller = select.poll()
    open_ = {passage.inner_fd: passage for passage in passages}
    for fd in open_:
        poller.register(fd, select.POLLIN)
    while open_ and (left_s := until_s - time.monotonic()) > 0:
        for fd, _ in poller.poll(left_s * 1000):
            if not open_[fd].drain(until_s - time.monotonic()):
                poller.unregister(fd)
                del open_[fd]
