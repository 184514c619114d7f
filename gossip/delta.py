"""Cuts what a peer lacks into runs within a budget of bytes; no log waits for another's backlog.

Deficit round-robin (Shreedhar and Varghese 1995) across logs; within a log in seq order, so that
what arrives extends a prefix. A log with three entries is never stuck behind a backlog of a
million. An entry larger than a turn's quantum goes out at once and is paid back in later turns:
saving up for it would let the backlog take the budget.

The order of the first turns. What configured nodes write in now comes first: the log with the
fewest lacking entries before the others. Then one log of each origin, and so on, so that an origin
with thousands of logs does not stand before all others. A peer may have no place for some of them
and is sent them all the same, for nobody says so: where an origin has many, they take turns.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from domain.dot import LogId
from gossip.entry import Entry
from gossip.frontier import Frontier
from gossip.meter import Meter
from gossip.packets import ENTRIES_MAX, EpochFold, Line, Run
from gossip.places import Places
from gossip.reconcile import Lack
from gossip.store import Store, read_ahead

QUANTUM_BYTES = 8 * 1024
ENTRY_OVERHEAD_BYTES = 5  # MessagePack header of one entry's bytes, at most
RUN_OVERHEAD_BYTES = 64  # array headers, epoch, first and an origin of 32 bytes, at most
# Lines and runs of one packet. The rest of it is small, but for 8192 tags in all lines together.
BESIDE_BYTES_MAX = (1024 - 8 - 64) * 1024
LINE_BYTES = 68  # of a line with no range and no tag, beside its origin, at most
FOLD_BYTES = 48  # beside its origin, at most
RANGE_BYTES = 19
TURNS = 32  # logs of one origin that need not take turns: each has its quantum in any budget
WORK_BYTES_MAX = 512 * 1024  # of the meter, for one delta: entries may lie far apart
SOURCE_BYTES = 512  # of that, for beginning to read a log, beside what the store fetches for it


class _Source:
    """One log's lacking entries in seq order, read from the store in small spans."""

    def __init__(self, lack: Lack, store: Store) -> None:
        self.log = lack.log.id
        self.deficit = 0
        self.taken: list[tuple[int, bytes]] = []
        self.run_bytes = _run_bytes(lack.log.id.origin)
        self._entries = self._read(lack, store)
        self.next = next(self._entries, None)

    def _read(self, lack: Lack, store: Store) -> Iterator[tuple[int, bytes]]:
        yield from lack.tagged
        for first, last in lack.ranges:
            yield from read_ahead(store, lack.log.id, first, last)

    def take(self) -> None:
        assert self.next is not None
        self.taken.append(self.next)
        self.next = next(self._entries, None)

    def runs(self) -> list[Run]:
        """What was taken, as runs of consecutive positions."""
        runs: list[Run] = []
        origin, epoch = self.log.origin, self.log.epoch
        for seq, data in self.taken:
            _extend(runs, origin, epoch, seq, data)
        return runs


def cut(lacks: Iterable[Lack], frontier: Frontier, budget_bytes: int) -> tuple[list[Run], bool]:
    """Runs of at most `budget_bytes` on the wire, and whether something was left out.

    Nothing is read of a log before its turn comes, and no more than the meter allows. That a log is
    begun is paid as well: thousands of logs with an entry each take longer than one log with all.
    """
    store = frontier.store
    meter = Meter(store, WORK_BYTES_MAX)
    sources: list[_Source] = []
    left, entries = budget_bytes, 0
    waiting: deque[Lack | _Source] = deque(_in_turn(lacks, frontier.places))
    while waiting and left > 0 and not meter.spent():
        source = waiting.popleft()
        if type(source) is Lack:
            source = _Source(source, store)
            meter.spend(SOURCE_BYTES)
            sources.append(source)
        assert type(source) is _Source
        source.deficit += QUANTUM_BYTES
        while source.next is not None and source.deficit > 0:
            cost = _cost(source)
            if cost > left or entries == ENTRIES_MAX:
                left = 0
                break
            source.deficit -= cost
            left -= cost
            entries += 1
            source.take()
        if source.next is not None:
            waiting.append(source)
    return [run for source in sources for run in source.runs()], bool(waiting)


