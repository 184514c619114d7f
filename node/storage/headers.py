"""Segment headers, marks and the file IDENTITY, as values and as bytes: a journal about itself.

A mark is a frame between blocks that notes a start, a clean stop, damage that was set aside, or its
healing. Decoding raises `CodecError` and nothing else. The bytes are described in
docs/disk-format.md; fields are added, never changed.
"""

from typing import Any, Literal, TypeVar, final

from google.protobuf.message import DecodeError
from msgspec import Struct

from node.core.ports import CodecError
from node.disk import record_pb2 as pb

FORMAT_VERSION = 1
DIRECTORY_ID_BYTES = 16
Value = TypeVar("Value", bound=Struct)
Message = TypeVar("Message", pb.Block, pb.Checkpoint, pb.SegmentHeader, pb.Mark, pb.Identity)


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
_MarkName = Literal["clean_stop", "quarantined", "started", "healed"]


def parsed(kind: type[Message], payload: bytes, what: str) -> Message:
    """Raises CodecError."""
    try:
        return kind.FromString(payload)
    except DecodeError as error:
        raise CodecError(f"not {what}: {error}") from None


def encode_segment_header(header: SegmentHeader) -> bytes:
    return pb.SegmentHeader(**_fields_of(header)).SerializeToString()


def decode_segment_header(payload: bytes) -> SegmentHeader:
    return _read(SegmentHeader, parsed(pb.SegmentHeader, payload, "a segment header"))


def encode_identity(identity: Identity) -> bytes:
    return pb.Identity(**_fields_of(identity)).SerializeToString()


def decode_identity(payload: bytes) -> Identity:
    return _read(Identity, parsed(pb.Identity, payload, "an identity"))


def encode_mark(mark: Mark) -> bytes:
    message = pb.Mark()
    for name, kind in _MARKS.items():
        if type(mark) is kind:
            part = getattr(message, name)
            part.SetInParent()
            for field, value in _fields_of(mark).items():
                setattr(part, field, value)
    return message.SerializeToString()


def decode_mark(payload: bytes) -> Mark | None:
    """None: a mark of a newer version, which this one may pass over."""
    message = parsed(pb.Mark, payload, "a mark")
    for name, kind in _MARKS.items():
        if message.HasField(name):
            return _read(kind, getattr(message, name))
    return None


_MARKS: dict[_MarkName, type[Mark]] = {
    "clean_stop": CleanStop,
    "quarantined": Quarantined,
    "started": Started,
    "healed": Healed,
}


def _fields_of(value: Struct) -> dict[str, Any]:
    """In the message of a value all fields have the same names."""
    return {name: getattr(value, name) for name in value.__struct_fields__}


def _read(kind: type[Value], message: object) -> Value:
    return kind(**{name: getattr(message, name) for name in kind.__struct_fields__})
