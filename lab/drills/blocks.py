"""Drill of the codecs of journal blocks (`node.storage.codec`) and of headers and marks.

The model is the value itself: random records, segment headers, identities and marks must survive
encoding and decoding, and a block must equal its records encoded one by one. Malformed bytes must
raise `CodecError`. Left out: the bytes of an event (see `entries`) and of frames (see `framing`).
"""

from collections.abc import Callable
from functools import partial
from random import Random

from lab.drills.beside import refused, same
from node.core.ports import CodecError, EpochRecord, EventRecord, Record
from node.storage.codec import decode_block, encode_block, events_of
from node.storage.headers import (
    CleanStop,
    Healed,
    Identity,
    Quarantined,
    SegmentHeader,
    Started,
    decode_identity,
    decode_mark,
    decode_segment_header,
    encode_identity,
    encode_mark,
    encode_segment_header,
)

VIAS = ("local", "rumor", "anti-entropy", "recovery")


def blocks(rng: Random) -> None:
    made = [_record(rng) for _ in range(rng.randint(1, 6))]
    data = encode_block(made)
    same("decoded", decode_block(data), made)
    same("encoded again", encode_block(decode_block(data)), data)
    same("events", events_of(data), [one.data if type(one) is EventRecord else b"" for one in made])
    together = b"".join(encode_block([one]) for one in made)
    same("one by one", together, data)
    unknown = data + b"\x0a\x02\x18\x05"  # a record with a time, and nothing else
    refused("a record of no kind", CodecError, lambda: decode_block(unknown))
    stray = data + b"\x0a\x05\x0a\x01x\x20\x09"  # an event that came by way 9
    refused("an unknown way", CodecError, lambda: decode_block(stray))
    nowhere = data + b"\x0a\x03\x0a\x01x"  # an event that came no way
    refused("no way", CodecError, lambda: decode_block(nowhere))
    refused("no block", CodecError, lambda: decode_block(b"\xff\xff"))
    refused("no block of events", CodecError, lambda: events_of(b"\xff\xff"))
    _marks(rng)


def _record(rng: Random) -> Record:
    at_ms = rng.choice((0, 1, 2**48 - 1))
    if rng.random() < 0.3:
        return EpochRecord(rng.choice((1, 2**63 - 1)), rng.choice(("", "unclean stop")), at_ms)
    data = rng.choice((b"e", rng.randbytes(200)))
    via = rng.choice(VIAS)
    return EventRecord(data, at_ms, via, rng.choice(("", "n2", "n" * 32)))  # type: ignore[arg-type]


def _marks(rng: Random) -> None:
    large = rng.choice((1, 300, 2**63 - 1))
    directory_id = rng.randbytes(16)
    header = SegmentHeader("n1", large, directory_id, rng.choice((1, large)))
    same("segment header", decode_segment_header(encode_segment_header(header)), header)
    identity = Identity(
        node=rng.choice(("n1", "n" * 32)),
        directory_id=directory_id,
        place=rng.choice(("", "8:77")),
        incarnation=large,
        durability=rng.choice(("always", "interval")),
        must_open_epoch=rng.choice(("", "copied")),
        must_open_from=rng.choice((0, large)),
        started_at_ms=rng.choice((0, 2**48)),
        format_version=1,
        next_number=rng.choice((0, large)),
        last_segment=rng.choice((0, 9)),
    )
    same("identity", decode_identity(encode_identity(identity)), identity)
    marks = (
        CleanStop(large),
        Quarantined(3, rng.randrange(2**40), large, rng.choice((0, 7))),
        Started(large),
        Healed(3, rng.randrange(2**40), large),
    )
    for mark in marks:
        same("mark", decode_mark(encode_mark(mark)), mark)
    same("a mark of a newer version", decode_mark(b"\x92\x06\x00"), None)
    readers: tuple[Callable[[bytes], object], ...] = (
        decode_mark,
        decode_identity,
        decode_segment_header,
    )
    for decode in readers:
        refused("nonsense", CodecError, partial(decode, b"\xff\xff"))
