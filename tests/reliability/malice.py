"""Packets of a malicious peer: each is allowed by the wire's types, and means harm.

`KINDS` names them: made-up origins, epochs, parents and authors, tags, claims, folds, receipts,
opinions, packets as large and as small as the wire allows, forks of its own log and of honest ones,
and repetitions of what was sent. They are made of a seed and of what honest nodes told. Bytes that
are no packet, and packets in another name, are not among them: their key is not heard for a while
then (`node.network.penalties`), which ends an attack.
"""

import time
from collections import deque
from collections.abc import Callable
from random import Random

import msgspec

from domain.clock import Stamp
from domain.dot import Dot
from domain.events import MessagePosted
from gossip.entry import GENESIS, hash_of
from gossip.incarnation import token_of
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
from gossip.wire import PACKET_BYTES_MAX, cluster_hash, encode
from node.storage.codec import ProtobufCodec

CLUSTER, CLUSTER_ID = "malice", "ba5e1e5500000001"
HONEST = ("n1", "n2", "n3")
EVIL = "n4"
REMEMBERED = 2000  # own packets that may be sent again
STARTS_FROM = 1 << 30  # starts that no honest n4 has counted


class Malice:
    """Packets that mean harm, made of a seed and of what honest nodes have told. Mutable."""

    def __init__(self, seed: int, clock_s: Callable[[], float] = time.time) -> None:
        self.rng = Random(seed)
        self._clock_s = clock_s
        self._codec = ProtobufCodec()
        self._number = 0
        self._incarnation = STARTS_FROM << 10
        self.roots: list[bytes] = [bytes(16)]
        self.lines: dict[tuple[str, int], Line] = {}
        self.kept: deque[bytes] = deque(maxlen=REMEMBERED)
        self._own = (self.rng.getrandbits(62) + 1, 0, GENESIS)  # epoch, seq, link of its own log

    def heard(self, packet: Packet) -> None:
        body = packet.body
        if isinstance(body, Syn | Same | SynAck):
            self.roots = [*self.roots[-20:], body.root]
        if isinstance(body, Syn | SynAck):
            for line in body.lines or ():
                if line.origin in HONEST:
                    self.lines[line.origin, line.epoch] = line

    def packet(self, body: Body) -> bytes:
        self._number += 1
        incarnation, number = self._incarnation, self._number
        if self.rng.random() < 0.02:
            incarnation = self.rng.choice((0, 1, 2**40, 2**63 - 1))
        return encode(
            Packet(
                PROTOCOL_VERSION, cluster_hash(CLUSTER, CLUSTER_ID), EVIL, incarnation, number, body
            )
        )

    def next(self) -> tuple[str, bytes]:
        """The kind, and the bytes."""
        kind = self.rng.choice(NAMES)
        data = KINDS[kind](self)
        if self.rng.random() < 0.1 and len(data) < 65_536:
            self.kept.append(data)
        return kind, data

    # Each method below makes one kind of packet.

    def origins(self) -> bytes:
        rng = self.rng
        made = [f"x{rng.getrandbits(64):x}" for _ in range(rng.choice((1, 20, 500)))]
        return self.packet(Push([self._alone(origin, self._epoch()) for origin in made], True))

    def epochs(self) -> bytes:
        rng = self.rng
        origin = EVIL if rng.random() < 0.7 else rng.choice(HONEST)
        runs = [self._alone(origin, self._epoch()) for _ in range(rng.choice((1, 20, 500)))]
        return self.packet(Push(runs, True, receipt=True))

    def parents(self) -> bytes:
        return self.packet(Push([self._own_run(self.rng.choice((1, 50)), parents=16)], True))

    def authors(self) -> bytes:
        return self.packet(Push([self._own_run(self.rng.choice((1, 50)))], True))

    def tags(self) -> bytes:
        lines = [
            msgspec.structs.replace(line, tags=self.rng.randbytes(8), tags_first=1, tags_last=0)
            for line in self.lines.values()
        ]
        return self.packet(Syn(self.rng.randbytes(16), self.rng.choice((0, 2**40)), lines[:4000]))

    def claims(self) -> bytes:
        """More of honest logs than there is, with a root that settles the claim or does not."""
        rng = self.rng
        lines = [
            Line(origin, epoch, rng.choice((line.prefix + 1, 2**62)), rng.randbytes(8), [])
            for (origin, epoch), line in self.lines.items()
        ]
        root = rng.choice((rng.randbytes(16), rng.choice(self.roots)))
        return self.packet(Syn(root, rng.choice((0, 2**40)), lines[:4000]))

    def ranges(self) -> bytes:
        lines = [
            Line(f"x{i}", 1, 1, self.rng.randbytes(8), [(3 + 2 * n, 3 + 2 * n) for n in range(256)])
            for i in range(100)
        ]
        return self.packet(Syn(self.rng.randbytes(16), 0, lines))

    def folds(self) -> bytes:
        rng = self.rng
        cuts = sorted({rng.randrange(1, 2**63 - 1) for _ in range(2 * rng.choice((1, 100, 1000)))})
        folds = [
            EpochFold(EVIL, first, last, rng.getrandbits(40), rng.randbytes(16))
            for first, last in zip(cuts[::2], cuts[1::2], strict=False)
        ]
        re = rng.getrandbits(60)
        return self.packet(Unfold(re, [], True, [], folds, rng.choice((0, 2**40)), 16))

    def receipts(self) -> bytes:
        rng = self.rng
        stored = [
            Stored(origin, epoch, rng.choice((line.prefix, 2**62)) or 1, rng.randbytes(8))
            for (origin, epoch), line in self.lines.items()
        ]
        return self.packet(Receipt(stored[:64]))

    def opinions(self) -> bytes:
        rng = self.rng
        told = [
            Opinion(name, rng.randrange(3), rng.choice((0, 2**62, 2**63 - 1))) for name in HONEST
        ]
        return self.packet(Syn(rng.choice(self.roots), 0, members=told * 80))

    def answers(self) -> bytes:
        """Answers to questions that were not asked, or were."""
        rng = self.rng
        re = token_of(self._incarnation, rng.randrange(self._number + 1))
        lines = list(self.lines.values())[:500]
        runs = [self._alone(f"x{rng.getrandbits(64):x}", 1)]
        body = rng.choice(
            (
                Ack(re, runs, True, lines, 2**40),
                SynAck(re, rng.randbytes(16), 2**40, lines, runs, True),
                Same(re, rng.choice(self.roots)),
                Feedback(re, [True] * 1000),
            )
        )
        return self.packet(body)

    def huge(self) -> bytes:
        """As large as the wire allows, within a byte or a few."""
        room = PACKET_BYTES_MAX - 200 - self.rng.randrange(3)
        texts: list[bytes] = []
        while (left := room - sum(len(one) + 5 for one in texts)) > 4096:
            texts.append(self._own_data(size=min(60_000, left - 400)))
        run = Run(EVIL, self._own[0], self._own[1] - len(texts) + 1, texts)
        return self.packet(Push([run], direct=self.rng.random() < 0.5))

    def tiny(self) -> bytes:
        """The least that is a packet: one that is none would have its key unheard for a while."""
        empty = (Push([], True), Receipt([]), Feedback(0, []), Ack(0, [], False))
        return self.packet(self.rng.choice(empty))

    def replays(self) -> bytes:
        return self.rng.choice(self.kept) if self.kept else self.tiny()

    def own_forks(self) -> bytes:
        """Two or more entries at one position of its own log."""
        rng, epoch = self.rng, self._own[0]
        seq = rng.randrange(1, 30)
        return self.packet(Push([self._alone(EVIL, epoch, seq) for _ in range(20)], True))

    def forks(self) -> bytes:
        """Another entry where an honest node has written one."""
        if not self.lines:
            return self.tiny()
        (origin, epoch), line = self.rng.choice(list(self.lines.items()))
        seq = self.rng.randrange(1, line.prefix + 3)
        return self.packet(Push([self._alone(origin, epoch, seq)], True))

    # --- what these are made of -------------------------------------------------------------------

    def _epoch(self) -> int:
        return self.rng.getrandbits(62) + 1

    def _alone(self, origin: str, epoch: int, seq: int = 1) -> Run:
        prev = GENESIS if seq == 1 else self.rng.randbytes(16)
        return Run(origin, epoch, seq, [self._event(Dot(origin, epoch, seq), prev)])

    def _own_run(self, count: int, parents: int = 0) -> Run:
        first = self._own[1] + 1
        data = [self._own_data(parents) for _ in range(count)]
        return Run(EVIL, self._own[0], first, data)

    def _own_data(self, parents: int = 0, size: int = 0) -> bytes:
        epoch, seq, link = self._own
        data = self._event(Dot(EVIL, epoch, seq + 1), link, parents, size)
        self._own = (epoch, seq + 1, hash_of(data)[:16])
        return data

    def _event(self, dot: Dot, prev: bytes, parents: int = 0, size: int = 0) -> bytes:
        rng = self.rng
        named = tuple(
            Dot(f"y{rng.getrandbits(40):x}", self._epoch(), 2**62) for _ in range(parents)
        )
        text = "x" * size or f"harm {rng.getrandbits(40):x}"
        at = Stamp(int(self._clock_s() * 1000) + rng.choice((0, 0, 10**9)), 0)
        author = f"{rng.getrandbits(60):x}" if rng.random() < 0.5 else "eve"
        return self._codec.encode(MessagePosted(dot, at, named, author, text), prev)


KINDS: dict[str, Callable[[Malice], bytes]] = {
    "origins": Malice.origins,
    "epochs": Malice.epochs,
    "parents": Malice.parents,
    "authors": Malice.authors,
    "tags": Malice.tags,
    "claims": Malice.claims,
    "ranges": Malice.ranges,
    "folds": Malice.folds,
    "receipts": Malice.receipts,
    "opinions": Malice.opinions,
    "answers": Malice.answers,
    "huge": Malice.huge,
    "tiny": Malice.tiny,
    "replays": Malice.replays,
    "own_forks": Malice.own_forks,
    "forks": Malice.forks,
}
NAMES = tuple(KINDS)
