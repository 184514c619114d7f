"""What an opening of the journal found: its records, where they are, and what was wrong."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from node.index import Index
from node.ports import Record
from node.recovery import storage_error
from node.storage import Reader
from node.survey import Hole, Segment, read_records


class Records:
    """What the journal held when it was opened; each iteration reads it from the disk again."""

    def __init__(self, reader: Reader, segments: Sequence[Segment], count: int) -> None:
        self._reader, self._segments, self._count = reader, segments, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Record]:
        try:
            yield from read_records(self._reader, self._segments)
        except OSError as error:
            raise storage_error("read", error, final=True) from None


class Recovery(Struct, frozen=True):
    """What an opening found, and did."""

    records: Records
    index: Index  # where they are
    count: int
    epoch: int | None  # the last one opened here
    must_open_epoch: str  # the reason, "" if own events go on where they ended
    incarnation: int  # starts of this directory, this one included
    clean: bool  # the last stop was in order
    torn_bytes: int
    torn_cause: str
    kept_as: str  # the file with the copy of the torn bytes
    quarantined: tuple[Hole, ...]  # damage in the middle; known ones were reported before
    missing: tuple[str, ...]  # segment files that are gone (mode salvage)
    segments: int
    size_bytes: int
    unsynced: int = 0  # of the records: so many at the end are not durable yet

    @property
    def lost(self) -> int:
        """Records in newly found holes: to be pulled back from peers."""
        return sum(hole.records for hole in self.quarantined if not hole.known)

    @property
    def new_holes(self) -> int:
        return sum(not hole.known for hole in self.quarantined)
