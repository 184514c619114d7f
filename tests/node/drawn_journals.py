"""Drawn journals for tests: every kind of record in every order, and what a replica makes of them.

A journal is drawn from a seed: several logs, chained, with parents in each other, with gaps, late
ones, skewed clocks, kinds of tomorrow and closed epochs of this node's own.
"""

from collections.abc import Iterator
from random import Random

from domain.clock import Stamp
from domain.dot import Dot
from domain.events import Event, MessagePosted, ParticipantJoined, ParticipantLeft
from gossip.entry import GENESIS, PREV_BYTES, hash_of
from node.core.checkpoint import Checkpoint
from node.core.interface import Tick
from node.core.ports import EpochRecord, EventRecord, Record
from node.core.replica import Replica, ReplicaConfig
from node.storage.codec import ProtobufCodec
from node.storage.files import MemoryStorage
from node.storage.journal import Journal, JournalOptions
from node.storage.record_reader import RecordPages
from node.storage.recovered import Recovery

WALL_MS = 1_700_000_000_000
PEERS = ("n2", "n3")


class _Log:
    def __init__(self, origin: str, epoch: int) -> None:
        self.origin, self.epoch = origin, epoch
        self.seq, self.prev = 0, GENESIS

    def event(self, rng: Random, wall_ms: int, parents: tuple[Dot, ...]) -> EventRecord:
        self.seq += 1
        dot = Dot(self.origin, self.epoch, self.seq)
        skew = 10**8 if rng.random() < 0.03 else rng.randrange(-3000, 3)
        stamp, author = Stamp(wall_ms + skew, rng.randrange(3)), f"ann{rng.randrange(5)}"
        kind = rng.random()
        event: Event = MessagePosted(dot, stamp, parents, author, "x" * rng.randrange(1, 90))
        if kind < 0.15:
            event = ParticipantJoined(dot, stamp, parents, author)
        elif kind < 0.25:
            event = ParticipantLeft(dot, stamp, parents, author)
        data = ProtobufCodec().encode(event, self.prev)
        if 0.25 <= kind < 0.3:  # a kind that this version does not know
            data = _of_tomorrow(data)
        self.prev = hash_of(data)[:PREV_BYTES]
        return EventRecord(data, wall_ms, "local", "")


def _of_tomorrow(data: bytes) -> bytes:
    """The kind of a message becomes field 99."""
    at = data.rindex(b"\x82\x01")
    return data[:at] + b"\x9a\x06" + data[at + 2 :]


