"""The committer: a thread that owns the journal after the start, and commits in groups.

While one sync runs, everything that is submitted queues up and becomes one append and one sync:
the busier the node, the more records share a sync, without any waiting for the sake of batching.

    always     append, report written, sync, report durable
    interval   append, report written; sync every `interval_ms`, report durable
    none       append, report written; sync only where a segment is sealed, and at the stop

What the last process left and a full disk keeps from being durable (`Journal.unrenewed`) is tried
again with every append, and every `RENEW_S` without one.

Progress is reported from this thread. The runtime hands it to its event loop; nothing else is
shared. `submit` never blocks. What may be queued is bounded by whoever hands it out, who counts
what is not written (`node.writing`).

**After a failure** (`PersistFailed`) the records that were handed out behind the failed ones must
not be written, for they build on what is not there. So the committer drops what is queued and
whatever is submitted until `resume` is called. Call it where the failure is handed to the replica:
what the replica hands out before that was handed out in ignorance and is covered by the failure;
what it hands out afterwards is written. A final failure cannot be resumed.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic

from node.checkpoint import Checkpoint
from node.journal import Journal
from node.ports import Durability, EventRecord, Record
from node.storage import DiskFull, StorageError
from node.turn import Persisted, PersistFailed
from node.writing import RECORD_BYTES

Progress = Persisted | PersistFailed

COMMIT_BYTES_MAX = 8 * 1024 * 1024  # of one append; what is left goes into the next
CHECKPOINTS_MAX = 4  # that wait to be written
RENEW_S = 0.5  # until the disk is asked again whether there is room


class Committer:
    def __init__(
        self,
        journal: Journal,
        durability: Durability,
        interval_ms: int,
        on_progress: Callable[[Progress], None],
        on_unkept: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._journal = journal
        self._durability = durability
        self._interval_s = interval_ms / 1000
        self._on_progress = on_progress
        self._on_unkept = on_unkept  # why a checkpoint could not be written
        # Wakes the thread. A Condition does that in Python, at several times the cost.
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.Lock()
        # Guarded by the lock; the journal itself belongs to the thread alone.
        self._asleep = False
        self._queue: list[tuple[Sequence[Record], int]] = []
        self._queued_records = 0
        self._queued_bytes = 0
        self._checkpoints: deque[Checkpoint] = deque()
        self._dropping = False
        self._stopping = False
        self._drain = True
        self._failed: PersistFailed | None = None
        self.unclean = "the journal is not closed yet"  # why it has no mark of a clean stop, or ""
        self.commits = 0  # appends that were synced; written by the thread, read by anybody
        self._sync_at = self._renew_at = 0.0  # of the thread
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)

    @property
    def queued_records(self) -> int:
        return self._queued_records

    @property
    def queued_bytes(self) -> int:
        return self._queued_bytes

    @property
    def failed(self) -> PersistFailed | None:
        """The final failure, after which nothing is written any more."""
        return self._failed

    def start(self) -> None:
        self._thread.start()

    def submit(self, records: Sequence[Record]) -> None:
        """Queue records for the journal, in order. The sequence must not be changed afterwards."""
        if not records:
            return
        size = _size_of(records)
        with self._lock:
            if self._dropping or self._failed is not None:
                return  # covered by the failure that was reported
            if self._stopping:
                return  # too late: nobody was told that they are written
            self._queue.append((records, size))
            self._queued_records += len(records)
            self._queued_bytes += size
            self._wake()

    def keep(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Write them when there is time. Over the bound they are dropped: a later start makes them.

        `on_unkept` is told why one is not written, in whichever thread.
        """
        if not checkpoints:
            return
        with self._lock:
            if self._stopping:
                return
            room = CHECKPOINTS_MAX - len(self._checkpoints)
            self._checkpoints += checkpoints[:room]
            self._wake()
        if room < len(checkpoints):
            self._on_unkept("too many checkpoints wait to be written")

    def _wake(self) -> None:
        """With the lock held: the thread has something to look at."""
        if self._asleep:
            self._asleep = False
            self._woken.put(None)

    def resume(self) -> None:
        """The failure has been handed on: records submitted from now on are written again."""
        with self._lock:
            self._dropping = False

    def stop(self, drain: bool = True, timeout_s: float | None = None) -> bool:
        """Write what is queued (`drain`), sync, note a clean stop, close. False: still at it.

        Whether the journal now says that the stop was clean is told by `unclean`. Without `drain`
        the queue is dropped and the journal is left as a crash would leave it.
        """
        with self._lock:
            self._stopping = True
            self._drain = drain
            self._wake()
        if self._thread.ident is None:
            self._close()
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (batch := self._next_batch()) is not None:
                self._commit(batch)
                self._keep_one()
            while self._drain and self._checkpoints:
                self._keep_one()
        except BaseException as error:
            # A bug, here or in the callback. Nobody may go on believing that things are written.
            self._report_failure(f"committer: {type(error).__name__}: {error}", final=True)
            raise
        finally:
            self._close()

    def _commit(self, batch: list[Record]) -> None:
        if batch:
            self._append(batch)
        elif self._journal.unrenewed and monotonic() >= self._renew_at:
            self._renew()
        if not self._dirty:
            return
        now = monotonic()
        if batch and self._journal.written - self._journal.durable == len(batch):
            self._sync_at = now + self._interval_s  # the oldest unsynced one is this young
        if self._durability == "always" or (
            self._durability == "interval" and now >= self._sync_at
        ):
            self._sync()

    @property
    def _dirty(self) -> bool:
        journal = self._journal
        return self._failed is None and not journal.unrenewed and journal.durable < journal.written

    @property
    def _due_at(self) -> float | None:
        """When there is something to do though nothing is queued; None: never."""
        if self._failed is None and self._journal.unrenewed:
            return self._renew_at
        return self._sync_at if self._durability == "interval" and self._dirty else None

    def _next_batch(self) -> list[Record] | None:
        """Wait for records. Empty: it is time to sync, or to renew. None: it is time to stop."""
        while True:
            with self._lock:
                if self._queue or self._stopping:
                    return self._take()
                if self._checkpoints:
                    return []
                due_at = self._due_at
                timeout = None if due_at is None else due_at - monotonic()
                if timeout is not None and timeout <= 0:
                    return []
                self._asleep = True
            with suppress(Empty):
                self._woken.get(timeout=timeout)
            self._asleep = False  # a wake-up that is just being sent costs one look too many

    def _take(self) -> list[Record] | None:
        """With the lock held: as much of the queue as one append takes. None: stop."""
        if not self._queue or (self._stopping and not self._drain):
            return None
        batch: list[Record] = []
        taken = size = 0
        for records, records_size in self._queue:
            if taken and size + records_size > COMMIT_BYTES_MAX:
                break
            batch.extend(records)
            size += records_size
            taken += 1
        del self._queue[:taken]
        self._queued_records -= len(batch)
        self._queued_bytes -= size
        return batch

    def _append(self, batch: list[Record]) -> None:
        try:
            self._journal.append(batch)
        except DiskFull as error:
            self._report_failure(str(error), final=False, disk_full=True)
        except StorageError as error:
            self._report_failure(str(error), final=error.final)
        else:
            self._report_progress()

    def _renew(self) -> None:
        self._renew_at = monotonic() + RENEW_S
        with suppress(StorageError):  # senders are told why by their own records
            self._journal.renew()
            self._report_progress()

    def _sync(self) -> None:
        try:
            self._journal.sync()
        except StorageError as error:
            self._report_failure(str(error), final=True)
        else:
            self.commits += 1
            self._report_progress()

    def _keep_one(self) -> None:
        with self._lock:
            checkpoint = self._checkpoints.popleft() if self._checkpoints else None
        if checkpoint is not None and self._failed is None:
            why = self._journal.keep(checkpoint)
            if why:
                self._on_unkept(why)

    def _report_progress(self) -> None:
        self._on_progress(Persisted(self._journal.written, self._journal.durable))

    def _report_failure(self, reason: str, *, final: bool, disk_full: bool = False) -> None:
        with self._lock:
            if self._failed is not None:
                return
            failure = PersistFailed(
                self._journal.written, "disk_full" if disk_full else "storage_error", reason, final
            )
            self._queue.clear()
            self._queued_records = self._queued_bytes = 0
            if final:
                self._failed = failure
            else:
                self._dropping = True
        self._on_progress(failure)

    def _close(self) -> None:
        """Close the journal. What its last sync made durable is reported too."""
        before = self._journal.durable
        try:
            self.unclean = self._journal.close(clean=self._drain and self._failed is None)
        except StorageError as error:
            self.unclean = str(error)
            self._report_failure(str(error), final=True)
        else:
            if self._journal.durable > before:
                self._report_progress()


class JournalWorker:
    """The committer as its supervisor sees it. It is stopped by `Runtime.finish`, with a drain."""

    name = "journal"

    def __init__(self, committer: Committer) -> None:
        self._committer = committer

    def start(self) -> None:
        self._committer.start()

    def stop(self) -> None:
        return


def _size_of(records: Sequence[Record]) -> int:
    size = RECORD_BYTES * len(records)
    for record in records:
        if type(record) is EventRecord:
            size += len(record.data)
    return size
