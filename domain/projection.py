"""A projection is what a node shows, computed from its arrivals alone: it can be recomputed at any
time.

`apply` adds one arrival. `rewind` removes the newest one and restores exactly the state before it,
counters included, so that a user can step back through what a node knew at an earlier time. Nothing
else changes a projection, and a projection changes nothing else: several projections of the same
arrivals coexist.

The caller applies each event once: the frontier of `gossip` recognises duplicates. The two branches
of a fork share a dot and differ in their tag; they are two events, and both are applied.

The projections of one node share its history (`domain.history`): the owner of the history appends
an arrival to it, and then has each projection apply it. A projection that is made without a history
has one of its own.
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
    """Base class of all projections: a history, and how many of its arrivals have been applied."""

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
    """The hash of a text. A lone surrogate has no encoding in UTF-8, and must not raise here."""
    data = text.encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=FINGERPRINT_BYTES).digest()
