"""Drill of `node.storage.codec.ProtobufCodec`: events as bytes of the schema on disk.

The model is a plain protobuf writer in this file (`written`). Random events, with values at each
limit, must encode to the same bytes and decode to the same event. Then one field is put beyond its
limit, or the bytes are cut, extended or random: both directions must raise `CodecError`. Left out:
records and blocks around an event (see `blocks`).
"""

from functools import partial
from random import Random

from msgspec.structs import replace

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
from lab.drills.beside import refused, same
from node.core.ports import CodecError, Decoded
from node.storage.codec import EVENT_BYTES_MAX, KIND_FIRST, KIND_LAST, RULE_BYTES_MAX, ProtobufCodec

STEPS = 8
ORIGINS = ("n1", "a", "0-" + "z" * 30, "node-3")
KINDS = {MessagePosted: 16, ParticipantJoined: 17, ParticipantLeft: 18}


def entries(rng: Random) -> None:
    codec = ProtobufCodec()
    for _ in range(STEPS):
        event, prev = _event(rng)
        data = written(event, prev)
        same("decoded", codec.decode(data), Decoded(event, prev))
        if type(event) is UnknownEvent:
            refused("an unknown kind", CodecError, partial(codec.encode, event, prev))
        else:
            same("encoded", codec.encode(event, prev), data)
        broken, its_prev = _broken(rng, event, prev)
        wrong = written(broken, its_prev)
        refused("to decode what is out of range", CodecError, partial(codec.decode, wrong))
        refused("to encode what is out of range", CodecError,
                partial(codec.encode, broken, its_prev))  # fmt: skip
    cut = written(ParticipantLeft(Dot("n1", 1, 1), Stamp(1, 0), (), "ann"), bytes(16))
    for what, data in (
        ("no kind", cut[:-3]),
        ("nonsense", b"\xff" + rng.randbytes(20)),
        ("a stray end", cut + b"\xff"),
        ("far too long", cut + _field(9, bytes(EVENT_BYTES_MAX))),
    ):
        refused(what, CodecError, partial(codec.decode, data))


# --- what is within the limits --------------------------------------------------------------------


