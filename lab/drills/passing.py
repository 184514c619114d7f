"""Drill of `node.sockets.gate.Gate` and `Passage`: the proxy in front of a listening socket.

Both ends of a connection are stand-ins that accept and deliver a random number of bytes; the loop
runs in virtual time. Random steps: connections open, send valid frames, too much or nothing, stop
reading, break and close; the gate is paused. The model keeps the whole byte streams and computes
from them which bytes pass, what memory each connection is charged for, and whom the gate may
disconnect. Left out: real sockets, and the meaning of the messages.
"""

import errno
import socket
from collections import deque
from itertools import accumulate, count
from random import Random
from typing import NamedTuple, cast

from lab.drills.beside import holds, same
from lab.drills.loops import Loop
from lab.drills.sockets import Socket
from node.core.ports import Note
from node.sockets.gate import (
    NOTE_EVERY_S,
    OWED_MAX,
    PARTS_MAX,
    READ_BYTES,
    STALLED_S,
    Gate,
    GateLimits,
)
from node.sockets.passage import FRAME_CHARGE, PREFACE_MAX, READ_OFF, Passage

STEPS = 40
LIMITS = GateLimits(message_bytes=3000, strangers_bytes=7000, known_bytes=5000, connections=4)
HELD_MAX = LIMITS.message_bytes + READ_BYTES + FRAME_CHARGE * READ_BYTES // 2
GREETING = b"\xff" + bytes(8) + b"\x7f\x03" + bytes(53)
READY = b"\x04\x19\x05READY" + bytes(19)
BEAT = b"\x04\x07\x04PING\0\0"


class End:
    """A non-blocking socket: `come` holds the bytes to read, `gone` those that were sent."""

    family = socket.AF_INET
    numbers = count(100_000)

    def __init__(self) -> None:
        self.fd = next(self.numbers)
        self.come: deque[bytes] = deque()
        self.ended = self.broken = self.closed = False
        self.gone = b""
        self.room = 1 << 40
        self.log: list[bytes | int] = []  # chunks that were read, and charges that were read off
        self.clock: Loop | None = None
        self.log_s: list[float] = []  # when each was

    def note(self, one: bytes | int) -> None:
        self.log.append(one)
        self.log_s.append(self.clock.now_s if self.clock is not None else 0.0)

    def fileno(self) -> int:
        return self.fd

    def getsockname(self) -> str:
        return f"end {self.fd}"

    def settimeout(self, _: float) -> None: ...

    def setsockopt(self, *_: int) -> None: ...

    def close(self) -> None:
        self.closed = True

    def recv_into(self, room: bytearray, size: int = 0) -> int:
        if self.broken:
            raise OSError(errno.ECONNRESET, "reset")
        if not self.come:
            if self.ended:
                return 0
            raise BlockingIOError
        data = self.come.popleft()
        most = min(size or len(room), len(room))
        if len(data) > most:
            self.come.appendleft(data[most:])
            data = data[:most]
        room[: len(data)] = data
        self.note(data)
        return len(data)

    def send(self, data: bytes, _: int = 0) -> int:
        if self.broken:
            raise OSError(errno.EPIPE, "broken")
        if not self.room:
            raise BlockingIOError
        taken = bytes(data)[: self.room]
        self.room -= len(taken)
        self.gone += taken
        return len(taken)

    @property
    def as_socket(self) -> socket.socket:
        return cast(socket.socket, self)


class Listener(End):
    def __init__(self) -> None:
        super().__init__()
        self.waiting: deque[End | int] = deque()  # connections that wait, or an error

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        if not self.waiting:
            raise BlockingIOError
        who = self.waiting.popleft()
        if isinstance(who, int):
            raise OSError(who, "not now")
        return who.as_socket, ("h", who.fd)


class Talk:
    """The model of one connection, with its whole streams of bytes."""

    def __init__(self, outer: End, inner: End, passage: Passage, now_s: float) -> None:
        self.outer, self.inner, self.passage = outer, inner, passage
        self.said = self.answered = b""
        self.name = b"%d" % outer.fd
        self.messages: deque[tuple[int, list[bytes]]] = deque()  # where each ends, and its parts
        self.known = False
        self.began_s = self.read_s = now_s  # when a message was read last
        self.hung_up = self.awaited = False
        self.owed = self.told = 0

    def held(self) -> tuple[int, int, float]:
        """The bytes charged, those of them that came before the first message, and the time in s
        since which bytes wait here, or of the last read."""
        chunks = [one for one in self.outer.log if isinstance(one, bytes)]
        frames = _frames(chunks)
        held = at = 0
        heard, since_s = False, self.began_s
        for one, when_s in zip(self.outer.log, self.outer.log_s, strict=True):
            if isinstance(one, bytes):
                so_far = [each for each in frames if each.chunk < at]
                if held <= (0 if heard else _preface(so_far)):
                    since_s = when_s
                charge = sum(frame.charge for frame in frames if frame.chunk == at)
                held += max(0, len(one) + charge)
                at += 1
            else:
                more = 0 if heard else _preface([each for each in frames if each.chunk < at])
                heard, since_s = True, when_s
                held -= min(one + more, held)
        return held, 0 if heard else _preface(frames), since_s


