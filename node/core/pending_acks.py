"""Commands whose event exists and whose sender still waits for an ack, by the level asked for.

    written     the event is visible: as durable as the node's mode promises
    durable     it survives power loss here
    replicated  durable here, and at so many peers by their own receipts

Each pending ack ends in exactly one answer: reached, failed with the journal, or overdue (after the
command's `timeout_ms`; its event exists all the same). The caller reports progress by `reached`,
`failed` and `overdue`, and sends the answers that these return. Pure.
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
        # Commands of one turn mostly have one deadline: a heap of deadlines, each with its tickets.
        self._deadlines: list[int] = []
        self._due: dict[int, list[int]] = {}  # in the order of their making, also closed ones
        self._noted = 0  # tickets in `_due`

    def __len__(self) -> int:
        return len(self._open)

    def add(self, pending_ack: PendingAck) -> None:
        ticket = pending_ack.ticket
        self._open[ticket] = pending_ack
        if pending_ack.level is AckLevel.WRITTEN:
            self._written.append(pending_ack)
        elif pending_ack.level is AckLevel.DURABLE:
            self._durable.append(pending_ack)
        else:
            self.replicated[ticket] = pending_ack
        if self._noted > 2 * len(self._open) + 64:
            self._forget_closed()
        tickets = self._due.get(pending_ack.deadline_ms)
        if tickets is None:
            tickets = self._due[pending_ack.deadline_ms] = []
            heappush(self._deadlines, pending_ack.deadline_ms)
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

    def reached(self, visible: int, durable: int, copies_of: CopiesOf) -> list[Answer]:
        """The acks that are due now that records 1..visible and 1..durable are that far."""
        answers: list[Answer] = []
        for queue, upto in ((self._written, visible), (self._durable, durable)):
            while queue and queue[0].number <= upto:
                self._answer(queue.popleft(), answers)
        for pending_ack in list(self.replicated.values()):
            if pending_ack.number <= durable and copies_of(pending_ack.dot) >= pending_ack.copies:
                del self.replicated[pending_ack.ticket]
                self._answer(pending_ack, answers)
        return answers

    def _answer(self, pending_ack: PendingAck, answers: list[Answer]) -> None:
        if self._open.pop(pending_ack.ticket, None) is not None:  # else overdue, and answered
            acked = Acked(
                pending_ack.dot,
                pending_ack.level,
                pending_ack.copies,
                pending_ack.text,
                pending_ack.rules,
            )
            answers.append((pending_ack.ticket, acked))

    def failed(self, kept: int, failure: Unmet) -> list[Answer]:
        """The records after `kept` are not in the journal: these events do not exist."""
        gone = [pending_ack for pending_ack in self._open.values() if pending_ack.number > kept]
        for pending_ack in gone:
            self._close(pending_ack)
        for queue in (self._written, self._durable):
            while queue and queue[-1].number > kept:
                queue.pop()
        return [(pending_ack.ticket, failure) for pending_ack in gone]

    def overdue(self, now_ms: int) -> list[Answer]:
        """Answers to commands whose time is over. Their events exist, or are about to."""
        answers: list[Answer] = []
        while self._deadlines and self._deadlines[0] <= now_ms:
            tickets = self._due.pop(heappop(self._deadlines))
            self._noted -= len(tickets)
            for ticket in tickets:
                pending_ack = self._open.get(ticket)
                if pending_ack is not None:
                    self._close(pending_ack)
                    answers.append((ticket, _too_late(pending_ack)))
        return answers

    def _close(self, pending_ack: PendingAck) -> None:
        del self._open[pending_ack.ticket]
        self.replicated.pop(pending_ack.ticket, None)

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


def _too_late(pending_ack: PendingAck) -> Unmet:
    reason = f"not {pending_ack.level} in time; it may still become so"
    if pending_ack.level is AckLevel.REPLICATED:
        reason = f"not durable on {pending_ack.copies} other nodes in time; it may still be"
    return Unmet("ack_timeout", reason, pending_ack.dot)
