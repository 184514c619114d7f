"""Where the bytes of entries are, by position. The frontier says which positions are held.

In memory here; a node may back the same Protocol with its journal. Reads must not fail: whoever
stores promises to give back.
"""

from typing import Protocol

from domain.dot import LogId
from gossip.entry import Entry


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


class MemoryStore:
    __slots__ = ("_shelves",)

    def __init__(self) -> None:
        self._shelves: dict[LogId, dict[int, bytes]] = {}

    def put(self, entry: Entry) -> None:
        dot = entry.dot
        self._shelves.setdefault(dot.log, {})[dot.seq] = entry.data

    def get(self, log: LogId, seq: int) -> bytes:
        return self._shelves[log][seq]

    def span(self, log: LogId, first: int, last: int) -> list[bytes]:
        shelf = self._shelves[log]
        return [shelf[seq] for seq in range(first, last + 1)]
