"""The bytes of all entries that this node holds, by position; and the history of arrivals.

`PagedEntryStore` keeps an entry in memory until its record is in the journal, and then for another
`RECENT_BYTES` of newer ones, because new entries are the ones that peers send twice. After that it
keeps the record number alone, four bytes an event, and reads the bytes from the journal when they
are asked for. `MemoryEntryStore` keeps everything in memory: for tests and the simulator.

Implements `gossip.store.Store`. Reading may raise what `node.core.ports.Pages` raises.
"""

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from domain.arrival import Arrival
from domain.dot import LogId
from domain.events import Event
from domain.history import History, MemoryHistory, PagedHistory
from gossip.entry import Entry
from gossip.store import MemoryStore, Store
from node.core.ports import EventCodec, Pages

RECENT_BYTES = 1024 * 1024  # of events that are in the journal, and in memory still


class _LogBytes:
    """One log: of each position its bytes, or the number of the record that has them."""

    __slots__ = ("fresh", "instead", "loose", "numbers")

    def __init__(self) -> None:
        self.fresh: dict[int, bytes] = {}
        self.instead: dict[int, bytes] = {}  # of what a record holds: of forks, see the frontier
        self.numbers = array("I")  # of the positions 1 .. len
        self.loose: dict[int, int] = {}  # of positions above

    def settle(self, seq: int, number: int) -> None:
        if seq == len(self.numbers) + 1 and not self.loose:
            self.numbers.append(number)
        else:
            self.extend(seq, (number,))

    def extend(self, first: int, more: Sequence[int]) -> None:
        """These records have the positions from `first` on."""
        numbers, loose = self.numbers, self.loose
        if first != len(numbers) + 1:
            loose.update(zip(range(first, first + len(more)), more, strict=True))
            return
        numbers.extend(more)
        while loose and (after := loose.pop(len(numbers) + 1, None)) is not None:
            numbers.append(after)

    def number(self, seq: int) -> int:
        return self.numbers[seq - 1] if seq <= len(self.numbers) else self.loose[seq]


class LogRows(Struct, frozen=True):
    """What consecutive arrivals added to one log."""

    log: LogId
    ranges: tuple[tuple[int, int], ...]  # of positions, sorted
    numbers: bytes  # of the records that hold them, in this order, 4 bytes each
    total: int  # the sum of the hashes of these entries


class EntryStore(Store, Protocol):
    """A store of entries, and the history of the arrivals that they became."""

    @property
    def history(self) -> History: ...

    def take(self, arrival: Arrival, entry: Entry, number: int) -> None:
        """This entry is record `number` of the journal, and the next arrival in the history."""
        ...


class MemoryEntryStore(MemoryStore):
    """Everything stays in memory. Mutable; not thread-safe."""

    def __init__(self) -> None:
        super().__init__()
        self.history: History = MemoryHistory()

    def take(self, arrival: Arrival, entry: Entry, number: int) -> None:  # noqa: ARG002
        self.history.append(arrival)


class PagedEntryStore:
    """What is in the journal leaves memory. Mutable; not thread-safe."""

    def __init__(self, pages: Pages, codec: EventCodec, recent_bytes: int = RECENT_BYTES) -> None:
        self._pages = pages
        self._codec = codec
        self.recent_bytes = recent_bytes
        self._recent: deque[tuple[_LogBytes, int, int]] = deque()  # with seq and size
        self._recent_bytes = 0
        self._logs: dict[LogId, _LogBytes] = {}
        # Arrival i is record i + offset, for as long as no record came between that is no arrival.
        self._firsts = array("Q")
        self._offsets = array("Q")
        self.history: PagedHistory = PagedHistory(self._event)

    def take(self, arrival: Arrival, entry: Entry, number: int) -> None:
        self._settle(entry, number)
        offset = number - len(self.history)
        if not self._offsets or self._offsets[-1] != offset:
            self._firsts.append(len(self.history))
            self._offsets.append(offset)
        self.history.append(arrival)

    def put(self, entry: Entry) -> None:
        log_bytes = self._logs.get(entry.dot.log)
        if log_bytes is None:
            log_bytes = self._logs[entry.dot.log] = _LogBytes()
        seq = entry.dot.seq
        settled = seq <= len(log_bytes.numbers) or seq in log_bytes.loose
        (log_bytes.instead if settled else log_bytes.fresh)[seq] = entry.data

    def get(self, log: LogId, seq: int) -> bytes:
        log_bytes = self._logs[log]
        data = log_bytes.instead.get(seq) or log_bytes.fresh.get(seq)
        return self._pages.events([log_bytes.number(seq)])[0] if data is None else data

    @property
    def fetched_bytes(self) -> int:
        return self._pages.fetched_bytes

    def span(self, log: LogId, first: int, last: int) -> list[bytes]:
        log_bytes = self._logs[log]
        if (
            not log_bytes.instead
            and last <= len(log_bytes.numbers)
            and first not in log_bytes.fresh
        ):
            return self._pages.events(log_bytes.numbers[first - 1 : last])
        return [self.get(log, seq) for seq in range(first, last + 1)]

    # --- rows, to be written down and taken back ------------------------------------------------

    @property
    def jumps(self) -> int:
        """How often a record came between that is no arrival."""
        return len(self._firsts)

    def offsets(self, jumps: int) -> tuple[bytes, bytes]:
        """From which arrival on the records have which offset, from this jump on; 8 bytes each."""
        return self._firsts[jumps:].tobytes(), self._offsets[jumps:].tobytes()

    def numbers_of(self, indices: Sequence[int], jumps: int) -> "array[int]":
        """The records of these arrivals. `jumps`: what it was before the first of them."""
        if self.jumps > max(jumps, 1):
            return array("I", map(self._number_of, indices))
        offset = self._offsets[-1]  # of them all
        return array("I", [index + offset for index in indices])

    def take_offsets(self, firsts: bytes, offsets: bytes) -> None:
        self._firsts.frombytes(firsts)
        self._offsets.frombytes(offsets)

    def take_rows(self, rows: LogRows) -> None:
        """These positions are in these records."""
        log_bytes = self._logs.setdefault(rows.log, _LogBytes())
        numbers = array("I", rows.numbers)
        at = 0
        for first, last in rows.ranges:
            part = numbers[at : at + last - first + 1]
            log_bytes.extend(first, part)
            at += len(part)

    # --- inside ---------------------------------------------------------------------------------

    def _settle(self, entry: Entry, number: int) -> None:
        log_bytes, seq = self._logs[entry.dot.log], entry.dot.seq
        if log_bytes.fresh.get(seq) is not entry.data:
            return  # a rival has the position
        log_bytes.settle(seq, number)
        size = len(entry.data)
        self._recent.append((log_bytes, seq, size))
        self._recent_bytes += size
        while self._recent_bytes > self.recent_bytes:
            old, seq, size = self._recent.popleft()
            del old.fresh[seq]
            self._recent_bytes -= size

    def _event(self, index: int) -> Event:
        return self._codec.decode(self._pages.events([self._number_of(index)])[0]).event

    def _number_of(self, index: int) -> int:
        return index + self._offsets[bisect_right(self._firsts, index) - 1]
