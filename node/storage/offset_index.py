"""Where records are in the journal: a sparse index, one point per few KiB, as Kafka's. Pure.

A point names a chunk: consecutive frames of one segment, the number of its first record, and where
it begins and ends. Whoever wants a record reads its chunk. So the index costs 20 bytes per chunk
and not per record, however small the commits were.

Numbers are those that the replica counts: of the records that the journal delivered at its opening,
and of those appended since.
"""

from array import array
from bisect import bisect_left, bisect_right

from msgspec import Struct

CHUNK_BYTES = 8 * 1024  # a frame that begins below this still belongs to the chunk


class WrittenFrame(Struct, frozen=True, gc=False):
    """A block frame with the next `count` records lies at offset .. end."""

    count: int
    segment: int
    offset: int
    end: int


class Chunk(Struct, frozen=True, gc=False):
    first: int  # record number
    segment: int
    offset: int
    end: int


class OffsetIndex:
    """Mutable; not thread-safe."""

    def __init__(self) -> None:
        self._firsts = array("Q")
        self._segments = array("I")
        self._offsets = array("I")
        self._ends = array("I")
        self.last = 0  # the number of the last record that has a place

    def __len__(self) -> int:
        return len(self._firsts)

    def add(self, count: int, segment: int, offset: int, end: int) -> None:
        """The next frame. Records that are lost have no number, so there are no gaps."""
        if (
            self._ends
            and self._ends[-1] == offset
            and self._segments[-1] == segment
            and offset - self._offsets[-1] < CHUNK_BYTES
        ):
            self._ends[-1] = end
        else:
            self._firsts.append(self.last + 1)
            self._segments.append(segment)
            self._offsets.append(offset)
            self._ends.append(end)
        self.last += count

    def rows(self, segment: int) -> tuple[bytes, bytes, bytes]:
        """The points of one segment: the first records, offsets, ends."""
        low, high = bisect_left(self._segments, segment), bisect_right(self._segments, segment)
        columns = (self._firsts, self._offsets, self._ends)
        first, offset, end = (column[low:high].tobytes() for column in columns)
        return first, offset, end

    def take_rows(self, segment: int, rows: tuple[bytes, bytes, bytes], last: int) -> None:
        """The points of the next segment, at once; `last` is its last record."""
        for column, more in zip((self._firsts, self._offsets, self._ends), rows, strict=True):
            column.frombytes(more)
        self._segments.extend([segment] * (len(self._firsts) - len(self._segments)))
        self.last = last

    def find(self, number: int) -> Chunk:
        """The chunk that holds this record, which must have a place."""
        assert 1 <= number <= self.last, (number, self.last)
        at = bisect_right(self._firsts, number) - 1
        return Chunk(self._firsts[at], self._segments[at], self._offsets[at], self._ends[at])

    def cut(self, kept: int) -> None:
        """The records after `kept` were taken back.

        The last chunk may then claim more bytes than it has: what is not there is not read.
        """
        while self._firsts and self._firsts[-1] > kept:
            for column in (self._firsts, self._segments, self._offsets, self._ends):
                column.pop()
        self.last = min(self.last, kept)
