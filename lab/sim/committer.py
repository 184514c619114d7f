"""The committer in simulated time: it drives `node.storage.group_commit`, the policy of real
processes, on the same journal, without a thread.

A sync takes time, and records that are submitted meanwhile are queued; everything else takes no
time. The crash points before the write, after it, and after the sync are here; the one within a
write is in `lab.sim.disk`.
"""

from collections import deque
from collections.abc import Callable, Sequence
from random import Random

from lab.plan.faults import DiskOptions, Site
from lab.sim.disk import Died, SimDisk
from lab.sim.scheduler import Scheduler
from node.core.checkpoint import Checkpoint, Seal
from node.core.interface import PersistFailed
from node.core.ports import Durability, Record
from node.storage.group_commit import (
    Act,
    CommitBounds,
    CommitLog,
    GroupCommit,
    Progress,
    comes_to_something,
)
from node.storage.journal import Journal
from node.storage.offset_index import WrittenFrame

REPORT_US = 20  # from the committer's thread to the loop
Report = tuple[Progress, list[WrittenFrame], list[Seal]]


class NoJournal:
    """A journal that stores nothing: for runs in which the disk does not matter."""

    def __init__(self) -> None:
        self.written = self.durable = 0
        self.unrenewed = False

    def renew(self) -> None:
        pass

    def append(self, records: Sequence[Record]) -> None:
        self.written += len(records)

    def sync(self) -> None:
        self.durable = self.written

    def check(self) -> None:
        pass

    def keep(self, _: Checkpoint) -> str:
        return ""


class SimCommitter:
    """One life's committer. Mutable; `stop` ends it, and what is under way then never happens."""

    def __init__(
        self,
        agenda: Scheduler,
        log: CommitLog,
        disk: SimDisk,
        options: DiskOptions,
        durability: Durability,
        interval_ms: int,
        rng: Random,
        report: Callable[[Report], None],
        point: Callable[[Site], bool],
        died: Callable[[Died], None],
    ) -> None:
        self._agenda = agenda
        self.log = log
        self._disk = disk
        self._sync_us = options.sync_us
        self._always = durability == "always"
        self._rng = rng
        self._report = report
        self._point = point  # True: the node has died here
        self._died = died
        bounds = CommitBounds(options.commit_bytes_max, options.checkpoints_max)
        self._group = GroupCommit(log, durability, interval_ms * 1000, bounds)
        self._busy = False  # a sync runs
        self._alive = True
        self._flying: deque[Report] = deque()  # on their way to the loop
        self._closing: Callable[[], None] | None = None
        self._wake_us = 0  # when it looks again by itself
        if log.unrenewed:
            self._go()

    @property
    def failure(self) -> PersistFailed | None:
        """The final one."""
        return self._group.failed

    def submit(self, records: Sequence[Record]) -> None:
        if self._alive and self._group.submit(records) and not self._busy:
            self._go()

    def keep(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Those that are dropped for want of room are made again by a later start."""
        if checkpoints and self._alive:
            self._group.keep(checkpoints)
            if not self._busy:
                self._go()

    def check(self) -> None:
        if self._alive:
            self._group.check()
            if not self._busy:
                self._go()

    def resume(self) -> None:
        self._group.resume()

    def stop(self) -> None:
        self._alive = False

    def leave(self, closing: Callable[[], None]) -> None:
        """The process stops in order: write all that is queued; then the journal can be closed."""
        self._closing = closing
        self._group.stop(drain=True)
        if not self._busy:
            self._go()

    def finish(self) -> None:
        """Write and sync what is still queued, and report, at once: this life ends."""
        group, now_us = self._group, self._agenda.now_us
        group.stop(drain=True)
        while (act := group.next(now_us)) is not Act.CLOSE:
            self._tell(group.settle(act, group.perform(act), now_us))
        while self._flying:
            self._report(self._flying.popleft())
        self._alive = False

    # --- one act after the other ----------------------------------------------------------------

    def _go(self) -> None:
        while self._alive and not self._busy:
            act = self._group.next(self._agenda.now_us)
            if act is Act.WAIT:
                self._sleep(self._group.until_us)
                return
            if act is Act.CLOSE:
                if self._closing is not None:
                    self._agenda.at(self._agenda.now_us, self._close, self._closing)
                    self._closing = None
                return
            if act is Act.SYNC:
                self._busy = True
                took_us = self._disk.sync_us(self._sync_us, self._rng)
                self._agenda.at(self._agenda.now_us + took_us, self._synced)
                return
            if act is Act.APPEND and self._point("before_write"):
                return
            if not self._done(act) or (act is Act.APPEND and self._point("after_write")):
                return

    def _synced(self, _: object) -> None:
        if not self._alive:
            return
        if not self._done(Act.SYNC) or self._point("after_sync"):
            return
        self._busy = False
        self._go()

    def _done(self, act: Act) -> bool:
        """Perform it, and report what came of it. False: the node died of it."""
        group = self._group
        try:
            error = group.perform(act)
        except Died as died:
            self._died(died)
            return False
        self._tell(group.settle(act, error, self._agenda.now_us))
        return True

    def _tell(self, progress: Progress | None) -> None:
        if progress is None or not comes_to_something(progress, always=self._always):
            return
        placed: list[WrittenFrame] = []
        seals: list[Seal] = []
        if isinstance(self.log, Journal):
            placed, seals = self.log.take_placed(), self.log.take_seals()
        self._flying.append((progress, placed, seals))
        self._agenda.at(self._agenda.now_us + REPORT_US, self._told)

    def _told(self, _: object) -> None:
        if self._alive and self._flying:
            self._report(self._flying.popleft())

    def _close(self, closing: Callable[[], None]) -> None:
        if self._alive:
            closing()

    def _sleep(self, until_us: int | None) -> None:
        """Schedule the next check at this time, unless one is scheduled before it."""
        if until_us is None or self._agenda.now_us < self._wake_us <= until_us:
            return
        self._wake_us = until_us
        self._agenda.at(until_us, self._wake)

    def _wake(self, _: object) -> None:
        if self._alive and not self._busy and self._agenda.now_us == self._wake_us:
            self._go()
