"""Checkpoints: the rows that one sealed segment's records added to a node's state. Pure.

A start takes checkpoints in instead of reading their segments. Everything that grows with the
history is kept in columns that are only appended to, so a checkpoint is the rows that the records
of one segment appended, cut where the last of them had become visible, and is never changed. All
checkpoints from the first segment on, in order, restore the same state as all those records.

Unusual state is not written: from the first segment on after which a log is forked, or parents have
named more logs than are remembered, no checkpoint is made. A start reads the journal from there on,
with the same result.
"""

from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from domain.arrival import Arrival
from domain.clock import Stamp
from domain.dot import Dot, LogId
from domain.events import Event
from domain.history import HistoryRows, LogKey
from domain.presence import Presence, PresenceRows
from domain.quiet import Quiet
from domain.timeline import Timeline, TimelineRows
from gossip.engine import Engine
from gossip.entry import PREV_BYTES, Entry, hash_of
from gossip.log import Log
from node.core.emitter import Emitter
from node.core.entry_store import LogRows, PagedEntryStore
from node.core.heads import Heads
from node.core.ports import EventCodec

_NEVER = 2**63  # above every record number


class Seal(Struct, frozen=True):
    """A segment that is sealed, and what a scan knows after it. Nothing up to it is damaged."""

    segment: int
    size: int
    tail: int  # where its last frame begins
    crc: int  # of the payload of that frame
    first: int  # its records are first..last, as they are delivered
    last: int
    next_number: int
    epoch: int  # the last one opened up to here, 0: none was
    epoch_number: int
    points: tuple[bytes, bytes, bytes]  # see node.storage.offset_index


class Checkpoint(Struct, frozen=True):
    seal: Seal
    first_arrival: int
    history: HistoryRows
    offsets: tuple[bytes, bytes]
    timeline: TimelineRows
    presence: PresenceRows
    logs: tuple[LogRows, ...]
    heads: tuple[Dot, ...]
    stamp: Stamp


class Checkpointer:
    """Mutable; not thread-safe. Owns nothing of what it writes down."""

    def __init__(
        self,
        store: PagedEntryStore,
        timeline: Timeline,
        presence: Presence,
        quiet: Quiet,
        engine: Engine[Event],
        emitter: Emitter,
    ) -> None:
        self._store = store
        self._timeline, self._presence, self._quiet = timeline, presence, quiet
        self._engine, self._emitter = engine, emitter
        self._node = emitter.own.node
        self._over = False
        self._seals: deque[Seal] = deque()
        self._due = _NEVER  # the last record before the next cut
        self._made: list[Checkpoint] = []
        # Since the last cut; and, of what is a column, where it was.
        self._sums: dict[LogKey, int] = {}  # of the hashes of entries
        self._heads = Heads()  # unlike the emitter's, of what is visible alone
        self._stamp = Stamp(0, 0)
        self._mark()

    def _mark(self) -> None:
        history = self._store.history
        self._first = len(history)
        self._named = (history.named, self._timeline.named)
        self._jumps = self._store.jumps
        self._sums.clear()
        self._due = self._seals[0].last if self._seals else _NEVER

    # --- making ---------------------------------------------------------------------------------

    def seal(self, seal: Seal) -> None:
        """This segment is sealed. Told in order, before anything after it has become visible."""
        if not self._over:
            self._seals.append(seal)
            self._due = self._seals[0].last

    def meet(self, arrival: Arrival, entry: Entry, number: int) -> None:
        """This record is about to become visible."""
        while number > self._due:
            self._cut(self._seals.popleft())
        if self._over:
            return
        dot = entry.dot
        log, sums = (dot.origin, dot.epoch), self._sums
        sums[log] = sums.get(log, 0) + int.from_bytes(entry.hash, "big")
        self._heads.meet(arrival.event, self._node)

    def take(self) -> list[Checkpoint]:
        """What was made since the last time."""
        made, self._made = self._made, []
        return made

    def _cut(self, seal: Seal) -> None:
        if self._timeline.overlooked or any(log.forked for log in self._engine.frontier):
            self._over = True
            self._seals.clear()
            self._mark()
            return
        history, first = self._store.history, self._first
        self._stamp = max(self._stamp, history.last_stamp(first))
        checkpoint = Checkpoint(
            seal=seal,
            first_arrival=first,
            history=history.rows(first, self._named[0]),
            offsets=self._store.offsets(self._jumps),
            timeline=self._timeline.rows(first, self._named[1]),
            presence=self._presence.rows(first),
            logs=tuple([self._log_rows(log, rows) for log, rows in history.positions(first)]),
            heads=self._heads.all,
            stamp=self._stamp,
        )
        self._made.append(checkpoint)
        self._mark()

    def _log_rows(self, log: LogKey, rows: list[tuple[int, int]]) -> LogRows:
        numbers = self._store.numbers_of([index for _, index in rows], self._jumps)
        return LogRows(LogId(*log), _ranges_of(rows), numbers.tobytes(), self._sums[log])

    # --- taking back ----------------------------------------------------------------------------

    def restore(self, checkpoints: Iterable[Checkpoint], codec: EventCodec) -> int:
        """Be as after the records of these, all from the first on. Returns the last record."""
        last = 0
        epoch = 0
        heads: tuple[Dot, ...] = ()
        for checkpoint in checkpoints:
            seal = checkpoint.seal
            assert seal.first == last + 1
            assert checkpoint.first_arrival == len(self._store.history)
            self._take(checkpoint)
            last, epoch = seal.last, seal.epoch
            heads, self._stamp = checkpoint.heads, checkpoint.stamp
        if epoch:
            self._emitter.own.open(epoch)
        for log in self._engine.frontier:
            self._settle(log, codec)
        self._emitter.recall(self._stamp, heads)
        for dot in heads:
            self._heads.see(dot)
        self._mark()
        return last

    def _take(self, checkpoint: Checkpoint) -> None:
        store, receipts = self._store, self._engine.receipts
        before = len(store.history)
        store.history.take_rows(checkpoint.history)
        store.take_offsets(*checkpoint.offsets)
        held: list[tuple[LogKey, int, int]] = []
        for rows in checkpoint.logs:
            store.take_rows(rows)
            self._engine.frontier.fill(rows.log, rows.ranges, rows.total)
            for first, last in rows.ranges:
                held.append(((rows.log.origin, rows.log.epoch), first, last))
                if rows.log.origin != self._node:
                    receipts.durable(rows.log, first, last)
        count = len(store.history) - before
        self._timeline.take_rows(checkpoint.timeline, count, held)
        self._presence.take_rows(checkpoint.presence)
        self._quiet.take_rows(count)

    def _settle(self, log: Log, codec: EventCodec) -> None:
        """Chain hashes are read from the entries: checkpoints do not hold them."""
        chain_hash = self._engine.frontier.chain_hash_at(log.id, log.prefix)
        loose: list[tuple[int, bytes, bytes]] = []
        for first, last in log.held.above_prefix():
            for seq, data in enumerate(self._store.span(log.id, first, last), first):
                loose.append((seq, codec.decode(data).prev, hash_of(data)[:PREV_BYTES]))
        log.settle(chain_hash, loose)


def _ranges_of(rows: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The ranges of the first numbers of these, which ascend."""
    first, last = rows[0][0], rows[-1][0]
    if last - first + 1 == len(rows):
        return ((first, last),)
    ranges: list[tuple[int, int]] = []
    start = at = first
    for seq, _ in rows[1:]:
        if seq != at + 1:
            ranges.append((start, at))
            start = seq
        at = seq
    ranges.append((start, at))
    return tuple(ranges)
