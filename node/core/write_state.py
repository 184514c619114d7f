"""A state machine: how writing to the journal goes, and what the replica accepts meanwhile.

The table `NEXT` is all of its transitions; `node.core.commit_tracker` reports the events.

    running    records are written
    behind     more was handed out than may wait: nothing is taken in from peers
    doubted    the last write failed, and nothing waits to be written again: the next record shows
    stuck      the last write failed, and something waits to be written again: nothing is taken in
               from peers, and no command is taken, until something was written
    read_only  a failure was final: that is so until the process starts again

Where nothing is taken in from peers they are told to hold back. What is under way all the same is
not taken, and comes again by later rounds, for the roots differ.

Memory. Records are counted from when they are handed out until the journal says that they are
written, with their bytes. Over the bounds the replica is behind, until half of that is left. Own
commands may fill as much again: they wait for nobody else, and their number is bounded anyway.
"""

from collections import deque
from enum import StrEnum

from msgspec import Struct

from node.core.interface import PersistFailed
from node.core.ports import EventRecord, Record

QUEUE_RECORDS_MAX = 65_536
QUEUE_BYTES_MAX = 64 * 1024 * 1024
RECORD_BYTES = 64  # what a record counts beside its data


class WritePhase(StrEnum):
    RUNNING = "running"
    BEHIND = "behind"
    DOUBTED = "doubted"
    STUCK = "stuck"
    READ_ONLY = "read_only"


class WriteEvent(StrEnum):
    OVER = "over"  # more is handed out than may wait
    UNDER = "under"  # no more than half of that
    WRITTEN = "written"  # the journal got on, beyond where a failure had left it
    LOST = "lost"  # a write failed, and nothing waits to be written again
    WAITS = "waits"  # a write failed, and something must be written again
    FINAL = "final"  # a write or sync failed, and the journal takes nothing more


# By state and happening. A state that is not named after a happening is kept.
NEXT: dict[WritePhase, dict[WriteEvent, WritePhase]] = {
    WritePhase.RUNNING: {
        WriteEvent.OVER: WritePhase.BEHIND,
        WriteEvent.LOST: WritePhase.DOUBTED,
        WriteEvent.WAITS: WritePhase.STUCK,
        WriteEvent.FINAL: WritePhase.READ_ONLY,
    },
    WritePhase.BEHIND: {
        WriteEvent.UNDER: WritePhase.RUNNING,
        WriteEvent.LOST: WritePhase.DOUBTED,
        WriteEvent.WAITS: WritePhase.STUCK,
        WriteEvent.FINAL: WritePhase.READ_ONLY,
    },
    WritePhase.DOUBTED: {
        WriteEvent.OVER: WritePhase.STUCK,  # no more is risked on a disk in doubt
        WriteEvent.WRITTEN: WritePhase.RUNNING,
        WriteEvent.WAITS: WritePhase.STUCK,
        WriteEvent.FINAL: WritePhase.READ_ONLY,
    },
    WritePhase.STUCK: {
        WriteEvent.WRITTEN: WritePhase.RUNNING,
        WriteEvent.LOST: WritePhase.DOUBTED,
        WriteEvent.FINAL: WritePhase.READ_ONLY,
    },
    WritePhase.READ_ONLY: {},
}
TAKING = frozenset({WritePhase.RUNNING, WritePhase.DOUBTED})  # entries of peers
TROUBLED = frozenset({WritePhase.DOUBTED, WritePhase.STUCK})  # a failure, and nothing written since


class WriteBounds(Struct, frozen=True, forbid_unknown_fields=True):
    """Of what is handed out and not written."""

    records: int = QUEUE_RECORDS_MAX
    bytes: int = QUEUE_BYTES_MAX


class WriteState:
    """Mutable; not thread-safe."""

    def __init__(self, bounds: WriteBounds) -> None:
        self._bounds = bounds
        self.phase = WritePhase.RUNNING
        self.trouble: PersistFailed | None = None  # the last failure, until something is written
        self.records = 0  # handed out and not written
        self.bytes = 0
        self._sent: deque[tuple[int, int, int]] = deque()  # the last number; records, bytes
        self._fresh = self._fresh_bytes = 0  # of them, in no group yet

    @property
    def holds(self) -> bool:
        """Nothing is taken in from peers."""
        return self.phase not in TAKING

    @property
    def refuses(self) -> bool:
        """No command is taken, because of `trouble`."""
        return self.phase is WritePhase.STUCK or self.phase is WritePhase.READ_ONLY

    @property
    def full(self) -> bool:
        """Too much waits for the disk for a command to be taken, too."""
        return self.records >= 2 * self._bounds.records or self.bytes >= 2 * self._bounds.bytes

    def handed_out(self, record: Record) -> None:
        size = RECORD_BYTES
        if type(record) is EventRecord:
            size += len(record.data)
        self.records += 1
        self.bytes += size
        self._fresh += 1
        self._fresh_bytes += size
        if self.records > self._bounds.records or self.bytes > self._bounds.bytes:
            self._happens(WriteEvent.OVER)

    def sent(self, upto: int) -> None:
        """What was handed out so far, up to this number, goes to the journal as one group."""
        self._sent.append((upto, self._fresh, self._fresh_bytes))
        self._fresh = self._fresh_bytes = 0

    def written(self, upto: int) -> bool:
        """The journal holds the records up to this number. True: again, after some trouble."""
        sent = self._sent
        while sent and sent[0][0] <= upto:
            _, records, size = sent.popleft()
            self.records -= records
            self.bytes -= size
        resumed = False
        if self.trouble is not None and upto > self.trouble.kept and self.phase in TROUBLED:
            self._happens(WriteEvent.WRITTEN)
            self.trouble = None
            resumed = True
        bounds = self._bounds
        if self.records > bounds.records or self.bytes > bounds.bytes:
            self._happens(WriteEvent.OVER)
        elif 2 * self.records <= bounds.records and 2 * self.bytes <= bounds.bytes:
            self._happens(WriteEvent.UNDER)
        return resumed

    def failed(self, failure: PersistFailed, *, waits: bool) -> None:
        """Nothing after `failure.kept` was written. `waits`: some of it must be, later."""
        self.trouble = failure
        self._sent.clear()
        self.records = self.bytes = self._fresh = self._fresh_bytes = 0
        if failure.final:
            self._happens(WriteEvent.FINAL)
        else:
            self._happens(WriteEvent.WAITS if waits else WriteEvent.LOST)

    def _happens(self, what: WriteEvent) -> None:
        self.phase = NEXT[self.phase].get(what, self.phase)
