"""Encodes events and blocks of records as protobuf bytes, and decodes them.

`ProtobufCodec` turns events into the bytes that are hashed, stored and sent. The functions below it
do the same for blocks of records. What a journal says about itself
is in `node.storage.headers`.

An event is encoded once, by its origin. What `decode` accepts is kept and relayed byte for byte,
so an event of a newer version survives: header fields not known here are ignored, a kind not
known here becomes `UnknownEvent`. Every limit of the format is checked on both sides: what is
encoded here can be decoded everywhere, and whatever a stranger sends is bounded. Decoding raises
`CodecError` and nothing else.
"""

import re
from collections.abc import Sequence
from sys import intern
from typing import Final, Never, assert_never

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from domain.arrival import Via
from domain.clock import COUNTER_MAX, STAMP_MS_MAX, Stamp
from domain.dot import EPOCH_MAX, ORIGIN_FORM, Dot, LogId
from domain.events import (
    AUTHOR_BYTES_MAX,
    PARENTS_MAX,
    RULES_MAX,
    TEXT_BYTES_MAX,
    Event,
    MessagePosted,
    ParticipantJoined,
    ParticipantLeft,
    UnknownEvent,
)
from domain.seqset import SEQ_MAX
from gossip.entry import GENESIS, PREV_BYTES
from node.core.ports import CodecError, Decoded, EpochRecord, EventRecord, Record
from node.disk import record_pb2 as pb
from node.storage.headers import parsed

EVENT_BYTES_MAX = 128 * 1024
RULE_BYTES_MAX = 64
FILLED_MAX = 64  # times that one message is filled
ORIGINS_KNOWN_MAX = 4096  # bounds the cache of origin names that passed the check

ORIGIN = re.compile(ORIGIN_FORM)
KIND_FIRST, KIND_LAST = 16, 255  # field numbers of Event that are kinds, known or not


