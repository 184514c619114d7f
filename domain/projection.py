"""Projections: what a node shows, rebuilt at any time from the arrivals it has met.

A projection is a fold. `apply` takes one arrival into account; `rewind` takes the newest one out
again and leaves exactly the state from before, counters included, so that a person can scrub
through what a node knew and when. Nothing else changes a projection, and a projection changes
nothing else: several coexist over the same arrivals and may disagree about what matters.

The caller applies each event once: telling a duplicate from news is the frontier's work. Two
branches of a fork share a dot and differ in their tag; they are two events, and both are applied.
"""

from hashlib import blake2b
from typing import Protocol

from domain.arrival import Arrival

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


def fingerprint_of(text: str) -> bytes:
    """Lone surrogates have no bytes of their own in UTF-8, and must not stop a fingerprint."""
    data = text.encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=FINGERPRINT_BYTES).digest()