def past(seed: int, count: int, *, forked: bool = False, gaps: bool = True) -> list[Record]:
    """The journal of n1, with about so many records."""
    rng = Random(seed)
    own = _Log("n1", 1 + rng.randrange(2**62))
    logs = [_Log(origin, 5 + epoch) for origin in PEERS for epoch in range(rng.randrange(1, 3))]
    records: list[Record] = [EpochRecord(own.epoch, "new log", WALL_MS)]
    kept_back: list[EventRecord] = []
    seen: list[Dot] = []
    for at in range(count):
        wall_ms = WALL_MS + 10 * at
        if rng.random() < 0.02:
            own = _Log("n1", 1 + rng.randrange(2**62))
            records.append(EpochRecord(own.epoch, "unclean stop in mode none", wall_ms))
        log = own if rng.random() < 0.4 else rng.choice(logs)
        parents = tuple(sorted({rng.choice(seen) for _ in range(rng.randrange(4))})) if seen else ()
        parents = tuple(p for p in parents if (p.origin, p.epoch) != (log.origin, log.epoch))
        one = log.event(rng, wall_ms, parents)
        seen.append(Dot(log.origin, log.epoch, log.seq))
        if log is not own:
            via = rng.choice(("rumor", "anti-entropy"))
            one = EventRecord(one.data, wall_ms, via, log.origin)  # type: ignore[arg-type]
            if gaps and rng.random() < 0.1:
                kept_back.append(one)
                continue
        records.append(one)
        if kept_back and rng.random() < 0.1:
            records.append(kept_back.pop(rng.randrange(len(kept_back))))
    if forked:
        fork = _Log("n2", 5)
        one = fork.event(rng, WALL_MS, ())
        records.insert(len(records) // 2, EventRecord(one.data, WALL_MS, "rumor", "n3"))
    return records


class Life:
    """n1 on a storage: the journal opened, the past taken in, not booted."""

    def __init__(
        self, storage: MemoryStorage, *, trust: bool = True, segment_bytes: int = 2000
    ) -> None:
        options = JournalOptions(segment_bytes=segment_bytes, trust=trust)
        self.storage = storage
        self.found: Recovery
        self.journal, self.found = Journal.open(storage, "n1", options, WALL_MS)
        self.pages = RecordPages(storage, self.found.index)
        config = ReplicaConfig("n1", "test", PEERS)
        rng = Random(self.found.incarnation)
        incarnation = self.found.incarnation
        self.replica = Replica(config, ProtobufCodec(), rng, incarnation, pages=self.pages)
        self.unkept: list[str] = []
        for _ in self.found.restore(self.replica, self._keep):
            pass

    def _keep(self, one: Checkpoint) -> str:
        why = self.journal.keep(one)
        self.unkept += [why] if why else []
        return why


def written(
    records: list[Record], rng: Random, segment_bytes: int = 2000, name: str = "n1"
) -> MemoryStorage:
    """A journal of these records, cut anyhow into commits, left by kill -9."""
    storage = MemoryStorage(name)
    options = JournalOptions(segment_bytes=segment_bytes)
    journal, _ = Journal.open(storage, "n1", options, WALL_MS)
    at = 0
    while at < len(records):
        step = rng.choice((1, 1, 2, 5, 30))
        journal.append(records[at : at + step])
        journal.sync()
        at += step
    return storage.killed()


def known(replica: Replica) -> dict[str, object]:
    """All that it knows, before it is booted; private parts too, for they are what could differ."""
    timeline, frontier, emitter = replica.timeline, replica.frontier, replica._emitter
    logs = [
        (
            *(
                log.id,
                log.held,
                log.head,
                log.chain_hash,
                log.forked,
                log.total,
                log.count,
                log.begun,
            ),
            *(log.above, dict(log._spans), sorted(log.rivals)),
        )
        for log in frontier
    ]
    receipts = [(log, held) for log, held in replica.engine.receipts._durable_here.items()]
    middle_ms = WALL_MS + 5 * len(timeline)
    return {
        "root": (replica.root, frontier.count, frontier.missing),
        "logs": logs,
        "lines": frontier.next_lines(),
        "receipts": receipts,
        "orders": [timeline.select(order) for order in ("causal", "arrival", "author")],
        "middle": timeline.select("causal", as_of_ms=middle_ms),
        "late": timeline.late,
        "holes": timeline.holes(),
        "named": (timeline._unheld, timeline._named_by, timeline._charged, timeline.overlooked),
        "presence": replica.presence.participants(),
        "prints": [p.fingerprint() for p in (timeline, replica.presence, replica.quiet)],
        "own": (emitter.own.epoch, emitter.own.seq, emitter.own.chain_hash),
        "clock": emitter._clock.last,
        "heads": emitter._heads.all,
        "handed": replica._commits.inflight.handed,
        "counters": replica.counters,
        "bodies": [
            replica._store.span(log.id, first, last)
            for log in frontier
            for first, last in log.held.ranges()
        ],
    }


def turned(replica: Replica) -> tuple[object, ...]:
    """What it says when it is booted and time passes."""
    replica.boot(0, WALL_MS, "")
    said: list[object] = []
    for now_ms in range(0, 3000, 100):
        replica.step(Tick(now_ms, WALL_MS + now_ms))
        out = replica.drain()
        said += [out.persist, out.send, out.publish, out.reply, out.note]
    own = replica._emitter.own
    return (*said, own.epoch, own.seq, own.chain_hash)


def rewound(replica: Replica) -> Iterator[tuple[object, ...]]:
    """Its projections, one step back after the other."""
    timeline, presence, quiet = replica.timeline, replica.presence, replica.quiet
    while len(timeline):
        yield timeline.rewind(), presence.rewind(), quiet.rewind(), timeline.holes(), timeline.late
        yield timeline.fingerprint(), presence.fingerprint(), quiet.fingerprint()
        yield timeline.pick("causal").tolist(), presence.participants()  # type: ignore[attr-defined]
