"""Promises: commands whose event exists and whose sender still waits to hear how safe it is.

    written     the event is visible: as durable as the node's mode promises
    durable     it survives power loss here
    replicated  durable here, and at so many peers by their own receipts

A promise ends in exactly one outcome: kept, failed with the journal, or overdue.
"""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

from msgspec import Struct

from domain.dot import Dot
from node.core.interface import Acked, Outcome, Unmet
from node.core.ports import AckLevel

Answer = tuple[int, Outcome]
CopiesOf = Callable[[Dot], int]


class PendingAck(Struct, frozen=True, gc=False):
    ticket: int
    number: int  # of the journal record
    dot: Dot
    level: AckLevel
    copies: int
    deadline_ms: int
    text: str
    rules: tuple[str, ...]


class PendingAcks:
    """Mutable; not thread-safe."""

    def __init__(self) -> None:
        self._open: dict[int, PendingAck] = {}
        self._written: deque[PendingAck] = deque()  # in record order, as is the next
        self._durable: deque[PendingAck] = deque()
        self.replicated: dict[
            int, PendingAck
        ] = {}  # by ticket: those that wait for copies elsewhere
        # What is promised in one turn is mostly due at one time: a heap of times with tickets.
        self._deadlines: list[int] = []
        self._due: dict[int, list[int]] = {}  # in the order of their making, also closed ones
        self._noted = 0  # tickets in `_due`

    def __len__(self) -> int:
        return len(self._open)

    def make(self, promise: PendingAck) -> None:
        ticket = promise.ticket
        self._open[ticket] = promise
        if promise.level is AckLevel.WRITTEN:
            self._written.append(promise)
        elif promise.level is AckLevel.DURABLE:
            self._durable.append(promise)
        else:
            self.replicated[ticket] = promise
        if self._noted > 2 * len(self._open) + 64:
            self._forget_closed()
        tickets = self._due.get(promise.deadline_ms)
        if tickets is None:
            tickets = self._due[promise.deadline_ms] = []
            heappush(self._deadlines, promise.deadline_ms)
        tickets.append(ticket)
        self._noted += 1

    def _forget_closed(self) -> None:
        self._due = {
            deadline_ms: still
            for deadline_ms, tickets in self._due.items()
            if (still := [ticket for ticket in tickets if ticket in self._open])
        }
        self._noted = sum(map(len, self._due.values()))
        self._deadlines = sorted(self._due)

    def kept(self, visible: int, durable: int, copies_of: CopiesOf) -> list[Answer]:
        """The promises that hold now that records 1..visible and 1..durable are that far."""
        answers: list[Answer] = []
        for queue, upto in ((self._written, visible), (self._durable, durable)):
            while queue and queue[0].number <= upto:
                self._keep(queue.popleft(), answers)
        for promise in list(self.replicated.values()):
            if promise.number <= durable and copies_of(promise.dot) >= promise.copies:
                del self.replicated[promise.ticket]
                self._keep(promise, answers)
        return answers

    def _keep(self, promise: PendingAck, answers: list[Answer]) -> None:
        if self._open.pop(promise.ticket, None) is not None:  # else overdue, and answered
            acked = Acked(promise.dot, promise.level, promise.copies, promise.text, promise.rules)
            answers.append((promise.ticket, acked))

    def failed(self, kept: int, failure: Unmet) -> list[Answer]:
        """The records after `kept` are not in the journal: these events do not exist."""
        gone = [promise for promise in self._open.values() if promise.number > kept]
        for promise in gone:
            self._close(promise)
        for queue in (self._written, self._durable):
            while queue and queue[-1].number > kept:
                queue.pop()
        return [(promise.ticket, failure) for promise in gone]

    def overdue(self, now_ms: int) -> list[Answer]:
        """The promises whose time is over. Their events exist, or are about to."""
        answers: list[Answer] = []
        while self._deadlines and self._deadlines[0] <= now_ms:
            tickets = self._due.pop(heappop(self._deadlines))
            self._noted -= len(tickets)
            for ticket in tickets:
                promise = self._open.get(ticket)
                if promise is not None:
                    self._close(promise)
                    answers.append((ticket, _too_late(promise)))
        return answers

    def _close(self, promise: PendingAck) -> None:
        del self._open[promise.ticket]
        self.replicated.pop(promise.ticket, None)

    @property
    def wake_at_ms(self) -> int | None:
        while self._deadlines:
            tickets = self._due[self._deadlines[0]]
            while tickets and tickets[-1] not in self._open:
                tickets.pop()
                self._noted -= 1
            if tickets:
                return self._deadlines[0]
            del self._due[heappop(self._deadlines)]
        return None


def _too_late(promise: PendingAck) -> Unmet:
    reason = f"not {promise.level} in time; it may still become so"
    if promise.level is AckLevel.REPLICATED:
        reason = f"not durable on {promise.copies} other nodes in time; it may still be"
    return Unmet("ack_timeout", reason, promise.dot)