class ProtobufCodec:
    """Implements `node.core.ports.EventCodec`. Not thread-safe: it belongs to one replica."""

    def __init__(self) -> None:
        # Origins repeat in every event: checked once, and shared to save memory.
        self._origins: dict[str, str] = {}
        # Filling a message anew is cheaper than making one, but what was in it is freed with it.
        self._blank, self._filled = pb.Event(), 0
        self._log = LogId("", 0)  # the one that is in the message

    def encode(self, event: Event, prev: bytes) -> bytes:
        """The bytes of a new own event. Raises CodecError where it breaks a limit."""
        message = self._header(event, prev)
        if type(event) is MessagePosted:
            text = event.text
            if not text.isascii() or not 0 < len(text) <= TEXT_BYTES_MAX:
                _checked_text("text", text, TEXT_BYTES_MAX)
            posted = message.message_posted
            posted.text = text
            if event.censored_by:
                posted.censored_by.extend(_checked_rules(event.censored_by))
        elif type(event) is ParticipantJoined:
            message.participant_joined.SetInParent()
        elif type(event) is ParticipantLeft:
            message.participant_left.SetInParent()
        elif type(event) is UnknownEvent:
            _refuse(f"kind {event.kind} is not known here: only its origin can encode it")
        else:
            assert_never(event)
        return message.SerializeToString()  # no maps: fields in order, each time the same bytes

    def _header(self, event: Event, prev: bytes) -> pb.Event:
        """A message with the header of this event, and of no kind yet."""
        dot, stamp, parents, author = event.dot, event.stamp, event.parents, event.author
        seq, epoch, ms, counter = dot.seq, dot.epoch, stamp.ms, stamp.counter
        _check_header(seq, epoch, prev, ms, counter)
        if not author.isascii() or not 0 < len(author) <= AUTHOR_BYTES_MAX:
            _checked_text("author", author, AUTHOR_BYTES_MAX)
        if len(parents) > PARENTS_MAX:
            _refuse(f"{len(parents)} parents, at most {PARENTS_MAX} are allowed")
        message, log = self._blank, self._log
        self._filled += 1
        if epoch != log.epoch or dot.origin != log.origin or self._filled > FILLED_MAX:
            message = pb.Event(origin=self._origin(dot.origin), epoch=epoch)
            self._blank, self._filled, self._log = message, 0, dot.log
        message.seq = seq
        message.prev = prev
        message.hlc_ms = ms
        message.hlc_counter = counter
        message.author = author
        message.ClearField("parents")
        message.ClearField("kind")
        for parent in parents:
            origin, epoch, seq = self._origin(parent.origin), parent.epoch, parent.seq
            _check_range("parent epoch", epoch, 1, EPOCH_MAX)
            _check_range("parent seq", seq, 1, SEQ_MAX)
            message.parents.add(origin=origin, epoch=epoch, seq=seq)
        return message

    def decode(self, data: bytes) -> Decoded:
        """The event that these bytes are. Raises CodecError, and nothing else."""
        if len(data) > EVENT_BYTES_MAX:
            _refuse(f"{len(data)} bytes, at most {EVENT_BYTES_MAX} are allowed")
        try:
            message = pb.Event.FromString(data)
        except DecodeError as error:
            raise CodecError(f"not a protobuf event: {error}") from None
        seq, epoch, prev = message.seq, message.epoch, message.prev
        ms, counter = message.hlc_ms, message.hlc_counter
        _check_header(seq, epoch, prev, ms, counter)
        origin = message.origin
        dot = Dot(self._origins.get(origin) or self._origin(origin), epoch, seq)
        stamp = Stamp(ms, counter)
        author = intern(message.author)
        if not 0 < len(author) <= AUTHOR_BYTES_MAX // 4:
            _checked_text("author", author, AUTHOR_BYTES_MAX)
        parents: tuple[Dot, ...] = ()
        if message.parents:
            parents = tuple([self._parent(parent) for parent in message.parents])
            if len(parents) > PARENTS_MAX:
                _refuse(f"{len(parents)} parents, at most {PARENTS_MAX} are allowed")
        kind = message.WhichOneof("kind")
        event: Event
        if kind == "message_posted":
            posted = message.message_posted
            text = posted.text
            if not 0 < len(text) <= TEXT_BYTES_MAX // 4:
                _checked_text("text", text, TEXT_BYTES_MAX)
            rules = posted.censored_by
            by = _checked_rules(rules) if rules else ()
            event = MessagePosted(
                dot=dot, stamp=stamp, parents=parents, author=author, text=text, censored_by=by
            )
        elif kind == "participant_joined":
            event = ParticipantJoined(dot, stamp, parents, author)
        elif kind == "participant_left":
            event = ParticipantLeft(dot, stamp, parents, author)
        else:
            event = UnknownEvent(dot, stamp, parents, author, _unknown_kind(message))
        return Decoded(event, prev)

    def _parent(self, message: pb.Dot) -> Dot:
        origin, epoch, seq = message.origin, message.epoch, message.seq
        if not (1 <= epoch <= EPOCH_MAX and 1 <= seq <= SEQ_MAX):
            _refuse(f"the parent {origin[:40]!r} {epoch:x}:{seq} is no dot")
        return Dot(self._origins.get(origin) or self._origin(origin), epoch, seq)

    def _origin(self, name: str) -> str:
        known = self._origins.get(name)
        if known is not None:
            return known
        if not ORIGIN.fullmatch(name):
            _refuse(f"origin {name[:40]!r} is not a node name")
        if len(self._origins) >= ORIGINS_KNOWN_MAX:
            self._origins.clear()
        self._origins[name] = name
        return name


def _refuse(reason: str) -> Never:
    raise CodecError(reason)


