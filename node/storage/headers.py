"""What a journal says about itself: segment headers, marks and the file IDENTITY, as values and as
bytes. Decoding raises `CodecError` and nothing else.
"""

from typing import TypeVar, assert_never, final

from google.protobuf.message import DecodeError
from msgspec import Struct

from node.core.ports import CodecError
from node.disk import record_pb2 as pb

FORMAT_VERSION = 1
DIRECTORY_ID_BYTES = 16
Message = TypeVar("Message", pb.Block, pb.SegmentHeader, pb.Mark, pb.Identity)


class SegmentHeader(Struct, frozen=True):
    node: str
    segment: int
    directory_id: bytes
    incarnation: int
    format_version: int = FORMAT_VERSION


class Identity(Struct, frozen=True):
    """What a data directory knows of itself, kept outside the log. See node.storage.recovery."""

    node: str
    directory_id: bytes
    place: str  # where the directory was when this was written; differs in a copy
    incarnation: int  # starts so far
    durability: str
    must_open_epoch: str = ""  # the reason; "" if no new epoch is needed
    must_open_from: int = 0  # an epoch opened at this record number or later settles it
    started_at_ms: int = 0
    format_version: int = FORMAT_VERSION
    next_number: int = 0  # records below it were durable; 0: nothing is known
    last_segment: int = 0  # this segment was durable


@final
class CleanStop(Struct, frozen=True):
    """The process of this incarnation stopped in order, everything is on disk."""

    incarnation: int


@final
class Quarantined(Struct, frozen=True):
    """This range of this journal is damaged, known to be, and skipped."""

    segment: int
    offset: int
    length: int
    records: int


@final
class Started(Struct, frozen=True):
    """A process began to use this journal."""

    incarnation: int


@final
class Healed(Struct, frozen=True):
    """This range was quarantined, and can be read again."""

    segment: int
    offset: int
    length: int


Mark = CleanStop | Quarantined | Started | Healed


def parsed(kind: type[Message], payload: bytes, what: str) -> Message:
    """Raises CodecError."""
    try:
        return kind.FromString(payload)
    except DecodeError as error:
        raise CodecError(f"not {what}: {error}") from None


def encode_segment_header(header: SegmentHeader) -> bytes:
    return pb.SegmentHeader(
        format_version=header.format_version,
        node=header.node,
        segment=header.segment,
        directory_id=header.directory_id,
        incarnation=header.incarnation,
    ).SerializeToString()


def decode_segment_header(payload: bytes) -> SegmentHeader:
    message = parsed(pb.SegmentHeader, payload, "a segment header")
    return SegmentHeader(
        message.node,
        message.segment,
        message.directory_id,
        message.incarnation,
        message.format_version,
    )


def encode_mark(mark: Mark) -> bytes:
    if type(mark) is CleanStop:
        return pb.Mark(clean_stop=pb.CleanStop(incarnation=mark.incarnation)).SerializeToString()
    if type(mark) is Quarantined:
        hole = pb.Quarantined(segment=mark.segment, offset=mark.offset)
        hole.length, hole.records = mark.length, mark.records
        return pb.Mark(quarantined=hole).SerializeToString()
    if type(mark) is Started:
        return pb.Mark(started=pb.Started(incarnation=mark.incarnation)).SerializeToString()
    if type(mark) is Healed:
        place = pb.Healed(segment=mark.segment, offset=mark.offset, length=mark.length)
        return pb.Mark(healed=place).SerializeToString()
    assert_never(mark)


def decode_mark(payload: bytes) -> Mark | None:
    """None: a mark of a newer version, which this one may pass over."""
    message = parsed(pb.Mark, payload, "a mark")
    if message.HasField("clean_stop"):
        return CleanStop(message.clean_stop.incarnation)
    if message.HasField("quarantined"):
        hole = message.quarantined
        return Quarantined(hole.segment, hole.offset, hole.length, hole.records)
    if message.HasField("started"):
        return Started(message.started.incarnation)
    if message.HasField("healed"):
        place = message.healed
        return Healed(place.segment, place.offset, place.length)
    return None


def encode_identity(identity: Identity) -> bytes:
    return pb.Identity(
        format_version=identity.format_version,
        node=identity.node,
        directory_id=identity.directory_id,
        place=identity.place,
        incarnation=identity.incarnation,
        durability=identity.durability,
        must_open_epoch=identity.must_open_epoch,
        must_open_from=identity.must_open_from,
        started_at_ms=identity.started_at_ms,
        next_number=identity.next_number,
        last_segment=identity.last_segment,
    ).SerializeToString()


def decode_identity(payload: bytes) -> Identity:
    message = parsed(pb.Identity, payload, "an identity")
    return Identity(
        node=message.node,
        directory_id=message.directory_id,
        place=message.place,
        incarnation=message.incarnation,
        durability=message.durability,
        must_open_epoch=message.must_open_epoch,
        must_open_from=message.must_open_from,
        started_at_ms=message.started_at_ms,
        format_version=message.format_version,
        next_number=message.next_number,
        last_segment=message.last_segment,
    )
