"""Values and Protocols between the core and its surroundings: records, notes, codec, journal.

`EventRecord` and `EpochRecord` go to the journal, `Note` to the log; `EventCodec` and `Pages` are
what the core needs from outside. A process and the simulator implement the same Protocols, so both
drive the same `Replica`. Nothing here does I/O. Times are milliseconds since 1970 (wall clock).
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal, Protocol, final

from msgspec import Struct

from domain.arrival import Via
from domain.dot import Dot
from domain.events import Event

Durability = Literal["always", "interval", "none"]


class AckLevel(StrEnum):
    """How far a message is safe when its sender is told so. Each level includes those before."""

    WRITTEN = "written"  # survives kill -9 of the process
    DURABLE = "durable"  # survives power loss
    REPLICATED = "replicated"  # durable here and on k other nodes


@final
class EventRecord(Struct, frozen=True, gc=False):
    """One event in arrival order: its exact bytes, and when and from whom they came."""

    data: bytes
    received_at_ms: int
    via: Via
    sender: str  # "" for local


@final
class EpochRecord(Struct, frozen=True, gc=False):
    """From here on this node's own events are written in `epoch`."""

    epoch: int
    reason: str
    opened_at_ms: int


Record = EventRecord | EpochRecord


class Decoded(Struct, frozen=True, gc=False):
    event: Event
    prev: bytes  # head of the predecessor's hash, 16 bytes


class CodecError(ValueError):
    """These bytes are not an event. The text says why, in one line."""


class EventCodec(Protocol):
    """Events to the bytes that are hashed, stored and shipped, and back."""

    def encode(self, event: Event, prev: bytes) -> bytes: ...

    def decode(self, data: bytes) -> Decoded:
        """Raises CodecError, and nothing else, whatever the bytes are."""
        ...


class Pages(Protocol):
    """The journal, to be read from."""

    def events(self, numbers: Sequence[int]) -> list[bytes]:
        """The bytes of the events in these records, all of which are written.

        What cannot be read raises, and this life of the node ends: the next one begins with a
        journal that has been looked at.
        """
        ...

    @property
    def fetched_bytes(self) -> int:
        """How much of the journal was read for it so far."""
        ...


def opened(codec: EventCodec, dot: Dot, data: bytes) -> tuple[bytes, Event] | None:
    """For the engine: these bytes as the event that they claim to be, and its `prev`."""
    try:
        decoded = codec.decode(data)
    except CodecError:
        return None
    return (decoded.prev, decoded.event) if decoded.event.dot == dot else None


Fields = dict[str, str | int | float | bool | list[str] | dict[str, int]]


class Note(Struct, frozen=True, gc=False):
    """One structured log line. It never affects state."""

    event: str  # a name registered in node.process.structured_log
    level: Literal["debug", "info", "warning", "error"]
    fields: Fields
