"""Encodes the records of one append as block frames, to be written at the end of a segment. Pure.

A block holds at most `BLOCK_RECORDS` and about `BLOCK_BYTES`; a larger append becomes several. The
form of a frame is in `node.storage.frames`, that of a block in `node.storage.codec`.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from node.core.ports import EpochRecord, EventRecord, Record
from node.storage import frames
from node.storage.codec import encode_block
from node.storage.offset_index import WrittenFrame

BLOCK_RECORDS = 1024  # a larger append becomes several frames of one write
BLOCK_BYTES = 1024 * 1024


class Blocks(Struct, frozen=True):
    data: bytes
    placed: list[WrittenFrame]  # one for each frame
    crc: int  # of the last one's payload
    next_number: int  # of the record after these


def blocks_of(
    records: Sequence[Record], segment: int, offset: int, previous: int, number: int
) -> Blocks:
    """What to write at `offset` of the segment, behind a frame with the CRC `previous`."""
    parts: list[bytes] = []
    placed: list[WrittenFrame] = []
    for block in (records,) if len(records) == 1 else _cut(records):
        frame, previous = frames.encode(
            encode_block(block),
            type=frames.BLOCK,
            offset=offset,
            previous=previous,
            number=number,
            count=len(block),
            flags=frames.OPENS_EPOCH if EpochRecord in map(type, block) else 0,
        )
        parts.append(frame)
        placed.append(WrittenFrame(len(block), segment, offset, offset + len(frame)))
        offset += len(frame)
        number += len(block)
    return Blocks(parts[0] if len(parts) == 1 else b"".join(parts), placed, previous, number)


def _cut(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Into blocks of at most BLOCK_RECORDS and about BLOCK_BYTES."""
    first = size = 0
    for index, record in enumerate(records):
        if index > first and (size >= BLOCK_BYTES or index - first >= BLOCK_RECORDS):
            yield records[first:index]
            first, size = index, 0
        if type(record) is EventRecord:
            size += len(record.data)
    yield records[first:]