def _event(rng: Random) -> tuple[Event, bytes]:
    seq = rng.choice((1, 2, 77, SEQ_MAX))
    prev = rng.randbytes(16) if seq > 1 else bytes(16)
    dot = Dot(rng.choice(ORIGINS), rng.choice((1, 5, EPOCH_MAX)), seq)
    stamp = Stamp(rng.choice((0, 7, STAMP_MS_MAX)), rng.choice((0, 3, COUNTER_MAX)))
    count = rng.choice((0, 0, 1, 2, PARENTS_MAX))
    parents = tuple([Dot(rng.choice(ORIGINS), rng.choice((1, EPOCH_MAX)), rng.choice((1, SEQ_MAX)))
                     for _ in range(count)])  # fmt: skip
    author = rng.choice(("ann", "ä", "a" * AUTHOR_BYTES_MAX, "é" * (AUTHOR_BYTES_MAX // 2)))
    match rng.randrange(6):
        case 0:
            return ParticipantJoined(dot, stamp, parents, author), prev
        case 1:
            return ParticipantLeft(dot, stamp, parents, author), prev
        case 2:
            kind = rng.choice((KIND_FIRST + 3, 99, KIND_LAST))
            return UnknownEvent(dot, stamp, parents, author, kind), prev
        case _:
            text = rng.choice(("hi", "ü", " \n", "x" * 300))
            if rng.random() < 0.1:
                text = rng.choice(("t" * TEXT_BYTES_MAX, "ß" * (TEXT_BYTES_MAX // 2)))
            rules: tuple[str, ...] = rng.choice(((), (), ("r1", "r" * RULE_BYTES_MAX)))
            if rng.random() < 0.05:
                rules = tuple([f"r{at}" for at in range(RULES_MAX)])
            return MessagePosted(
                dot=dot, stamp=stamp, parents=parents, author=author, text=text, censored_by=rules
            ), prev


# --- what is not ----------------------------------------------------------------------------------


def _broken(rng: Random, event: Event, prev: bytes) -> tuple[Event, bytes]:
    """The event with one number beyond its limit, in a form that the wire can carry."""
    dot, stamp = event.dot, event.stamp
    here = dot if dot.seq > 1 else replace(dot, seq=2)
    which = rng.randrange(15)
    if which > 7:
        return _broken_beside(rng, event, which), prev
    match which:
        case 0:
            return replace(event, dot=replace(dot, seq=0)), prev
        case 1:
            return replace(event, dot=replace(here, seq=SEQ_MAX + 1)), prev
        case 2:
            return replace(event, dot=replace(dot, epoch=0)), prev
        case 3:
            return replace(event, dot=replace(dot, epoch=EPOCH_MAX + 1)), prev
        case 4:
            return replace(event, stamp=replace(stamp, ms=STAMP_MS_MAX + 1)), prev
        case 5:
            return replace(event, stamp=replace(stamp, counter=COUNTER_MAX + 1)), prev
        case 6:
            return replace(event, dot=here), rng.randbytes(rng.choice((0, 15, 17)))
        case _:
            return replace(event, dot=replace(dot, seq=1)), b"x" * 16


def _broken_beside(rng: Random, event: Event, which: int) -> Event:
    """The event with one field beyond its limit that is not a number."""
    dot, stamp = event.dot, event.stamp
    match which:
        case 8:
            return replace(event, author="")
        case 9:
            long = rng.choice(("a" * (AUTHOR_BYTES_MAX + 1), "é" * (AUTHOR_BYTES_MAX // 2) + "a"))
            return replace(event, author=long)
        case 10:
            parents = tuple([Dot("n1", 1, at) for at in range(1, PARENTS_MAX + 2)])
            return replace(event, parents=parents)
        case 11:
            name = rng.choice(("", "N1", "-a", "a_b", "z" * 33, "ä", "n1\n"))
            return replace(event, dot=replace(dot, origin=name))
        case 12:
            bad = rng.choice((Dot("n1", 0, 1), Dot("n1", 1, 0), Dot("n1", EPOCH_MAX + 1, 1),
                              Dot("n1", 1, SEQ_MAX + 1), Dot("N1", 1, 1)))  # fmt: skip
            return replace(event, parents=(*event.parents[:3], bad))
        case 13:
            rules = rng.choice((("",), ("r" * (RULE_BYTES_MAX + 1),), ("r",) * (RULES_MAX + 1)))
            return MessagePosted(
                dot=dot,
                stamp=stamp,
                parents=event.parents,
                author=event.author,
                text="hi",
                censored_by=rules,
            )
        case _:
            text = rng.choice(("", "t" * (TEXT_BYTES_MAX + 1), "ß" * (TEXT_BYTES_MAX // 2) + "t"))
            return MessagePosted(dot, stamp, event.parents, event.author, text)


# --- a plain writer -------------------------------------------------------------------------------


def written(event: Event, prev: bytes) -> bytes:
    """The bytes of an event by the schema on disk: fields in order, without those of zero."""
    dot, stamp = event.dot, event.stamp
    header = [
        *_of_dot(dot),
        _field(4, prev),
        _number(5, stamp.ms),
        _number(6, stamp.counter),
        *[_field(7, b"".join(_of_dot(parent)), always=True) for parent in event.parents],
        _field(8, event.author.encode()),
    ]
    body = b""
    if type(event) is MessagePosted:
        body = _field(1, event.text.encode())
        body += b"".join(_field(2, rule.encode(), always=True) for rule in event.censored_by)
    kind = event.kind if type(event) is UnknownEvent else KINDS[type(event)]
    return b"".join([*header, _field(kind, body, always=True)])


def _of_dot(dot: Dot) -> list[bytes]:
    epoch = b"" if not dot.epoch else _key(2, 1) + dot.epoch.to_bytes(8, "little")
    return [_field(1, dot.origin.encode()), epoch, _number(3, dot.seq)]


def _field(number: int, data: bytes, *, always: bool = False) -> bytes:
    return _key(number, 2) + _varint(len(data)) + data if data or always else b""


def _number(number: int, value: int) -> bytes:
    return _key(number, 0) + _varint(value) if value else b""


def _key(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