def _check_header(seq: int, epoch: int, prev: bytes, ms: int, counter: int) -> None:
    """Raises CodecError for the first field that breaks its limit. Hot: a comparison a field."""
    if (
        1 <= seq <= SEQ_MAX
        and 1 <= epoch <= EPOCH_MAX
        and 0 <= ms <= STAMP_MS_MAX
        and 0 <= counter <= COUNTER_MAX
        and len(prev) == PREV_BYTES
        and (seq > 1 or prev == GENESIS)
    ):
        return
    _check_range("seq", seq, 1, SEQ_MAX)
    _check_range("epoch", epoch, 1, EPOCH_MAX)
    _check_range("hlc_ms", ms, 0, STAMP_MS_MAX)
    _check_range("hlc_counter", counter, 0, COUNTER_MAX)
    if len(prev) != PREV_BYTES:
        _refuse(f"prev has {len(prev)} bytes, not {PREV_BYTES}")
    _refuse("prev of seq 1 is not zero: it has no predecessor")


def _check_range(what: str, value: int, first: int, last: int) -> None:
    if not first <= value <= last:
        _refuse(f"{what} {value} is not between {first} and {last}")


def _checked_text(what: str, text: str, bytes_max: int) -> str:
    # A code point takes at most 4 bytes, so that callers in a hurry can skip short texts.
    if not text:
        _refuse(f"{what} is empty")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        _refuse(f"{what} is not valid Unicode: it contains a lone surrogate")
    if size > bytes_max:
        _refuse(f"{what} has {size} bytes, at most {bytes_max} are allowed")
    return text


def _checked_rules(rules: Sequence[str]) -> tuple[str, ...]:
    if len(rules) > RULES_MAX:
        _refuse(f"censored by {len(rules)} rules, at most {RULES_MAX} can be named")
    return tuple(intern(_checked_text("rule id", rule, RULE_BYTES_MAX)) for rule in rules)


def _unknown_kind(message: pb.Event) -> int:
    fields = UnknownFieldSet(message)
    numbers = [int(fields[i].field_number) for i in range(len(fields))]
    kinds = [number for number in numbers if KIND_FIRST <= number <= KIND_LAST]
    if not kinds:
        _refuse("it has no kind")
    return kinds[-1]  # of a oneof the last one counts, as in protobuf


# --- what the journal adds around events --------------------------------------------------------


_VIA_NUMBERS: Final[dict[Via, pb.Via.ValueType]] = {
    "local": pb.VIA_LOCAL,
    "rumor": pb.VIA_RUMOR,
    "anti-entropy": pb.VIA_ANTI_ENTROPY,
    "recovery": pb.VIA_RECOVERY,
}
_VIA_NAMES: Final[dict[int, Via]] = {number: name for name, number in _VIA_NUMBERS.items()}


def encode_block(records: Sequence[Record]) -> bytes:
    block = pb.Block()
    add = block.records.add
    for record in records:
        if type(record) is EventRecord:
            message = add()  # to fill it takes less than to make it of keywords
            message.event = record.data
            message.received_at_ms = record.received_at_ms
            message.via = _VIA_NUMBERS[record.via]
            message.sender = record.sender
        elif type(record) is EpochRecord:
            opened = pb.EpochOpened(epoch=record.epoch, reason=record.reason)
            add(epoch_opened=opened, received_at_ms=record.opened_at_ms)
        else:
            assert_never(record)
    return block.SerializeToString()


def decode_block(payload: bytes) -> list[Record]:
    """The records of a block frame, in order."""
    records: list[Record] = []
    for record in parsed(pb.Block, payload, "a block").records:
        data = record.event
        at_ms = record.received_at_ms
        if data:
            via = _VIA_NAMES.get(record.via)
            if via is None:
                _refuse(f"record {len(records) + 1} of the block came by way {record.via}")
            records.append(EventRecord(data, at_ms, via, intern(record.sender)))
        elif record.HasField("epoch_opened"):
            opened = record.epoch_opened
            records.append(EpochRecord(opened.epoch, opened.reason, at_ms))
        else:
            _refuse(f"record {len(records) + 1} of the block is of an unknown kind")
    return records


def events_of(payload: bytes) -> list[bytes]:
    """Of the records of a block frame the events alone, in order; b"" where one is no event."""
    return [record.event for record in parsed(pb.Block, payload, "a block").records]
