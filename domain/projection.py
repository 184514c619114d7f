"""Projections: what a node shows, rebuilt at any time from the arrivals it has met.

A projection is a fold. `apply` takes one arrival into account; `rewind` takes the newest one out
again and leaves exactly the state from before, counters included, so that a person can scrub
through what a node knew and when. Nothing else changes a projection, and a projection changes
nothing else: several coexist over the same arrivals and may disagree about what matters.

The caller applies each event once: telling a duplicate from news is the frontier's work. Two
branches of a fork share a dot and differ in their tag; they are two events, and both are applied.

Projections of one node share its history (`domain.history`): whoever owns that appends an arrival
to it, and then has each projection apply it. A projection made without a history keeps its own.
"""

from hashlib import blake2b
from typing import Protocol

from domain.arrival import Arrival
from domain.history import History, MemoryHistory

FINGERPRINT_BYTES = 16


class Projection(Protocol):
    def apply(self, arrival: Arrival) -> None:
        """Take one more arrival into account."""
        ...

    def rewind(self) -> Arrival:
        """Undo the newest apply, and return what it had applied. There must be one."""
        ...

    def fingerprint(self) -> bytes:
        """FINGERPRINT_BYTES of what the projection names here: equal where that is equal."""
        ...

    def __len__(self) -> int:
        """How many arrivals have been applied."""
        ...


class Fold:
    """What every projection is made of: a history, and how much of it is taken into account."""

    def __init__(self, history: History | None = None) -> None:
        self._own = history is None
        self._history: History = MemoryHistory() if history is None else history
        self._applied = 0

    def __len__(self) -> int:
        return self._applied

    def _take(self, arrival: Arrival) -> int:
        """This arrival is being applied: its index."""
        index = self._applied
        if self._own:
            while len(self._history) > index:  # what was rewound
                self._history.pop()
            self._history.append(arrival)
        self._applied = index + 1
        return index

    def _take_many(self, count: int) -> int:
        """The next arrivals in the history are taken into account at once: the first's index."""
        index = self._applied
        self._applied = index + count
        assert not self._own and self._applied <= len(self._history)
        return index

    def _newest(self) -> Arrival:
        """What a rewind is about to undo."""
        assert self._applied, "nothing to rewind"
        return self._history[self._applied - 1]

    def _give_back(self) -> None:
        """The newest arrival is not taken into account any more."""
        self._applied -= 1


def fingerprint_of(text: str) -> bytes:
    """Lone surrogates have no bytes of their own in UTF-8, and must not stop a fingerprint."""
    data = text.encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=FINGERPRINT_BYTES).digest()