def _in_turn(lacks: Iterable[Lack], places: Places) -> list[Lack]:
    """In the order of their first turns."""
    of_origin: dict[str, list[Lack]] = {}
    ranked: list[tuple[int, int, int, Lack]] = []
    for lack in lacks:
        if rank := places.rank(lack.log.id):
            of_origin.setdefault(lack.log.id.origin, []).append(lack)
        else:
            ranked.append((0, rank, lack.count, lack))
    places.turn += 1
    for origin, group in of_origin.items():
        group.sort(key=_count_of)
        rank = places.rank(LogId(origin, 0))
        start = places.turn * TURNS % len(group) if len(group) > TURNS else 0
        for row, lack in enumerate(group[start:] + group[:start], 1):
            ranked.append((row, rank, lack.count, lack))
    ranked.sort(key=_place_of)
    return [lack for *_, lack in ranked]


def _count_of(lack: Lack) -> int:
    return lack.count


def _place_of(ranked: tuple[int, int, int, Lack]) -> tuple[int, int, int]:
    return ranked[:3]


def _cost(source: _Source) -> int:
    assert source.next is not None
    seq, data = source.next
    follows = bool(source.taken) and source.taken[-1][0] + 1 == seq
    return len(data) + ENTRY_OVERHEAD_BYTES + (0 if follows else source.run_bytes)


def _run_bytes(origin: str) -> int:
    """What a run costs besides its entries; a name of 32 characters can have 128 bytes."""
    return RUN_OVERHEAD_BYTES + max(0, len(origin.encode()) - 32)


def line_bytes(origin: str, ranges: int) -> int:
    """What a line costs at most, without tags."""
    return LINE_BYTES + len(origin.encode()) + RANGE_BYTES * ranges


def room_beside(lines: Iterable[Line], folds: Iterable[EpochFold]) -> int:
    """The bytes that are left for runs in a packet which has these lines and folds too."""
    lines_bytes = sum(line_bytes(line.origin, len(line.ranges)) for line in lines)
    folds_bytes = sum(FOLD_BYTES + len(fold.origin.encode()) for fold in folds)
    return BESIDE_BYTES_MAX - lines_bytes - folds_bytes


def runs_of(entries: Iterable[Entry], budget_bytes: int) -> list[list[Run]]:
    """Entries in order, as the runs of one or more packets of about `budget_bytes` each."""
    packets: list[list[Run]] = [[]]
    size = overhead = count = 0
    origin = ""
    for entry in entries:
        dot, data = entry.dot, entry.data
        if dot.origin != origin:
            origin = dot.origin
            overhead = ENTRY_OVERHEAD_BYTES + _run_bytes(origin)
        cost = len(data) + overhead
        if packets[-1] and (size + cost > budget_bytes or count == ENTRIES_MAX):
            packets.append([])
            size = count = 0
        size, count = size + cost, count + 1
        _extend(packets[-1], origin, dot.epoch, dot.seq, data)
    return [runs for runs in packets if runs]


def split(run: Run, budget_bytes: int) -> list[tuple[Run, int]]:
    """The same entries in runs that cost at most `budget_bytes` on the wire, with what each costs.

    An entry that alone costs more than that has a run of its own.
    """
    overhead = _run_bytes(run.origin)
    parts: list[tuple[Run, int]] = []
    begin, size = 0, overhead
    for at, data in enumerate(run.data):
        cost = len(data) + ENTRY_OVERHEAD_BYTES
        if at > begin and (size + cost > budget_bytes or at - begin == ENTRIES_MAX):
            parts.append((_part(run, begin, at), size))
            begin, size = at, overhead
        size += cost
    return [*parts, (_part(run, begin, len(run.data)), size)]


def _part(run: Run, begin: int, end: int) -> Run:
    if end - begin == len(run.data):
        return run
    return Run(run.origin, run.epoch, run.first + begin, run.data[begin:end])


def _extend(runs: list[Run], origin: str, epoch: int, seq: int, data: bytes) -> None:
    """Lengthen the last run if this entry follows it, else begin another."""
    run = runs[-1] if runs else None
    if (
        run is not None
        and seq == run.first + len(run.data)
        and run.epoch == epoch
        and run.origin == origin
    ):
        run.data.append(data)
    else:
        runs.append(Run(origin, epoch, seq, [data]))
