"""The segment files of a journal: their names and numbers, and how the records of one are read.

`list_segments` finds them in order. The readers need a `Segment` that `node.storage.scan` has
scanned: it says which byte ranges hold valid frames. Bytes that changed since raise `StorageError`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from node.core.ports import CodecError, Record
from node.storage import frames
from node.storage.codec import decode_block
from node.storage.files import FileReader, Reader, StorageError
from node.storage.frames import Frame
from node.storage.headers import SegmentHeader

SEGMENT_SUFFIX = ".seg"
JOINED_BYTES = 64 * 1024  # of frames parsed at once


class Segment(Struct):
    """One file as scanned: its valid frames that hold records, as byte ranges."""

    number: int
    name: str
    size: int
    header: SegmentHeader | None = None
    ranges: list[tuple[int, int]] = []  # [start, end) of consecutive valid frames
    skipped: bool = False  # salvage: it belongs elsewhere


def segment_name(number: int) -> str:
    return f"{number:08d}{SEGMENT_SUFFIX}"


def segment_number(name: str) -> int | None:
    stem = name.removesuffix(SEGMENT_SUFFIX)
    return int(stem) if stem != name and stem.isascii() and stem.isdigit() else None


def names_of_range(first: int, last: int) -> str:
    name = segment_name(first)
    return name if first == last else f"{name} to {segment_name(last)}"


def journal_dir(path: Path) -> Path:
    """The journal at `path`: that directory, or the directory `journal` in it."""
    for candidate in (path, path / "journal"):
        try:
            if list_segments(FileReader(candidate)):
                return candidate
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StorageError(f"{path}: cannot be read: {error.strerror or error}") from None
    raise StorageError(f"{path}: there is no journal here (no *{SEGMENT_SUFFIX} file)")


def list_segments(reader: Reader) -> list[Segment]:
    numbered = [(number, n) for n in reader.names() if (number := segment_number(n)) is not None]
    return [Segment(number, name, reader.size(name)) for number, name in sorted(numbered)]


def read_frames(reader: Reader, segment: Segment) -> Iterator[tuple[Frame, bytes]]:
    """The valid frames of one scanned segment, with their payloads."""
    if segment.skipped or not segment.ranges:
        return
    data = reader.read(segment.name, 0, segment.ranges[-1][1])
    for start, end in segment.ranges:
        at = start
        while at < end:
            frame = frames.parse(data, at)
            if type(frame) is not Frame:
                raise StorageError(f"{segment.name}: offset {at}: changed while it was read")
            yield frame, frames.payload_of(data, frame)
            at = frame.end


def read_records(reader: Reader, segments: Sequence[Segment]) -> Iterator[Record]:
    """The records of scanned segments, in order, one segment in memory at a time.

    Concatenated protobuf messages are one message with their repeated fields joined. So frames of
    few records, as a quiet node writes them, are parsed many at a time.
    """
    for segment in segments:
        joined: list[tuple[Frame, bytes]] = []
        size = 0
        for frame, payload in read_frames(reader, segment):
            if frame.type != frames.BLOCK:
                continue
            joined.append((frame, payload))
            size += len(payload)
            if size >= JOINED_BYTES:
                yield from _joined(segment, joined)
                joined, size = [], 0
        yield from _joined(segment, joined)


def _joined(segment: Segment, blocks: list[tuple[Frame, bytes]]) -> list[Record]:
    try:
        records = decode_block(b"".join([payload for _, payload in blocks]))
    except CodecError:
        records = []
    if len(records) != sum(frame.count for frame, _ in blocks):
        # One of them is not what it says: find out which.
        return [record for frame, payload in blocks for record in block(segment, frame, payload)]
    return records


def block(segment: Segment, frame: Frame, payload: bytes) -> list[Record]:
    """The records of one block frame. Raises StorageError if it is whole and yet not readable."""
    try:
        records = decode_block(payload)
    except CodecError as error:
        raise StorageError(
            f"{segment.name}: offset {frame.offset}: whole, and yet not readable: {error}; "
            "it was written by a newer or a faulty chatlab",
            final=True,
        ) from None
    if len(records) != frame.count:
        raise StorageError(
            f"{segment.name}: offset {frame.offset}: {len(records)} records, "
            f"its header says {frame.count}",
            final=True,
        )
    return records
