"""A simulated node process: one life of a replica, with its committer, its timer and its turns.

A turn is `node.core.turn_loop`, as in a real process. This class implements the ports of a turn by
the scheduler, the simulated network, the committer and the trace. Once the life has ended, nothing
that it had under way happens any more.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from domain.arrival import Arrival
from gossip.packets import Packet
from lab.plan.faults import Op, Site
from lab.sim.clock import NodeClock
from lab.sim.committer import Report, SimCommitter
from lab.sim.context import SimContext
from lab.sim.disk import Died, SimDisk
from lab.sim.network import Flight, NetworkMachine
from lab.sim.quiet_tracker import QuietTracker
from lab.trace.kinds import Data, Epoch, Handed, Note, Unwritten, Visible, Written
from lab.trace.trace import dot_of
from node.core.checkpoint import Checkpoint
from node.core.interface import Input, Outbox, Outcome, Persisted, PersistFailed, Received, Submit
from node.core.ports import EpochRecord, EventRecord
from node.core.ports import Note as CoreNote
from node.core.replica import Replica
from node.core.turn_loop import ANSWER_MS, TurnLoop
from node.storage.files import StorageError
from node.storage.group_commit import CommitLog
from node.storage.record_reader import RecordPages


class ProcessHost(NetworkMachine, Protocol):
    """A host, as its process uses it."""

    shared: SimContext
    clock: NodeClock
    disk: SimDisk
    disk_rng: Random

    @property
    def armed(self) -> bool:
        """Some crash point waits for its occasion."""
        ...

    def asks(self, site: Site) -> bool:
        """Whether the process is to die at this site, now."""
        ...

    def die(self, site: Site) -> None: ...

    def passes(self, site: Site) -> bool: ...

    def died(self, died: Died) -> None: ...

    def core_failed(self, error: Exception) -> None: ...

    def unreadable(self, error: StorageError) -> None: ...

    def mend(self) -> None: ...

    def answered(self, ticket: int, outcome: Outcome, cause: int | None) -> None: ...

    def reach(self, op: Op) -> None: ...


MINDED_US = (100_000, 3_000_000)  # until an operator restarts a read-only node: from, below
MAILBOX_MAX = 1000  # packets that wait for a process that stands still
# Notes that repeat what other events of the trace say.
_SAID = frozenset({"events_received", "events_posted"})


class SimProcess:
    """Mutable. Implements `node.core.turn_loop.TurnPorts`."""

    __slots__ = (
        *("_agenda", "_asked", "_cause", "_clock", "_handed", "_host", "_known", "_lean", "_leave"),
        *("_network", "_pages", "_running", "_silence", "_soon_us", "_ticked_ms", "_timer_us"),
        *("_trace", "_turn_us", "_wake_us", "alive", "commits", "incarnation", "mailbox"),
        *("own_refs", "paused", "replica", "turns"),
    )

    def __init__(
        self, host: ProcessHost, replica: Replica, log: CommitLog, pages: RecordPages | None
    ) -> None:
        shared = host.shared
        plan = shared.plan
        self._host = host
        self._agenda = shared.agenda
        self._trace = shared.trace
        self._network = shared.network
        self._known = shared.known
        self._lean = shared.detail == "lean"
        self._clock = host.clock
        self._turn_us = plan.turn_us
        self._asked: dict[int, int | None] = {}  # ops that have made no event yet, and their causes
        self._cause: int | None = None  # of what happens now
        self._running = False  # a turn is under way
        self._leave: Callable[[], None] | None = None  # asked to stop: what to do in the end
        self._pages = pages
        self.replica = replica
        self.incarnation = replica.incarnation
        self.alive = True
        self.paused = False
        self.mailbox: list[Flight | Report | Op] = []
        self.own_refs: dict[str, str] = {}  # by dot: the own event last handed out under it
        self._handed = log.written  # records that the journal was given, as the replica counts
        self._ticked_ms = -1
        self._soon_us = -1  # when the next turn runs that was asked for
        self._timer_us = 0  # when the earliest timer fires; 0: there is none
        self._wake_us = 0  # when the replica wants to be woken
        self._silence = QuietTracker(replica.quiet, self.record, self._agenda.now_us)
        self.turns = TurnLoop(replica, self, plan.inputs_max)
        self.commits = SimCommitter(
            agenda=self._agenda,
            log=log,
            disk=host.disk,
            options=plan.disk,
            durability=plan.durability,
            interval_ms=plan.interval_ms,
            rng=host.disk_rng,
            report=self.progressed,
            point=host.passes,
            died=host.died,
        )

    # --- in -------------------------------------------------------------------------------------

    def arrive(self, packet: Packet, size: int, payload: int, cause: int | None) -> None:
        if payload:
            self._network.ledger.duplicate_bytes += payload
        self.take(Received(packet, size), cause)

    def take(self, item: Input, cause: int | None) -> bool:
        """An input comes: a turn for it alone, or soon, together with what follows."""
        if not self.alive:
            return False
        self._cause = cause
        if type(item) is Submit:
            self._asked[item.ticket] = cause
        return self.turns.take(item)

    def turn(self, cause: int | None) -> None:
        """A turn at once, whether or not something has come."""
        if not self.alive:
            return
        self._cause = cause
        self._running = True
        self.turns.run()
        self._running = False
        if self._leave is not None and self.turns.answered:
            self._answered()

    def leave(self, closing: Callable[[], None]) -> None:
        """No more commands; when those in flight have their replies, or late, write and close."""
        self.turns.leave()
        if self.turns.answered:
            self.commits.leave(closing)
            return
        self._leave = closing
        self._agenda.at(self._agenda.now_us + ANSWER_MS * 1000, self._answered)

    def _answered(self, _: object = None) -> None:
        closing, self._leave = self._leave, None
        if closing is not None and self.alive:
            self.commits.leave(closing)

    # --- the ports of a turn --------------------------------------------------------------------

    def clock(self) -> tuple[int, int]:
        now_us = self._agenda.now_us
        now_ms, wall_ms = ticked = self._clock.read(now_us)
        if now_ms != self._ticked_ms:
            self._ticked_ms = now_ms
            self._silence.look(now_us, wall_ms)
        return ticked

    def late(self) -> bool:
        """No time passes within a turn here."""
        return False

    def worked_us(self) -> int:
        """Nor does work take any."""
        return 0

    def soon(self) -> None:
        if self._turn_us or self._running:
            self._soon_us = self._agenda.now_us + self._turn_us
            self._agenda.at(self._soon_us, self._turn_due, self._cause)
        else:
            self.turn(self._cause)

    def _turn_due(self, cause: int | None) -> None:
        if not self.paused and self._soon_us == self._agenda.now_us:
            self.turn(cause)

    def wake(self, at_ms: int) -> None:
        """Set a timer, unless an earlier one is set, which will find out by itself."""
        wake_us = self._wake_us = self._clock.wake_us(at_ms)
        if not self._timer_us or wake_us < self._timer_us:
            self._timer_us = wake_us
            self._agenda.at(wake_us, self._wake)

    def _wake(self, _: object) -> None:
        now_us = self._agenda.now_us
        if now_us != self._timer_us or not self.alive or self.paused:
            return  # an earlier timer has replaced it, or the life has ended
        self._timer_us = 0
        if self._wake_us > now_us:
            self._timer_us = self._wake_us
            self._agenda.at(self._wake_us, self._wake)
        else:
            self._cause = None
            self.turns.woke()

    def send(self, packets: list[tuple[str, Packet]]) -> None:
        host = self._host
        if host.armed and host.asks("mid_send"):
            self._network.send(host, packets[: len(packets) // 2], self._cause)
            host.die("mid_send")
            return
        self._network.send(host, packets, self._cause)

    def publish(self, published: list[tuple[int, Arrival]]) -> None:
        now_us = self._agenda.now_us
        self._silence.heard(now_us, self._clock.read(now_us)[1])
        ref_of = self._known.ref_of
        for index, arrival in published:
            self.tell(Visible(index, ref_of(arrival), arrival.via, arrival.skewed), self._cause)

    def reply(self, replies: list[tuple[int, Outcome]]) -> None:
        for ticket, outcome in replies:
            self._asked.pop(ticket, None)
            self._host.answered(ticket, outcome, self._cause)

    def note(self, notes: list[CoreNote]) -> None:
        if self._lean:
            return
        for note in notes:
            if note.event not in _SAID:
                self.tell(Note(note.event, note.level, dict(note.fields)), self._cause)

    def keep(self, checkpoints: Sequence[Checkpoint]) -> None:
        self.commits.keep(checkpoints)

    def broke(self, error: Exception) -> None:
        if isinstance(error, StorageError):  # the journal cannot be read any more
            self._host.unreadable(error)
        else:
            self._host.core_failed(error)

    def read_over(self) -> None:
        """Read all events that the node shows, from the disk and not from memory."""
        try:
            if self._pages is not None:
                self._pages.forget()
            self.replica.timeline.select("arrival")
        except StorageError as error:
            self._host.unreadable(error)

    def close_quiet(self) -> None:
        """The life ends, or the run: if it is quiet, say so."""
        now_us = self._agenda.now_us
        self._silence.look(now_us, self._clock.read(now_us)[1])
        self._silence.end(now_us)

    # --- the journal ----------------------------------------------------------------------------

    def persist(self, outbox: Outbox) -> None:
        records, cause = outbox.persist, self._cause
        denied: set[int] = set()
        if self._asked and outbox.reply:
            denied.update([ticket for ticket, _ in outbox.reply])  # too soon for anything good
        for record in records:
            self._handed += 1
            if type(record) is EpochRecord:
                log = f"{self._host.name}.{record.epoch:x}"
                self.tell(Epoch(self._handed, log, record.reason), cause)
                continue
            assert type(record) is EventRecord
            via = record.via
            named = self._known.named(record.data)
            op, its_cause = None, cause
            if via == "local":
                self.own_refs[dot_of(named.ref)] = named.ref
                op = next(ticket for ticket in self._asked if ticket not in denied)
                its_cause = self._asked.pop(op)
            else:
                self._network.ledger.duplicate_bytes -= len(record.data)
            if not self._lean:
                handed = Handed(
                    number=self._handed,
                    ref=named.ref,
                    via=via,
                    wall_ms=record.received_at_ms,
                    facts=named.facts,
                    sender=record.sender,
                    op=op,
                )
                self.tell(handed, its_cause, len(record.data))
        self.commits.submit(records)

    def progressed(self, report: Report) -> None:
        """The committer tells how far the journal is."""
        if self.paused:
            self.mailbox.append(report)
            return
        progress, placed, seals = report
        if self._pages is not None:
            self._pages.placed(placed)
            self.replica.projections.seal(seals)
        cause: int | None = None
        if type(progress) is Persisted:
            if not self._lean:
                cause = self.tell(Written(progress.written, progress.durable), None)
        elif self._pages is not None:
            self._pages.cut(progress.kept)
        self.take(progress, cause)

    def failing(self, failure: PersistFailed) -> None:
        self._handed = failure.kept
        told = Unwritten(failure.kept, failure.code, failure.reason, failure.final)
        self._cause = self.tell(told, None)
        self.commits.resume()
        if failure.final and self._host.disk_rng.getrandbits(
            1
        ):  # every other time an operator notices
            wait_us = self._host.disk_rng.randrange(*MINDED_US)
            self._agenda.at(self._agenda.now_us + wait_us, self._minded)

    def _minded(self, _: object) -> None:
        if self.alive and not self.paused:
            self._host.mend()

    # --- standing still -------------------------------------------------------------------------

    def put_off(self, flight: Flight) -> bool:
        if len(self.mailbox) >= MAILBOX_MAX:
            return False
        self.mailbox.append(flight)
        return True

    @property
    def put_aside(self) -> int:
        """How many packets have arrived and have not been read yet."""
        return sum(isinstance(one, Flight) for one in self.mailbox)

    def resume(self) -> None:
        """Continue, with everything that has arrived meanwhile."""
        self.paused = False
        self._timer_us = 0
        waiting, self.mailbox = self.mailbox, []
        self.turns.lost_timer()
        self.turn(None)
        for one in waiting:
            if isinstance(one, Flight):
                if self.alive:
                    self._network.deliver(one, self)
                else:
                    self._network.drop(one, "down")
            elif not self.alive:
                continue
            elif isinstance(one, Op):
                self._host.reach(one)
            else:
                self.progressed(one)

    def end(self) -> None:
        """End the life: nothing of it happens any more."""
        self.close_quiet()
        self.alive = False
        self.turns.end()
        self.commits.stop()
        for one in self.mailbox:
            if isinstance(one, Flight):
                self._network.drop(one, "down")
        self.mailbox = []

    def record(self, data: Data) -> None:
        """Add an event that no event of the trace caused."""
        self.tell(data, None)

    def tell(self, data: Data, cause: int | None, size: int | None = None) -> int:
        return self._trace.add(
            self._agenda.now_us, self._host.name, self.incarnation, data, cause, None, None, size
        )
