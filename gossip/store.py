"""The store of entries: their bytes by position. The frontier says which positions are held.

In memory here; a node may back the same Protocol with its journal. Reads must not fail: whoever
stores promises to give back.
"""

from collections.abc import Iterator
from typing import Protocol

from domain.dot import LogId
from gossip.entry import Entry

AHEAD_BYTES = 16 * 1024
AHEAD_FIRST = 8  # entries, while nothing is known of their size
AHEAD_MAX = 256


class Store(Protocol):
    def put(self, entry: Entry) -> None:
        """Keep the bytes of a position, instead of others if there were any."""
        ...

    def get(self, log: LogId, seq: int) -> bytes:
        """The bytes at a position that is held."""
        ...

    def span(self, log: LogId, first: int, last: int) -> list[bytes]:
        """The bytes of first..last, all of which are held."""
        ...

    @property
    def fetched_bytes(self) -> int:
        """How much was fetched from elsewhere so far, to answer. Only ever rises."""
        ...


def read_ahead(store: Store, log: LogId, first: int, last: int) -> Iterator[tuple[int, bytes]]:
    """The entries first..last with their positions, read in spans of about AHEAD_BYTES."""
    count = AHEAD_FIRST
    while first <= last:
        span = store.span(log, first, min(first + count - 1, last))
        yield from enumerate(span, first)
        first += len(span)
        mean_bytes = sum(map(len, span)) // len(span) + 1
        count = min(max(AHEAD_BYTES // mean_bytes, 1), AHEAD_MAX)


class MemoryStore:
    def __init__(self) -> None:
        self._logs: dict[LogId, dict[int, bytes]] = {}

    @property
    def fetched_bytes(self) -> int:
        return 0

    def put(self, entry: Entry) -> None:
        dot = entry.dot
        self._logs.setdefault(dot.log, {})[dot.seq] = entry.data

    def get(self, log: LogId, seq: int) -> bytes:
        return self._logs[log][seq]

    def span(self, log: LogId, first: int, last: int) -> list[bytes]:
        entries = self._logs[log]
        return [entries[seq] for seq in range(first, last + 1)]
