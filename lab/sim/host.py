"""A host: one machine, with its disk and clocks, and the node that lives on it, again and again.

Rules
- A life begins with the journal: open, restore, boot. What the disk gave is told in the trace.
- Whatever a dead life had under way never happens, and its ops are unknown.
- A start that fails is tried again, unless the directory is refused: that needs a person.
- An exception out of the replica is a bug of the core: it is told, and the node starts again, as a
  process would.
"""

import traceback
from itertools import islice
from random import Random
from typing import Literal, Protocol

from lab.conformance import Recorder
from lab.faults import Op, Point, Site
from lab.kinds import Boot, Crash, Data, Fired, Note, Paused, Refused, Resumed, Stopped
from lab.sim.clock import NodeClock
from lab.sim.commits import NoJournal
from lab.sim.disk import Contents, Died, SimDisk
from lab.sim.process import Process
from lab.sim.shared import Shared
from lab.sim.streams import seed_of, stream
from lab.sim.told import ToldReplica
from node.group_commit import Log
from node.journal import Journal, JournalOptions
from node.opening import Recovery
from node.pages import Pages
from node.ports import Record
from node.replica import Replica, ReplicaConfig
from node.storage import MemoryStorage, StorageError
from node.survey import RecoveryRefused, Survey, read_records, survey
from node.turn import Input, Outcome, Persisted

RETRY_US = 500_000  # a start that failed is tried again
PAGES_BYTES = 16 * 1024  # of the journal, in the memory of a node
CORE_DOWN_US = 100_000  # a core or a disk that failed: the process starts again
Death = Literal["kill", "power", "point", "core", "storage"]
DiskIs = Literal["new", "same", "empty", "older", "other"]


class Desk(Protocol):
    """Who is told what becomes of ops."""

    def answered(self, host: "Host", ticket: int, outcome: Outcome, cause: int | None) -> None: ...

    def reach(self, host: "Host", op: Op) -> None:
        """A request that was put off comes to the process at last."""
        ...

    def cut_off(self, host: "Host") -> None:
        """A life ended, perhaps with ops in flight."""
        ...


class ArmedPoint:
    """A crash point that waits for its occasion. Mutable."""

    def __init__(self, point: Point, rng: Random) -> None:
        self.point = point
        self._rng = rng
        self._left = point.times

    def fires(self, site: Site) -> bool:
        if site != self.point.site or not self._left or self._rng.random() >= self.point.share:
            return False
        self._left -= 1
        return True


