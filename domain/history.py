"""The history is the list of all events that a node has received, in the order of receipt.
Projections keep indices into it and read from it what they show.

There are two implementations of one protocol, `History`. `MemoryHistory` keeps all arrivals in
memory: it serves tests and short histories. `PagedHistory` keeps a few columns for every event (40
bytes an event) and loads the rest on demand: it serves a node, whose journal holds the events
anyway.

A column is an array of machine integers and not a list of objects. So a million events take 40 MiB
instead of a gigabyte, and the garbage collector does not traverse them.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, get_args

from msgspec import Struct

from domain.arrival import TAG_BYTES, Arrival, OrderKey, Via
from domain.clock import STAMP_MS_MAX, Stamp
from domain.dot import Dot
from domain.events import Event

Load = Callable[[int], Event]  # the event of the arrival with this index; it was appended before

LogKey = tuple[str, int]  # the fields of a LogId, as a plain tuple: cheaper to build and to hash

_VIAS: tuple[Via, ...] = get_args(Via)
_VIA_NUMBERS: dict[Via, int] = {via: number for number, via in enumerate(_VIAS)}
_VIA_BITS = 3
_SKEWED_BIT = 1 << _VIA_BITS
_VIA_MASK = _SKEWED_BIT - 1
_HOW_BITS = _VIA_BITS + 1  # what stands below the time of receipt in its column
_COUNTER_BITS = 16
_COUNTER_MASK = (1 << _COUNTER_BITS) - 1


class History(Protocol):
    """All arrivals of a node. Indices count from 0. The owner appends an arrival first; then each
    projection applies it.
    """

    def append(self, arrival: Arrival) -> None: ...

    def pop(self) -> Arrival:
        """Take the newest arrival out again. There must be one."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Arrival: ...

    def key(self, index: int) -> OrderKey: ...

    def author(self, index: int) -> str: ...

    def received_at_ms(self, index: int) -> int: ...

    def in_order(self, indices: Iterable[int]) -> Sequence[int]:
        """These indices, sorted by `key`."""
        ...

    def largest_stamp(self, ms_max: int) -> Stamp:
        """The largest stamp with ms <= `ms_max` that is not skewed; zero if there is none. O(n)."""
        ...

    def largest_of_others(self) -> Stamp:
        """The largest stamp that is not skewed, of events emitted elsewhere. Reads all: O(n)."""
        ...

    def of(self, dot: Dot) -> list[int]:
        """The indices of all arrivals with this dot: more than one only if it is forked. O(n)."""
        ...


class MemoryHistory:
    """A history in memory. Mutable; not thread-safe."""

    def __init__(self) -> None:
        self._arrivals: list[Arrival] = []

    def append(self, arrival: Arrival) -> None:
        self._arrivals.append(arrival)

    def pop(self) -> Arrival:
        return self._arrivals.pop()

    def __len__(self) -> int:
        return len(self._arrivals)

    def __getitem__(self, index: int) -> Arrival:
        return self._arrivals[index]

    def key(self, index: int) -> OrderKey:
        return self._arrivals[index].key

    def author(self, index: int) -> str:
        return self._arrivals[index].event.author

    def received_at_ms(self, index: int) -> int:
        return self._arrivals[index].received_at_ms

    def in_order(self, indices: Iterable[int]) -> Sequence[int]:
        return sorted(indices, key=self.key)

    def largest_stamp(self, ms_max: int) -> Stamp:
        return largest_stamp(self._arrivals, ms_max)

    def largest_of_others(self) -> Stamp:
        return largest_stamp((one for one in self._arrivals if one.via != "local"), STAMP_MS_MAX)

    def of(self, dot: Dot) -> list[int]:
        return [index for index, one in enumerate(self._arrivals) if one.event.dot == dot]


def largest_stamp(arrivals: Iterable[Arrival], ms_max: int) -> Stamp:
    """The largest stamp with ms <= `ms_max`, of arrivals that are not skewed; else zero."""
    stamps = (one.event.stamp for one in arrivals if not one.skewed)
    return max((stamp for stamp in stamps if stamp.ms <= ms_max), default=Stamp(0, 0))


class HistoryRows(Struct, frozen=True):
    """Consecutive rows of a paged history."""

    # Each column as the bytes of its array: stamps, logs, seqs, tags, authors, received. Logs and
    # authors are 4 bytes an arrival, the others 8.
    columns: tuple[bytes, ...]
    log_names: tuple[LogKey, ...]  # of the logs that these rows are the first to speak of
    author_names: tuple[str, ...]


