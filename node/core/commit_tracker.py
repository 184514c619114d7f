"""Tracks what the replica handed to the journal: how far it got, and who waits for an answer.

It joins three parts: `inflight` (records that are not visible yet), `pending_acks` (commands that
wait for their ack) and `write_state` (whether writing works). Records are numbered as the journal
numbers them, from 1.

When a write fails, own events that are not written never exist: their senders are told, and the
caller takes them back (`persist_failed` returns both). Entries of other nodes cannot be taken back,
because the frontier holds them: they are kept, and handed out again after `RETRY_MS`, in the order
in which they came. What is accepted meanwhile is decided by `node.core.write_state`. Pure.
"""

from msgspec import Struct

from domain.arrival import Arrival
from domain.events import Event, MessagePosted
from gossip.entry import Entry
from node.core.inflight import Incoming, Inflight
from node.core.interface import Persisted, PersistFailed, Submit, Unmet
from node.core.pending_acks import Answer, CopiesOf, PendingAck, PendingAcks
from node.core.ports import Record
from node.core.write_state import WriteBounds, WritePhase, WriteState

SUBMITTED_MAX = 65_536  # commands that wait for an outcome
RETRY_MS = 500  # after a failed write, until the journal is tried again


class Failing(Struct, frozen=True):
    """What a failed write means: own events to take back, newest first, and answers to give."""

    own: list[Incoming]
    answers: list[Answer]


class CommitTracker:
    """Mutable; not thread-safe."""

    def __init__(self, bounds: WriteBounds) -> None:
        self.inflight = Inflight()
        self.pending_acks = PendingAcks()
        self.write_state = WriteState(bounds)
        self._persist: list[Record] = []
        self._waiting: list[Incoming] = []  # not in the journal, and to be handed out again
        self._retry_ms = 0

    def arrivals(self) -> list[Arrival]:
        """All that is not visible yet."""
        handed = (*self.inflight.unseen(), *self._waiting)
        return [incoming.arrival for incoming in handed if incoming.arrival is not None]

    def invisible(self) -> list[Entry]:
        """Entries of other origins that the frontier holds and nobody here has seen."""
        waiting = [incoming.entry for incoming in self._waiting if incoming.entry is not None]
        return [*self.inflight.invisible(), *waiting]

    def refusal(self) -> Unmet | None:
        """Why no command can be taken now."""
        write_state = self.write_state
        if write_state.refuses:
            trouble = write_state.trouble
            assert trouble is not None
            return Unmet(trouble.code, trouble.reason)
        if write_state.full:
            return Unmet("busy", f"{write_state.records} records wait for the disk: try again soon")
        if len(self.pending_acks) >= SUBMITTED_MAX:
            return Unmet("busy", f"{SUBMITTED_MAX} commands wait for the disk: try again soon")
        return None

    def hand_out(
        self,
        record: Record,
        arrival: Arrival | None = None,
        entry: Entry | None = None,
        *,
        own: bool = False,
        receipt: bool = False,
    ) -> None:
        number = self.inflight.handed + 1
        self.inflight.take(
            Incoming(
                number=number, record=record, arrival=arrival, entry=entry, own=own, receipt=receipt
            )
        )
        self._persist.append(record)
        self.write_state.handed_out(record)

    def await_ack(self, submit: Submit, event: Event, rules: tuple[str, ...], now_ms: int) -> None:
        """What was handed out last is this event, and its sender waits to hear how safe it is."""
        pending_ack = PendingAck(
            ticket=submit.ticket,
            number=self.inflight.handed,
            dot=event.dot,
            level=submit.ack,
            copies=submit.copies,
            deadline_ms=now_ms + submit.timeout_ms,
            text=event.text if type(event) is MessagePosted else "",
            rules=rules,
        )
        self.pending_acks.add(pending_ack)

    def take_persist(self) -> list[Record]:
        if not self._persist:
            return []  # never the list that goes on: what was drained does not change any more
        persist, self._persist = self._persist, []
        self.write_state.sent(self.inflight.handed)
        return persist

    def persisted(self, progress: Persisted, *, always: bool) -> bool:
        """The journal got on. True: writing works again after some trouble."""
        visible = progress.durable if always else progress.written
        self.inflight.reached(visible, progress.durable)
        resumed = self.write_state.written(progress.written)
        if resumed:
            self._hand_out_again()
        return resumed

    def persist_failed(self, failure: PersistFailed, now_ms: int) -> Failing:
        self._retry_ms = now_ms + RETRY_MS
        lost = self.inflight.failed(failure.kept)
        # What waits already came before all that was handed out since.
        self._waiting += [incoming for incoming in lost if not incoming.own]
        self.write_state.failed(failure, waits=bool(self._waiting))
        own = [incoming for incoming in reversed(lost) if incoming.own]
        unmet = Unmet(failure.code, failure.reason)
        return Failing(own, self.pending_acks.failed(failure.kept, unmet))

    def retry(self, now_ms: int) -> None:
        """Hand out again what waits, if it is time."""
        if self._waiting and now_ms >= self._retry_ms and not self._final:
            self._hand_out_again()

    def _hand_out_again(self) -> None:
        again, self._waiting = self._waiting, []
        for incoming in again:
            self.hand_out(incoming.record, incoming.arrival, incoming.entry)

    @property
    def _final(self) -> bool:
        return self.write_state.phase is WritePhase.READ_ONLY

    def reached_acks(self, copies_of: CopiesOf) -> list[Answer]:
        return self.pending_acks.reached(self.inflight.visible, self.inflight.durable, copies_of)

    @property
    def wake_at_ms(self) -> int | None:
        wake_ms = self.pending_acks.wake_at_ms
        if self._waiting and not self._final and (wake_ms is None or self._retry_ms < wake_ms):
            wake_ms = self._retry_ms
        return wake_ms
