"""Checkpoint files: `00000001.checkpoint` beside a sealed `00000001.seg`. They are a cache.

Rules
- A file is believed only if it is whole, of this directory, follows the checkpoint before it, and
  its segment is as long and ends as it says. The first one that is not ends the chain: from there
  the segments are read. The last segment is always read.
- So a file may be missing, stale, half written or wrong at any time, and it needs no sync.
- What is not read is not looked at: damage in it is found by the scrub, or when a body is read.
  That ends a life of the node, and the next one believes nothing (`JournalOptions.trust`).
- Where a scan finds damage, the checkpoints from that segment on are removed before anything
  else: beside a hole there is nothing that a later start could believe.
"""

from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct, field

from node.core.checkpoint import Checkpoint, Seal
from node.core.ports import CodecError, EpochRecord, Record
from node.storage import frames
from node.storage.checkpoint_codec import decode_checkpoint, encode_checkpoint
from node.storage.files import Reader, Storage
from node.storage.frames import Frame, FrameTooNew
from node.storage.headers import decode_segment_header
from node.storage.offset_index import OffsetIndex, WrittenFrame
from node.storage.recovery import PART_SUFFIX, replace_file
from node.storage.scan import ScanResult
from node.storage.segments import Segment, list_segments, segment_number

CHECKPOINT_SUFFIX = ".checkpoint"
_HEADER_BYTES_MAX = 4096  # of the frame that begins a segment


class CheckpointedPrefix(Struct):
    """The first segments as their checkpoints tell of them."""

    scan: ScanResult
    checkpoints: list[Checkpoint] = field(default_factory=list)
    crc: int = 0  # of the last checkpoint's last frame: what the next one has as `previous`

    @property
    def records(self) -> int:
        """So many records need not be read."""
        return self.checkpoints[-1].seal.last if self.checkpoints else 0


def checkpoint_name(segment: int) -> str:
    return f"{segment:08d}{CHECKPOINT_SUFFIX}"


def remove_from(storage: Storage, segment: int) -> None:
    """The checkpoints of this segment and of all after it are of no use. Raises OSError."""
    gone = False
    for name in storage.names():
        stem = name.removesuffix(CHECKPOINT_SUFFIX)
        if stem != name and (segment_number(f"{stem}.seg") or 0) >= segment:
            storage.remove(name)
            gone = True
    if gone:
        storage.sync_dir()


# --- reading ------------------------------------------------------------------------------------


def trusted_prefix(reader: Reader, node: str, directory_id: bytes) -> CheckpointedPrefix:
    """As many of the first segments as have a checkpoint that fits. Raises OSError."""
    prefix = CheckpointedPrefix(ScanResult(directory_id=directory_id))
    names, arrivals = set(reader.names()), 0
    for number, segment in enumerate(list_segments(reader)[:-1], 1):
        name = checkpoint_name(number)
        if segment.number != number or name not in names:
            break
        loaded = load(reader, name, prefix.crc)
        if loaded is None:
            break
        checkpoint, owner, crc = loaded
        known = prefix.scan
        if not (
            owner == directory_id
            and checkpoint.first_arrival == arrivals
            and checkpoint.seal.first == known.records + 1
            and _fits(reader, segment, checkpoint.seal, known.crc, node, directory_id)
        ):
            break
        _go_on(known, segment, checkpoint.seal)
        arrivals += len(checkpoint.history.columns[0]) // 8
        prefix.checkpoints.append(checkpoint)
        prefix.crc = crc
    return prefix


def load(reader: Reader, name: str, previous: int) -> tuple[Checkpoint, bytes, int] | None:
    """A checkpoint, whose directory it is of, and its CRC; None if there is anything wrong."""
    try:
        data = reader.read(name, 0, reader.size(name))
        payloads: list[bytes] = []
        at = 0
        count = 1
        while at < len(data) or not payloads:
            frame = frames.parse(data, at)
            if type(frame) is not Frame or frame.type != frames.CHECKPOINT:
                return None
            if frame.previous != previous:
                return None
            payloads.append(frames.payload_of(data, frame))
            at, previous, count = frame.end, frame.crc, frame.count
        if len(payloads) != count:
            return None
        checkpoint, owner = decode_checkpoint(payloads[0] if count == 1 else b"".join(payloads))
    except (OSError, CodecError, FrameTooNew, ValueError):
        return None
    return checkpoint, owner, previous


