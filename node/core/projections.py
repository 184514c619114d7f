"""The projections of one node: timeline, presence and quiet, over every event visible here.

All events enter by `evolve`, in the order of their journal records: those that became visible just
now, and at a start those that `restore` reads from the journal. `recall` restores the first part of
the journal at once, from checkpoints. It also keeps the store of entries and the emitter's clock
and heads in step with what is visible, and makes new checkpoints. Pure.
"""

from collections.abc import Iterable

from domain.arrival import Arrival
from domain.events import Event
from domain.presence import Presence
from domain.quiet import Quiet
from domain.timeline import Timeline
from gossip.engine import Engine
from gossip.entry import Entry, hash_of
from gossip.frontier import Added
from node.core.checkpoint import Checkpoint, Checkpointer, Seal
from node.core.emitter import Emitter
from node.core.entry_store import EntryStore, PagedEntryStore
from node.core.ports import EventCodec, EventRecord


class Projections:
    """Mutable; not thread-safe."""

    def __init__(
        self,
        store: EntryStore,
        codec: EventCodec,
        engine: Engine[Event],
        emitter: Emitter,
        quiet_ms: int,
    ) -> None:
        self._store = store
        self._codec = codec
        self._engine = engine
        self._emitter = emitter
        self.timeline = Timeline(history=store.history)
        self.presence = Presence(store.history)
        self.quiet = Quiet(quiet_ms, store.history)
        self._checkpointer: Checkpointer | None = None  # what is in memory alone has none
        if isinstance(store, PagedEntryStore):
            projections = (self.timeline, self.presence, self.quiet)
            self._checkpointer = Checkpointer(store, *projections, engine, emitter)

    def evolve(self, arrival: Arrival, entry: Entry, number: int) -> None:
        """This event, record `number` of the journal, is a fact here."""
        if self._checkpointer is not None:
            self._checkpointer.meet(arrival, entry, number)
        self._store.take(arrival, entry, number)
        self.timeline.apply(arrival)
        self.presence.apply(arrival)
        self.quiet.apply(arrival)
        self._emitter.see(arrival.event)

    def restore(self, record: EventRecord, number: int) -> bool:
        """Take in a record of the journal. False: what it holds is not kept."""
        decoded = self._codec.decode(record.data)
        dot = decoded.event.dot
        entry = Entry(dot, decoded.prev, hash_of(record.data), record.data)
        added = self._engine.restore(entry)
        if added is not Added.NEW and added is not Added.RIVAL:
            return False  # written twice, or one rival too many of its position
        arrival = self._emitter.arrival(decoded.event, entry, record.received_at_ms, record.via)
        if dot.origin != self._emitter.own.node:
            self._engine.receipts.durable(dot.log, dot.seq)
        self.evolve(arrival, entry, number)
        return True

    # --- checkpoints, which no Outbox speaks of: nothing hangs on them -------------------------

    def recall(self, checkpoints: Iterable[Checkpoint]) -> int:
        """The first records of the journal at once. Returns the number of the last one."""
        if self._checkpointer is None:
            return 0
        return self._checkpointer.restore(checkpoints, self._codec)

    def seal(self, seals: Iterable[Seal]) -> None:
        """These segments of the journal are sealed, and nothing after them is visible yet."""
        if self._checkpointer is not None:
            for seal in seals:
                self._checkpointer.seal(seal)

    def take_checkpoints(self) -> list[Checkpoint]:
        """What is to be written down since the last time."""
        return self._checkpointer.take() if self._checkpointer is not None else []
