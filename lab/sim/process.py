"""A node process, simulated: one life of a replica, with its committer and its timer.

A turn is what `node.runtime` does, with one input each: Tick, the input, drain, and the Outbox in
the order of its fields. Once the life has ended nothing of it happens any more, whatever was under
way.
"""

from collections.abc import Iterator
from random import Random
from typing import Protocol

from domain.arrival import Arrival
from gossip.packets import Packet
from lab.conformance import Recorder
from lab.faults import Op, Site
from lab.kinds import Data, Epoch, Handed, Note, Unwritten, Visible, Written
from lab.sim.clock import NodeClock
from lab.sim.commits import Commits, Log, Progress
from lab.sim.disk import Died, SimDisk
from lab.sim.network import Flight, Machine
from lab.sim.shared import Shared
from lab.sim.silence import Silence
from lab.trace import dot_of
from node.journal import Journal
from node.pages import Pages
from node.ports import EpochRecord, EventRecord, Record
from node.ports import Note as CoreNote
from node.replica import Replica
from node.storage import StorageError
from node.turn import (
    Denied,
    Input,
    Outbox,
    Outcome,
    Persisted,
    PersistFailed,
    Received,
    Submit,
    Tick,
    Unmet,
)


class Home(Machine, Protocol):
    """What a process runs on, as it sees it: its host."""

    shared: Shared
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

    def storage_failed(self, reason: str) -> None: ...

    def answered(self, ticket: int, outcome: Outcome, cause: int | None) -> None: ...

    def reach(self, op: Op) -> None: ...


MAILBOX_MAX = 1000  # packets that wait for a process that stands still
TIMER_MIN_US = 1000  # a replica that is overdue is asked again so much later
# Notes that repeat what other events of the trace say.
_SAID = frozenset({"events_received", "events_posted"})


