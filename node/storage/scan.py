"""Scans a journal directory: what is readable, and what is damaged. It changes nothing.

Every segment is read once, and every byte of it ends up as one of these:

- a **valid frame**, which also follows the frame before it;
- the **torn tail**: bytes at the end of the last segment that are no frame, with no frame after
  them. A write was cut short;
- a **hole**: unreadable bytes with a frame after them, or in a sealed segment. Something that was
  whole is not any more. A stale frame (its record number came before) is a hole too, and where
  whole frames do not chain the hole between them has length 0.

Memory is bounded by one segment, whatever the length of the history.
"""

from collections.abc import Iterator

from msgspec import Struct, field
from msgspec.structs import replace

from node.core.checkpoint import Seal
from node.core.ports import CodecError, EpochRecord
from node.storage import frames
from node.storage.files import Reader, StorageError
from node.storage.frames import Damage, Frame, FrameTooNew
from node.storage.headers import (
    FORMAT_VERSION,
    CleanStop,
    Healed,
    Quarantined,
    Started,
    decode_mark,
    decode_segment_header,
)
from node.storage.offset_index import OffsetIndex
from node.storage.segments import Segment, block, list_segments, names_of_range, segment_name


class RecoveryRefused(StorageError):
    """This directory is not opened; nothing in it was changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, final=True)


class Hole(Struct, frozen=True):
    """Damage that is not a torn tail. `records` were in it, as far as the numbers tell."""

    segment: int
    name: str
    offset: int
    length: int
    records: int
    cause: str
    known: bool = False  # quarantined by an earlier start
    marked: int = 0  # the number of the next record where it was


class TornTail(Struct, frozen=True):
    segment: int
    name: str
    offset: int
    length: int
    cause: str


class ScanResult(Struct):
    segments: list[Segment] = []
    holes: list[Hole] = []
    torn: TornTail | None = None
    missing: list[tuple[int, int]] = []  # inclusive ranges of segment numbers that are not there
    foreign: list[str] = []  # segment files of another node or directory
    records: int = 0  # readable ones
    next_number: int = 1  # of the next record, lost ones counted
    crc: int = 0  # of the last valid frame's payload: what the next one carries as `previous`
    frames: int = 0
    epoch: int | None = None
    epoch_number: int = 0
    clean_stop: int = 0  # the last frame is a clean stop of this incarnation
    incarnation: int = 0  # the highest one seen in a segment header
    started: int = 0  # the highest one seen anywhere
    healed: list[Healed] = []  # quarantined ranges that can be read again
    lost_end: Hole | None = None  # one of `holes`: what IDENTITY knows of, and is not there
    directory_id: bytes = b""
    index: OffsetIndex = field(default_factory=OffsetIndex)
    began: int = 0  # the records before the last segment
    tail: int = 0  # where the last valid frame begins
    seals: list[Seal] = []  # of sealed segments, as far as nothing is wrong with the journal

    @property
    def last_segment(self) -> int:
        """Its number; 0 if there is none."""
        return self.segments[-1].number if self.segments else 0

    @property
    def damaged_from(self) -> int:
        """The first segment that is not whole; 0 if all are, but for a torn tail."""
        return min([hole.segment for hole in self.holes], default=0)


def scan_journal(
    reader: Reader, directory_id: bytes = b"", begun: ScanResult | None = None
) -> ScanResult:
    """Read everything once. Raises RecoveryRefused only for a format that is too new.

    `directory_id` is the one from IDENTITY, if known; segments with another one are foreign.
    `begun`: what is known of the first segments, which are then not read. It is gone on with.
    """
    scanner = Scanner(directory_id, begun)
    segments = list_segments(reader)
    for index in range(len(scanner.result.segments), len(segments)):
        segment, is_last = segments[index], index == len(segments) - 1
        data = reader.read(segment.name, 0, segment.size)
        for _ in scanner.steps(segment, data, is_last=is_last):
            pass
        if not is_last:
            scanner.seal(segment)
    return scanner.done()


class Scanner:
    """A scan in small steps, one segment after the other; `scan_journal` takes them all at once."""

    def __init__(self, directory_id: bytes, begun: ScanResult | None = None) -> None:
        self.result = ScanResult(directory_id=directory_id) if begun is None else begun
        self.known: dict[tuple[int, int, int], int] = {}
        # Holes whose end has not been seen yet: the next number tells how much was in them.
        self.open: list[Hole] = []
        self.broken = False  # there was damage since the last valid frame

    def steps(self, segment: Segment, data: bytes, *, is_last: bool) -> Iterator[int]:
        """Look at the next segment; after each frame yields the offset where it ended.

        Raises RecoveryRefused for a format that is too new.
        """
        try:
            yield from self._steps(segment, data, is_last=is_last)
        except FrameTooNew as error:
            raise RecoveryRefused(
                f"{segment.name}: {error}; the journal was written by a newer chatlab"
            ) from None

    def _steps(self, segment: Segment, data: bytes, *, is_last: bool) -> Iterator[int]:
        out = self.result
        before = out.segments[-1].number if out.segments else 0
        if segment.number > before + 1:
            out.missing.append((before + 1, segment.number - 1))
            gone = Segment(before + 1, segment_name(before + 1), 0)
            cause = f"missing: {names_of_range(before + 1, segment.number - 1)}"
            self._damage(gone, Damage(0, 0, cause, moved=False), torn=False)
        out.segments.append(segment)
        out.began = out.records
        for piece in frames.scan(data):
            if type(piece) is Frame:
                self._frame(segment, data, piece)
                if segment.skipped:
                    return
            else:
                assert type(piece) is Damage
                self._damage(segment, piece, torn=is_last and piece.end == len(data))
            yield piece.end
        if is_last and not data:  # a file made just before the crash: nothing was in it
            out.torn = TornTail(segment.number, segment.name, 0, 0, "the file is empty")
        elif not data:
            self._damage(segment, Damage(0, 0, "the file is empty", moved=False), torn=False)

    def _frame(self, segment: Segment, data: bytes, frame: Frame) -> None:
        out = self.result
        if frame.offset == 0 and not self._header(segment, data, frame):
            return
        lost = frame.number - out.next_number
        if not 0 <= lost <= frames.COUNT_MAX:
            what = "a stale frame" if lost < 0 else "no frame of this journal"
            cause = f"{what}: record {frame.number}, after {out.next_number - 1}"
            self._damage(segment, Damage(frame.offset, frame.end, cause, moved=False), torn=False)
            return
        if not self.broken and (lost or frame.previous != out.crc):
            cause = "whole, but it does not follow the frame before it"
            self._damage(
                segment, Damage(frame.offset, frame.offset, cause, moved=False), torn=False
            )
        self._close_holes(lost)
        self.broken = False
        out.frames += 1
        out.crc, out.tail = frame.crc, frame.offset
        out.clean_stop = 0
        out.next_number = frame.number + frame.count
        if frame.type == frames.BLOCK:
            out.records += frame.count
            out.index.add(frame.count, segment.number, frame.offset, frame.end)
            if frame.flags & frames.OPENS_EPOCH:
                self._find_epoch(segment, data, frame)
        elif frame.type == frames.MARK:
            self._mark(data, frame)
        if segment.ranges and segment.ranges[-1][1] == frame.offset:
            segment.ranges[-1] = (segment.ranges[-1][0], frame.end)
        else:
            segment.ranges.append((frame.offset, frame.end))

    def seal(self, segment: Segment) -> None:
        """This segment, which was the last one looked at, has one after it."""
        out = self.result
        if not (out.holes or self.open or out.missing or out.foreign):
            points = out.index.rows(segment.number)
            out.seals.append(
                Seal(
                    segment=segment.number,
                    size=segment.size,
                    tail=out.tail,
                    crc=out.crc,
                    first=out.began + 1,
                    last=out.records,
                    next_number=out.next_number,
                    epoch=out.epoch or 0,
                    epoch_number=out.epoch_number,
                    points=points,
                )
            )

    def _header(self, segment: Segment, data: bytes, frame: Frame) -> bool:
        """Take in the first frame. False: the file does not belong here and is skipped."""
        out = self.result
        try:
            header = decode_segment_header(frames.payload_of(data, frame))
        except CodecError:
            header = None
        if header is not None and header.format_version > FORMAT_VERSION:
            raise RecoveryRefused(
                f"{segment.name}: journal format {header.format_version}, this chatlab reads "
                f"up to {FORMAT_VERSION}; use the version that wrote it"
            )
        belongs = (
            header is not None
            and frame.type == frames.SEGMENT_HEADER
            and header.segment == segment.number
            and (not out.directory_id or header.directory_id == out.directory_id)
        )
        segment.header = header
        if header is None or not belongs:
            segment.skipped = True
            out.foreign.append(segment.name)
            cause = "a segment of another journal"
            self._damage(segment, Damage(0, len(data), cause, moved=False), torn=False)
            return False
        out.directory_id = header.directory_id
        out.incarnation = max(out.incarnation, header.incarnation)
        out.started = max(out.started, header.incarnation)
        return True

    def _find_epoch(self, segment: Segment, data: bytes, frame: Frame) -> None:
        records = block(segment, frame, frames.payload_of(data, frame))
        for index, record in enumerate(records):
            if type(record) is EpochRecord:
                self.result.epoch = record.epoch
                self.result.epoch_number = frame.number + index

    def _mark(self, data: bytes, frame: Frame) -> None:
        try:
            mark = decode_mark(frames.payload_of(data, frame))
        except CodecError:
            mark = None
        if type(mark) is CleanStop:
            self.result.clean_stop = mark.incarnation
        if type(mark) is CleanStop or type(mark) is Started:
            self.result.started = max(self.result.started, mark.incarnation)
        elif type(mark) is Quarantined and not frame.count:  # else it stands where the hole was
            self.known.setdefault((mark.segment, mark.offset, mark.length), frame.number)
        elif type(mark) is Healed:
            self.known.pop((mark.segment, mark.offset, mark.length), None)

    def _damage(self, segment: Segment, damage: Damage, *, torn: bool) -> None:
        out = self.result
        length = damage.end - damage.offset
        if torn and not damage.moved:
            out.torn = TornTail(segment.number, segment.name, damage.offset, length, damage.cause)
            return
        hole = Hole(
            segment=segment.number,
            name=segment.name,
            offset=damage.offset,
            length=length,
            records=0,
            cause=damage.cause,
        )
        self.open.append(hole)
        self.broken = True
        out.clean_stop = 0

    def _close_holes(self, lost: int) -> None:
        """All holes before a valid frame share what is lost; the first one is charged with it."""
        for hole in self.open:
            self.result.holes.append(replace(hole, records=lost))
            lost = 0
        self.open.clear()

    def done(self) -> ScanResult:
        self._close_holes(0)
        out = self.result
        for index, hole in enumerate(out.holes):
            marked = self.known.pop((hole.segment, hole.offset, hole.length), None)
            if marked is not None:
                out.holes[index] = replace(hole, known=True, marked=marked)
        out.healed = [Healed(*place) for place in self.known]
        if out.torn is not None and out.torn.length:
            out.clean_stop = 0
        return out