class Seen(NamedTuple):
    """A frame whose header has arrived."""

    chunk: int  # in which that was
    command: bool
    bytes: int
    body: int
    beat: bool

    @property
    def charge(self) -> int:
        return -self.bytes if self.beat else FRAME_CHARGE


def _frames(chunks: list[bytes]) -> list[Seen]:
    found: list[Seen] = []
    stream, ends = b"".join(chunks), list(accumulate(map(len, chunks)))
    at = len(GREETING)
    while at < len(stream):
        body_at = at + (9 if stream[at] & 2 else 2)
        if body_at > len(stream):
            break
        chunk = next(number for number, end in enumerate(ends) if end >= body_at)
        command = bool(stream[at] & 4)
        word = stream[body_at : min(ends[chunk], body_at + 5)]
        body = int.from_bytes(stream[at + 1 : body_at], "big")
        beat = command and word in (b"\x04PING", b"\x04PONG")
        found.append(Seen(chunk, command, body_at - at + body, body, beat))
        at = body_at + body
    return found


def _preface(frames: list[Seen]) -> int:
    charge = len(GREETING)
    for frame in frames:
        if not frame.command:
            break
        if not frame.beat and charge + frame.body <= PREFACE_MAX:
            charge += frame.bytes + FRAME_CHARGE
    return charge


class Judged(Gate):
    """A gate that connects to stand-ins, and checks each disconnection by the model."""

    bench: "Bench"

    def _dialled(self) -> socket.socket:
        if self.bench.poor:
            raise OSError(errno.EMFILE, "no more")
        self.bench.inner = End()
        return self.bench.inner.as_socket

    def hang_up(self, passage: Passage, reason: str) -> None:
        self.bench.judge_victim(passage, reason)
        super().hang_up(passage, reason)


