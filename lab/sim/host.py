"""A host is one simulated machine: its disk, its clocks, and the node process that runs on it, one
life after another.

Rules
- A life begins with open, restore and boot; the trace gets what the disk returned. What follows the
  end of a life is decided by the same object as in a real process (`node.process.lives`). A process
  that ends by itself is started again, as a launcher does.
- Whatever a dead life had under way never happens, and the outcome of its ops is unknown.
- A start that fails is repeated, unless the journal refuses the directory: that needs an operator.
- An exception out of the replica is a bug of the core: it is recorded, even if a restart follows.
"""

import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Literal, Protocol

from msgspec.structs import replace

from lab.plan.faults import Op, Site
from lab.sim.boot_events import boot_of, records_of
from lab.sim.clock import NodeClock
from lab.sim.committer import NoJournal
from lab.sim.conformance import Recorder
from lab.sim.context import SimContext
from lab.sim.crash_points import ArmedPoint
from lab.sim.disk import Died, SimDisk
from lab.sim.disk_swap import DiskSwap
from lab.sim.process import SimProcess
from lab.sim.scrub import Scrubbing, scrubbed_over
from lab.sim.tracing_replica import TracingReplica
from lab.trace.kinds import Crash, Data, Fired, Note, Paused, Resumed, StartRefused, Stopped
from node.core.interface import Input, Outcome, Persisted
from node.core.ports import Record
from node.core.replica import Replica, ReplicaConfig
from node.core.turn_loop import ANSWER_MS, COMMIT_MS
from node.process.lives import Again, Lives, not_restored, reopening
from node.process.restart_budget import RestartBudget
from node.process.settings import Ending
from node.storage.files import StorageError
from node.storage.group_commit import CommitLog
from node.storage.journal import Journal, JournalOptions
from node.storage.record_reader import RecordPages
from node.storage.recovered import Recovery
from node.storage.recovery import Known
from node.storage.scan import Hole, RecoveryRefused

RETRY_US = 500_000  # a start that failed is tried again
DISK_DOWN_US = 100_000  # a disk that failed: the process starts again
Death = Literal["kill", "power", "point", "core", "storage", "damage"]


class Desk(Protocol):
    """The clients, as a host sees them: they are notified of the outcome of ops."""

    def answered(self, host: "Host", ticket: int, outcome: Outcome, cause: int | None) -> None: ...

    def reach(self, host: "Host", op: Op) -> None:
        """Deliver a request that waited while the process was paused."""
        ...

    def cut_off(self, host: "Host") -> None:
        """A life ended, and ops may have been in flight."""
        ...


