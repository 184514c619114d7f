"""A trace as a file: JSON, one event a line. Each line has a hash of all events up to it.

    {"t_us", "seq", "node", "inc", "kind", "msg_id"?, "peer"?, "bytes"?, "cause_seq"?, "data",
     "hash"}

`data` holds the fields of the class of that kind (`lab.trace.kinds`) by name, bytes as base64.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from lab.trace.kinds import KINDS, Data, Facts
from lab.trace.trace import HASH_BYTES, Event, MsgId, Trace, encoded


class TraceError(ValueError):
    """These lines are not a trace. The text says which one and why."""


def write_lines(events: Iterable[Event]) -> Iterator[bytes]:
    """One line for each event, with its newline."""
    digest = blake2b(digest_size=HASH_BYTES)
    for event in events:
        digest.update(encoded((event,)))
        line = {
            "t_us": event.t_us,
            "seq": event.seq,
            "node": event.node,
            "inc": event.inc,
            "kind": event.kind,
            "msg_id": event.msg_id,
            "peer": event.peer,
            "bytes": event.bytes,
            "cause_seq": event.cause,
            "data": _named(event.data),
            "hash": digest.copy().hexdigest(),
        }
        told = {name: value for name, value in line.items() if value is not None}
        yield msgspec.json.encode(told) + b"\n"


def read_lines(lines: Iterable[bytes]) -> Trace:
    """The inverse of `write_lines`. Raises TraceError if a line is no event or has a wrong hash."""
    trace = Trace()
    for number, line in enumerate(lines, start=1):
        try:
            found = msgspec.json.decode(line, type=_Line)
            kind = KINDS[found.kind]
            values = [found.kind, *_positional(kind, found.data)]
            data = msgspec.json.decode(msgspec.json.encode(values), type=Data)
        except (msgspec.MsgspecError, KeyError) as error:
            raise TraceError(f"line {number} is no event: {error}") from None
        if found.seq != len(trace):
            raise TraceError(f"line {number} has seq {found.seq}, not {len(trace)}")
        trace.add(
            found.t_us,
            found.node,
            found.inc,
            data,
            found.cause_seq,
            found.msg_id,
            found.peer,
            found.bytes,
        )
        if trace.hash != found.hash:
            raise TraceError(f"line {number}: its hash does not fit it and the lines before it")
    return trace


class _Line(Struct, forbid_unknown_fields=True):
    t_us: int
    seq: int
    node: str
    inc: int
    kind: str
    data: dict[str, Any]
    hash: str
    cause_seq: int | None = None
    msg_id: MsgId | None = None
    peer: str | None = None
    bytes: int | None = None


def _named(value: Struct) -> dict[str, Any]:
    """A struct as an object with names, one inside another as well."""
    named = {one.name: getattr(value, one.name) for one in fields(value)}
    return {name: _named(of) if isinstance(of, Facts) else of for name, of in named.items()}


def _positional(kind: type[Struct], found: dict[str, Any]) -> list[Any]:
    """The other way. Raises KeyError."""
    if unknown := found.keys() - {one.name for one in fields(kind)}:
        raise KeyError(f"{min(unknown)} is no field of it")
    values = []
    for one in fields(kind):
        value = found[one.name]
        values.append(_positional(Facts, value) if one.type is Facts else value)
    return values
