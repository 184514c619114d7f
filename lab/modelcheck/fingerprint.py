"""The fingerprint of a state: a hash over the whole content of its objects. The search treats two
states with equal fingerprints as one.

Every field counts unless this module names it as excluded, so that a new field is never forgotten:
if two different states were treated as one, what follows the second would not be searched. Dicts
count with their order, because the order of some has a meaning.
"""

from array import array
from collections import deque
from collections.abc import Iterator
from enum import Enum
from hashlib import blake2b
from random import Random
from types import FunctionType, MethodType
from typing import Any

from msgspec import Struct

from domain.arrival import Arrival
from domain.dot import Dot, LogId
from domain.timeline import Timeline
from gossip.allowance import Allowance
from gossip.engine import Engine
from gossip.entry import Entry
from gossip.frontier import Frontier
from gossip.holders import Holders
from gossip.log import Log
from gossip.membership import Membership
from gossip.meter import Meter
from gossip.packets import Run
from gossip.pushing import Pushing
from gossip.rounds import Rounds
from gossip.rumor import Rumors
from node.core.emitter import Emitter
from node.core.ports import EpochRecord, EventRecord
from node.core.projections import Projections
from node.core.replica import Replica

FINGERPRINT_BYTES = 16

# What tells two states apart and makes no difference to anything that follows.
ABSTRACTED: dict[type, frozenset[str]] = {
    # Statistics, read by observers alone.
    Replica: frozenset({"_counters", "verdicts", "_codec", "_config"}),
    Engine: frozenset({"counters", "exchanges", "bad_entries", "_config", "_share", "_work_bytes"}),
    Rumors: frozenset({"cooled", "dropped"}),
    Holders: frozenset({"held"}),
    Pushing: frozenset({"_counters", "_config"}),
    # Values kept at hand: what they are follows from the rest.
    Log: frozenset({"last_line", "total", "count", "begun", "tags", "_naming"}),
    Frontier: frozenset({"_root", "_sorted", "_origins", "_held", "_begun", "naming"}),
    Membership: frozenset({"_names"}),
    Timeline: frozenset({"_causal", "_pending", "_last_key", "_sum", "_summed"}),
    # Parts of the replica, which has them itself.
    Projections: frozenset(
        {"_store", "_codec", "_engine", "_emitter", "presence", "quiet", "timeline"}
    ),
    # Begun anew with each packet; and no search is long enough to use up an allowance.
    Meter: frozenset({"_before", "_fetched", "_left"}),
    Allowance: frozenset({"_left", "_since_ms"}),
    # Given from outside, and the same for all states.
    Emitter: frozenset({"_codec", "_moderator"}),
    Rounds: frozenset({"_config"}),
}

# Values through and through, whose text says everything. That is quick, and there are many of them.
_PLAIN = frozenset({Arrival, Dot, Entry, EpochRecord, EventRecord, LogId, Run})


def fingerprint(*parts: object) -> bytes:
    digest = blake2b(digest_size=FINGERPRINT_BYTES)
    digest.update(repr([_canonical(part, set()) for part in parts]).encode())
    return digest.digest()


def _canonical(one: Any, around: set[int]) -> object:
    """A value made of tuples, numbers and texts. `around`: the objects that this one is part of."""
    kind = type(one)
    if one is None or kind in (int, str, bytes, bool, float):
        return one
    if isinstance(one, Enum):
        return one.name
    if kind in _PLAIN:
        return repr(one)
    if isinstance(one, FunctionType | MethodType):
        return one.__qualname__
    if isinstance(one, Random):
        return repr(one)  # of draws that know how many they were
    if id(one) in around:
        return "(around)"
    around.add(id(one))
    try:
        if isinstance(one, list | tuple | deque | array):
            return [_canonical(part, around) for part in one]
        if isinstance(one, dict):
            return [(_canonical(k, around), _canonical(v, around)) for k, v in one.items()]
        if isinstance(one, set | frozenset):
            return sorted(repr(_canonical(part, around)) for part in one)
        return (_name(kind), [(n, _canonical(v, around)) for n, v in _fields(one)])
    finally:
        around.discard(id(one))


def _name(kind: type) -> str:
    """A class that a test derives from one of ours goes by the same rules."""
    for base in kind.__mro__:
        if base in ABSTRACTED:
            return base.__name__
    return kind.__name__


def _fields(one: Any) -> list[tuple[str, Any]]:
    """The fields of a Struct, or whatever else an object is made of; less what is hidden."""
    kind = type(one)
    hidden = next((ABSTRACTED[base] for base in kind.__mro__ if base in ABSTRACTED), frozenset())
    names = set(one.__struct_fields__) if isinstance(one, Struct) else set(_attributes(one))
    return [(n, getattr(one, n)) for n in sorted(names - hidden) if hasattr(one, n)]


def _attributes(one: Any) -> Iterator[str]:
    yield from getattr(one, "__dict__", ())
    for base in type(one).__mro__:
        slots = base.__dict__.get("__slots__", ())
        yield from [slots] if isinstance(slots, str) else slots
