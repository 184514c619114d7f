"""Frames as a stranger makes them: random bytes, true ones damaged, lies about lengths and depth.

Everything comes from a seeded generator, so a count and a seed name the very same frames.
"""

from collections.abc import Callable, Iterator
from random import Random

import msgspec

from domain.clock import STAMP_MS_MAX, Stamp
from domain.dot import EPOCH_MAX, Dot
from domain.events import MessagePosted, ParticipantJoined
from domain.seqset import SEQ_MAX
from gossip.entry import GENESIS, PREV_BYTES
from gossip.packets import (
    PROTOCOL_VERSION,
    Ack,
    Body,
    EpochFold,
    Feedback,
    Line,
    Opinion,
    Packet,
    Push,
    Receipt,
    Run,
    Same,
    Stored,
    Syn,
    SynAck,
    Unfold,
)
from gossip.wire import cluster_hash, encode
from node.control.messages import (
    ClearFaults,
    Post,
    ReadFrontier,
    ReadPresence,
    ReadStatus,
    ReadTimeline,
    SetFault,
    SetPresence,
)
from node.storage import frames
from node.storage.codec import ProtobufCodec

CLUSTER = cluster_hash("test")
SEQS = (1, 2, 3, 255, 2**31, 2**32, SEQ_MAX - 1, SEQ_MAX)
NUMBERS = (0, 1, 255, 2**32, 2**63 - 1)
NAMES = ("n1", "n2", "n3", "n9", "x" * 32, "", "N1", "n1\n", "é", "../n1", "\x1b[2J")
LIES = (b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\x7f\xff\xff\xff", b"\xdc\xff\xff")
INTEGERS = (b"\xcf" + b"\xff" * 8, b"\xcf\x80" + bytes(7), b"\xd3\x80" + bytes(7), b"\xca\x7f\xc0")


# --- damage -------------------------------------------------------------------------------------


def mutated(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    """One to three kinds of damage to true bytes."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(DAMAGES)(rng, data, others)
    return data


def _flip(rng: Random, data: bytes, _: list[bytes]) -> bytes:
    at = rng.randrange(max(len(data), 1))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :] if data else data


def _set(rng: Random, data: bytes, _: list[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.choice((0, 0x7F, 0x80, 0xC1, 0xFF))]) + data[at + 1 :]


def _cut(rng: Random, data: bytes, _: list[bytes]) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _drop(rng: Random, data: bytes, _: list[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.randint(1, 9) :]


def _insert(rng: Random, data: bytes, _: list[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.randint(1, 9)) + data[at:]


def _lie(rng: Random, data: bytes, _: list[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(LIES + INTEGERS) + data[at + rng.randint(0, 1) :]


def _nest(rng: Random, data: bytes, _: list[bytes]) -> bytes:
    at, depth = rng.randrange(len(data) + 1), rng.choice((2, 50, 600, 5000))
    return data[:at] + rng.choice((b"\x91", b"\x81\xa1a", b"\xdc\x00\x01")) * depth + data[at:]


def _splice(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _repeat(rng: Random, data: bytes, _: list[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at : at + rng.randint(1, 40)] * rng.choice((2, 20, 200)) + data[at:]


Damage = Callable[[Random, bytes, list[bytes]], bytes]
DAMAGES: tuple[Damage, ...] = (*(_flip, _set, _cut, _drop, _insert, _lie, _nest, _splice, _repeat),)


# --- packets ------------------------------------------------------------------------------------


class Packets:
    """Well-formed packets that mean no good, and damaged ones."""

    def __init__(self, seed: int, cluster: int = CLUSTER, sender: str = "n2") -> None:
        self.rng = Random(seed)
        self.cluster, self.sender = cluster, sender
        self._codec = ProtobufCodec()
        self._number = 0
        self._seeds = [encode(self.wicked()) for _ in range(300)]

    def frames(self, count: int, wicked: float = 0.3) -> Iterator[bytes]:
        rng = self.rng
        for _ in range(count):
            draw = rng.random()
            if draw < wicked:
                yield encode(self.wicked())
            elif draw < 0.95:
                yield mutated(rng, rng.choice(self._seeds), self._seeds)
            else:
                yield rng.randbytes(rng.choice((0, 1, 7, 60, 400)))

    def wicked(self) -> Packet:
        """Every field is allowed by the types; together they are a lie."""
        self._number += 1
        rng = self.rng
        number = rng.choice((self._number, *NUMBERS))
        cluster = self.cluster if rng.random() < 0.95 else rng.getrandbits(32)
        sender = self.sender if rng.random() < 0.9 else self.name()
        return Packet(
            PROTOCOL_VERSION, cluster, sender, rng.choice(NUMBERS), number, self._body(rng)
        )

    def name(self) -> str:
        return self.rng.choice(NAMES) or "x"

    def _body(self, rng: Random) -> Body:
        kind = rng.randrange(8)
        if kind == 0:
            said = None if rng.random() < 0.3 else self._lines()
            receipt, members = bool(rng.getrandbits(1)), self._members()
            return Syn(self._root(), self._some(), said, receipt, members, self._folds())
        if kind == 1:
            return Same(self._some(), self._root(), self._stored(), self._members())
        if kind == 2:
            more = bool(rng.getrandbits(1))
            root, lines, runs = self._root(), self._lines(), self._runs()
            stored = self._stored()
            folds = self._folds()
            return SynAck(self._some(), root, self._some(), lines, runs, more, stored, [], folds)
        if kind == 3:
            said = None if rng.random() < 0.5 else self._lines()
            return Ack(self._some(), self._runs(), bool(rng.getrandbits(1)), said, self._some())
        if kind == 4:
            return Push(self._runs(), bool(rng.getrandbits(1)), bool(rng.getrandbits(1)))
        if kind == 5:
            return Feedback(self._some(), [bool(rng.getrandbits(1))] * rng.randrange(5))
        if kind == 6:
            lines, folds, legs = self._lines(), self._folds(), rng.choice((0, 1, 6, 16))
            return Unfold(self._some(), self._runs(), True, lines, folds, self._some(), legs)
        return Receipt(self._stored())

    def _some(self) -> int:
        return self.rng.choice((self._number, *NUMBERS))

    def _root(self) -> bytes:
        return self.rng.choice((bytes(16), self.rng.randbytes(16)))

    def _epoch(self) -> int:
        return self.rng.choice((1, 2, 7, EPOCH_MAX, self.rng.randint(1, EPOCH_MAX)))

    def _folds(self) -> list[EpochFold]:
        rng = self.rng
        first, last = sorted((self._epoch(), self._epoch()))
        count, origins = rng.choice(NUMBERS), sorted({self.name() for _ in range(rng.randrange(4))})
        return [EpochFold(name, first, last, count, self._root()) for name in origins]

    def _lines(self) -> list[Line]:
        rng = self.rng
        lines: list[Line] = []
        for _ in range(rng.choice((0, 1, 2, 30))):
            prefix = rng.choice((0, *SEQS))
            at, ranges = prefix + 2, []
            for _ in range(rng.choice((0, 0, 1, 5))):
                last = at + rng.choice((0, 3, 2**40))
                if last <= SEQ_MAX:
                    ranges.append((at, last))
                at = last + 2
            tags = rng.randbytes(8 * rng.choice((0, 0, 1, 20)))
            head = rng.randbytes(8) if prefix else b""
            above = rng.randbytes(8) if ranges else b""
            first, upto = rng.choice(SEQS), rng.choice((0, *SEQS))
            line = Line(self.name(), self._epoch(), prefix, head, ranges, tags, first, upto, above)
            lines.append(line)
        return lines

    def _runs(self) -> list[Run]:
        rng = self.rng
        runs: list[Run] = []
        for _ in range(rng.choice((0, 1, 1, 3))):
            origin, epoch, first = self.name(), self._epoch(), rng.choice(SEQS)
            count = min(rng.choice((1, 1, 2, 8)), SEQ_MAX - first + 1)
            data = [self.event(origin, epoch, first + index) for index in range(count)]
            runs.append(Run(origin, epoch, first, data))
        return runs

    def event(self, origin: str, epoch: int, seq: int) -> bytes:
        """A true event of an invented past, or something like one."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.1:
            return rng.randbytes(rng.randrange(60))
        named = origin if draw < 0.8 and origin.isascii() and origin.isalnum() else "n2"
        stamp = Stamp(rng.choice((0, 1, 253_402_300_799_000, STAMP_MS_MAX)), rng.randrange(3))
        dot = Dot(named.lower(), epoch, seq)
        author = rng.choice(("eve", "\x1b]0;x\x07", "\u202eeve"))
        prev = GENESIS if seq == 1 else rng.choice((bytes(PREV_BYTES), rng.randbytes(PREV_BYTES)))
        made = (
            ParticipantJoined(dot, stamp, (), author)
            if rng.random() < 0.2
            else MessagePosted(dot, stamp, (), author, "t" * rng.choice((1, 30, 3000)))
        )
        data = self._codec.encode(made, prev)
        return mutated(rng, data, [data]) if draw > 0.9 else data

    def _stored(self) -> list[Stored]:
        count = self.rng.choice((0, 1, 60))
        return [
            Stored(
                self.name(),
                self._epoch(),
                self.rng.choice((0, *SEQS)),
                self.rng.choice((b"", bytes(8))),
            )
            for _ in range(count)
        ]

    def _members(self) -> list[Opinion]:
        count = self.rng.choice((0, 0, 2, 100))
        return [
            Opinion(self.name(), self.rng.randrange(3), self.rng.choice(NUMBERS))
            for _ in range(count)
        ]


# --- requests -----------------------------------------------------------------------------------


def requests(rng: Random, count: int) -> Iterator[bytes]:
    """Frames for a control socket: true requests with odd values, damaged ones, and nonsense."""
    texts = ("hi", "", "x" * 70_000, "\x00\x1b[2J\u202e", "\ud7ff\ue000", "é" * 33)
    acks = ("", "durable", "replicated:1", "replicated:99999", "none", "replicated:-1", "\x07")

    def one() -> object:
        name, text, ack = rng.choice(texts), rng.choice(texts), rng.choice(acks)
        number = rng.choice((0, 1, 2**32, 2**63 - 1))
        return rng.choice(
            (
                Post(number, name, text, ack, rng.choice((0, 1, 5000, 2**31))),
                SetPresence(number, name, bool(rng.getrandbits(1)), ack),
                ReadTimeline(number, last=rng.choice((0, 1, 2**40))),
                ReadTimeline(number, arrivals=2**50, offset=-1),
                ReadPresence(number),
                ReadStatus(number),
                ReadFrontier(number),
                SetFault(number, ["n2"], loss=rng.choice((0.5, -1.0, 7.0, float("nan")))),
                SetFault(number, [rng.choice(NAMES)], delay_ms=rng.choice((-1, 5, 10**9))),
                ClearFaults(number),
            )
        )

    encoder = msgspec.msgpack.Encoder()
    seeds = [
        encoder.encode([one() for _ in range(rng.choice((0, 1, 1, 3, 20)))]) for _ in range(200)
    ]
    for _ in range(count):
        draw = rng.random()
        if draw < 0.3:
            yield rng.choice(seeds)
        elif draw < 0.95:
            yield mutated(rng, rng.choice(seeds), seeds)
        else:
            yield rng.randbytes(rng.choice((0, 1, 9, 300)))


# --- journal frames -----------------------------------------------------------------------------


def segments(rng: Random, whole: bytes, count: int) -> Iterator[bytes]:
    """A segment whose bytes, or whose fields and payloads under true CRCs, are damaged."""
    known = [one for one in frames.scan(whole) if type(one) is frames.Frame]
    for _ in range(count):
        if rng.random() < 0.4:
            yield mutated(rng, whole, [whole])
            continue
        out, crc = bytearray(), 0
        wrong = rng.randrange(len(known))
        for index, frame in enumerate(known):
            payload = frames.payload_of(whole, frame)
            values = {"number": frame.number, "count": frame.count, "flags": frame.flags}
            kind = frame.type
            if index == wrong:
                payload = mutated(rng, payload, [payload])[: frames.PAYLOAD_BYTES_MAX] or b"x"
                field = rng.choice((*values, "", "", ""))
                if field:
                    most = 2**16 if field == "flags" else 2**32 if field == "count" else 2**64
                    values[field] = rng.choice((0, 1, 2, most - 1, rng.randrange(most)))
                kind = rng.choice((kind, kind, kind, 0, 1, 2, 3, 4, 9, 255))
            data, crc = frames.encode(payload, type=kind, offset=len(out), previous=crc, **values)
            out += data
        yield bytes(out)


# --- texts --------------------------------------------------------------------------------------


def documents(rng: Random, texts: list[str], count: int) -> Iterator[bytes]:
    """YAML files, damaged."""
    odd: tuple[str, ...] = (
        "&a [*a]",
        "!!python/object:os.system x",
        "- - - - -",
        "{" * 300,
        "[" * 3000,
        "\t",
        ": :",
    )
    odd += (
        "<<: *x",
        "\x00",
        "\ufeff",
        "1e999",
        ".nan",
        "0x7fffffffffffffffff",
        "2001-01-01",
        "? a",
    )
    raw = [text.encode() for text in texts]
    for _ in range(count):
        data = rng.choice(raw)
        if rng.random() < 0.4:
            lines = data.split(b"\n")
            at = rng.randrange(len(lines))
            choice = rng.randrange(4)
            if choice == 0:
                key = lines[at].partition(b":")[0]
                lines[at] = key + b": " + rng.choice(odd).encode("utf-8", "surrogatepass")
            elif choice == 1:
                lines.insert(at, b" " * rng.randrange(6) + rng.choice(odd).encode())
            elif choice == 2:
                lines[at] = lines[at].replace(b":", b"", 1)
            else:
                lines[at : at + 1] = [lines[at]] * rng.choice((2, 300))
            data = b"\n".join(lines)
        else:
            data = mutated(rng, data, raw)
        yield data