class Host:
    """Mutable."""

    def __init__(self, shared: Shared, config: ReplicaConfig, desk: Desk) -> None:
        self.name = config.node
        self.shared = shared
        self.config = config
        self.desk = desk
        self.clock = NodeClock()
        self.disk = SimDisk(f"{shared.plan.seed}/{self.name}", self._fired)
        self.disk_rng = stream(shared.plan.seed, f"disk {self.name}")
        self.points: list[ArmedPoint] = []
        self.process: Process | None = None
        self.incarnation = 0
        self.lives = 0
        self.refused = False  # its directory: it stays down
        self.harmed = False  # something is wrong with what is on its disk
        self._old_disk: MemoryStorage | None = None
        self._own_disk: Contents | None = None  # taken out, while that of another node is in
        self._disk_is: DiskIs = "new"
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

    def submit(self, item: Input, cause: int | None) -> None:
        assert self.process is not None
        self.process.take(item, cause)

    def put_off(self, op: Op) -> None:
        """The process stands still: what it is asked waits in its socket."""
        assert self.process is not None
        self.process.mailbox.append(op)

    # --- beginning ------------------------------------------------------------------------------

    def start(self, _: object = None) -> None:
        """Open the journal and boot, unless the node is up."""
        if self.up or self.refused:
            return
        plan = self.shared.plan
        self.lives += 1
        if not plan.disk.model:
            self._boot(NoJournal(), [], None)
            return
        self.disk.opening = True
        try:
            there, whole = self._read()
            options = JournalOptions(
                plan.durability, segment_bytes=plan.disk.segment_bytes, trust=whole
            )
            wall_ms = self.clock.read(self.shared.agenda.now_us)[1]
            journal, recovery = Journal.open(self.disk, self.name, options, wall_ms)
            records = list(recovery.records)
            if recovery.recalled:
                recalled = islice(read_records(self.disk, there.segments), recovery.recalled)
                records = [*recalled, *records]
        except StorageError as error:
            self.tell(Refused(str(error)))
            self.disk.killed()
            if isinstance(error, RecoveryRefused):
                self.refused = not self._take_out()
            self._again(RETRY_US)
            return
        except Died as died:
            self.died(died)
            return
        finally:
            self.disk.opening = False
        self._boot(journal, records, recovery)

    def _read(self) -> tuple[Survey, bool]:
        """What is on the disk, and whether nothing of it is damaged.

        Checkpoints are believed where it is so, whether or not somebody would have looked: then
        a node with them and one without are the same.
        """
        found = survey(self.disk)
        return found, not found.holes

    def _boot(self, log: Log, records: list[Record], recovery: Recovery | None) -> None:
        shared = self.shared
        now_ms, wall_ms = self.clock.read(shared.agenda.now_us)
        self.incarnation = recovery.incarnation if recovery is not None else self.lives
        reason = recovery.must_open_epoch if recovery is not None else "no journal"
        unsynced = recovery.unsynced if recovery is not None else 0
        seed = seed_of(shared.plan.seed, f"node {self.name} {self.lives}")
        pages = Pages(self.disk, recovery.index, PAGES_BYTES) if recovery is not None else None
        made_of = (self.config, shared.known, Random(seed), self.incarnation)
        if shared.detail == "full":
            recorder = Recorder(self.tell)
            start = (self.incarnation, records, now_ms, wall_ms, reason, unsynced)
            recorder.life(self.config, seed, *start)
            replica: Replica = ToldReplica(*made_of, shared.moderator, pages, recorder)
        else:
            replica = Replica(*made_of, shared.moderator, pages)
        try:
            if recovery is not None and isinstance(log, Journal):
                for _ in recovery.restore(replica, log.keep):
                    pass
            replica.boot(now_ms, wall_ms, reason, unsynced)
        except Exception as error:
            self.core_failed(error)
            return
        self.process = Process(self, replica, log, pages)
        cause = self.tell(self._boot_of(replica, records, recovery, reason, wall_ms))
        self._disk_is = "same"
        self.process.turn(cause)

    def _boot_of(
        self,
        replica: Replica,
        records: list[Record],
        recovery: Recovery | None,
        reason: str,
        wall_ms: int,
    ) -> Boot:
        known, plan = self.shared.known, self.shared.plan
        arrivals = replica.timeline.select("arrival")
        return Boot(
            self._disk_is,
            tuple([known.record_name(one, self.name) for one in records]),
            known.refs_of(arrivals),
            recovery.clean if recovery else False,
            reason,
            f"{self.name}.{replica.epoch:x}",
            recovery.torn_bytes if recovery else 0,
            recovery.lost if recovery else 0,
            wall_ms,
            plan.quiet_ms,
            plan.durability,
            known.refs_of([one for one in arrivals if one.skewed]),
            recovery.unsynced if recovery else 0,
            recovery.new_holes if recovery else 0,
        )

    def _again(self, wait_us: int) -> None:
        self.shared.agenda.at(self.shared.agenda.now_us + wait_us, self.start)

    # --- ending ---------------------------------------------------------------------------------

    def crash(self, how: Death, site: str = "", *, power: bool = False) -> None:
        """The life ends at once; of the disk remains what was written, or synced (`power`)."""
        process = self.process
        if process is None:
            return
        log = process.commits.log
        self.tell(Crash(how, site, log.written, log.durable))
        if power:
            self.disk.power_cut(self.disk_rng)
        else:
            self.disk.killed()
        self._end(process)

    def stop(self) -> None:
        """The life ends in order: what is queued is written, and the journal says so."""
        process = self.process
        if process is None:
            return
        if process.paused or process.commits.failure is not None:
            self.crash("kill")
            return
        log = process.commits.log
        try:
            process.commits.finish()
            if (failure := process.commits.failure) is not None:
                self.crash("storage", failure.reason)
                return
            if isinstance(log, Journal) and (unclean := log.close(clean=True)):
                self.crash("storage", unclean)
                return
        except StorageError as error:
            self.crash("storage", str(error))
            return
        except Died as died:
            self.died(died)
            return
        process.progressed((Persisted(log.written, log.durable), [], []))
        if process is self.process:
            self.tell(Stopped(log.written, log.durable))
            self.disk.killed()
            self._end(process)

    def _end(self, process: Process) -> None:
        process.end()
        self.process = None
        self.desk.cut_off(self)

    def core_failed(self, error: Exception) -> None:
        what = f"{type(error).__name__}: {error}"
        text = "".join(traceback.format_exception(error))
        self.shared.core_failures.append(f"{self.name} at {self.shared.agenda.now_us}: {text}")
        if self.up:
            self.crash("core", what)
        else:
            self.tell(Crash("core", what, 0, 0))
            self.disk.killed()
        self._again(CORE_DOWN_US)

    def storage_failed(self, reason: str) -> None:
        """The journal cannot be read: the process ends with the reason, and starts again."""
        self.crash("storage", reason)
        self._again(CORE_DOWN_US)

    def mend(self) -> None:
        """Somebody sees that the node is read-only for good, and starts it again."""
        process = self.process
        if process is not None and (failure := process.commits.failure) is not None:
            self.crash("storage", failure.reason)
            self._again(CORE_DOWN_US)

    def keep_copy(self, _: object) -> None:
        """Somebody makes a backup of the directory, which will be put back one day."""
        self._old_disk = self.disk.files.killed()

    def put(self, disk: Literal["empty", "older"]) -> None:
        """Another disk, while the node is down."""
        assert not self.up
        self._own_disk = None
        old = self._old_disk
        if disk == "older" and old is not None:
            self._disk_is = "older"
            self.disk.replaced(old.killed())
        else:
            self._disk_is = "empty"
            self.disk.replaced(MemoryStorage(f"{self.disk.place()}'"))

    def put_other(self, files: MemoryStorage) -> None:
        """The disk of another node, by mistake, while this one is down."""
        assert not self.up
        if self._own_disk is None:
            self._disk_is = "other"
            self._own_disk = self.disk.replaced(files.copy(self.disk.place()))

    def _take_out(self) -> bool:
        """Somebody reads why the node does not start. True: and puts its own disk back."""
        if self._own_disk is None:
            return False
        self.disk.put_back(self._own_disk)
        self._own_disk, self._disk_is = None, "same"
        return True

    # --- crash points ---------------------------------------------------------------------------

    def asks(self, site: Site) -> bool:
        """Whether the node dies at this site now."""
        for armed in self.points:
            if armed.fires(site):
                self._dying = armed
                self._fired("point", site)
                return True
        return False

    def passes(self, site: Site) -> bool:
        """The node passes this site. True: and died there."""
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

    def damaged(self, what: Literal["flip", "stale", "misdirected"], place: str) -> None:
        """Something is wrong on its disk, while it is down."""
        self.harmed = True
        self._fired(what, place)

    # --- the trace ------------------------------------------------------------------------------

    def _fired(self, what: str, where: str) -> None:
        self.shared.network.fire(what)
        if self.shared.detail != "lean":
            self.tell(Fired(what, where))

    def tell(self, data: Data) -> int:
        shared = self.shared
        return shared.trace.add(shared.agenda.now_us, self.name, self.incarnation, data)
