"""Receipts: how much of a log is durable at which node. The ack level `replicated:k` needs them.

What is *durable here* is counted per log as records reach the disk, and sent to the origin that
asked for it. What is *durable there* is what peers said of our own logs; a peer's word only rises,
because what is durable stays so. A receipt that is lost on the way is sent again in the answer to
the next Syn that asks for it. While the node's past may not be
durable (not `vouched`), nothing is told; and nothing about a forked log, because what is durable is
counted by position, and a position no longer says which branch is meant.
"""

from itertools import islice

from domain.dot import LogId
from domain.seqset import SeqSet
from gossip.frontier import Frontier
from gossip.packets import STORED_PER_PACKET_MAX, Stored


class Receipts:
    """Mutable; not thread-safe."""

    def __init__(self, frontier: Frontier) -> None:
        self._frontier = frontier
        self.vouched = True
        self._durable_here: dict[LogId, SeqSet] = {}  # of other origins, here
        self._owed: dict[LogId, int] = {}  # the origin waits until this seq is durable here
        self._touched: dict[LogId, None] = {}  # owed logs that have grown since the last receipt
        self._durable_there: dict[
            LogId, dict[str, int]
        ] = {}  # own log -> peer -> durable prefix there

    # --- durable here ---------------------------------------------------------------------------

    def durable(self, log: LogId, first: int, last: int = 0) -> None:
        """This position of another origin's log, or first..last, is durable here."""
        held = self._durable_here.get(log)
        if held is None:
            held = self._durable_here[log] = SeqSet()
        if last:
            held.add_range(first, last)
        else:
            held.add(first)
        if log in self._owed:
            self._touched[log] = None

    def owe(self, log: LogId, upto: int) -> None:
        """The origin of this log waits to hear of everything up to `upto`."""
        owed = self._owed[log] = max(upto, self._owed.get(log, 0))
        if self._prefix(log) >= owed:  # else there is nothing to tell that it has not heard
            self._touched[log] = None

    @property
    def touched(self) -> bool:
        """Some log that its origin waits for has grown."""
        return bool(self._touched)

    def take_due(self) -> dict[str, list[Stored]]:
        """The receipts that are due, by the origin that waits for them."""
        due: dict[str, list[Stored]] = {}
        if not self.vouched:
            return due
        # Of what does not fit the rest waits for the next time, and is not read before.
        for log in list(islice(self._touched, STORED_PER_PACKET_MAX)):
            stored = self._stored(log)
            if stored is not None:
                due.setdefault(log.origin, []).append(stored)
            if self._prefix(log) >= self._owed[log]:
                del self._owed[log]
            del self._touched[log]
        return due

    def stored_of(self, origin: str) -> list[Stored]:
        """Everything of one origin that is durable here, the newest logs last."""
        if not self.vouched:
            return []
        logs = [log for log in self._durable_here if log.origin == origin]
        newest = filter(None, map(self._stored, reversed(logs)))
        return list(islice(newest, STORED_PER_PACKET_MAX))[::-1]

    def _stored(self, log: LogId) -> Stored | None:
        """What can be said of one log; None, if that is nothing."""
        held, prefix = self._frontier.get(log), self._prefix(log)
        if held is None or not prefix or held.forked:
            return None
        return Stored(log.origin, log.epoch, prefix, self._frontier.head_at(held, prefix))

    def _prefix(self, log: LogId) -> int:
        held = self._durable_here.get(log)
        return held.prefix if held is not None else 0

    # --- durable there --------------------------------------------------------------------------

    def receive(self, peer: str, stored: Stored) -> None:
        """A peer says how much of a log of ours is durable there, and its head is ours."""
        word = self._durable_there.setdefault(LogId(stored.origin, stored.epoch), {})
        word[peer] = max(stored.prefix, word.get(peer, 0))

    def copies(self, log: LogId, seq: int) -> int:
        """How many peers hold this position of our log durably, by their own word."""
        return sum(prefix >= seq for prefix in self._durable_there.get(log, {}).values())
