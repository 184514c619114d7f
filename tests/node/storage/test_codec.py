"""The codec keeps what it knows, carries what it does not, and refuses everything else."""

from contextlib import suppress

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clock import COUNTER_MAX, STAMP_MS_MAX, Stamp
from domain.dot import EPOCH_MAX, Dot
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
from gossip.entry import GENESIS
from node.core.ports import CodecError, EpochRecord, EventRecord
from node.disk import record_pb2 as pb
from node.storage.codec import EVENT_BYTES_MAX, ProtobufCodec, decode_block, encode_block
from node.storage.headers import (
    CleanStop,
    Identity,
    Quarantined,
    SegmentHeader,
    decode_identity,
    decode_mark,
    decode_segment_header,
    encode_identity,
    encode_mark,
    encode_segment_header,
)

names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True)
epochs = st.integers(1, EPOCH_MAX)
dots = st.builds(Dot, names, epochs, st.integers(1, SEQ_MAX))
stamps = st.builds(Stamp, st.integers(0, STAMP_MS_MAX), st.integers(0, COUNTER_MAX))
parents = st.lists(dots, max_size=PARENTS_MAX).map(tuple)
# A code point takes up to 4 bytes, a surrogate alone is not text.
unicode = st.characters(exclude_categories=["Cs"])
authors = st.text(unicode, min_size=1, max_size=AUTHOR_BYTES_MAX // 4)
rules = st.lists(st.text(unicode, min_size=1, max_size=16), max_size=4).map(tuple)
headers = (dots, stamps, parents, authors)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(MessagePosted, *headers, st.text(unicode, min_size=1, max_size=200), rules),
    st.builds(ParticipantJoined, *headers),
    st.builds(ParticipantLeft, *headers),
)


def prev_for(event: Event) -> bytes:
    return GENESIS if event.dot.seq == 1 else b"p" * 16


def posted(**changes: object) -> MessagePosted:
    fields: dict[str, object] = {
        "dot": Dot("n1", 7, 2),
        "stamp": Stamp(1000, 0),
        "parents": (),
        "author": "ann",
        "text": "hello",
    }
    return MessagePosted(**(fields | changes))  # type: ignore[arg-type]


def message_of(event: Event) -> pb.Event:
    return pb.Event.FromString(ProtobufCodec().encode(event, prev_for(event)))


@given(events)
def test_every_event_survives_the_round_trip(event: Event) -> None:
    codec = ProtobufCodec()
    decoded = codec.decode(codec.encode(event, prev_for(event)))
    assert decoded.event == event
    assert decoded.prev == prev_for(event)


@given(events)
def test_encoding_is_deterministic(event: Event) -> None:
    assert ProtobufCodec().encode(event, prev_for(event)) == ProtobufCodec().encode(
        event, prev_for(event)
    )


@given(st.lists(events, max_size=6))
def test_no_event_leaves_a_trace_in_the_bytes_of_the_next_one(said: list[Event]) -> None:
    """One codec fills the same message again and again."""
    codec = ProtobufCodec()
    for event in said:
        bad = posted(parents=event.parents, censored_by=("a",), text="\ud800")
        with suppress(CodecError):
            codec.encode(bad, b"p" * 16)
        data = codec.encode(event, prev_for(event))
        assert data == ProtobufCodec().encode(event, prev_for(event))
        assert data == pb.Event.FromString(data).SerializeToString(deterministic=True)


@given(st.binary(max_size=300))
def test_random_bytes_raise_only_codec_error(data: bytes) -> None:
    with suppress(CodecError):
        ProtobufCodec().decode(data)