class Bench:
    def __init__(self, rng: Random) -> None:
        self.rng, self.loop = rng, Loop()
        self.notes: list[Note] = []
        self.ways = self.ways_due = 0
        self.hung_up_s = 0.0
        self.poor = False
        self.inner = End()
        self.listener, self.behind = Listener(), Socket()
        self.gate = Judged(
            self.loop.as_asyncio, "door", LIMITS, self.notes.append, on_way=self._on_way
        )
        self.gate.bench = self
        self.gate._socket = self.behind.as_zmq  # as `open` does, without a path
        self.gate.reopen(self.listener.as_socket)
        self.talks: list[Talk] = []
        self.refused: dict[str, int] = {}
        self.told: list[tuple[str, int]] = []
        self.told_s: dict[str, float] = {}

    def _on_way(self) -> None:
        self.ways += 1

    def live(self) -> list[Talk]:
        return [one for one in self.talks if not one.outer.closed]

    # --- what the two ends do -------------------------------------------------------------------

    def come(self) -> None:
        rng = self.rng
        self.poor = rng.random() < 0.1
        if rng.random() < 0.1:
            self.listener.waiting.append(errno.ECONNABORTED)
        outer = End()
        self.listener.waiting.append(outer)
        full = len(self.live()) >= LIMITS.connections
        if full:
            self._expect_note("connections_full")
        if self.poor:
            self._expect_note("no_descriptor")
        self.loop.readers[self.listener.fd]()
        self.loop.run()
        holds("not too many", len(self.live()) + self.poor <= LIMITS.connections)
        if self.poor:
            holds("hung up on", outer.closed)
            return
        outer.clock = self.loop
        passage = self.gate._passages[self.inner.getsockname()]
        same("its address", passage.address, f"h:{outer.fd}")
        talk = Talk(outer, self.inner, passage, self.loop.now_s)
        self.talks.append(talk)
        passage.name = talk.name  # as `message` learns from a descriptor
        self.gate._named[talk.name] = passage
        greeting = rng.choice((GREETING + READY, GREETING + READY + BEAT, GREETING, GREETING[:9]))
        self._say(talk, greeting)

    def talk(self, talk: Talk) -> None:
        rng = self.rng
        if len(talk.said) < len(GREETING):
            return self._say(talk, GREETING[len(talk.said) :])
        kind = rng.randrange(8)
        if kind == 0:
            return self._say(talk, rng.choice((BEAT, BEAT * 3, READY, b"\x06" + bytes(8))))
        size = rng.choice((0, 5, 90, 254)) if kind < 6 else rng.choice((300, 1200, 2900))
        parts = [rng.randbytes(size) for _ in range(rng.choice((1, 1, 2, PARTS_MAX + 2)))]
        data = b"".join(
            (bytes([more, len(one)]) if len(one) < 250 else bytes([2 | more]) + _long(len(one)))
            + one
            for one, more in zip(parts, [1] * (len(parts) - 1) + [0], strict=True)
        )
        talk.messages.append((len(talk.said) + len(data), parts))
        self._say(talk, data)
        return None

    def _say(self, talk: Talk, data: bytes) -> None:
        talk.said += data
        while data:
            size = self.rng.choice((1, 3, 11, 400, 5000)) if len(data) < 400 else 5000
            talk.outer.come.append(data[:size])
            data = data[size:]

    def answer(self, talk: Talk) -> None:
        """The worker sends a message to the connection."""
        data = self.rng.randbytes(self.rng.choice((10, 3000)))
        wide = self.rng.random() < 0.2
        size = OWED_MAX if wide else len(data)
        way = talk.owed < OWED_MAX
        same("has a way", self.gate.has_way(talk.name), way)
        talk.awaited = talk.awaited or not way
        if way:
            self.gate.sent(talk.name, size)
            talk.owed += size
            talk.answered += data
            talk.inner.come.append(data)
        holds("strangers have a way", self.gate.has_way(b"nobody"))

    def read(self) -> None:
        """The worker reads the messages that have arrived whole."""
        for talk in self.live():
            while talk.messages and talk.messages[0][0] <= len(talk.inner.gone):
                if self.rng.random() < 0.3:
                    break
                _, parts = talk.messages.popleft()
                self.behind.coming.append([talk.name, *parts])
                # Before the call: it frees room, and the gate then reads at once.
                talk.outer.note(sum(len(one) + FRAME_CHARGE + READ_OFF for one in parts))
                talk.read_s = self.loop.now_s
                got = self.gate.message()
                same("a message", got, [talk.name, *parts[:PARTS_MAX]])
                if self.rng.random() < 0.4:
                    self.gate.know(talk.name)
                    talk.known = True

    # --- what the gate does ---------------------------------------------------------------------

    def settle(self) -> None:
        """Call each reader and writer that can progress, as the event loop does."""
        for _ in range(10_000):
            before = self._progress()
            for talk in self.live():
                for end in (talk.outer, talk.inner):
                    ready = end.come or end.ended or end.broken
                    if ready and end.fd in self.loop.readers:
                        self.loop.readers[end.fd]()
                    if (end.room or end.broken) and end.fd in self.loop.writers:
                        self.loop.writers[end.fd]()
            self.loop.run()
            if self._progress() == before:
                return
        holds("an end of reading and writing", truth=False)

    def _progress(self) -> list[object]:
        return [
            (len(end.log), len(end.gone), end.closed, end.fd in self.loop.readers)
            for talk in self.talks
            for end in (talk.outer, talk.inner)
        ]

    def judge_victim(self, passage: Passage, reason: str) -> None:
        live = [one for one in self.talks if not one.outer.closed]
        talk = next(one for one in live if one.passage is passage)
        talk.hung_up = True
        if reason == "connections_full":
            silent = min(live, key=lambda one: (one.known, one.held()[2]))
            same("who goes", talk.name, silent.name)
            return  # counted by who came
        if reason == "strangers_full":
            # What it is charged for the last chunk is known to the gate, and is in the log.
            some = [one for one in live if not one.known and one.held()[0]]
            waiting = [one for one in some if one.held()[0] > one.held()[1]] or some
            first = min(waiting, key=lambda one: one.held()[2])
            same("who waits longest", talk.name, first.name)
        else:
            large = talk.held()[0] >= LIMITS.message_bytes
            same("why", reason, "message_too_large" if large else "known_full")
            if not large and self.loop.now_s > self.hung_up_s:  # all at once, where one would do
                holds("known ones are full", self.gate.known_held >= LIMITS.known_bytes)
            self.hung_up_s = self.loop.now_s
            holds("not at once", self.loop.now_s - talk.read_s >= STALLED_S / 2)
        self._expect_note(reason)

    def _expect_note(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1
        now_s = self.loop.now_s
        if reason not in self.told_s or now_s - self.told_s[reason] >= NOTE_EVERY_S:
            self.told_s[reason] = now_s
            self.told.append((reason, self.refused[reason]))

    def judge(self) -> None:
        gate = self.gate
        known = strangers = 0
        for talk in self.talks:
            read = sum(len(one) for one in talk.outer.log if isinstance(one, bytes))
            holds("passes as it is", talk.said.startswith(talk.inner.gone))
            holds("answers pass as they are", talk.answered.startswith(talk.outer.gone))
            if talk.outer.closed:
                holds("both ends", talk.inner.closed)
                gone = talk.outer.ended or talk.outer.broken or talk.inner.broken
                holds("for a reason", talk.hung_up or gone)
                self.ways_due += talk.awaited
                talk.awaited = False
                continue
            answered = sum(len(one) for one in talk.inner.log if isinstance(one, bytes))
            if talk.outer.room:
                same("all answers pass", len(talk.outer.gone), len(talk.answered))
            holds("one read waits", answered - len(talk.outer.gone) <= READ_BYTES)
            ends = accumulate(len(one) for one in talk.inner.log if isinstance(one, bytes))
            if talk.awaited and any(talk.told < end <= len(talk.outer.gone) for end in ends):
                talk.awaited = False
                self.ways_due += 1
            if talk.inner.room:
                same("all that was read passes", len(talk.inner.gone), read)
            held, preface, since_s = talk.held()
            passage = talk.passage
            same("held", (passage.held, passage.known), (held, talk.known))
            same("unread", passage.unread, max(0, held - preface))
            same("since when", passage.read_at_s, since_s)
            holds("one read at most beyond the limit", held < HELD_MAX)
            known, strangers = known + held * talk.known, strangers + held * (not talk.known)
            talk.owed = max(0, talk.owed - len(talk.outer.gone) + talk.told)
            talk.told = len(talk.outer.gone)
            same("owed", passage.owed, talk.owed)
            full = held >= LIMITS.message_bytes or (
                talk.known and gate.known_held >= LIMITS.known_bytes)  # fmt: skip
            if talk.outer.come and talk.inner.room and not full:
                holds("is read, unless the gate is paused", gate.paused)
        same("ways", self.ways, self.ways_due)
        same("all", (gate.known_held, gate.strangers_held), (known, strangers))
        holds("strangers share", strangers <= LIMITS.strangers_bytes)
        same("hung up", gate.hung_up, self.refused)
        told = [(one.fields["reason"], one.fields["count"]) for one in self.notes]
        same("told", told, self.told)
        counters = {"door_connections": len(self.live()), "door_unread_bytes": known + strangers}
        counters |= {f"door_hung_up_{why}": many for why, many in self.refused.items()}
        same("counters", gate.counters, counters)
        newcomers = [f"h:{one.outer.fd}" for one in self.live()
                     if not any(isinstance(entry, int) for entry in one.outer.log)
                     and one.passage.began_s >= self.loop.now_s - 3]  # fmt: skip
        same("newcomers", gate.newcomers(), newcomers)

    def stalled(self) -> None:
        """A connection that sends too much at once is closed soon."""
        over = [one for one in self.live() if one.held()[0] >= LIMITS.message_bytes
                and not one.outer.ended and one.inner.room]  # fmt: skip
        paused = self.gate.paused
        self.loop.advance(2.5 * STALLED_S)
        for talk in over:
            holds("who stalls is hung up on", talk.outer.closed or paused)
        self.settle()


def _long(size: int) -> bytes:
    return size.to_bytes(8, "big")


def passing(rng: Random) -> None:
    bench = Bench(rng)
    for _ in range(STEPS):
        bench.loop.advance(rng.uniform(0.001, 0.1))
        live = bench.live()
        talk = rng.choice(live) if live else None
        match rng.randrange(14):
            case 0 | 1:
                bench.come()
            case 2 if talk is not None:
                talk.inner.room = rng.choice((0, 7, 1 << 40))
            case 3 if talk is not None:
                talk.outer.room = rng.choice((0, 7, 1 << 40))
            case 4 if talk is not None and rng.random() < 0.4:
                if rng.random() < 0.5:
                    talk.outer.ended = True
                else:
                    rng.choice((talk.outer, talk.inner)).broken = True
            case 5 if rng.random() < 0.4:
                bench.gate.pause(paused=not bench.gate.paused)
            case 6 if rng.random() < 0.4:
                bench.settle()
                bench.stalled()
            case 7 | 8 if talk is not None:
                bench.answer(talk)
            case 9:
                bench.read()
            case _ if talk is not None:
                bench.talk(talk)
        bench.settle()
        bench.judge()
    bench.gate.close()
    holds("all are hung up on", not bench.live() and bench.listener.closed)
    holds(
        "nothing is watched", not (bench.loop.readers or bench.loop.writers or bench.loop.waiting)
    )
