"""A `SeqSet` is a set of sequence numbers, stored as sorted disjoint ranges: gaps in a chat are few
and consecutive.

The first range usually starts at 1; its end is the contiguous prefix. Membership and insertion take
O(log r), r being the number of ranges. It is used for the entries that a log holds (gossip) and for
the events that a timeline knows to be missing (domain). Mutable; not thread-safe.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

SEQ_MAX = 2**63 - 1


class SeqSet:
    __slots__ = ("_count", "_firsts", "_lasts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._count = 0
        for first, last in ranges:
            self.add_range(first, last)

    @property
    def prefix(self) -> int:
        """The largest p with 1..p all held; 0 if 1 is not held."""
        return self._lasts[0] if self._firsts and self._firsts[0] == 1 else 0

    @property
    def last(self) -> int:
        """The largest number held, 0 if empty."""
        return self._lasts[-1] if self._lasts else 0

    def ranges(self) -> Iterator[tuple[int, int]]:
        """All ranges, ascending, as inclusive (first, last)."""
        return iter(zip(self._firsts, self._lasts, strict=True))

    @property
    def whole(self) -> bool:
        """1..last, and nothing else."""
        return len(self._firsts) == 1 and self._firsts[0] == 1

    @property
    def parts(self) -> int:
        """How many ranges are not part of the contiguous prefix."""
        return len(self._firsts) - (1 if self.prefix else 0)

    def above_prefix(self, begin: int = 0, end: int | None = None) -> list[tuple[int, int]]:
        """The ranges that are not part of the contiguous prefix; `begin`..`end` - 1 of them."""
        skip = 1 if self.prefix else 0
        if len(self._firsts) == skip:  # as nearly always
            return []
        part = slice(skip + begin, None if end is None else skip + end)
        return list(zip(self._firsts[part], self._lasts[part], strict=True))

    def range_of(self, seq: int) -> tuple[int, int]:
        """The range that this number, which is held, is in."""
        i = bisect_right(self._firsts, seq) - 1
        return self._firsts[i], self._lasts[i]

    def gaps(self) -> Iterator[tuple[int, int]]:
        """The inclusive ranges missing between 1 and `last`."""
        at = 1
        for first, last in self.ranges():
            if first > at:
                yield (at, first - 1)
            at = last + 1

    def within(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """What is held of first..last, ascending, as inclusive ranges."""
        i = max(bisect_right(self._firsts, first) - 1, 0)
        while i < len(self._firsts) and self._firsts[i] <= last:
            low, high = max(self._firsts[i], first), min(self._lasts[i], last)
            if low <= high:
                yield low, high
            i += 1

    def missing_from(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The inclusive sub-ranges of first..last that are not held."""
        at = first
        i = max(bisect_right(self._firsts, first) - 1, 0)
        while i < len(self._firsts) and at <= last:
            if self._firsts[i] > last:
                break
            if self._firsts[i] > at:
                yield (at, self._firsts[i] - 1)
            at = max(at, self._lasts[i] + 1)
            i += 1
        if at <= last:
            yield (at, last)

    def add(self, seq: int) -> bool:
        """Insert one number; False if it was held already."""
        lasts = self._lasts
        if lasts and seq == lasts[-1] + 1 <= SEQ_MAX:  # the common case: a log grows at its end
            lasts[-1] = seq
            self._count += 1
            return True
        return self.add_range(seq, seq) == 1

    def add_range(self, first: int, last: int) -> int:
        """Insert first..last; returns how many of them are new."""
        assert 1 <= first <= last <= SEQ_MAX, (first, last)
        new = sum(b - a + 1 for a, b in self.missing_from(first, last))
        if not new:
            return 0
        # All ranges that touch or overlap [first - 1, last + 1] melt into one.
        lo = bisect_right(self._firsts, first)
        if lo and self._lasts[lo - 1] >= first - 1:
            lo -= 1
        hi = bisect_right(self._firsts, last + 1)
        if lo < hi:
            first = min(first, self._firsts[lo])
            last = max(last, self._lasts[hi - 1])
        self._firsts[lo:hi] = [first]
        self._lasts[lo:hi] = [last]
        self._count += new
        return new

    def discard(self, seq: int) -> bool:
        """Remove one number (only a rewind does that); False if it was not held."""
        i = bisect_right(self._firsts, seq) - 1
        if i < 0 or self._lasts[i] < seq:
            return False
        first, last = self._firsts[i], self._lasts[i]
        parts = [(a, b) for a, b in ((first, seq - 1), (seq + 1, last)) if a <= b]
        self._firsts[i : i + 1] = [a for a, _ in parts]
        self._lasts[i : i + 1] = [b for _, b in parts]
        self._count -= 1
        return True

    def __contains__(self, seq: int) -> bool:
        i = bisect_right(self._firsts, seq) - 1
        return i >= 0 and seq <= self._lasts[i]

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SeqSet):
            return NotImplemented
        return self._firsts == other._firsts and self._lasts == other._lasts

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        spans = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in self.ranges())
        return f"SeqSet({spans})"
