"""Promises: commands whose event exists and whose sender still waits to hear how safe it is.

    written     the event is visible: as durable as the node's mode promises
    durable     it survives power loss here
    replicated  durable here, and at so many peers by their own receipts

A promise ends in exactly one outcome: kept, failed with the journal, or overdue.
"""

from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush

from msgspec import Struct

from domain.dot import Dot
from node.ports import AckLevel
from node.turn import Acked, Outcome, Unmet

Answer = tuple[int, Outcome]
CopiesOf = Callable[[Dot], int]


class Promise(Struct, frozen=True, gc=False):
    ticket: int
    number: int  # of the journal record
    dot: Dot
    level: AckLevel
    copies: int
    deadline_ms: int
    text: str
    rules: tuple[str, ...]


class Promises:
    """Mutable; not thread-safe."""

    __slots__ = ("_deadlines", "_durable", "_open", "_written", "replicated")

    def __init__(self) -> None:
        self._open: dict[int, Promise] = {}
        self._written: deque[Promise] = deque()  # in record order, as is the next
        self._durable: deque[Promise] = deque()
        self.replicated: dict[int, Promise] = {}  # by ticket: those that wait for copies elsewhere
        self._deadlines: list[tuple[int, int]] = []  # heap of (deadline, ticket), also closed ones

    def __len__(self) -> int:
        return len(self._open)

    def make(self, promise: Promise) -> None:
        ticket = promise.ticket
        self._open[ticket] = promise
        if promise.level is AckLevel.WRITTEN:
            self._written.append(promise)
        elif promise.level is AckLevel.DURABLE:
            self._durable.append(promise)
        else:
            self.replicated[ticket] = promise
        if len(self._deadlines) > 2 * len(self._open) + 64:
            self._deadlines = [one for one in self._deadlines if one[1] in self._open]
            heapify(self._deadlines)
        heappush(self._deadlines, (promise.deadline_ms, ticket))

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

    def _keep(self, promise: Promise, answers: list[Answer]) -> None:
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
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            promise = self._open.get(heappop(self._deadlines)[1])
            if promise is None:
                continue
            self._close(promise)
            level = str(promise.level)
            reason = f"not {level} in time; it may still become so"
            if promise.level is AckLevel.REPLICATED:
                reason = f"not durable on {promise.copies} other nodes in time; it may still be"
            answers.append((promise.ticket, Unmet("ack_timeout", reason, promise.dot)))
        return answers

    def _close(self, promise: Promise) -> None:
        del self._open[promise.ticket]
        self.replicated.pop(promise.ticket, None)

    @property
    def wake_at_ms(self) -> int | None:
        while self._deadlines and self._deadlines[0][1] not in self._open:
            heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None
