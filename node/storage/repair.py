"""Repairs a journal offline: makes it whole again, and keeps a copy of every byte it changes.

A node repairs its torn tail itself and goes on beside holes. This is for a person who wants a
journal without findings: damaged ranges are taken out and a quarantine mark with the number of
lost records stands in their place, the chain is tied anew, missing segments get a stand-in. Whole
records are copied byte for byte. A changed file is first copied to `NAME.damaged-1`, durably.

A crash in the middle leaves a journal that a second repair finishes. As in recovery, the wish for
a new epoch is on disk before anything is changed.
"""

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from node.storage import frames
from node.storage.checkpoint_files import remove_from
from node.storage.files import FileStorage, Storage, StorageError
from node.storage.frames import Frame
from node.storage.headers import (
    Identity,
    Quarantined,
    SegmentHeader,
    encode_mark,
    encode_segment_header,
)
from node.storage.recovery import (
    compare,
    epoch_reason,
    keep_copy,
    load_identity,
    next_identity,
    repair_tail,
    replace_file,
    save_identity,
)
from node.storage.scan import Hole, ScanResult, scan_journal
from node.storage.segments import Segment, journal_dir, read_frames, segment_name

STAND_INS_MAX = 1000  # missing segments that get one; more is no journal any more


class Repaired(Struct, frozen=True):
    """What was done, one line each, and the files that hold what was there before."""

    actions: tuple[str, ...]
    kept: tuple[str, ...]
    lost: int  # records that could not be read


def repair(path: Path) -> Repaired:
    """Repair the journal at `path`. Refused (StorageLocked) while a node has it open."""
    storage = FileStorage(journal_dir(path))
    try:
        return repair_storage(storage)
    except OSError as error:
        raise StorageError(f"{path}: cannot be repaired: {error.strerror or error}") from None
    finally:
        storage.close()


def repair_storage(storage: Storage) -> Repaired:
    """The same on any storage."""
    identity = load_identity(storage)
    scan = scan_journal(storage, identity.directory_id if identity else b"")
    identity = compare(identity, scan)
    if not scan.segments:
        raise StorageError("there is no journal here (no *.seg file)")
    missing = sum(last - first + 1 for first, last in scan.missing)
    if missing > STAND_INS_MAX:
        raise StorageError(f"{missing} segments are missing: this is no journal to repair")
    torn = scan.torn if scan.torn is not None and scan.torn.length else None
    if torn is None and not scan.holes and identity is not None:
        return Repaired((), (), 0)
    identity = _save_wish(storage, identity, scan)
    actions: list[str] = []
    kept: list[str] = []
    if torn is not None:
        kept.append(repair_tail(storage, torn))
        actions.append(f"{torn.name}: cut {torn.length} torn bytes off at offset {torn.offset}")
    if scan.holes:
        rewriter = _Rewriter(storage, identity, scan)
        rewriter.run()
        actions += rewriter.actions
        kept += rewriter.kept
        last = scan.last_segment
        save_identity(storage, replace(identity, next_number=rewriter.number, last_segment=last))
    return Repaired(tuple(actions), tuple(kept), sum(hole.records for hole in scan.holes))


def _save_wish(storage: Storage, identity: Identity | None, scan: ScanResult) -> Identity:
    if identity is None:
        node = next((s.header.node for s in scan.segments if s.header and not s.skipped), "")
        if not node:
            raise StorageError("neither IDENTITY nor a segment header says whose journal this is")
        identity = next_identity(storage, node, "interval", None, scan, 0)
    else:
        reason = epoch_reason(identity, scan, identity.place)
        if reason:
            identity = replace(identity, must_open_epoch=reason, must_open_from=scan.next_number)
    save_identity(storage, identity)
    return identity


class _Rewriter:
    """Writes the segments anew where that changes anything."""

    def __init__(self, storage: Storage, identity: Identity, scan: ScanResult) -> None:
        self.storage = storage
        self.identity = identity
        self.scan = scan
        self.crc = 0
        self.number = 1
        self.actions: list[str] = []
        self.kept: list[str] = []

    def run(self) -> None:
        segments = {segment.number: segment for segment in self.scan.segments}
        for number in range(1, max(segments) + 1):
            name = segment_name(number)
            segment = segments.get(number)
            old = b""
            if segment is not None:
                old = self.storage.read(segment.name, 0, segment.size)
            new = self._segment(number, segment)
            if new == old:
                continue
            if not self.actions:  # what is not the same any more must not be believed
                remove_from(self.storage, number)
            if old:
                self.kept.append(keep_copy(self.storage, name, 0, len(old), "damaged"))
            replace_file(self.storage, name, new)
            self.actions.append(f"{name}: written anew" if old else f"{name}: stand-in written")

    def _segment(self, number: int, segment: Segment | None) -> bytes:
        """The bytes that this segment should have."""
        holes = [hole for hole in self.scan.holes if hole.segment == number]
        out = bytearray()
        whole = list(read_frames(self.storage, segment)) if segment is not None else []
        if not whole or whole[0][0].type != frames.SEGMENT_HEADER:
            header = SegmentHeader(
                self.identity.node, number, self.identity.directory_id, self.identity.incarnation
            )
            self._put(out, encode_segment_header(header), frames.SEGMENT_HEADER)
        for frame, payload in whole:
            while holes and holes[0].offset <= frame.offset and out:
                self._put_hole(out, holes.pop(0))
            self._put_frame(out, frame, payload)
        for hole in holes:
            self._put_hole(out, hole)
        return bytes(out)

    def _put_hole(self, out: bytearray, hole: Hole) -> None:
        mark = Quarantined(hole.segment, hole.offset, hole.length, hole.records)
        self._put(out, encode_mark(mark), frames.MARK, count=hole.records)

    def _put_frame(self, out: bytearray, frame: Frame, payload: bytes) -> None:
        self._put(out, payload, frame.type, count=frame.count, flags=frame.flags)

    def _put(
        self, out: bytearray, payload: bytes, kind: int, *, count: int = 0, flags: int = 0
    ) -> None:
        data, self.crc = frames.encode(
            payload,
            type=kind,
            offset=len(out),
            previous=self.crc,
            number=self.number,
            count=count,
            flags=flags,
        )
        self.number += count
        out += data
