"""Frames: the pieces of a journal file, each with its own checksums and place. Pure; bytes only.

    offset size  field
         0    4  magic, F7 6C 61 62: not valid UTF-8, so that no text contains it
         4    1  version of the frame format, 1
         5    1  type: 1 segment header, 2 block of records, 3 identity, 4 mark,
                 5 part of a checkpoint
         6    2  flags: bit 0, the block opens an epoch
         8    4  length of the payload, 1 or more
        12    4  count of records in the payload of a block; in a mark that a repair put in the
                 place of a damaged range, of the records that were lost there; in
                 a checkpoint, of its frames; else 0
        16    4  offset of this frame in its file
        20    4  previous: CRC of the payload of the frame before this one, in the whole journal
        24    8  number of the next record of the journal: in a block, of its first record
        32    4  CRC of the payload
        36    4  CRC of the 36 bytes above
        40       payload

All integers are little-endian, both CRCs are CRC-32C (Castagnoli).

Every frame is checked three ways: its header by the header CRC (so a flipped bit in a length is
seen as damage, never as an early end), its payload by the payload CRC, its place by offset,
number and previous. A region of zeros is never a frame: the magic is not zero and length 0 is
invalid. After damage, `scan` looks for the next magic with a true header CRC and payload CRC at
the offset that its header names. A frame whose CRCs are true and whose offset is not was moved, or
sits inside the payload of another: it is not read, but it shows that what is here is not the
unfinished end of a write.
"""

from collections.abc import Iterator
from struct import Struct as Layout
from typing import Final, final

from google_crc32c import value as crc32c
from msgspec import Struct

MAGIC: Final = b"\xf7lab"
FRAME_VERSION: Final = 1
HEADER_BYTES: Final = 40
PAYLOAD_BYTES_MAX: Final = 4 * 1024 * 1024
COUNT_MAX: Final = 2**32 - 1
NUMBER_MAX: Final = 2**63 - 1

SEGMENT_HEADER: Final = 1
BLOCK: Final = 2
IDENTITY: Final = 3
MARK: Final = 4
CHECKPOINT: Final = 5

OPENS_EPOCH: Final = 1  # flag

_LAYOUT: Final = Layout("<4sBBHIIIIQI")
_WHOLE: Final = Layout("<4sBBHIIIIQII")  # with the CRC of what is before it
_CRC: Final = Layout("<I")
_CHECKED_BYTES: Final = HEADER_BYTES - _CRC.size
assert _LAYOUT.size == _CHECKED_BYTES
assert _WHOLE.size == HEADER_BYTES


@final
class Frame(Struct, frozen=True, gc=False):
    """One valid frame, found at `offset`; its payload is data[offset + HEADER_BYTES : end]."""

    offset: int
    end: int
    type: int
    flags: int
    count: int
    previous: int
    number: int
    crc: int  # of the payload


@final
class Damage(Struct, frozen=True):
    """No frame can be read in [offset, end)."""

    offset: int
    end: int
    cause: str  # what is wrong at `offset`
    moved: bool  # whole frames lie in here, but not where they belong


class FrameTooNew(ValueError):
    """A whole header of a later frame version, in its place: this file must not be touched."""


def encode(
    payload: bytes,
    *,
    type: int,  # noqa: A002  (as the field is called)
    offset: int,
    previous: int,
    number: int,
    count: int = 0,
    flags: int = 0,
) -> tuple[bytes, int]:
    """The frame, and the CRC of its payload, which the next frame carries as `previous`."""
    assert 1 <= len(payload) <= PAYLOAD_BYTES_MAX, len(payload)
    crc: int = crc32c(payload)
    head = _LAYOUT.pack(
        MAGIC, FRAME_VERSION, type, flags, len(payload), count, offset, previous, number, crc
    )
    return b"".join((head, _CRC.pack(crc32c(head)), payload)), crc


def parse(data: bytes, at: int, base: int = 0) -> Frame | str:
    """The frame at `at`, or what is wrong there. A wrong offset is told last, see `scan`.

    `data` begins at offset `base` of its file, and so do the offsets of the frame that is returned.
    """
    body = at + HEADER_BYTES
    if body > len(data):
        return f"{len(data) - at} bytes are left, too few for a frame header"
    magic, version, kind, flags, length, count, offset, previous, number, crc, expected = (
        _WHOLE.unpack_from(data, at)
    )
    if magic != MAGIC:
        return "there is no frame"
    actual = crc32c(data[at : at + _CHECKED_BYTES])
    if actual != expected:
        return f"header CRC expected {expected:08x}, actual {actual:08x}"
    if version != FRAME_VERSION and offset == base + at:
        raise FrameTooNew(f"frame version {version} at offset {offset}, this is {FRAME_VERSION}")
    if not 1 <= length <= PAYLOAD_BYTES_MAX:
        return f"payload length {length} is not between 1 and {PAYLOAD_BYTES_MAX}"
    if number > NUMBER_MAX - COUNT_MAX:
        return f"{_MOVED}: its record number {number} is above every limit"
    end = body + length
    if end > len(data):
        return f"the payload ends {end - len(data)} bytes after the end of the file"
    actual = crc32c(data[body:end])
    if actual != crc:
        return f"payload CRC expected {crc:08x}, actual {actual:08x}"
    if offset != base + at:
        return f"{_MOVED}: its header says offset {offset}"
    return Frame(
        offset=offset,
        end=base + end,
        type=kind,
        flags=flags,
        count=count,
        previous=previous,
        number=number,
        crc=crc,
    )


_MOVED: Final = "a frame that does not belong here"


def payload_of(data: bytes, frame: Frame, base: int = 0) -> bytes:
    return data[frame.offset - base + HEADER_BYTES : frame.end - base]


def scan(data: bytes) -> Iterator[Frame | Damage]:
    """Every valid frame of a file and every damaged range between them, in order, no overlap."""
    at = 0
    while at < len(data):
        parsed = parse(data, at)
        if type(parsed) is Frame:
            yield parsed
            at = parsed.end
            continue
        start, cause, moved = at, str(parsed), False
        while at < len(data):
            moved = moved or str(parsed).startswith(_MOVED)
            at = data.find(MAGIC, at + 1)
            if at < 0:
                at = len(data)
                break
            parsed = parse(data, at)
            if type(parsed) is Frame:
                break
        yield Damage(start, at, cause, moved)
