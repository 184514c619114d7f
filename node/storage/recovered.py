"""Opens a journal: scans it, repairs its tail, and hands the result (`Recovery`) to a start.

`begin` decides and changes the disk, in the order that survives a crash at any point: IDENTITY
first, then the copy of a torn tail, then the cut. `Recovery.restore` gives a replica its records
and checkpoints. What is decided is in `node.storage.recovery`. Raises `RecoveryRefused` where
nothing was changed, `StorageError` or OSError where the disk failed.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from node.core.checkpoint import Checkpoint, Seal
from node.core.ports import Record
from node.core.replica import Replica
from node.storage import recovery
from node.storage.checkpoint_files import CheckpointedPrefix, remove_from, trusted_prefix
from node.storage.files import Reader, Storage
from node.storage.headers import Identity
from node.storage.offset_index import OffsetIndex
from node.storage.scan import Hole, ScanResult, scan_journal
from node.storage.segments import Segment, names_of_range, read_records

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
            raise recovery.storage_error("read", error, final=True) from None


class Recovery(Struct, frozen=True):
    """What an opening found, and did."""

    records: Records
    index: OffsetIndex  # where they are
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
        replica.projections.seal(self.seals)
        records = iter(self.records)
        while batch := list(islice(records, RESTORE_BATCH)):
            replica.restore(batch)
            for checkpoint in replica.projections.take_checkpoints():
                keep(checkpoint)
            yield

    @property
    def lost(self) -> int:
        """Records in newly found holes: to be pulled back from peers."""
        return sum(hole.records for hole in self.quarantined if not hole.known)

    @property
    def new_holes(self) -> int:
        return sum(not hole.known for hole in self.quarantined)


class JournalStart(Struct, frozen=True):
    """What a start knows before it writes to the journal."""

    identity: Identity | None  # as IDENTITY said; None if nothing is to be made of it
    now: Identity  # of this start
    saved: Identity  # what IDENTITY says for the time being
    scan: ScanResult
    prefix: CheckpointedPrefix
    doubted: str  # the mode of a process that may have left bytes that no sync writes
    kept_as: str

    @property
    def needs_segment(self) -> bool:
        return recovery.needs_segment(self.now, self.scan)

    def recovery(self, reader: Reader, unsynced: int) -> Recovery:
        """What is to be told of it, once the journal can be written to."""
        scan, prefix, torn = self.scan, self.prefix, self.scan.torn
        return Recovery(
            records=Records(reader, scan.segments, scan.records - prefix.records),
            checkpoints=prefix.checkpoints,
            seals=scan.seals,
            recalled=prefix.records,
            index=scan.index,
            count=scan.records,
            epoch=scan.epoch,
            must_open_epoch=self.now.must_open_epoch,
            incarnation=self.now.incarnation,
            clean=recovery.stopped_clean(self.identity, scan),
            torn_bytes=torn.length if torn else 0,
            torn_cause=torn.cause if torn and torn.length else "",
            kept_as=self.kept_as,
            quarantined=recovery.holes_to_report(self.identity, scan),
            missing=tuple(names_of_range(*gap) for gap in scan.missing),
            segments=len(scan.segments),
            size_bytes=sum(segment.size for segment in scan.segments),
            unsynced=unsynced,
        )


def begin(
    storage: Storage,
    node: str,
    durability: str,
    mode: recovery.Mode,
    wall_ms: int,
    *,
    trust: bool,
    known: recovery.Known | None = None,
) -> JournalStart:
    """Look at everything, write the wish for an epoch down, and only then repair.

    `trust`: believe checkpoints. Raises RecoveryRefused where nothing was changed, and OSError.
    """
    identity = recovery.load_identity(storage)
    directory_id = identity.directory_id if identity else b""
    prefix = CheckpointedPrefix(ScanResult(directory_id=directory_id))
    if directory_id and trust:
        prefix = trusted_prefix(storage, node, directory_id)
    scan = scan_journal(storage, directory_id, prefix.scan)
    recovery.refuse_to_begin_anew(mode, identity, scan, known)
    identity = recovery.compare(recovery.informed(identity, known), scan)
    recovery.refuse_unless_ours(node, mode, identity, scan)
    now = recovery.next_identity(storage, node, durability, identity, scan, wall_ms)
    # Until what is left has been written anew, the mode that it was left in counts.
    doubted = recovery.doubted_mode(identity, scan)
    saved = replace(now, durability=doubted or now.durability)
    recovery.save_identity(storage, saved)
    if damaged := scan.damaged_from:
        remove_from(storage, damaged)
    kept_as = recovery.repair_tail(storage, scan.torn) if scan.torn else ""
    for name in storage.names():
        if name.endswith(recovery.PART_SUFFIX):
            storage.remove(name)
    return JournalStart(
        identity=identity,
        now=now,
        saved=saved,
        scan=scan,
        prefix=prefix,
        doubted=doubted,
        kept_as=kept_as,
    )


def _taken_from(checkpoints: list[Checkpoint]) -> Iterator[Checkpoint]:
    """One after the other, and none is kept: together they are as large as the history."""
    checkpoints.reverse()
    while checkpoints:
        yield checkpoints.pop()