class Process:
    """Mutable."""

    __slots__ = (
        "_agenda",
        "_asked",
        "_clock",
        "_handed",
        "_host",
        "_inbox",
        "_known",
        "_lean",
        "_network",
        "_pages",
        "_recorder",
        "_silence",
        "_ticked_ms",
        "_timer_us",
        "_trace",
        "_turn_us",
        "_wake_us",
        "alive",
        "commits",
        "incarnation",
        "mailbox",
        "own_refs",
        "paused",
        "replica",
    )

    def __init__(
        self, host: Home, replica: Replica, log: Log | Journal, pages: Pages | None
    ) -> None:
        shared = host.shared
        plan = shared.plan
        self._host = host
        self._agenda = shared.agenda
        self._trace = shared.trace
        self._network = shared.network
        self._known = shared.known
        self._lean = shared.detail == "lean"
        self._recorder = Recorder(self.record) if shared.detail == "full" else None
        self._clock = host.clock
        self._turn_us = plan.turn_us
        self._inbox: list[tuple[Input, int | None]] = []  # waits for the turn that it will share
        self._asked: list[tuple[int, int | None]] = []  # in this turn: ops, and their causes
        self._pages = pages
        self.replica = replica
        self.incarnation = replica.incarnation
        self.alive = True
        self.paused = False
        self.mailbox: list[Flight | Progress | Op] = []
        self.own_refs: dict[str, str] = {}  # by dot: the own event last handed out under it
        self._handed = log.written  # records that the journal was given, as the replica counts
        self._ticked_ms = -1
        self._timer_us = 0  # when the earliest timer fires; 0: there is none
        self._wake_us = 0  # when the replica wants to be woken
        self._silence = Silence(replica.quiet, self.record, self._agenda.now_us)
        self.commits = Commits(
            self._agenda,
            log,
            host.disk,
            plan.disk,
            plan.durability,
            plan.interval_ms,
            host.disk_rng,
            self.progressed,
            host.passes,
            host.died,
        )

    # --- a turn ---------------------------------------------------------------------------------

    def arrive(self, packet: Packet, size: int, payload: int, cause: int | None) -> None:
        if payload:
            self._network.ledger.duplicate_bytes += payload
        self.take(Received(packet, size), cause)

    def take(self, item: Input, cause: int | None) -> None:
        """An input comes: a turn for it alone, or soon, together with what follows."""
        if not self._turn_us:
            self.turn(item, cause)
            return
        self._inbox.append((item, cause))
        if len(self._inbox) == 1:
            self._agenda.at(self._agenda.now_us + self._turn_us, self._shared_turn, cause)

    def _shared_turn(self, cause: int | None) -> None:
        if self.alive and not self.paused and self._inbox:
            self.turn(None, cause)

    def turn(self, item: Input | None, cause: int | None) -> None:
        """Step what has come, drain, and do what the Outbox says, in its order."""
        if not self.alive:
            return
        try:
            out = self._stepped(item, cause)
        except StorageError as error:  # the journal cannot be read any more
            self._host.storage_failed(str(error))
            return
        except Exception as error:
            self._host.core_failed(error)
            return
        if out.persist:
            self._persist(out.persist, self._makers(out), cause)
        self._asked.clear()
        if out.send and self.alive:
            self._send(out.send, cause)
        if not self.alive:
            return
        if out.publish:
            self._publish(out.publish, cause)
        for ticket, outcome in out.reply:
            self._host.answered(ticket, outcome, cause)
        if out.note and not self._lean:
            self._note(out.note, cause)
        self._arm()

    def _stepped(self, item: Input | None, cause: int | None) -> Outbox:
        replica, recorder, now_us = self.replica, self._recorder, self._agenda.now_us
        now_ms, wall_ms = self._clock.read(now_us)
        if now_ms != self._ticked_ms:
            self._ticked_ms = now_ms
            self._silence.look(now_us, wall_ms)
            tick = Tick(now_ms, wall_ms)
            if recorder is not None:
                recorder.step(tick)
            replica.step(tick)
        if self._inbox:
            inbox, self._inbox = self._inbox, []
            for one, its_cause in inbox:
                self._step(one, its_cause)
        if item is not None:
            self._step(item, cause)
        out = replica.drain()
        if recorder is not None:
            recorder.drained(out)
        if out.publish:
            self._silence.heard(now_us, wall_ms)
        return out

    def _step(self, item: Input, cause: int | None) -> None:
        if type(item) is Submit:
            self._asked.append((item.ticket, cause))
        if self._recorder is not None:
            self._recorder.step(item)
        self.replica.step(item)

    def _makers(self, out: Outbox) -> Iterator[tuple[int, int | None]]:
        """The ops of this turn that made an event, in order, and the causes of those events."""
        if not self._asked:
            return iter(())
        denied = {
            ticket
            for ticket, outcome in out.reply
            if type(outcome) is Denied or (type(outcome) is Unmet and outcome.dot is None)
        }
        return iter([one for one in self._asked if one[0] not in denied])

    def _arm(self) -> None:
        """Set a timer, unless an earlier one is set, which will find out by itself."""
        now_us = self._agenda.now_us
        wake_us = self._clock.wake_us(self.replica.wake_at_ms)
        if wake_us <= now_us:
            wake_us = now_us + TIMER_MIN_US
        self._wake_us = wake_us
        if not self._timer_us or wake_us < self._timer_us:
            self._timer_us = wake_us
            self._agenda.at(wake_us, self._wake)

    def _wake(self, _: object) -> None:
        now_us = self._agenda.now_us
        if now_us != self._timer_us or not self.alive or self.paused:
            return  # overtaken by an earlier timer, or nobody is there to wake
        self._timer_us = 0
        if self._wake_us > now_us:
            self._timer_us = self._wake_us
            self._agenda.at(self._wake_us, self._wake)
        else:
            self.turn(None, None)

    def _send(self, sends: list[tuple[str, Packet]], cause: int | None) -> None:
        host = self._host
        if host.armed and host.asks("mid_send"):
            self._network.send(host, sends[: len(sends) // 2], cause)
            host.die("mid_send")
            return
        self._network.send(host, sends, cause)

    def _publish(self, published: list[tuple[int, Arrival]], cause: int | None) -> None:
        ref_of = self._known.ref_of
        for index, arrival in published:
            self.tell(Visible(index, ref_of(arrival), arrival.via, arrival.skewed), cause)

    def close_quiet(self) -> None:
        """The life ends, or the run: if it is quiet, say so."""
        now_us = self._agenda.now_us
        self._silence.look(now_us, self._clock.read(now_us)[1])
        self._silence.end(now_us)

    def _note(self, notes: list[CoreNote], cause: int | None) -> None:
        for note in notes:
            if note.event not in _SAID:
                self.tell(Note(note.event, note.level, dict(note.fields)), cause)

    # --- the journal ----------------------------------------------------------------------------

    def _persist(
        self, records: list[Record], makers: Iterator[tuple[int, int | None]], cause: int | None
    ) -> None:
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
                op, its_cause = next(makers, (None, cause))
            else:
                self._network.ledger.duplicate_bytes -= len(record.data)
            if not self._lean:
                handed = Handed(
                    self._handed,
                    named.ref,
                    via,
                    record.received_at_ms,
                    named.facts,
                    record.sender,
                    op,
                )
                self.tell(handed, its_cause, len(record.data))
        self.commits.submit(records)

    def progressed(self, progress: Progress) -> None:
        """The committer tells how far the journal is."""
        if self.paused:
            self.mailbox.append(progress)
            return
        log = self.commits.log
        if self._pages is not None and isinstance(log, Journal):
            self._pages.placed(log.take_placed())
            self.commits.keep(self.replica.past)
        if type(progress) is Persisted:
            told = Written(progress.written, progress.durable)
            cause = None if self._lean else self.tell(told, None)
            self.turn(progress, cause)
        elif type(progress) is PersistFailed:
            self._failed(progress)

    def _failed(self, failure: PersistFailed) -> None:
        """As `Runtime._step_failure`: what was handed out before is covered by the failure."""
        if self._pages is not None:
            self._pages.cut(failure.kept)
        self.turn(None, None)
        if not self.alive:
            return
        self._handed = failure.kept
        told = Unwritten(failure.kept, failure.code, failure.reason, failure.final)
        cause = self.tell(told, None)
        self.commits.resume()
        self.turn(failure, cause)
        if failure.final and self.alive:
            self._host.storage_failed(failure.reason)

    # --- standing still -------------------------------------------------------------------------

    def put_off(self, flight: Flight) -> bool:
        if len(self.mailbox) >= MAILBOX_MAX:
            return False
        self.mailbox.append(flight)
        return True

    @property
    def put_aside(self) -> int:
        """Packets that have come and were not read yet."""
        return sum(isinstance(one, Flight) for one in self.mailbox)

    def resume(self) -> None:
        """Go on where it stopped, with all that came meanwhile."""
        self.paused = False
        self._timer_us = 0
        waiting, self.mailbox = self.mailbox, []
        self.turn(None, None)
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
        """Nothing of this life happens any more."""
        self.close_quiet()
        self.alive = False
        self.commits.stop()
        for one in self.mailbox:
            if isinstance(one, Flight):
                self._network.drop(one, "down")
        self.mailbox = []

    def record(self, data: Data) -> None:
        """What nothing in the trace caused."""
        self.tell(data, None)

    def tell(self, data: Data, cause: int | None, size: int | None = None) -> int:
        return self._trace.add(
            self._agenda.now_us, self._host.name, self.incarnation, data, cause, None, None, size
        )
