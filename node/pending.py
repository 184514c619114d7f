"""Pending: what was handed out to the journal, and what people were promised about it.

Trouble. When a write fails, own events that are not written never come to be: their senders hear
of it, and the caller takes them back. What came from others cannot be taken back, for the frontier
holds it: it is kept (`stuck`) and handed out again after `RETRY_MS`, in the same order. Meanwhile
no command is taken, and the caller takes in nothing more from peers, or only memory would bound it.
Where nothing is stuck, the next command is the probe. A final failure ends writing for this life.
"""

from msgspec import Struct

from domain.arrival import Arrival
from domain.events import Event, MessagePosted
from gossip.entry import Entry
from node.intake import Incoming, Intake
from node.ports import Record
from node.promises import Answer, CopiesOf, Promise, Promises
from node.turn import Persisted, PersistFailed, Submit, Unmet

SUBMITTED_MAX = 65_536  # commands that wait for an outcome
RETRY_MS = 500  # after a failed write, until the journal is tried again


class Failing(Struct, frozen=True):
    """What a failed write means: own events to take back, newest first, and answers to give."""

    own: list[Incoming]
    answers: list[Answer]


class Pending:
    """Mutable; not thread-safe."""

    __slots__ = ("_persist", "_retry_ms", "_stuck", "intake", "promises", "trouble")

    def __init__(self) -> None:
        self.intake = Intake()
        self.promises = Promises()
        self.trouble: PersistFailed | None = None  # of the last write, until one succeeds
        self._persist: list[Record] = []
        self._stuck: list[Incoming] = []  # not in the journal, and to be handed out again
        self._retry_ms = 0

    @property
    def failed(self) -> bool:
        """The journal takes nothing more until the process starts again."""
        return self.trouble is not None and self.trouble.final

    @property
    def stuck(self) -> bool:
        """There is something that cannot be written now: nothing more must be taken in."""
        return self.failed or bool(self._stuck)

    def hindrance(self) -> Unmet | None:
        """Why no command can be taken now."""
        if self.trouble is not None and self.stuck:
            return Unmet(self.trouble.code, self.trouble.reason)
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
        self.intake.take(Incoming(number, record, arrival, entry, own, receipt))
        self._persist.append(record)

    def promise(self, submit: Submit, event: Event, rules: tuple[str, ...], now_ms: int) -> None:
        """What was handed out last is this event, and its sender waits to hear how safe it is."""
        promise = Promise(
            submit.ticket,
            self.intake.handed,
            event.dot,
            submit.ack,
            submit.copies,
            now_ms + submit.timeout_ms,
            event.text if type(event) is MessagePosted else "",
            rules,
        )
        self.promises.make(promise)

    def take_persist(self) -> list[Record]:
        persist, self._persist = self._persist, []
        return persist

    def persisted(self, progress: Persisted, *, always: bool) -> bool:
        """The journal got on. True: writing works again after some trouble."""
        visible = progress.durable if always else progress.written
        self.intake.reached(visible, progress.durable)
        if self.trouble is None or self.failed or progress.written <= self.trouble.kept:
            return False
        self.trouble = None
        return True

    def persist_failed(self, failure: PersistFailed, now_ms: int) -> Failing:
        self.trouble = failure
        self._retry_ms = now_ms + RETRY_MS
        lost = self.intake.failed(failure.kept)
        self._stuck = [one for one in lost if not one.own] + self._stuck
        own = [one for one in reversed(lost) if one.own]
        unmet = Unmet(failure.code, failure.reason)
        return Failing(own, self.promises.failed(failure.kept, unmet))

    def retry(self, now_ms: int) -> None:
        """Hand out again what is stuck, if it is time."""
        if self._stuck and not self.failed and now_ms >= self._retry_ms:
            again, self._stuck = self._stuck, []
            for one in again:
                self.hand_out(one.record, one.arrival, one.entry)

    def kept_promises(self, copies_of: CopiesOf) -> list[Answer]:
        return self.promises.kept(self.intake.visible, self.intake.durable, copies_of)

    @property
    def wake_at_ms(self) -> int | None:
        wake_ms = self.promises.wake_at_ms
        if self._stuck and not self.failed and (wake_ms is None or self._retry_ms < wake_ms):
            wake_ms = self._retry_ms
        return wake_ms
