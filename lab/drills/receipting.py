"""Drill of `gossip.receipts.Receipts`: which entries are durable here and at peers.

The model keeps, for each log, the set of durable positions and what each peer has reported. Random
steps: entries become durable, a peer asks for a receipt, receipts are sent or withheld, a peer's
receipt arrives, a log forks. Due receipts, copies and flags must be equal. Left out: the packets.
"""

from random import Random

from domain.arrival import TAG_BYTES
from domain.dot import Dot, LogId
from gossip.entry import Entry, hash_of
from gossip.frontier import Frontier
from gossip.packets import STORED_PER_PACKET_MAX, Stored
from gossip.receipts import Receipts
from gossip.store import MemoryStore
from lab.drills.beside import same

TOP = 6  # positions of each log
STEPS = 24


class Model:
    def __init__(self, heads: dict[LogId, list[bytes]]) -> None:
        self.heads = heads  # the tag at each position
        self.durable: dict[LogId, set[int]] = {}
        self.owed: dict[LogId, int] = {}
        self.touched: list[LogId] = []
        self.word: dict[tuple[LogId, str], int] = {}
        self.forked: set[LogId] = set()

    def prefix(self, log: LogId) -> int:
        held = self.durable.get(log, set())
        return next(seq for seq in range(TOP + 1) if seq + 1 not in held)

    def touch(self, log: LogId) -> None:
        if log not in self.touched:
            self.touched.append(log)

    def stored(self, log: LogId) -> list[Stored]:
        prefix = self.prefix(log)
        if log not in self.heads or not prefix or log in self.forked:
            return []
        return [Stored(log.origin, log.epoch, prefix, self.heads[log][prefix - 1])]

    def due(self) -> dict[str, list[Stored]]:
        told: dict[str, list[Stored]] = {}
        for log in self.touched[:STORED_PER_PACKET_MAX]:
            for one in self.stored(log):
                told.setdefault(log.origin, []).append(one)
            if self.prefix(log) >= self.owed[log]:
                del self.owed[log]
        self.touched = self.touched[STORED_PER_PACKET_MAX:]
        return told

    def stored_of(self, origin: str) -> list[Stored]:
        found = [one for log in self.durable if log.origin == origin for one in self.stored(log)]
        return found[-STORED_PER_PACKET_MAX:]


def receipting(rng: Random) -> None:
    epochs = STORED_PER_PACKET_MAX + 4 if rng.random() < 0.1 else 2
    frontier = Frontier(MemoryStore(), 16, ("n1", "n2", "n3"))
    heads: dict[LogId, list[bytes]] = {}
    known = [LogId(origin, epoch) for origin in ("n2", "n3") for epoch in range(1, epochs + 1)]
    for log in known:
        heads[log] = _filled(frontier, log)
    logs = [*known, LogId("n2", 999)]  # nothing is held of the last one
    receipts, model = Receipts(frontier), Model(heads)
    if epochs > 2:  # more than fit into one packet
        for log in known:
            _grow(receipts, model, log, 1, 2)
            _owe(receipts, model, log, 2)
    for _ in range(STEPS):
        log = rng.choice(logs)
        match rng.randrange(8):
            case 0 | 1 | 2:
                first = rng.randint(1, TOP)
                last = rng.choice((0, min(first + 2, TOP)))
                _grow(receipts, model, log, first, last)
            case 3 | 4:
                _owe(receipts, model, log, rng.randint(1, TOP))
            case 5:
                receipts.vouched = rng.random() < 0.8
                due = model.due() if receipts.vouched else {}
                same("due", receipts.take_due(), due)
            case 6:
                peer, prefix, own = rng.choice("ab"), rng.randint(1, TOP), LogId("n1", 1)
                receipts.receive(peer, Stored(own.origin, own.epoch, prefix, b""))
                model.word[own, peer] = max(prefix, model.word.get((own, peer), 0))
                for seq in range(1, TOP + 1):
                    copies = sum(said >= seq for said in model.word.values())
                    same("copies", receipts.copies(own, seq), copies)
                same("copies of another log", receipts.copies(LogId("n1", 2), 1), 0)
            case _:
                if rng.random() < 0.2 and log in heads:
                    _forked(frontier, log)
                    model.forked.add(log)
        same("touched", receipts.touched, bool(model.touched))
        for origin in ("n2", "n3"):
            told = model.stored_of(origin) if receipts.vouched else []
            same(f"stored of {origin}", receipts.stored_of(origin), told)


def _grow(receipts: Receipts, model: Model, log: LogId, first: int, last: int) -> None:
    receipts.durable(log, first, last)
    model.durable.setdefault(log, set()).update(range(first, max(first, last) + 1))
    if log in model.owed:
        model.touch(log)


def _owe(receipts: Receipts, model: Model, log: LogId, upto: int) -> None:
    receipts.owe(log, upto)
    model.owed[log] = max(upto, model.owed.get(log, 0))
    if model.prefix(log) >= model.owed[log]:
        model.touch(log)


def _filled(frontier: Frontier, log: LogId) -> list[bytes]:
    prev, tags = bytes(16), list[bytes]()
    for seq in range(1, TOP + 1):
        data = f"{log} {seq}".encode()
        one = Entry(Dot(log.origin, log.epoch, seq), prev, hash_of(data), data)
        frontier.add(one)
        prev = one.chain_hash
        tags.append(one.hash[:TAG_BYTES])
    return tags


def _forked(frontier: Frontier, log: LogId) -> None:
    data = f"{log} other".encode()
    frontier.add(Entry(Dot(log.origin, log.epoch, 1), bytes(16), hash_of(data), data))