@given(events, st.data())
def test_mutated_events_raise_only_codec_error(event: Event, data: st.DataObject) -> None:
    codec = ProtobufCodec()
    mutated = bytearray(codec.encode(event, prev_for(event)))
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    try:
        codec.decode(bytes(mutated))
    except CodecError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dot": Dot("n1", 7, 0)}, "seq 0"),
        ({"dot": Dot("n1", 7, SEQ_MAX + 1)}, "seq"),
        ({"dot": Dot("n1", 0, 2)}, "epoch 0"),
        ({"dot": Dot("n1", EPOCH_MAX + 1, 2)}, "epoch"),
        ({"dot": Dot("N1", 7, 2)}, "origin 'N1'"),
        ({"dot": Dot("", 7, 2)}, "origin ''"),
        ({"dot": Dot("n" * 33, 7, 2)}, "origin"),
        ({"stamp": Stamp(STAMP_MS_MAX + 1, 0)}, "hlc_ms"),
        ({"stamp": Stamp(-1, 0)}, "hlc_ms"),
        ({"stamp": Stamp(0, COUNTER_MAX + 1)}, "hlc_counter"),
        ({"author": ""}, "author is empty"),
        ({"author": "é" * 33}, "author has 66 bytes"),
        ({"author": "\ud800"}, "surrogate"),
        ({"text": ""}, "text is empty"),
        ({"text": "x" * (TEXT_BYTES_MAX + 1)}, "text has 65537 bytes"),
        ({"text": "\udfff"}, "surrogate"),
        ({"parents": (Dot("n2", 1, 1),) * (PARENTS_MAX + 1)}, "17 parents"),
        ({"parents": (Dot("n2", 0, 1),)}, "parent epoch"),
        ({"parents": (Dot("n2", 1, 0),)}, "parent seq"),
        ({"parents": (Dot("n/2", 1, 1),)}, "origin"),
        ({"censored_by": ("r",) * (RULES_MAX + 1)}, "257 rules"),
        ({"censored_by": ("",)}, "rule id is empty"),
    ],
)
def test_encoding_refuses_what_breaks_a_limit(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(CodecError, match=reason):
        ProtobufCodec().encode(posted(**changes), b"p" * 16)


def test_the_largest_event_fits() -> None:
    event = posted(
        text="𐍈" * (TEXT_BYTES_MAX // 4),
        author="𐍈" * (AUTHOR_BYTES_MAX // 4),
        parents=(Dot("n" * 32, EPOCH_MAX, SEQ_MAX),) * PARENTS_MAX,
        censored_by=("r" * 64,) * RULES_MAX,
        stamp=Stamp(STAMP_MS_MAX, COUNTER_MAX),
    )
    codec = ProtobufCodec()
    data = codec.encode(event, b"p" * 16)
    assert len(data) <= EVENT_BYTES_MAX
    assert codec.decode(data).event == event


def test_prev_has_16_bytes_and_is_zero_at_seq_1() -> None:
    codec = ProtobufCodec()
    with pytest.raises(CodecError, match="prev has 3 bytes"):
        codec.encode(posted(), b"abc")
    with pytest.raises(CodecError, match="prev of seq 1"):
        codec.encode(posted(dot=Dot("n1", 7, 1)), b"p" * 16)
    message = message_of(posted())
    message.prev = b""
    with pytest.raises(CodecError, match="prev has 0 bytes"):
        codec.decode(message.SerializeToString())


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("seq", 0, "seq 0"),
        ("seq", 2**63, "seq"),
        ("epoch", 0, "epoch 0"),
        ("epoch", 2**63, "epoch"),
        ("hlc_ms", 2**48, "hlc_ms"),
        ("hlc_counter", 2**16, "hlc_counter"),
        ("prev", b"p" * 17, "prev"),
        ("origin", "UPPER", "origin"),
        ("author", "", "author is empty"),
        ("author", "a" * 65, "author has 65"),
    ],
)
def test_decoding_refuses_what_breaks_a_limit(field: str, value: object, reason: str) -> None:
    message = message_of(posted())
    setattr(message, field, value)
    with pytest.raises(CodecError, match=reason):
        ProtobufCodec().decode(message.SerializeToString())


def test_decoding_refuses_bad_parents_and_texts() -> None:
    codec = ProtobufCodec()
    message = message_of(posted(parents=(Dot("n2", 1, 1),)))
    message.parents[0].seq = 0
    with pytest.raises(CodecError, match="parent 'n2'"):
        codec.decode(message.SerializeToString())
    message = message_of(posted())
    for _ in range(17):
        message.parents.add(origin="n2", epoch=1, seq=1)
    with pytest.raises(CodecError, match="17 parents"):
        codec.decode(message.SerializeToString())
    message = message_of(posted())
    message.message_posted.text = ""
    with pytest.raises(CodecError, match="text is empty"):
        codec.decode(message.SerializeToString())
    message.message_posted.text = "x" * (TEXT_BYTES_MAX + 1)
    with pytest.raises(CodecError, match="text has"):
        codec.decode(message.SerializeToString())


def test_too_long_and_empty_input_is_refused() -> None:
    codec = ProtobufCodec()
    with pytest.raises(CodecError, match="at most"):
        codec.decode(bytes(EVENT_BYTES_MAX + 1))
    with pytest.raises(CodecError):
        codec.decode(b"")


def field(number: int, payload: bytes) -> bytes:
    """One length-delimited protobuf field."""
    key = number << 3 | 2
    return bytes([key & 0x7F | 0x80, key >> 7, len(payload)]) + payload


def without_kind() -> bytes:
    message = message_of(ParticipantJoined(Dot("n1", 7, 2), Stamp(5, 0), (), "ann"))
    message.ClearField("participant_joined")
    return message.SerializeToString()


def test_a_kind_of_a_newer_version_is_carried_as_unknown() -> None:
    decoded = ProtobufCodec().decode(without_kind() + field(40, b"\x0a\x03new"))
    assert decoded.event == UnknownEvent(Dot("n1", 7, 2), Stamp(5, 0), (), "ann", 40)


def test_header_fields_of_a_newer_version_are_ignored() -> None:
    event = posted()
    data = ProtobufCodec().encode(event, b"p" * 16) + field(300, b"later")
    assert ProtobufCodec().decode(data).event == event


def test_an_event_without_any_kind_is_refused() -> None:
    codec = ProtobufCodec()
    with pytest.raises(CodecError, match="no kind"):
        codec.decode(without_kind())
    with pytest.raises(CodecError, match="no kind"):
        codec.decode(without_kind() + field(300, b"later"))  # not in the range of kinds


def test_an_unknown_kind_is_encoded_by_its_origin_only() -> None:
    event = UnknownEvent(Dot("n1", 7, 2), Stamp(5, 0), (), "ann", 40)
    with pytest.raises(CodecError, match="kind 40"):
        ProtobufCodec().encode(event, b"p" * 16)


def test_the_cache_of_origins_is_bounded() -> None:
    codec = ProtobufCodec()
    for number in range(5000):
        codec.encode(posted(dot=Dot(f"n{number}", 7, 2)), b"p" * 16)
    assert len(codec._origins) <= 4096


records = st.lists(
    st.one_of(
        st.builds(
            EventRecord,
            st.binary(min_size=1, max_size=50),
            st.integers(0, 2**48),
            st.sampled_from(["local", "rumor", "anti-entropy", "recovery"]),
            st.one_of(st.just(""), names),
        ),
        st.builds(EpochRecord, epochs, st.text(unicode, max_size=20), st.integers(0, 2**48)),
    ),
    max_size=8,
)


@given(records)
def test_blocks_survive_the_round_trip(block: list[EventRecord | EpochRecord]) -> None:
    assert decode_block(encode_block(block)) == block


@given(records, records)
def test_joined_blocks_are_one_block(
    one: list[EventRecord | EpochRecord], two: list[EventRecord | EpochRecord]
) -> None:
    assert decode_block(encode_block(one) + encode_block(two)) == one + two


@pytest.mark.parametrize(
    "record",
    [
        pb.Record(),
        pb.Record(event=b"x"),  # by no way
        pb.Record(event=b"x", via=99),  # type: ignore[arg-type]
    ],
)
def test_records_that_say_nothing_are_refused(record: pb.Record) -> None:
    with pytest.raises(CodecError, match="record 1"):
        decode_block(pb.Block(records=[record]).SerializeToString())


def test_headers_marks_and_identities_survive_the_round_trip() -> None:
    header = SegmentHeader("n1", 3, b"d" * 16, 4)
    assert decode_segment_header(encode_segment_header(header)) == header
    for mark in (CleanStop(5), Quarantined(1, 2, 3, 4)):
        assert decode_mark(encode_mark(mark)) == mark
    identity = Identity("n1", b"d" * 16, "1:2", 9, "none", "new log", 7, 8)
    assert decode_identity(encode_identity(identity)) == identity


def test_an_unknown_mark_is_passed_over() -> None:
    assert decode_mark(field(40, b"")) is None


@pytest.mark.parametrize(
    "decode", [decode_block, decode_mark, decode_segment_header, decode_identity]
)
def test_what_is_no_message_raises_codec_error(decode: object) -> None:
    with pytest.raises(CodecError):
        decode(b"\xff\xff\xff")  # type: ignore[operator]


def test_encoding_keeps_nothing_of_what_it_has_encoded() -> None:
    """A message of protobuf that is filled anew frees what was in it only when it goes itself."""
    codec, process = ProtobufCodec(), psutil.Process()
    text, stamp = "x" * 2000, Stamp(1, 0)
    before = 0
    for seq in range(1, 24_001):
        codec.encode(MessagePosted(Dot("n1", 7, seq), stamp, (), "ana", text), GENESIS)
        if seq == 4000:
            before = process.memory_info().rss
    assert process.memory_info().rss - before < 8 * 2**20  # of 40 MB