def _fits(
    reader: Reader, segment: Segment, seal: Seal, previous: int, node: str, directory_id: bytes
) -> bool:
    """The segment begins and ends as it did when it was sealed. Takes in its header."""
    if (segment.number, segment.size) != (seal.segment, seal.size):
        return False
    try:
        data = reader.read(segment.name, 0, _HEADER_BYTES_MAX)
        first = frames.parse(data, 0)
        tail = reader.read(segment.name, seal.tail, segment.size - seal.tail)
        last = frames.parse(tail, 0, base=seal.tail)
        if type(first) is not Frame or type(last) is not Frame:
            return False
        segment.header = header = decode_segment_header(frames.payload_of(data, first))
    except (CodecError, FrameTooNew):
        return False
    return (
        (header.node, header.segment, header.directory_id) == (node, seal.segment, directory_id)
        and first.previous == previous
        and (last.end, last.crc) == (seal.size, seal.crc)
    )


def _go_on(known: ScanResult, segment: Segment, seal: Seal) -> None:
    """The scan as it was after this segment. Its ranges are left out: it is not read again."""
    known.segments.append(segment)
    known.records, known.next_number, known.crc = seal.last, seal.next_number, seal.crc
    known.epoch, known.epoch_number = seal.epoch or None, seal.epoch_number
    known.index.take_rows(seal.segment, seal.points, seal.last)


# --- writing ------------------------------------------------------------------------------------


class CheckpointKeeper:
    """Writes checkpoint files, one after the other. Mutable; not thread-safe."""

    def __init__(self, storage: Storage, directory_id: bytes, crc: int) -> None:
        self._storage = storage
        self._directory_id = directory_id
        self._crc = crc

    def keep(self, checkpoint: Checkpoint) -> str:
        """Write it, unless it is there. Returns why it could not be written, or "".

        One that is missing is made again by the next start, which reads its segment.
        """
        storage, name = self._storage, checkpoint_name(checkpoint.seal.segment)
        data = self._encode(checkpoint)
        try:
            if name in storage.names() and storage.read(name, 0, len(data) + 1) == data:
                return ""
            replace_file(storage, name, data, durably=False)
        except OSError as error:
            with suppress(OSError):  # there is none, or the next start removes it
                storage.remove(name + PART_SUFFIX)
            return f"{name}: {error.strerror or error}"
        return ""

    def _encode(self, checkpoint: Checkpoint) -> bytes:
        payload = encode_checkpoint(checkpoint, self._directory_id)
        step = frames.PAYLOAD_BYTES_MAX
        starts = range(0, len(payload), step)
        parts: list[bytes] = []
        offset = 0
        for start in starts:
            part, self._crc = frames.encode(
                payload[start : start + step],
                type=frames.CHECKPOINT,
                offset=offset,
                previous=self._crc,
                number=checkpoint.seal.first,
                count=len(starts),
            )
            parts.append(part)
            offset += len(part)
        return b"".join(parts)


class Sealer:
    """What the journal remembers of the segment that grows, so that it can be sealed. Mutable.

    Where anything is wrong with the journal, nothing is sealed.
    """

    def __init__(self, scan: ScanResult) -> None:
        self._whole = not (scan.holes or scan.missing or scan.foreign)
        self._epoch, self._epoch_number = scan.epoch or 0, scan.epoch_number
        self._first = scan.began + 1
        self._points = OffsetIndex()
        if scan.segments:
            number = scan.segments[-1].number
            self._points.take_rows(number, scan.index.rows(number), scan.records)
        self._seals: list[Seal] = []
        self.tail = scan.tail  # where the last frame begins

    def wrote(self, placed: Sequence[WrittenFrame], records: Sequence[Record], number: int) -> None:
        """These blocks with these records; `number` is in the first frame."""
        self.tail = placed[-1].offset
        for place in placed:
            self._points.add(place.count, place.segment, place.offset, place.end)
        for at, record in enumerate(records, number):
            if type(record) is EpochRecord:
                self._epoch, self._epoch_number = record.epoch, at

    def sealed(self, segment: int, size: int, crc: int, next_number: int) -> Seal:
        """The seal of the segment that grows, if it is sealed as it is now."""
        return Seal(
            segment=segment,
            size=size,
            tail=self.tail,
            crc=crc,
            first=self._first,
            last=self._points.last,
            next_number=next_number,
            epoch=self._epoch,
            epoch_number=self._epoch_number,
            points=self._points.rows(segment),
        )

    def begin(self, seal: Seal) -> None:
        """The segment before is sealed so, and the next one has begun."""
        if self._whole:
            self._seals.append(seal)
        self._points = OffsetIndex()
        self._points.last = seal.last
        self._first = seal.last + 1

    def take(self) -> list[Seal]:
        """What was sealed since the last time."""
        seals, self._seals = self._seals, []
        return seals
