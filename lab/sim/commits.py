"""The committer, simulated: `node.committer` without its thread, on the very same journal.

Records queue up while a sync runs, and then share an append and a sync, as in a process. The crash
points are here: before the write, after it, after the sync; that within a write is the disk's.
"""

from collections.abc import Callable
from random import Random
from typing import Protocol

from lab.faults import DiskOptions, Site
from lab.sim.agenda import Agenda
from lab.sim.disk import Died, SimDisk
from node.committer import RENEW_S
from node.journal import Journal
from node.past import Past
from node.ports import Durability, Record
from node.storage import DiskFull, StorageError
from node.turn import Persisted, PersistFailed

Progress = Persisted | PersistFailed
RENEW_US = int(RENEW_S * 1_000_000)
REPORT_US = 20  # from the committer's thread to the loop
# In mode always the sync follows at once. How often the loop has a turn in between, and hears that
# the records are written; otherwise the later report says it all, as in `Runtime._on_progress`.
TOLD_WRITTEN = 0.25


class Log(Protocol):
    """A journal, or what stands for one."""

    written: int
    durable: int

    @property
    def unrenewed(self) -> bool: ...

    def renew(self) -> None: ...

    def append(self, records: list[Record]) -> None: ...

    def sync(self) -> None: ...


class NoJournal:
    """Takes everything and keeps nothing: for runs in which no disk matters."""

    def __init__(self) -> None:
        self.written = self.durable = 0
        self.unrenewed = False

    def renew(self) -> None:
        pass

    def append(self, records: list[Record]) -> None:
        self.written += len(records)

    def sync(self) -> None:
        self.durable = self.written


class Commits:
    """One life's committer. Mutable; `stop` ends it, and what is under way then never happens."""

    __slots__ = (
        "_agenda",
        "_alive",
        "_busy",
        "_died",
        "_disk",
        "_dropping",
        "_durability",
        "_interval_us",
        "_point",
        "_queue",
        "_report",
        "_rng",
        "_sync_due",
        "_sync_us",
        "failed",
        "log",
    )

    def __init__(
        self,
        agenda: Agenda,
        log: "Log | Journal",
        disk: SimDisk,
        options: DiskOptions,
        durability: Durability,
        interval_ms: int,
        rng: Random,
        report: Callable[[Progress], None],
        point: Callable[[Site], bool],
        died: Callable[[Died], None],
    ) -> None:
        self._agenda = agenda
        self.log = log
        self._disk = disk
        self._sync_us = options.sync_us
        self._durability = durability
        self._interval_us = interval_ms * 1000
        self._rng = rng
        self._report = report
        self._point = point  # True: the node has died here
        self._died = died
        self._queue: list[Record] = []
        self._busy = False
        self._alive = True
        self._dropping = False
        self._sync_due = False  # mode interval: the next one is on its way
        self.failed = False  # for good
        if log.unrenewed:
            self._renew_soon()

    @property
    def idle(self) -> bool:
        return not self._busy and not self._queue

    def submit(self, records: list[Record]) -> None:
        if self._dropping or self.failed or not self._alive:
            return  # covered by the failure that was reported, or too late
        self._queue += records
        if not self._busy:
            self._begin()

    def resume(self) -> None:
        """The failure has been handed on: what is submitted from now on is written again."""
        self._dropping = False

    def stop(self) -> None:
        self._alive = False

    def flush(self) -> None:
        """Write and sync all that is queued, at once: the process stops in order."""
        if self._queue and not self.failed:
            self.log.append(self._queue)
            self._queue = []

    def keep(self, past: Past) -> None:
        """Write down the checkpoints that were made, and tell of what was sealed meanwhile."""
        if isinstance(self.log, Journal):
            past.seal(self.log.take_seals())
            for one in past.take_checkpoints():
                self.log.keep(one)

    # --- one commit -----------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._point("before_write"):
            return
        batch, self._queue = self._queue, []
        try:
            self.log.append(batch)
        except DiskFull as error:
            self._fail("disk_full", error, final=False)
            return
        except StorageError as error:
            self._fail("storage_error", error, final=error.final)
            return
        except Died as died:
            self._died(died)
            return
        if self._point("after_write"):
            return
        if self._durability == "always":
            self._busy = True
            if self._rng.random() < TOLD_WRITTEN:
                self._later(Persisted(self.log.written, self.log.durable))
            self._sync_in(self._disk.sync_us(self._sync_us, self._rng))
            return
        self._later(Persisted(self.log.written, self.log.durable))
        if self._durability == "interval" and not self._sync_due:
            self._sync_due = True
            self._sync_in(self._interval_us)

    def _renew_soon(self) -> None:
        self._agenda.at(self._agenda.now_us + RENEW_US, self._renew)

    def _renew(self, _: object) -> None:
        """What the last life left is not durable yet, for want of room: is there some now?"""
        if not self._alive or self.failed or not self.log.unrenewed:
            return
        try:
            self.log.renew()
        except StorageError:
            self._renew_soon()
        except Died as died:
            self._died(died)
        else:
            self._later(Persisted(self.log.written, self.log.durable))

    def _sync_in(self, wait_us: int) -> None:
        self._agenda.at(self._agenda.now_us + wait_us, self._synced)

    def _synced(self, _: object) -> None:
        if not self._alive or self.failed:
            return
        self._sync_due = False
        try:
            self.log.sync()
        except StorageError as error:
            self._fail("storage_error", error, final=True)
            return
        except Died as died:  # while what an earlier life left is written anew
            self._died(died)
            return
        if self._point("after_sync"):
            return
        self._busy = False
        self._later(Persisted(self.log.written, self.log.durable))
        if self._queue and not self._busy and self._alive:
            self._begin()

    def _fail(self, code: str, error: StorageError, *, final: bool) -> None:
        self._queue.clear()
        self._busy = False
        self.failed = self.failed or final
        self._dropping = not final
        reason = str(error)
        if code == "disk_full":
            self._later(PersistFailed(self.log.written, "disk_full", reason, final))
        else:
            self._later(PersistFailed(self.log.written, "storage_error", reason, final))

    def _later(self, progress: Progress) -> None:
        self._agenda.at(self._agenda.now_us + REPORT_US, self._told, progress)

    def _told(self, progress: Progress) -> None:
        if self._alive:
            self._report(progress)
