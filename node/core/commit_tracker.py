"""Pending: what was handed out to the journal, and what people were promised about it.

Trouble. When a write fails, own events that are not written never come to be: their senders hear
of it, and the caller takes them back. What came from others cannot be taken back, for the frontier
holds it: it is kept, and handed out again after `RETRY_MS`, in the order in which it came. What is
taken in meanwhile, and when it is over, `node.core.write_state` decides.
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
        self.intake = Inflight()
        self.promises = PendingAcks()
        self.writing = WriteState(bounds)
        self._persist: list[Record] = []
        self._waiting: list[Incoming] = []  # not in the journal, and to be handed out again
        self._retry_ms = 0

    def arrivals(self) -> list[Arrival]:
        """All that is not visible yet."""
        handed = (*self.intake.unseen(), *self._waiting)
        return [one.arrival for one in handed if one.arrival is not None]

    def invisible(self) -> list[Entry]:
        """Entries of other origins that the frontier holds and nobody here has seen."""
        waiting = [one.entry for one in self._waiting if one.entry is not None]
        return [*self.intake.invisible(), *waiting]

    def hindrance(self) -> Unmet | None:
        """Why no command can be taken now."""
        writing = self.writing
        if writing.refuses:
            trouble = writing.trouble
            assert trouble is not None
            return Unmet(trouble.code, trouble.reason)
        if writing.full:
            return Unmet("busy", f"{writing.records} records wait for the disk: try again soon")
        if len(self.promises) >= SUBMITTED_MAX:
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
        number = self.intake.handed + 1
        self.intake.take(
            Incoming(
                number=number, record=record, arrival=arrival, entry=entry, own=own, receipt=receipt
            )
        )
        self._persist.append(record)
        self.writing.handed_out(record)

    def promise(self, submit: Submit, event: Event, rules: tuple[str, ...], now_ms: int) -> None:
        """What was handed out last is this event, and its sender waits to hear how safe it is."""
        promise = PendingAck(
            ticket=submit.ticket,
            number=self.intake.handed,
            dot=event.dot,
            level=submit.ack,
            copies=submit.copies,
            deadline_ms=now_ms + submit.timeout_ms,
            text=event.text if type(event) is MessagePosted else "",
            rules=rules,
        )
        self.promises.make(promise)

    def take_persist(self) -> list[Record]:
        if not self._persist:
            return []  # never the list that goes on: what was drained does not change any more
        persist, self._persist = self._persist, []
        self.writing.sent(self.intake.handed)
        return persist

    def persisted(self, progress: Persisted, *, always: bool) -> bool:
        """The journal got on. True: writing works again after some trouble."""
        visible = progress.durable if always else progress.written
        self.intake.reached(visible, progress.durable)
        resumed = self.writing.written(progress.written)
        if resumed:
            self._hand_out_again()
        return resumed

    def persist_failed(self, failure: PersistFailed, now_ms: int) -> Failing:
        self._retry_ms = now_ms + RETRY_MS
        lost = self.intake.failed(failure.kept)
        # What waits already came before all that was handed out since.
        self._waiting += [one for one in lost if not one.own]
        self.writing.failed(failure, waits=bool(self._waiting))
        own = [one for one in reversed(lost) if one.own]
        unmet = Unmet(failure.code, failure.reason)
        return Failing(own, self.promises.failed(failure.kept, unmet))

    def retry(self, now_ms: int) -> None:
        """Hand out again what waits, if it is time."""
        if self._waiting and now_ms >= self._retry_ms and not self._final:
            self._hand_out_again()

    def _hand_out_again(self) -> None:
        again, self._waiting = self._waiting, []
        for one in again:
            self.hand_out(one.record, one.arrival, one.entry)

    @property
    def _final(self) -> bool:
        return self.writing.state is WritePhase.READ_ONLY

    def kept_promises(self, copies_of: CopiesOf) -> list[Answer]:
        return self.promises.kept(self.intake.visible, self.intake.durable, copies_of)

    @property
    def wake_at_ms(self) -> int | None:
        wake_ms = self.promises.wake_at_ms
        if self._waiting and not self._final and (wake_ms is None or self._retry_ms < wake_ms):
            wake_ms = self._retry_ms
        return wake_ms
