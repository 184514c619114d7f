"""Packets survive the wire unchanged, and whatever else arrives is refused by one kind of error."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gossip.incarnation import NUMBER_MAX
from gossip.packets import (
    PROTOCOL_VERSION,
    ROOT_BYTES,
    TAGS_MAX,
    Ack,
    Body,
    EpochFold,
    Feedback,
    Line,
    Opinion,
    Packet,
    Push,
    Receipt,
    Run,
    Same,
    Stored,
    Syn,
    SynAck,
    Unfold,
    without_runs,
)
from gossip.wire import PACKET_BYTES_MAX, WireError, cluster_hash, decode, encode
from tests.gossip.builders import packet

ROOT = b"r" * ROOT_BYTES
LINE = Line("n1", 1, 0, b"", [])
SEQ_MAX = 2**63 - 1

# --- all packets --------------------------------------------------------------------------------

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=32)
seqs = st.integers(1, SEQ_MAX)
numbers = st.integers(0, NUMBER_MAX)
roots = st.binary(min_size=ROOT_BYTES, max_size=ROOT_BYTES)
tag = st.binary(min_size=8, max_size=8)
stored = st.lists(st.builds(Stored, names, seqs, numbers, tag), max_size=4)
opinions = st.lists(st.builds(Opinion, names, st.integers(0, 2), numbers), max_size=4)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """Positions as a frontier says them: ranges above the prefix, apart from each other."""
    edges = sorted(draw(st.sets(st.integers(1, 2**40), max_size=8)))
    prefix = edges[0] if len(edges) % 2 else 0
    bounds = iter(edges[1:] if prefix else edges)
    ranges: list[tuple[int, int]] = []
    after = prefix + 2
    for first, last in zip(bounds, bounds, strict=True):
        if first >= after:
            ranges.append((first, last))
            after = last + 2
    head = draw(tag) if prefix else b""
    tags = b"".join(draw(st.lists(tag, max_size=3)))
    above = draw(tag) if ranges else b""
    epoch, first = draw(seqs), draw(seqs)
    return Line(draw(names), epoch, prefix, head, ranges, tags, first, draw(numbers), above)


@st.composite
def folds(draw: st.DrawFn) -> list[EpochFold]:
    """In order and apart."""
    made: list[EpochFold] = []
    for name in sorted(draw(st.sets(names, max_size=2))):
        edges = sorted(draw(st.sets(seqs, max_size=6)))
        for first, last in zip(edges[::2], edges[1::2], strict=False):
            made.append(EpochFold(name, first, last, draw(numbers), draw(roots)))
    return made


many_lines = st.lists(lines(), max_size=4)
runs = st.lists(
    st.builds(
        Run,
        names,
        seqs,
        st.integers(1, SEQ_MAX - 4),
        st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    ),
    max_size=4,
)
bodies: st.SearchStrategy[Body] = st.one_of(
    st.builds(Syn, roots, numbers, st.none() | many_lines, st.booleans(), opinions, folds()),
    st.builds(Same, numbers, roots, stored, opinions),
    st.builds(
        SynAck, numbers, roots, numbers, many_lines, runs, st.booleans(), stored, opinions, folds()
    ),
    st.builds(Ack, numbers, runs, st.booleans(), st.none() | many_lines, numbers, folds()),
    st.builds(
        Unfold, numbers, runs, st.booleans(), many_lines, folds(), numbers, st.integers(0, 16)
    ),
    st.builds(Push, runs, st.booleans(), st.booleans()),
    st.builds(Feedback, numbers, st.lists(st.booleans(), max_size=40)),
    st.builds(Receipt, stored),
)
packets = st.builds(
    Packet,
    st.just(PROTOCOL_VERSION),
    st.integers(0, 2**32 - 1),
    names,
    numbers,
    numbers,
    bodies,
)


@given(packets)
@settings(max_examples=300)
def test_a_packet_comes_back_as_it_was_and_its_bytes_too(sent: Packet) -> None:
    data = encode(sent)
    received = decode(data)
    assert received == sent
    assert encode(received) == data


def test_a_syn_that_expects_agreement_and_its_answer_are_small() -> None:
    """Whatever the history: the root is all that is said."""
    name = "n" * 32
    syn = len(encode(packet(Syn(ROOT, 256 * 1024), name)))
    same = len(encode(packet(Same(7, ROOT), name)))
    assert syn + same < 160
    assert len(encode(packet(Syn(ROOT, 256 * 1024)))) + len(encode(packet(Same(7, ROOT)))) < 100


@pytest.mark.parametrize(
    "body",
    [
        Push([Run("n1", 1, 1, [b"x"])], direct=True, receipt=True),
        SynAck(1, ROOT, 2, [LINE], [Run("n1", 1, 1, [b"x"])], more=True),
        Ack(1, [Run("n1", 1, 1, [b"x"])], more=True, lines=[LINE], budget=5),
        Unfold(1, [Run("n1", 1, 1, [b"x"])], True, [LINE], [EpochFold("n1", 1, 9, 0, ROOT)], 5, 2),
        Syn(ROOT, 1, [LINE]),
    ],
)
def test_a_packet_without_its_runs_is_otherwise_the_same(body: Body) -> None:
    whole = packet(body)
    bare = without_runs(whole)
    if type(body) is Syn:
        assert bare is whole
    else:
        assert not getattr(bare.body, "runs", None)
        assert replace(bare, body=replace(bare.body, runs=getattr(body, "runs"))) == whole  # noqa: B009


def test_a_packet_above_the_limit_is_not_encoded() -> None:
    with pytest.raises(WireError, match="a Push of 1048"):
        encode(packet(Push([Run("n1", 1, 1, [bytes(PACKET_BYTES_MAX)])], direct=True)))


def test_the_hash_of_a_clusters_name_fits_its_field() -> None:
    assert cluster_hash("demo") == cluster_hash("demo")
    assert cluster_hash("demo") != cluster_hash("Demo")
    assert 0 <= cluster_hash("ü" * 1000) < 2**32
    assert (
        cluster_hash("demo", "89abcdef0123") == cluster_hash("other", "89abcdef4567") == 0x89ABCDEF
    )


# --- refusals -----------------------------------------------------------------------------------


def refused(data: bytes, reason: str = "malformed") -> str:
    with pytest.raises(WireError) as caught:
        decode(data)
    assert caught.value.reason == reason
    return str(caught.value)


def accepts_or_refuses(data: bytes) -> None:
    """The only two things that may happen. What is accepted can be sent again."""
    try:
        found = decode(data)
    except WireError as error:
        assert error.reason in {"oversize", "version", "malformed"}
        return
    assert decode(encode(found)) == found


@given(st.binary(max_size=200))
@settings(max_examples=500)
def test_any_bytes_are_a_packet_or_refused(data: bytes) -> None:
    accepts_or_refuses(data)
    accepts_or_refuses(b"\x96" + bytes([PROTOCOL_VERSION]) + data)


@given(packets, st.data())
@settings(max_examples=300)
def test_damaged_packets_are_a_packet_or_refused(sent: Packet, data: st.DataObject) -> None:
    frame = bytearray(encode(sent))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(frame) - 1))
        kind = data.draw(st.sampled_from(["flip", "set", "drop", "insert"]))
        byte = data.draw(st.integers(0, 255))
        if kind == "flip":
            frame[at] ^= 1 << (byte % 8)
        elif kind == "set":
            frame[at] = byte
        elif kind == "insert":
            frame.insert(at, byte)
        elif len(frame) > 1:
            del frame[at]
    accepts_or_refuses(bytes(frame))


@given(packets, st.integers(1, 60))
def test_packets_cut_short_or_with_something_behind_are_refused(sent: Packet, size: int) -> None:
    frame = encode(sent)
    refused(frame[:-size])
    refused(frame + bytes(size))


FRAME = encode(packet(Push([Run("n1", 1, 1, [b"data"])], direct=True)))
HEAD = FRAME[: FRAME.index(b"\x94\x05")]  # the packet up to its body


@pytest.mark.parametrize(
    "opener", [b"\x91", b"\x81\xa1a", b"\xdc\x00\x01", b"\xdd\x00\x00\x00\x01"]
)
@pytest.mark.parametrize("depth", [100, 10_000, 100_000])
def test_deep_nesting_is_refused_and_bounded(opener: bytes, depth: int) -> None:
    """In place of a packet, of a body, and behind the last field, where anything is skipped."""
    nest = opener * depth + b"\x90"
    for data in (nest, HEAD + nest, b"\x97" + FRAME[1:] + nest):
        accepts_or_refuses(data)
    refused(nest)
    refused(HEAD + nest)


@pytest.mark.parametrize(
    "lie",
    [
        b"\xdd\xff\xff\xff\xff",  # an array of 2^32 - 1
        b"\xdc\xff\xff",
        b"\xdf\xff\xff\xff\xff",  # a map
        b"\xc6\xff\xff\xff\xff",  # bytes
        b"\xdb\xff\xff\xff\xff",  # text
        b"\xc9\xff\xff\xff\xff\x01",  # an extension
        b"\xc1",  # never used
    ],
)
def test_lengths_that_lie_are_refused_before_anything_is_reserved(lie: bytes) -> None:
    for at in range(len(FRAME)):
        accepts_or_refuses(FRAME[:at] + lie + FRAME[at:])
        accepts_or_refuses(FRAME[:at] + lie)
    refused(lie)
    refused(HEAD + lie)
    refused(HEAD + b"\x94\x05" + lie)


def test_bytes_above_the_limit_are_refused_unread() -> None:
    assert "limit" in refused(bytes(PACKET_BYTES_MAX + 1), "oversize")
    refused(bytes(PACKET_BYTES_MAX))


def test_another_version_is_named_whatever_its_body_looks_like() -> None:
    version = PROTOCOL_VERSION + 1
    for size in (1, 6, 9):
        newer = bytes([0x90 + size, version]) + b"\xff" * 50
        said = f"packet of protocol version {version}; this node speaks {PROTOCOL_VERSION}"
        assert refused(newer, "version") == said


def test_another_version_is_refused_however_its_number_is_written() -> None:
    """Above 127 it takes two bytes, and the first look at the frame does not see it."""
    for version in (b"\xcc\x05", b"\xcc\xc8", b"\xcd\x00\x02", b"\x00"):
        refused(b"\x96" + version + FRAME[2:], "version")
    refused(b"\x96\xce\x00\x01\x00\x00" + FRAME[2:])


@pytest.mark.parametrize("at", [0, 7, 24, 31])
def test_text_that_is_no_utf_8_is_refused(at: int) -> None:
    frame = bytearray(encode(packet(Push([Run("x" * 32, 1, 1, [b"data"])], True), "y" * 32)))
    frame[frame.index(b"x" * 32) + at] = 0xFF
    refused(bytes(frame))
    frame = bytearray(encode(packet(Push([], True), "y" * 32)))
    frame[frame.index(b"y" * 32) + at] = 0xC0
    refused(bytes(frame))


HEAD_TAG = b"h" * 8


@pytest.mark.parametrize(
    "line",
    [
        Line("n1", 1, 5, HEAD_TAG, [(5, 7)]),  # inside the prefix
        Line("n1", 1, 5, HEAD_TAG, [(6, 7)]),  # would be the prefix
        Line("n1", 1, 5, HEAD_TAG, [(9, 8)]),
        Line("n1", 1, 5, HEAD_TAG, [(8, 9), (10, 11)]),  # would be one range
        Line("n1", 1, 5, HEAD_TAG, [(11, 12), (8, 9)]),
        Line("n1", 1, 5, b"", []),
        Line("n1", 1, 0, HEAD_TAG, []),
        Line("n1", 1, 5, b"h" * 7, []),
        Line("n1", 1, 5, b"h" * 9, []),
        Line("n1", 1, 5, HEAD_TAG, [], b"t" * 7),
        Line("n1", 1, 5, HEAD_TAG, [], b"t" * 8 * (TAGS_MAX + 1)),
        Line("n1", 1, 5, HEAD_TAG, [(8, 9)], above=b"a"),
        Line("n1", 1, 5, HEAD_TAG, [(8 + 2 * i, 8 + 2 * i) for i in range(257)]),
        Line("n1", 0, 0, b"", []),
        Line("", 1, 0, b"", []),
        Line("n" * 33, 1, 0, b"", []),
        Line("n1", 1, SEQ_MAX + 1, HEAD_TAG, []),
    ],
)
def test_a_line_that_no_frontier_says_is_refused(line: Line) -> None:
    for body in (
        Syn(ROOT, 1, [LINE, line]),
        SynAck(1, ROOT, 1, [line], [], more=False),
        Ack(1, [], more=False, lines=[line]),
    ):
        refused(encode(packet(body)))


@pytest.mark.parametrize(
    "run",
    [
        Run("n1", 1, SEQ_MAX, [b"", b""]),
        Run("n1", 1, 0, [b""]),
        Run("n1", 1, 1, []),
        Run("n1", 1, 1, [b""] * 16_385),
    ],
)
def test_a_run_that_leaves_the_sequence_space_or_is_empty_is_refused(run: Run) -> None:
    for body in (
        Push([run], direct=True),
        SynAck(1, ROOT, 1, [], [run], more=False),
        Ack(1, [run], more=False),
    ):
        refused(encode(packet(body)))


def test_the_last_of_all_positions_is_a_position() -> None:
    last = packet(Push([Run("n1", 1, SEQ_MAX, [b"x"])], direct=True))
    assert decode(encode(last)) == last


@pytest.mark.parametrize(
    "body",
    [
        Syn(ROOT[1:], 1),
        Syn(ROOT, -1),
        Same(1, ROOT, [Stored("n1", 1, 1, HEAD_TAG)] * 65),
        Same(1, ROOT, [], [Opinion("n1", 3, 1)]),
        Same(1, ROOT, [], [Opinion("n1", 1, 1)] * 257),
        Feedback(1, [True] * 16_385),
        Receipt([Stored("n1", 1, -1, HEAD_TAG)]),
        Syn(ROOT, 1, [LINE] * 16_385),
    ],
)
def test_a_field_out_of_bounds_is_refused(body: Body) -> None:
    refused(encode(packet(body)))


def test_a_body_of_an_unknown_kind_is_refused() -> None:
    refused(HEAD + b"\x92\x63\x01")


def test_fields_that_a_later_minor_version_appends_are_skipped() -> None:
    frame = b"\x97" + FRAME[1:] + b"\xa5later"
    assert decode(frame) == decode(FRAME)


def test_a_frame_full_of_the_smallest_things_is_decoded_or_refused_in_bounded_memory() -> None:
    size = PACKET_BYTES_MAX - len(HEAD) - 20
    empties = b"\xdd" + struct.pack(">I", size) + b"\xc0" * size
    refused(HEAD + b"\x94\x05" + empties)
    refused(HEAD + empties)
