"""Verifies and lists a journal offline: is it whole, what is in it. Changes nothing, keeps no lock.

`verify` checks on two levels. Frames: header CRC, payload CRC, place, number, chain (see
`node.storage.scan`). Events: each is decodable, follows its predecessor in its own log by hash
wherever that is present, and own events follow each other without a gap in the epochs opened here.
A predecessor that is not present is no finding: journals hold what arrived, in order of arrival.

The journal of a running node may be read. A write that is under way looks like a torn tail, so
with the node running that is a note.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct, structs

from domain.dot import Dot
from domain.events import Event, MessagePosted, UnknownEvent
from gossip.entry import GENESIS, PREV_BYTES, hash_of
from node.core.ports import CodecError, EpochRecord, EventRecord
from node.storage import frames
from node.storage.codec import ProtobufCodec
from node.storage.files import LOCK, FileReader, Reader, StorageError
from node.storage.headers import CleanStop, Healed, Mark, Quarantined, Started, decode_mark
from node.storage.recovery import compare, load_identity
from node.storage.repair import Repaired, repair
from node.storage.scan import Hole, ScanResult, TornTail, scan_journal
from node.storage.segments import Segment, block, journal_dir, read_frames

__all__ = ["Finding", "Repaired", "Report", "examine", "inspect", "repair", "verify"]

Severity = Literal["damage", "torn", "chain", "note"]


class Finding(Struct, frozen=True):
    """`damage`: bytes that cannot be read. `torn`: a write cut short at the end. `chain`: an event
    that does not follow its predecessor. `note`: worth knowing, and not wrong."""

    severity: Severity
    file: str
    offset: int
    length: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}: offset {self.offset}: {self.what}"


class Report(Struct, frozen=True):
    path: str
    node: str  # "" if unknown
    segments: int
    size_bytes: int
    records: int
    events: int
    epochs: int  # opened here
    logs: int  # (origin, epoch) pairs
    findings: tuple[Finding, ...]

    @property
    def whole(self) -> bool:
        return all(finding.severity == "note" for finding in self.findings)


def verify(path: Path) -> list[Finding]:
    """What is wrong with this journal, by file and offset. Raises StorageError if there is none."""
    return list(examine(path).findings)


def examine(path: Path) -> Report:
    """Verify, and count."""
    folder = journal_dir(path)
    try:
        return examine_storage(FileReader(folder), str(folder), is_open=_is_locked(folder))
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror or error}") from None


def examine_storage(reader: Reader, path: str = "", *, is_open: bool = False) -> Report:
    """The same on any storage. `is_open`: a node is writing to it."""
    return _Examiner(reader, path, is_open=is_open).report()


def _is_locked(path: Path) -> bool:
    try:
        fd = os.open(path / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


class _Examiner:
    """One pass over the frames, one over the records."""

    def __init__(self, reader: Reader, path: str, *, is_open: bool) -> None:
        self.reader = reader
        self.path = path
        self.is_open = is_open
        self.identity = load_identity(reader)
        directory_id = self.identity.directory_id if self.identity else b""
        self.scan = scan_journal(reader, directory_id)
        identity = compare(self.identity, self.scan)
        self.stale = self.identity is not None and identity is None
        self.node = _node_of(self.scan) or (self.identity.node if self.identity else "")
        self.codec = ProtobufCodec()
        self.findings: list[Finding] = []
        # Of each log: the links (hash heads) of every branch at each seq.
        self.links: dict[tuple[str, int], dict[int, tuple[bytes, ...]]] = {}
        self.later: list[tuple[Finding, Dot, bytes]] = []  # to be judged when all is read
        self.opened: set[int] = set()
        self.own_epoch = self.own_seq = 0
        self.events = 0
        self.holes = list(self.scan.holes)  # not yet passed by

    def report(self) -> Report:
        if self.identity is None or self.stale:
            why = "older than the journal" if self.stale else "absent or damaged"
            self._add("note", "IDENTITY", 0, 0, f"{why}: the next start opens a new epoch")
        self._check_frames()
        for segment in self.scan.segments:
            self._check_records(segment)
        for finding, dot, prev in self.later:
            links = self.links[(dot.origin, dot.epoch)].get(dot.seq - 1)
            if links is not None and prev not in links:
                self.findings.append(finding)
        self.findings.sort(key=lambda finding: (finding.file, finding.offset))
        return Report(
            path=self.path,
            node=self.node,
            segments=len(self.scan.segments),
            size_bytes=sum(segment.size for segment in self.scan.segments),
            records=self.scan.records,
            events=self.events,
            epochs=len(self.opened),
            logs=len(self.links),
            findings=tuple(self.findings),
        )

    def _add(self, severity: Severity, file: str, offset: int, length: int, what: str) -> None:
        self.findings.append(Finding(severity, file, offset, length, what))

    def _check_frames(self) -> None:
        for hole in self.scan.holes:
            lost = f", {hole.records} records lost" if hole.records else ""
            known = ", quarantined" if hole.known else ""
            what = f"{hole.length} bytes damaged{lost}{known}: {hole.cause}"
            if hole is self.scan.lost_end:
                what = f"{hole.cause}{lost}"
            self._add("damage", hole.name, hole.offset, hole.length, what)
        torn = self.scan.torn
        if torn is None or not torn.length:
            return
        if self.is_open:
            what = f"{torn.length} bytes are no whole frame yet: the node is running"
            self._add("note", torn.name, torn.offset, torn.length, what)
        else:
            what = f"torn tail of {torn.length} bytes: {torn.cause}; the next start repairs it"
            self._add("torn", torn.name, torn.offset, torn.length, what)

    def _check_records(self, segment: Segment) -> None:
        for frame, payload in read_frames(self.reader, segment):
            place = (segment.number, frame.offset)
            while self.holes and (self.holes[0].segment, self.holes[0].offset) <= place:
                self.holes.pop(0)
                self.own_seq = -1  # own events may have been in there
            if frame.type == frames.MARK and frame.count:
                self.own_seq = -1
            if frame.type != frames.BLOCK:
                continue
            try:
                records = block(segment, frame, payload)
            except StorageError as error:
                length = frame.end - frame.offset
                self._add("damage", segment.name, frame.offset, length, str(error))
                continue
            at = Finding("chain", segment.name, frame.offset, frame.end - frame.offset, "")
            for record in records:
                if type(record) is EpochRecord:
                    self.opened.add(record.epoch)
                    self.own_epoch, self.own_seq = record.epoch, 0
                else:
                    assert type(record) is EventRecord
                    self._check_event(record, at)

    def _check_event(self, record: EventRecord, at: Finding) -> None:
        self.events += 1
        try:
            decoded = self.codec.decode(record.data)
        except CodecError as error:
            what = f"a whole record is not an event: {error}"
            self.findings.append(structs.replace(at, severity="damage", what=what))
            return
        dot = decoded.event.dot
        chain_hash = hash_of(record.data)[:PREV_BYTES]
        log = self.links.setdefault((dot.origin, dot.epoch), {})
        branches = log.get(dot.seq, ())
        if chain_hash in branches:
            what = f"{dot} is stored twice"
            self.findings.append(structs.replace(at, severity="note", what=what))
        elif branches:
            what = f"{dot} exists in {len(branches) + 1} versions: its origin forked"
            self.findings.append(structs.replace(at, severity="note", what=what))
        if chain_hash not in branches:
            log[dot.seq] = (*branches, chain_hash)
        if dot.seq == 1:
            assert decoded.prev == GENESIS  # the codec lets nothing else pass
        elif decoded.prev not in log.get(dot.seq - 1, ()):
            what = f"{dot} does not follow {dot.origin}.{dot.epoch:x}:{dot.seq - 1} by hash"
            finding = structs.replace(at, what=what)
            self.later.append((finding, dot, decoded.prev))
        if record.via == "local":
            self._check_own(dot, at)

    def _check_own(self, dot: Dot, at: Finding) -> None:
        expected = self.own_seq + 1
        if dot.origin != self.node:
            what = f"{dot} is marked as local, and this is the journal of {self.node}"
        elif dot.epoch != self.own_epoch and self.own_seq >= 0:
            what = f"{dot} is of an epoch that was not opened here just before"
        elif dot.seq != expected and self.own_seq >= 0:
            what = f"{dot} comes where seq {expected} was due"
        else:
            what = ""
        if what:
            self.findings.append(structs.replace(at, what=what))
        self.own_epoch, self.own_seq = dot.epoch, dot.seq


def _node_of(scan: ScanResult) -> str:
    return next((s.header.node for s in scan.segments if s.header and not s.skipped), "")


# --- what is in it ------------------------------------------------------------------------------


def inspect(path: Path) -> Iterator[dict[str, object]]:
    """Everything in the journal in order, as plain values for JSON: see docs/disk-format.md."""
    return inspect_storage(FileReader(journal_dir(path)))


def inspect_storage(reader: Reader) -> Iterator[dict[str, object]]:
    """The same on any storage."""
    identity = load_identity(reader)
    scan = scan_journal(reader, identity.directory_id if identity else b"")
    codec = ProtobufCodec()
    damage = _damage_items(scan)
    for segment in scan.segments:
        for frame, payload in read_frames(reader, segment):
            while damage and damage[0][0] <= (segment.number, frame.offset):
                yield damage.pop(0)[1]
            place: dict[str, object] = {"file": segment.name, "offset": frame.offset}
            if frame.type == frames.SEGMENT_HEADER and segment.header is not None:
                header = segment.header
                yield place | {
                    "kind": "segment",
                    "node": header.node,
                    "segment": header.segment,
                    "directory_id": header.directory_id.hex(),
                    "incarnation": header.incarnation,
                    "format_version": header.format_version,
                }
            elif frame.type == frames.MARK:
                yield place | _mark_item(decode_mark(payload))
            elif frame.type == frames.BLOCK:
                for index, record in enumerate(block(segment, frame, payload)):
                    number: dict[str, object] = {"record": frame.number + index}
                    if type(record) is EventRecord:
                        yield place | number | _event_item(codec, record)
                    elif type(record) is EpochRecord:
                        yield (
                            place
                            | number
                            | {
                                "kind": "epoch",
                                "epoch": record.epoch,
                                "reason": record.reason,
                                "opened_at_ms": record.opened_at_ms,
                            }
                        )
    yield from (item for _, item in damage)


def _damage_items(scan: ScanResult) -> list[tuple[tuple[int, int], dict[str, object]]]:
    """What cannot be read, each with its place (segment, offset), in order."""
    bad: list[tuple[str, Hole | TornTail]] = [("damage", hole) for hole in scan.holes]
    if scan.torn is not None and scan.torn.length:
        bad.append(("torn", scan.torn))
    return [
        (
            (item.segment, item.offset),
            {
                "file": item.name,
                "offset": item.offset,
                "kind": kind,
                "length": item.length,
                "records": item.records if type(item) is Hole else None,
                "cause": item.cause,
            },
        )
        for kind, item in bad
    ]


_MARKS: dict[type[Mark], str] = {
    CleanStop: "clean-stop",
    Quarantined: "quarantined",
    Started: "started",
    Healed: "healed",
}


def _mark_item(mark: Mark | None) -> dict[str, object]:
    if mark is None:
        return {"kind": "mark", "mark": "unknown"}
    return {"kind": "mark", "mark": _MARKS[type(mark)], **structs.asdict(mark)}


def _event_item(codec: ProtobufCodec, record: EventRecord) -> dict[str, object]:
    item: dict[str, object] = {
        "kind": "event",
        "received_at_ms": record.received_at_ms,
        "via": record.via,
        "sender": record.sender,
        "bytes": len(record.data),
        "hash": hash_of(record.data).hex(),
    }
    try:
        decoded = codec.decode(record.data)
    except CodecError as error:
        return item | {"event": None, "error": str(error)}
    event: Event = decoded.event
    item |= {
        "event": event.__struct_config__.tag,
        "dot": structs.asdict(event.dot),
        "stamp": structs.asdict(event.stamp),
        "parents": [structs.asdict(parent) for parent in event.parents],
        "prev": decoded.prev.hex(),
        "author": event.author,
    }
    if type(event) is MessagePosted:
        item |= {"text": event.text, "censored_by": list(event.censored_by)}
    elif type(event) is UnknownEvent:
        item["field"] = event.kind
    return item
