"""The heads seen since this node's last own event: the causal parents of its next one.

A head is the newest dot of one log. An event names at most `PARENTS_MAX` of them as parents, the
latest seen first; the others are left for the next event. A closed log of this node has a head like
any other, so the first event of a new epoch names it; the log being written has none, because its
chain names the predecessor.
"""

from collections.abc import Sequence
from itertools import islice

from domain.dot import Dot, LogId
from domain.events import PARENTS_MAX, Event


class Heads:
    """Mutable; not thread-safe."""

    def __init__(self) -> None:
        self._seqs: dict[LogId, int] = {}  # in the order in which they were last seen

    def see(self, dot: Dot) -> None:
        log = dot.log
        known = self._seqs.get(log, 0)
        if dot.seq > known:
            self._seqs.pop(log, None)
            self._seqs[log] = dot.seq

    @property
    def all(self) -> tuple[Dot, ...]:
        """In the order in which they were last seen."""
        return tuple([Dot(log.origin, log.epoch, seq) for log, seq in self._seqs.items()])

    def meet(self, event: Event, node: str) -> None:
        """This event is visible at `node`."""
        if event.dot.origin == node:
            self.named(event.parents)
        self.see(event.dot)

    def parents(self, own: LogId) -> tuple[Dot, ...]:
        """The newest heads, sorted, but that of the log that is written: the chain names it."""
        if len(self._seqs) == (own in self._seqs):  # nobody else has said anything since
            return ()
        # From the end, for there can be thousands, and each own event asks.
        latest = ((log, seq) for log, seq in reversed(self._seqs.items()) if log != own)
        newest = islice(latest, PARENTS_MAX)
        return tuple(sorted(Dot(log.origin, log.epoch, seq) for log, seq in newest))

    def named(self, parents: Sequence[Dot]) -> None:
        """An own event has named these: they are no news for the next one."""
        for dot in parents:
            if self._seqs.get(dot.log, 0) <= dot.seq:
                self._seqs.pop(dot.log, None)
