"""The committer: a thread that owns the journal after the start, and commits in groups.

What it does next is decided by `node.storage.group_commit`; here are the thread, its clock and its
lock. Progress is reported from this thread. The runtime hands it to its event loop; nothing else is
shared. `submit` never blocks. A failure drops what is submitted until `resume` is called.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic_ns

from node.core.checkpoint import Checkpoint
from node.core.interface import Persisted, PersistFailed
from node.core.ports import Durability, Record
from node.storage.files import StorageError
from node.storage.group_commit import Act, CommitBounds, GroupCommit, Progress
from node.storage.journal import Journal


class Committer:
    def __init__(
        self,
        journal: Journal,
        durability: Durability,
        interval_ms: int,
        on_progress: Callable[[Progress], None],
        on_unkept: Callable[[str], None] = lambda _: None,
        bounds: CommitBounds = CommitBounds(),  # noqa: B008
        on_synced: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._journal = journal
        self._on_progress = on_progress
        self._on_unkept = on_unkept  # why a checkpoint could not be written
        self._on_synced = on_synced  # how many seconds a sync took; called in the thread
        # Wakes the thread. A Condition does that in Python, at several times the cost.
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.Lock()
        # Guarded by the lock; the journal itself belongs to the thread alone.
        self._asleep = False
        self._group = GroupCommit(journal, durability, interval_ms * 1000, bounds)
        self.unclean = "the journal is not closed yet"  # why it has no mark of a clean stop, or ""
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)

    @property
    def queued_records(self) -> int:
        return self._group.queued_records

    @property
    def queued_bytes(self) -> int:
        return self._group.queued_bytes

    @property
    def commits(self) -> int:
        """Appends that were synced; written by the thread, read by anybody."""
        return self._group.commits

    @property
    def failed(self) -> PersistFailed | None:
        """The final failure, after which nothing is written any more."""
        return self._group.failed

    def start(self) -> None:
        self._thread.start()

    def submit(self, records: Sequence[Record]) -> None:
        """Queue records for the journal, in order. The sequence must not be changed afterwards."""
        if not records:
            return
        with self._lock:
            if self._group.submit(records):
                self._wake()

    def keep(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Write them when there is time. `on_unkept` hears, in any thread, why one is not."""
        if not checkpoints:
            return
        with self._lock:
            dropped = self._group.keep(checkpoints)
            self._wake()
        if dropped:
            self._on_unkept("too many checkpoints wait to be written")

    def check(self) -> None:
        """Look soon whether the journal is still in its place. If it is not, that is final."""
        with self._lock:
            self._group.check()
            self._wake()

    def _wake(self) -> None:
        """With the lock held: the thread has something to look at."""
        if self._asleep:
            self._asleep = False
            self._woken.put(None)

    def resume(self) -> None:
        """The failure has been handed on: records submitted from now on are written again."""
        with self._lock:
            self._group.resume()

    def stop(self, drain: bool = True, timeout_s: float | None = None) -> bool:
        """Write what is queued (`drain`), sync, note a clean stop, close. False: still at it.

        Whether the journal now says that the stop was clean is told by `unclean`. Without `drain`
        the queue is dropped and the journal is left as a crash would leave it.
        """
        with self._lock:
            self._group.stop(drain=drain)
            self._wake()
        if self._thread.ident is None:
            self._close()
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (act := self._next()) is not Act.CLOSE:
                began_us = _now_us()
                error = self._group.perform(act)
                now_us = _now_us()
                if act is Act.SYNC and error is None:
                    self._on_synced((now_us - began_us) / 1_000_000)
                with self._lock:
                    progress = self._group.settle(act, error, now_us)
                if progress is not None:
                    self._on_progress(progress)
                if act is Act.KEEP and self._group.unkept:
                    self._on_unkept(self._group.unkept)
        except BaseException as error:
            # A bug, here or in the callback. Nobody may go on believing that things are written.
            self._fail(f"committer: {type(error).__name__}: {error}")
            raise
        finally:
            self._close()

    def _next(self) -> Act:
        """Wait until there is something to do."""
        group = self._group
        while True:
            with self._lock:
                now_us = _now_us()
                act = group.next(now_us)
                if act is not Act.WAIT:
                    return act
                until_us = group.until_us
                self._asleep = True
            timeout_s = None if until_us is None else (until_us - now_us) / 1_000_000
            with suppress(Empty):
                self._woken.get(timeout=timeout_s)
            self._asleep = False  # a wake-up that is just being sent costs one look too many

    def _fail(self, reason: str) -> None:
        with self._lock:
            failure = self._group.failing(reason, final=True)
        if failure is not None:
            self._on_progress(failure)

    def _close(self) -> None:
        """Close the journal. What its last sync made durable is reported too."""
        journal, group = self._journal, self._group
        before = journal.durable
        try:
            self.unclean = journal.close(clean=group.drain and group.failed is None)
        except StorageError as error:
            self.unclean = str(error)
            self._fail(str(error))
        else:
            if journal.durable > before:
                self._on_progress(Persisted(journal.written, journal.durable))


def _now_us() -> int:
    return monotonic_ns() // 1000


class JournalWorker:
    """The committer as its supervisor sees it. It is stopped by `Runtime.finish`, with a drain."""

    name = "journal"

    def __init__(self, committer: Committer) -> None:
        self._committer = committer

    def start(self) -> None:
        self._committer.start()

    def stop(self) -> None:
        return
