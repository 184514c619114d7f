"""What an opening of the journal found: its records, where they are, and what was wrong."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from msgspec import Struct

from node.checkpoint import Checkpoint, Seal
from node.index import Index
from node.ports import Record
from node.recovery import storage_error
from node.replica import Replica
from node.storage import Reader
from node.survey import Hole, Segment, read_records

RESTORE_BATCH = 4096  # records between two looks at signals


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
    count: int  # those that checkpoints tell of among them
    checkpoints: list[Checkpoint]  # of the records before `records`
    seals: list[Seal]  # of the sealed segments that hold these
    recalled: int  # of the records: so many are in checkpoints
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

    def restore(self, replica: Replica, keep: Callable[[Checkpoint], str]) -> Iterator[None]:
        """Give the replica its past, and `keep` checkpoints of what was read; a rest after each
        piece. Raises StorageError where a body cannot be read: then believe no checkpoints.
        """
        replica.recall(_taken_from(self.checkpoints))
        yield
        replica.past.seal(self.seals)
        records = iter(self.records)
        while batch := list(islice(records, RESTORE_BATCH)):
            replica.restore(batch)
            for one in replica.past.take_checkpoints():
                keep(one)
            yield

    @property
    def lost(self) -> int:
        """Records in newly found holes: to be pulled back from peers."""
        return sum(hole.records for hole in self.quarantined if not hole.known)

    @property
    def new_holes(self) -> int:
        return sum(not hole.known for hole in self.quarantined)


def _taken_from(checkpoints: list[Checkpoint]) -> Iterator[Checkpoint]:
    """One after the other, and none is kept: together they are as large as the history."""
    checkpoints.reverse()
    while checkpoints:
        yield checkpoints.pop()