class PagedHistory:
    """A history in columns; the rest of an arrival is loaded on demand. Mutable; not thread-safe.

    `load` must return the same event that was appended.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._stamps = array("Q")  # ms and counter
        self._logs = array("I")  # by number, as are the authors
        self._seqs = array("Q")
        self._tags = array("Q")
        self._authors = array("I")
        self._received = array("Q")  # ms, whether skewed, which way
        self._log_names: list[LogKey] = []
        self._log_numbers: dict[LogKey, int] = {}
        self._author_names: list[str] = []
        self._author_numbers: dict[str, int] = {}

    def append(self, arrival: Arrival) -> None:
        event = arrival.event
        dot, stamp, author = event.dot, event.stamp, event.author
        log = (dot.origin, dot.epoch)
        log_number = self._log_numbers.get(log)
        if log_number is None:
            log_number = self._log_numbers[log] = len(self._log_names)
            self._log_names.append(log)
        author_number = self._author_numbers.get(author)
        if author_number is None:
            author_number = self._author_numbers[author] = len(self._author_names)
            self._author_names.append(author)
        how = _VIA_NUMBERS[arrival.via] | (_SKEWED_BIT if arrival.skewed else 0)
        self._stamps.append(stamp.ms << _COUNTER_BITS | stamp.counter)
        self._logs.append(log_number)
        self._seqs.append(dot.seq)
        self._tags.append(int.from_bytes(arrival.tag, "big"))
        self._authors.append(author_number)
        self._received.append(arrival.received_at_ms << _HOW_BITS | how)

    def pop(self) -> Arrival:
        arrival = self[len(self) - 1]
        for column in self._columns():
            column.pop()
        return arrival

    def __len__(self) -> int:
        return len(self._stamps)

    def __getitem__(self, index: int) -> Arrival:
        received = self._received[index]
        return Arrival(
            self._load(index),
            self._tags[index].to_bytes(TAG_BYTES, "big"),
            received >> _HOW_BITS,
            _VIAS[received & (_SKEWED_BIT - 1)],
            bool(received & _SKEWED_BIT),
        )

    def key(self, index: int) -> OrderKey:
        stamp = self._stamps[index]
        origin, epoch = self._log_names[self._logs[index]]
        tag = self._tags[index].to_bytes(TAG_BYTES, "big")
        ms, counter = stamp >> _COUNTER_BITS, stamp & _COUNTER_MASK
        return (ms, counter, origin, epoch, self._seqs[index], tag)

    def author(self, index: int) -> str:
        return self._author_names[self._authors[index]]

    def received_at_ms(self, index: int) -> int:
        return self._received[index] >> _HOW_BITS

    def largest_stamp(self, ms_max: int) -> Stamp:
        rows = zip(self._stamps, self._received, strict=True)
        end = (ms_max + 1) << _COUNTER_BITS
        largest = max([one for one, how in rows if one < end and not how & _SKEWED_BIT], default=0)
        return Stamp(largest >> _COUNTER_BITS, largest & _COUNTER_MASK)

    def largest_of_others(self) -> Stamp:
        own = _VIA_NUMBERS["local"]
        rows = zip(self._stamps, self._received, strict=True)
        stamps = [one for one, how in rows if not how & _SKEWED_BIT and how & _VIA_MASK != own]
        largest = max(stamps, default=0)
        return Stamp(largest >> _COUNTER_BITS, largest & _COUNTER_MASK)

    def of(self, dot: Dot) -> list[int]:
        number = self._log_numbers.get((dot.origin, dot.epoch))
        rows = enumerate(zip(self._seqs, self._logs, strict=True))
        return [index for index, (seq, log) in rows if seq == dot.seq and log == number]

    # --- rows, to be written down and taken back ------------------------------------------------

    @property
    def named(self) -> tuple[int, int]:
        """How many logs and authors have a number."""
        return len(self._log_names), len(self._author_names)

    def rows(self, first: int, named: tuple[int, int]) -> HistoryRows:
        """All arrivals from this index on; so many logs and authors had a number before it."""
        columns = tuple([column[first:].tobytes() for column in self._columns()])
        logs, authors = self._log_names[named[0] :], self._author_names[named[1] :]
        return HistoryRows(columns, tuple(logs), tuple(authors))

    def take_rows(self, rows: HistoryRows) -> None:
        """The next arrivals, at once."""
        for column, more in zip(self._columns(), rows.columns, strict=True):
            column.frombytes(more)
        for log in rows.log_names:
            self._log_numbers[log] = len(self._log_names)
            self._log_names.append(log)
        for author in rows.author_names:
            self._author_numbers[author] = len(self._author_names)
            self._author_names.append(author)

    def positions(self, first: int) -> list[tuple[LogKey, list[tuple[int, int]]]]:
        """Of the arrivals from this index on, by log: (seq, index), sorted."""
        found: dict[int, list[tuple[int, int]]] = {}
        rows = zip(self._logs[first:], self._seqs[first:], strict=True)
        for index, (log, seq) in enumerate(rows, first):
            if log in found:
                found[log].append((seq, index))
            else:
                found[log] = [(seq, index)]
        return [(self._log_names[log], sorted(found[log])) for log in sorted(found)]

    def last_stamp(self, first: int) -> Stamp:
        """The largest stamp from this index on that a clock follows; zero if there is none."""
        rows = zip(self._stamps[first:], self._received[first:], strict=True)
        stamp = max([stamp for stamp, how in rows if not how & _SKEWED_BIT], default=0)
        return Stamp(stamp >> _COUNTER_BITS, stamp & _COUNTER_MASK)

    def _columns(self) -> "tuple[array[int], ...]":
        return (
            self._stamps,
            self._logs,
            self._seqs,
            self._tags,
            self._authors,
            self._received,
        )

    # --- order ----------------------------------------------------------------------------------

    def in_order(self, indices: Iterable[int]) -> Sequence[int]:
        """By stamp, for a stamp is one machine integer; then what has equal stamps by key."""
        stamps = self._stamps
        order = sorted(indices, key=stamps.__getitem__)
        first = 0
        for at in range(1, len(order) + 1):
            if at < len(order) and stamps[order[at]] == stamps[order[first]]:
                continue
            if at - first > 1:
                order[first:at] = sorted(order[first:at], key=self.key)
            first = at
        return order
