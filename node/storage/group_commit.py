"""Group commit: decides what a committer does next. It has no thread and no clock.

While one sync runs, everything that is submitted queues up and becomes one append and one sync:
the busier the node, the more records share a sync, without any waiting for the sake of batching.

    always     append, sync
    interval   append; sync `interval_us` after the oldest record that is not synced
    none       append; sync only where a segment is sealed, and at the stop

What the last process left and a full disk keeps from being durable (`unrenewed`) is tried again
with every append, and every `RENEW_US` without one. After each commit one checkpoint is written,
and where there is nothing else to do. At a stop with `drain` all that is queued is written.

**After a failure** the records that were handed out behind the failed ones must not be written, for
they build on what is not there. So what is queued is dropped, and whatever is submitted until
`resume` is called. Call it where the failure is handed to the replica: what the replica hands out
before that was handed out in ignorance and is covered by the failure; what it hands out afterwards
is written. A final failure cannot be resumed.

Whoever drives it (`node.storage.committer` in a thread of its own, `lab.sim.committer` on the
simulated disk) asks for the `next` act, performs it, and settles it; only `perform` touches the
journal for long. What may be queued is bounded by whoever hands it out (`node.core.write_state`),
checkpoints are here.
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum, auto
from typing import Literal, Protocol

from msgspec import Struct

from node.core.checkpoint import Checkpoint
from node.core.interface import Persisted, PersistFailed
from node.core.ports import Durability, EventRecord, Record
from node.core.write_state import RECORD_BYTES
from node.storage.files import DiskFull, StorageError

Progress = Persisted | PersistFailed
Code = Literal["disk_full", "storage_error"]

COMMIT_BYTES_MAX = 8 * 1024 * 1024  # of one append; what is left goes into the next
CHECKPOINTS_MAX = 4  # that wait to be written
RENEW_US = 500_000  # until the disk is asked again whether there is room


class Act(Enum):
    APPEND = auto()  # `batch`
    SYNC = auto()
    RENEW = auto()
    KEEP = auto()  # `checkpoint`
    CHECK = auto()  # whether the journal is still in its place
    WAIT = auto()  # for something to be submitted, or until `until_us`
    CLOSE = auto()  # the journal; `drain` says whether in order


class CommitBounds(Struct, frozen=True):
    commit_bytes: int = COMMIT_BYTES_MAX
    checkpoints: int = CHECKPOINTS_MAX


class CommitLog(Protocol):
    """A journal, or what stands for one. Raises StorageError."""

    written: int
    durable: int

    @property
    def unrenewed(self) -> bool: ...

    def renew(self) -> None: ...

    def append(self, records: Sequence[Record]) -> None: ...

    def sync(self) -> None: ...

    def check(self) -> None: ...

    def keep(self, checkpoint: Checkpoint, /) -> str: ...


class GroupCommit:
    """Mutable. Not thread-safe, except that `perform` may run beside everything but itself."""

    def __init__(
        self, log: CommitLog, durability: Durability, interval_us: int, bounds: CommitBounds
    ) -> None:
        self._log = log
        self._durability = durability
        self._interval_us = interval_us
        self._bounds = bounds
        self._queue: list[tuple[Sequence[Record], int]] = []
        self._checkpoints: deque[Checkpoint] = deque()
        self._dropping = False
        self._stopping = False
        self._after_commit = False  # it is a checkpoint's turn
        self._check = False  # somebody asked for it
        self._sync_at_us = self._renew_at_us = 0
        self.queued_records = 0
        self.queued_bytes = 0
        self.commits = 0  # syncs
        self.failed: PersistFailed | None = None  # for good
        self.drain = True
        self.batch: list[Record] = []
        self.checkpoint: Checkpoint | None = None
        self.until_us: int | None = None
        self.unkept = ""  # why the last checkpoint could not be written

    # --- whoever hands out ----------------------------------------------------------------------

    def submit(self, records: Sequence[Record]) -> bool:
        """Queue records for the journal, in order. False: they will not be written.

        They are covered by a failure that was reported, or it is too late. The sequence must not
        be changed afterwards.
        """
        if self._dropping or self._stopping or self.failed is not None:
            return False
        size = size_of(records)
        self._queue.append((records, size))
        self.queued_records += len(records)
        self.queued_bytes += size
        return True

    def keep(self, checkpoints: Sequence[Checkpoint]) -> int:
        """Write them when there is time. How many are dropped for want of room.

        A later start makes them again.
        """
        if self._stopping or self.failed is not None:
            return 0
        room = self._bounds.checkpoints - len(self._checkpoints)
        self._checkpoints += checkpoints[:room]
        return max(len(checkpoints) - room, 0)

    def check(self) -> None:
        """Look soon whether the journal is still in its place. If it is not, that is final."""
        self._check = True

    def resume(self) -> None:
        """The failure has been handed on: records submitted from now on are written again."""
        self._dropping = False

    def stop(self, *, drain: bool) -> None:
        """Write what is queued (`drain`), or drop it, and close."""
        self._stopping = True
        self.drain = drain

    # --- whoever has the journal ----------------------------------------------------------------

    @property
    def dirty(self) -> bool:
        """Something is written that a sync would make durable."""
        log = self._log
        return self.failed is None and log.durable < log.written and not log.unrenewed

    def next(self, now_us: int) -> Act:
        if self._stopping and not self.drain:
            return Act.CLOSE
        if self.failed is None:
            dirty = self.dirty
            if dirty and self._sync_is_due(now_us):
                return Act.SYNC
            if self._check:
                self._check = False
                return Act.CHECK
            checkpoints = bool(self._checkpoints)
            if checkpoints and (self._after_commit or not self._queue):
                self._after_commit = False
                self.checkpoint = self._checkpoints.popleft()
                return Act.KEEP
            if self._queue:
                self._take()
                return Act.APPEND
            if self._log.unrenewed and not self._stopping:
                if now_us >= self._renew_at_us:
                    return Act.RENEW
                self.until_us = self._renew_at_us
                return Act.WAIT
            if dirty and self._durability == "interval" and not self._stopping:
                self.until_us = self._sync_at_us
                return Act.WAIT
        if self._stopping:
            return Act.CLOSE
        self.until_us = None
        return Act.WAIT

    def _sync_is_due(self, now_us: int) -> bool:
        if self._durability == "interval":
            return now_us >= self._sync_at_us
        return self._durability == "always"

    def _take(self) -> None:
        """As much of the queue as one append takes."""
        if len(self._queue) == 1:  # while the disk keeps up
            self.batch = list(self._queue.pop()[0])
            self.queued_records = self.queued_bytes = 0
            return
        batch: list[Record] = []
        taken = size = 0
        for records, records_size in self._queue:
            if taken and size + records_size > self._bounds.commit_bytes:
                break
            batch.extend(records)
            size += records_size
            taken += 1
        del self._queue[:taken]
        self.queued_records -= len(batch)
        self.queued_bytes -= size
        self.batch = batch

    def perform(self, act: Act) -> StorageError | None:
        """Do it to the journal. Returns what went wrong."""
        try:
            if act is Act.APPEND:
                self._log.append(self.batch)
            elif act is Act.SYNC:
                self._log.sync()
            elif act is Act.RENEW:
                self._log.renew()
            elif act is Act.CHECK:
                self._log.check()
            elif act is Act.KEEP:
                assert self.checkpoint is not None
                self.unkept = self._log.keep(self.checkpoint)
        except StorageError as error:
            return error
        return None

    def settle(self, act: Act, error: StorageError | None, now_us: int) -> Progress | None:
        """It was performed. Returns what is to be reported."""
        log = self._log
        if act is Act.APPEND:
            self._after_commit = True
            if error is not None:
                code: Code = "disk_full" if isinstance(error, DiskFull) else "storage_error"
                return self.failing(str(error), code, final=error.final)
            if log.written - log.durable == len(self.batch):
                self._sync_at_us = now_us + self._interval_us  # the oldest one is this young
            self.batch = []
        elif act is Act.SYNC:
            if error is not None:
                return self.failing(str(error), final=True)
            self.commits += 1
        elif act is Act.RENEW:
            self._renew_at_us = now_us + RENEW_US
            if error is not None:
                return None  # senders are told why by their own records
        elif act is Act.CHECK:
            return self.failing(str(error), final=True) if error is not None else None
        else:
            self.checkpoint = None
            return None
        return Persisted(log.written, log.durable)

    def failing(
        self, reason: str, code: Code = "storage_error", *, final: bool
    ) -> PersistFailed | None:
        """What is queued is dropped. Returns what is to be reported, unless all was said before."""
        if self.failed is not None:
            return None
        failure = PersistFailed(self._log.written, code, reason, final)
        self._queue.clear()
        self.queued_records = self.queued_bytes = 0
        if final:
            self.failed = failure
            self._checkpoints.clear()
        else:
            self._dropping = True
        return failure


def comes_to_something(progress: Progress, *, always: bool) -> bool:
    """Whether a replica is to be told: in mode always it makes nothing of what is only written."""
    return not always or type(progress) is not Persisted or progress.durable >= progress.written


def size_of(records: Sequence[Record]) -> int:
    size = RECORD_BYTES * len(records)
    for record in records:
        if type(record) is EventRecord:
            size += len(record.data)
    return size
