"""Events, arrivals and whole histories for tests of the domain, and what people see of them.

A dot is written as it is printed: `n1:3` is the third event of n1 in epoch 1, `n1.2:3` in epoch 2.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import chain
from random import Random
from typing import Literal

from hypothesis import strategies as st

from domain.arrival import Arrival, OrderKey, Via
from domain.clock import Stamp
from domain.dot import Dot
from domain.events import Event, MessagePosted, ParticipantJoined, ParticipantLeft, UnknownEvent
from domain.presence import Presence
from domain.projection import Projection
from domain.quiet import Quiet
from domain.timeline import Order, Timeline

ORDERS: tuple[Order, ...] = ("causal", "arrival", "author")
AUTHORS = ("ana", "bob", "eve")


# --- by hand ------------------------------------------------------------------------------------


def dot(name: str) -> Dot:
    log, _, seq = name.partition(":")
    origin, _, epoch = log.partition(".")
    return Dot(origin, int(epoch or "1", 16), int(seq))


def dots(names: str) -> tuple[Dot, ...]:
    return tuple(dot(name) for name in names.split())


def posted(
    name: str, ms: int = 0, text: str = "hello", author: str = "ana", parents: str = ""
) -> MessagePosted:
    return MessagePosted(dot(name), Stamp(ms, 0), dots(parents), author, text)


def joined(name: str, ms: int = 0, author: str = "ana") -> ParticipantJoined:
    return ParticipantJoined(dot(name), Stamp(ms, 0), (), author)


def left(name: str, ms: int = 0, author: str = "ana") -> ParticipantLeft:
    return ParticipantLeft(dot(name), Stamp(ms, 0), (), author)


def unknown(name: str, ms: int = 0, author: str = "ana") -> UnknownEvent:
    return UnknownEvent(dot(name), Stamp(ms, 0), (), author, 42)


def arrival(event: Event, at_ms: int = 0, via: Via = "rumor") -> Arrival:
    return Arrival(event, tag_of(event), at_ms, via)


def tag_of(event: Event) -> bytes:
    """As in real life it depends on all of the event: the branches of a fork differ in it."""
    return blake2b(repr(event).encode("utf-8", "surrogatepass"), digest_size=8).digest()


def key_of(arrival: Arrival) -> OrderKey:
    return arrival.key


# --- by hypothesis ------------------------------------------------------------------------------


def _event(
    kind: type[Event], dot: Dot, stamp: Stamp, parents: tuple[Dot, ...], author: str, text: str
) -> Event:
    if kind is MessagePosted:
        return MessagePosted(dot, stamp, parents, author, text)
    if kind is UnknownEvent:
        return UnknownEvent(dot, stamp, parents, author, 42)
    return kind(dot, stamp, parents, author)


def _dots(seq_max: int) -> st.SearchStrategy[Dot]:
    """Few of them, so that forks, gaps and events named as parents are common."""
    return st.builds(
        Dot, st.sampled_from(["n1", "n2", "n3"]), st.sampled_from([1, 2]), st.integers(1, seq_max)
    )


_KINDS = st.sampled_from(
    [MessagePosted, MessagePosted, ParticipantJoined, ParticipantLeft, UnknownEvent]
)
_EVENTS = st.builds(
    _event,
    _KINDS,
    _dots(5),
    st.builds(Stamp, st.integers(0, 4), st.integers(0, 1)),
    st.one_of(st.just(()), st.lists(_dots(8), max_size=3).map(tuple)),
    st.sampled_from(AUTHORS),
    st.sampled_from(["a", "b"]),
)
_VIA: st.SearchStrategy[Via] = st.sampled_from(["local", "rumor", "anti-entropy", "recovery"])
_ARRIVALS = st.builds(arrival, _EVENTS, st.integers(0, 20), _VIA)


def histories(max_size: int = 12) -> st.SearchStrategy[list[Arrival]]:
    """Different events in any order, most of them out of order in every respect."""
    return st.lists(_ARRIVALS, max_size=max_size, unique_by=key_of)


Step = Literal["apply", "rewind", "read"]
_STEP: st.SearchStrategy[Step] = st.sampled_from(["apply", "apply", "apply", "rewind", "read"])
steps = st.lists(_STEP, max_size=30)


def walk(
    projection: Projection, history: Sequence[Arrival], steps: Iterable[Step]
) -> Iterator[list[Arrival]]:
    """Apply and rewind as the steps say; at each "read", and at the end, all that is applied then.

    What is rewound goes to the end of the queue: it comes again in another order.
    """
    waiting, applied = deque(history), list[Arrival]()
    for step in steps:
        if step == "apply" and waiting:
            applied.append(waiting.popleft())
            projection.apply(applied[-1])
        elif step == "rewind" and applied:
            assert projection.rewind() is applied[-1]
            waiting.append(applied.pop())
        elif step == "read":
            yield applied
    yield applied


def random_history(rng: Random, count: int, shuffled: float) -> list[Arrival]:
    """A long history of plausible logs: this part of it out of place, the rest in causal order."""
    seqs = dict.fromkeys(["n1", "n2", "n3", "n4"], 0)
    found: list[Arrival] = []
    for ms in range(count):
        origin = rng.choice(list(seqs))
        seqs[origin] += rng.choice([1, 1, 1, 1, 2])
        parents = " ".join(f"{name}:{seq}" for name, seq in seqs.items() if seq and name != origin)
        event = posted(f"{origin}:{seqs[origin]}", ms, str(ms), rng.choice(AUTHORS), parents)
        found.append(arrival(event, ms))
    moved = [found.pop(rng.randrange(len(found))) for _ in range(int(count * shuffled))]
    for late in moved:
        found.insert(rng.randrange(len(found) + 1), late)
    return found


# --- what people see ----------------------------------------------------------------------------


def visible(projection: Projection) -> object:
    """All that can be asked of a projection."""
    if type(projection) is Timeline:
        orders = [projection.select(order) for order in ORDERS]
        parents = chain.from_iterable(a.event.parents for a in orders[0])
        asked = [*(a.event.dot for a in orders[0]), *parents]
        held = [projection.contains(dot) for dot in asked]
        return (orders, projection.holes(), projection.late, len(projection), held)
    if type(projection) is Presence:
        people = projection.participants()
        asked_of = [(projection.of(name), projection.is_active(name)) for name in AUTHORS]
        return (people, asked_of, len(projection))
    assert type(projection) is Quiet
    waits = [projection.quiet_for_ms(wall) for wall in range(0, 30, 3)]
    return (waits, [projection.is_quiet(wall) for wall in range(30)], len(projection))