class Host:
    """Mutable."""

    def __init__(self, shared: SimContext, config: ReplicaConfig, desk: Desk) -> None:
        self.name = config.node
        self.shared = shared
        self.config = config
        self.desk = desk
        self.clock = NodeClock()
        disk = SimDisk(f"{shared.plan.seed}/{self.name}", self._fired, shared.streams.add)
        self.bay = DiskSwap(disk)
        self.disk = self.bay.disk
        self.disk_rng = shared.streams.stream(f"disk {self.name}")
        self.points: list[ArmedPoint] = []
        self.process: SimProcess | None = None
        self._then: Callable[[], None] | None = None  # when it has stopped
        self._wanted = False  # it is to start again as soon as it has stopped
        self.incarnation = 0
        self.lives = 0
        self.refused = False  # its directory: it stays down
        self.known: Known | None = None  # of its journal, noted outside of its directory
        self.harmed = False  # something is wrong with what is on its disk
        self._lives: Lives | None = None  # of the process that there is, also between two of them
        self._scrubbing: Scrubbing | None = None
        self._dying: ArmedPoint | None = None

    @property
    def armed(self) -> bool:
        return bool(self.points)

    @property
    def up(self) -> bool:
        return self.process is not None

    @property
    def paused(self) -> bool:
        return self.process is not None and self.process.paused

    # --- as clients see it ----------------------------------------------------------------------

    def submit(self, item: Input, cause: int | None) -> bool:
        """False: it is not taken, for the process is about to end."""
        assert self.process is not None
        return self.process.take(item, cause)

    def put_off(self, op: Op) -> None:
        """Queue a request for a paused process, as its socket does."""
        assert self.process is not None
        self.process.mailbox.append(op)

    # --- beginning ------------------------------------------------------------------------------

    def start(self, _: object = None) -> None:
        """A process begins, unless there is one. If that is about to end, once it has."""
        if self.process is not None and self.process.turns.leaving:
            self._wanted = True
        if self.up or self.refused:
            return
        self._wanted = False
        if self.known is not None:  # the note does not say how much was in it
            self.known = Known(self.known.directory_id)
        name = f"lives {self.name} {self.lives}"
        self._lives = Lives(RestartBudget(self.shared.streams.stream(name)))
        self._live(self._lives)

    def _live(self, lives: Lives) -> None:
        """One life of this process, if it is still there: open the journal, restore and boot."""
        if self.up or self.refused or lives is not self._lives:
            return
        plan = self.shared.plan
        self.lives += 1
        if not plan.disk.model:
            self._boot(NoJournal(), [], None)
            return
        self.disk.opening = True
        try:
            options = JournalOptions(
                plan.durability, segment_bytes=plan.disk.segment_bytes, trust=lives.trust
            )
            wall_ms = self.clock.read(self.shared.agenda.now_us)[1]
            journal, recovery = Journal.open(self.disk, self.name, options, wall_ms, self.known)
            records = records_of(self.disk, recovery)
        except StorageError as error:
            self._not_opened(error)
            return
        except Died as died:
            self.died(died)
            return
        finally:
            self.disk.opening = False
        self.known = journal.known
        lives.scrubbed.open(recovery.quarantined)
        self.shared.opened(self, journal, recovery)
        self._boot(journal, records, recovery)

    def _not_opened(self, error: StorageError) -> None:
        """The process ends with it, and is started again."""
        self.tell(StartRefused(str(error)))
        self.disk.killed()
        self._lives = None
        if isinstance(error, RecoveryRefused):
            self.refused = not self.bay.take_out()
        self._again(RETRY_US)

    def _boot(self, log: CommitLog, records: list[Record], recovery: Recovery | None) -> None:
        shared = self.shared
        now_ms, wall_ms = self.clock.read(shared.agenda.now_us)
        self.incarnation = recovery.incarnation if recovery is not None else self.lives
        reason = recovery.must_open_epoch if recovery is not None else "no journal"
        unsynced = recovery.unsynced if recovery is not None else 0
        seed, rng = shared.streams.seeded(f"node {self.name} {self.lives}")
        pages_bytes = shared.plan.disk.pages_bytes
        pages = (
            RecordPages(self.disk, recovery.index, pages_bytes) if recovery is not None else None
        )
        made_of = (self.config, shared.known, rng, self.incarnation)
        if shared.detail == "full":
            recorder = Recorder(self.tell)
            start = (self.incarnation, records, now_ms, wall_ms, reason, unsynced)
            recorder.life(self.config, seed, *start)
            replica: Replica = TracingReplica(*made_of, shared.moderator, pages, recorder)
        else:
            replica = Replica(*made_of, shared.moderator, pages)
        try:
            if recovery is not None and isinstance(log, Journal):
                for _ in recovery.restore(replica, log.keep):
                    pass
            replica.boot(now_ms, wall_ms, reason, unsynced)
        except StorageError as error:
            assert recovery is not None and isinstance(log, Journal)
            self._not_restored(error, log, recovery)
            return
        except Exception as failure:
            self.core_failed(failure)
            return
        self.process = process = SimProcess(self, replica, log, pages)
        told = boot_of(self.bay, shared.known, shared.plan, replica, pages, records, recovery)
        cause = self.tell(replace(told, must_open_epoch=reason, wall_ms=wall_ms))
        self.bay.disk_is = "same"
        if self._lives is not None and shared.plan.disk.scrub_bytes_s and recovery is not None:
            self._scrubbing = Scrubbing(self, self._lives.scrubbed)
        process.turn(cause)

    def _not_restored(self, error: StorageError, journal: Journal, recovery: Recovery) -> None:
        """As `node.process.lifecycle.Life`: what was believed is looked at."""
        try:
            with suppress(StorageError):
                journal.close(clean=True)
        except Died as died:
            self.died(died)
            return
        ending = not_restored(error, recovery.recalled, "")
        if ending is None:
            self._not_opened(error)
            return
        self.tell(Note("checkpoints_doubted", "error", {"reason": ending.reason}))
        self._failed("damage", ending.reason, ending)

    def _follow(self, ending: Ending) -> None:
        """A life has ended by itself: another one of this process, or another process."""
        lives, now_us = self._lives, self.shared.agenda.now_us
        assert lives is not None
        what = lives.after(ending, now_us / 1_000_000)
        if type(what) is Again:
            at_us = now_us + int((what.wait_s or 0.0) * 1_000_000)
            self.shared.agenda.at(at_us, self._live, lives)
            return
        if what.gave_up:
            self.tell(Note("node_gave_up", "error", {"reason": ending.reason}))
        self._lives = None
        self._again(RETRY_US)

    def _again(self, wait_us: int) -> None:
        self.shared.agenda.at(self.shared.agenda.now_us + wait_us, self.start)

    # --- ending ---------------------------------------------------------------------------------

    def crash(self, how: Death, site: str = "", *, power: bool = False) -> None:
        """The life ends at once; of the disk remains what was written, or synced (`power`)."""
        if (process := self.process) is None:
            return
        log = process.commits.log
        self.tell(Crash(how, site, log.written, log.durable))
        if power:
            self.disk.power_cut(self.disk_rng)
        else:
            self.disk.killed()
        self._end(process)
        self._lives = None

    def stop(self, then: Callable[[], None]) -> None:
        """SIGTERM: the process ends in order, in its time, and `then` is called when it is down.

        Not if it dies of something else meanwhile. A process that cannot end in order is killed.
        """
        process = self.process
        if process is None or process.paused or process.commits.failure is not None:
            self.crash("kill")
            then()
        elif not process.turns.leaving:
            self._then = then
            late_us = (ANSWER_MS + COMMIT_MS) * 1000
            self.shared.agenda.at(self.shared.agenda.now_us + late_us, self._late, process)
            process.leave(partial(self._closing, process))

    def _late(self, process: SimProcess) -> None:
        """Its time is over, and the journal could not be written out."""
        if process is self.process:
            self._down(partial(self.crash, "kill"))

    def _closing(self, process: SimProcess) -> None:
        """All is written that could be."""
        if process is self.process:
            self._down(self._stop)

    def _down(self, end: Callable[[], object]) -> None:
        then, self._then = self._then, None
        end()
        if not self.up:
            self._lives = None
            if then is not None:
                then()
            if self._wanted:
                self._again(0)

    def _stop(self) -> bool:
        """One life ends in order. False: another start of this node is on its way already."""
        process = self.process
        if process is None:
            return True
        if process.paused or process.commits.failure is not None:
            self.crash("kill")
            return True
        log = process.commits.log
        try:
            process.commits.finish()
            if (failure := process.commits.failure) is not None:
                self.crash("storage", failure.reason)
                return True
            if isinstance(log, Journal) and (unclean := log.close(clean=True)):
                self.crash("storage", unclean)
                return True
        except StorageError as error:
            self.crash("storage", str(error))
            return True
        except Died as died:
            self.died(died)
            return False
        process.progressed((Persisted(log.written, log.durable), [], []))
        if process is not self.process:
            return False
        self.tell(Stopped(log.written, log.durable))
        self.disk.killed()
        self._end(process)
        return True

    def _end(self, process: SimProcess) -> None:
        self.shared.ended(self, process.replica, process.commits.log)
        process.end()
        if self._scrubbing is not None:
            self._scrubbing.stop()
            self._scrubbing = None
        self.process = self._then = None
        self.desk.cut_off(self)

    def core_failed(self, error: Exception) -> None:
        what = f"{type(error).__name__}: {error}"
        text = "".join(traceback.format_exception(error))
        self.shared.core_failures.append(f"{self.name} at {self.shared.agenda.now_us}: {text}")
        self._failed("core", what, Ending("the replica failed", 1, error))

    def unreadable(self, error: StorageError) -> None:
        """The journal cannot be read: the life ends, and the next one reads all of it."""
        self._failed("damage", str(error), Ending("the journal cannot be read", 1, error))

    def _failed(self, how: Death, what: str, ending: Ending) -> None:
        lives = self._lives
        if self.up:
            self.crash(how, what)
        else:
            self.tell(Crash(how, what, 0, 0))
            self.disk.killed()
        self._lives = lives
        self._follow(ending)

    def on_damage(self, holes: list[Hole]) -> None:
        """The scrub found something."""
        for one in holes:
            self.tell(Note("journal_damaged", "error", {"cause": f"{one.name}: {one.cause}"}))
        lives = self._lives
        if holes and self._stop() and not self.up:
            self._lives = lives
            self._follow(Ending(reopening(holes, "tail"), reopen=True))

    def on_pass(self) -> None:
        """The scrub has ended a pass: is the journal still in its place?"""
        if self.process is not None:
            self.process.commits.check()

    def look_over(self) -> None:
        """End the pass of the scrub, and read everything, if the disk is damaged.

        It does so also if a file is gone that the process still has open and would not look for
        again.
        """
        if self.up and self.disk.rotten and self._lives is not None:
            self.on_damage(scrubbed_over(self.disk, self._lives.scrubbed))
        if self.process is not None and (self.disk.rotten or self.disk.robbed):
            self.process.read_over()

    def mend(self) -> None:
        """Restart a node that is read-only for good, as an operator would."""
        if self.process is not None and (failure := self.process.commits.failure) is not None:
            self.crash("storage", failure.reason)
            self._again(DISK_DOWN_US)

    # --- crash points ---------------------------------------------------------------------------

    def asks(self, site: Site) -> bool:
        """Whether the node is to die at this site now."""
        for armed in self.points:
            if armed.fires(site):
                self._dying = armed
                self._fired("point", site)
                return True
        return False

    def passes(self, site: Site) -> bool:
        """Call this at a site. True if the node died there."""
        if not self.points or not self.asks(site):
            return False
        self.die(site)
        return True

    def die(self, site: Site) -> None:
        """At a site where it was said to."""
        armed = self._dying
        assert armed is not None
        power = armed.point.power
        if self.up:
            self.crash("point", f"{site}, power" if power else site, power=power)
        else:
            self.tell(Crash("point", site, 0, 0))
            self.disk.killed()
        self._again(armed.point.down_us)

    def died(self, died: Died) -> None:
        self.die(died.site)

    # --- what its process says of commands ------------------------------------------------------

    def answered(self, ticket: int, outcome: Outcome, cause: int | None) -> None:
        self.desk.answered(self, ticket, outcome, cause)

    def reach(self, op: Op) -> None:
        self.desk.reach(self, op)

    def worker_note(self, event: Literal["worker_crashed", "worker_restarted"]) -> None:
        """What the supervisor of a process would say of its transport."""
        if self.shared.detail != "lean":
            self.tell(Note(event, "warning", {"worker": "transport"}))

    # --- standing still -------------------------------------------------------------------------

    def pause(self) -> None:
        if self.process is not None and not self.process.paused:
            self.process.paused = True
            self.tell(Paused())

    def resume(self) -> None:
        if self.process is not None and self.process.paused:
            self.tell(Resumed())
            self.process.resume()

    def damaged(
        self, what: Literal["flip", "stale", "misdirected", "end_lost"], place: str
    ) -> None:
        """Record that a fault has damaged the node's disk."""
        self.harmed = True
        self._fired(what, place)

    def astray(self) -> None:
        """Record that a fault has moved the node's directory away."""
        self.harmed = True
        self._fired("astray", "")

    def move_back(self) -> None:
        """Move the directory back to its place, and start the node if its start was refused."""
        if self.disk.move_back():
            self.refused = False
            self.start()

    # --- the trace ------------------------------------------------------------------------------

    def _fired(self, what: str, where: str) -> None:
        self.shared.network.fire(what)
        if self.shared.detail != "lean":
            self.tell(Fired(what, where))

    def tell(self, data: Data) -> int:
        shared = self.shared
        return shared.trace.add(shared.agenda.now_us, self.name, self.incarnation, data)
