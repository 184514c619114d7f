"""Random histories: good ones from a random walk of the model, bad ones by editing those.

The edits know nothing of checkers. They drop, repeat and swap events, and put into a field what
stood in the same field elsewhere, or something near it.
"""

from random import Random
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from lab.trace import kinds
from lab.trace.trace import Event, dot_of
from tests.lab.checkers.edits import other_tag, renumbered
from tests.lab.checkers.histories import Book

TEXTS = ("hello", "", "0", "oh darn it", "hello", "****", "oh **** it", "ünïcode")


def good(rng: Random) -> list[Event]:
    """A history that a sound cluster could have had, often cut short or strange."""
    kind = rng.random()
    names = [f"n{number}" for number in range(1, rng.choice((2, 3, 3)) + 1)]
    book = Book(*names, durability=rng.choice(("always", "always", "interval", "none")))
    if kind < 0.01:
        return book.finish() if rng.random() < 0.5 else book.trace.events
    for name in names:
        book.nodes[name].offset_ms = rng.choice((0, 0, 3, -7))
        book.boot(name)
        book.sync(name)
    if kind < 0.03:
        for name in names:
            book.crash(name)
        return book.finish(liveness=rng.random() < 0.5)
    for _ in range(rng.randrange(3, 16)):
        step(book, rng)
    shape = rng.random()
    if shape < 0.04:
        return book.trace.events
    return book.finish(liveness=shape > 0.1, agree=shape > 0.1)


def torn_apart(rng: Random) -> list[Event]:
    """Nodes were left in peace and never agreed."""
    book = Book("n1", "n2", "n3", durability=rng.choice(("always", "interval")))
    for name in book.nodes:
        book.boot(name)
        book.sync(name)
    for _ in range(rng.randrange(2, 16)):
        step(book, rng)
    return book.finish(agree=False, liveness=rng.random() < 0.7)


def step(book: Book, rng: Random) -> None:
    name = rng.choice(list(book.nodes))
    node = book.nodes[name]
    if not node.up:
        if rng.random() < 0.2:
            book.put(name, rng.choice(("empty", "older")))
        elif rng.random() < 0.2:
            book.flip(name)
        book.boot(name)
        return
    session = rng.choice(("", "", "", "roamer"))
    act = rng.random()
    if act < 0.25:
        far = rng.random() < 0.3
        book.post(name, rng.choice(TEXTS), session, rng.choice(("post", "post", "join")), far=far)
        if rng.random() < 0.6:
            book.sync(name)
    elif act < 0.29:
        burst(book, rng, name)
    elif act < 0.5:
        book.sync(name, durable=rng.random() < 0.5)
    elif act < 0.75:
        other = rng.choice([one for one in book.nodes if one != name])
        most = rng.choice((1, 2, 9))
        book.carry(name, other, most=most, fate=rng.choice(("", "", "", "loss", "copy", "flying")))
        if book.nodes[other].up and rng.random() < 0.6:
            book.sync(other)
            if rng.random() < 0.4:
                book.post(other, rng.choice(TEXTS))
    elif act < 0.85:
        book.read(name, session)
    elif act < 0.88:
        book.refuse(name, rng.choice(("moderation", "busy", "down")))
    elif act < 0.91:
        book.unwritten(name)
    elif act < 0.93:
        note(book, rng, name)
    elif act < 0.95:
        book.stop(name)
    elif act < 0.98:
        book.crash(name, rng.choice(("kill", "power", "point", "storage")))
    else:
        lost_and_found(book, rng, name)


def lost_and_found(book: Book, rng: Random, name: str) -> None:
    """Damage takes a record, and more damage brings it back."""
    book.crash(name)
    book.flip(name)
    for _ in range(rng.randrange(1, 3)):
        book.boot(name)
        book.sync(name)
        if rng.random() < 0.5:
            book.carry(rng.choice([one for one in book.nodes if one != name]), name)
            book.sync(name)
        book.crash(name)
    book.mend(name)
    book.boot(name)


def burst(book: Book, rng: Random, name: str) -> None:
    """Several commands in one turn: the trace knows only one cause, and some ask for the same."""
    sessions = [rng.choice(("", "twin", f"s-{name}")) for _ in range(rng.randrange(2, 4))]
    text = rng.choice(TEXTS)
    ops = [book.invoke(name, "post", text, session) for session in sessions]
    for op in ops:
        if rng.random() < 0.15:
            data = kinds.Fail(op, book.session(op), "busy")
            book.add(name, data, book.invokes[op])
        else:
            book.hand_own(name, op, cause=book.invokes[ops[0]])


def note(book: Book, rng: Random, name: str) -> None:
    what = rng.choice(("peer_suspect", "peer_alive", "worker_crashed", "worker_restarted"))
    fields: dict[str, kinds.Json] = {"worker": "feed"}
    if what.startswith("peer_"):
        fields = {"peer": rng.choice(list(book.nodes))}
    book.add(name, kinds.Note(what, "info", fields))
    if what == "worker_crashed":
        book.add(name, kinds.Note("worker_restarted", "info", fields))


# --- edits ----------------------------------------------------------------------------------------


def edited(rng: Random, events: list[Event]) -> list[Event]:
    """One to three edits; times, numbers and causes stay those of a trace."""
    told = list(events)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if len(told) < 3:
            break
        at = rng.randrange(1, len(told))
        if rng.random() < 0.6:  # each kind as often as the others
            kind = rng.choice(sorted({one.kind for one in told[1:]}))
            at = rng.choice([n for n, one in enumerate(told) if n and one.kind == kind])
        act = rng.random()
        if act < 0.12:
            del told[at]
        elif act < 0.2:
            told.insert(rng.randrange(at, len(told) + 1), told[at])
        elif act < 0.3:
            other = rng.randrange(1, len(told))
            told[at], told[other] = told[other], told[at]
        elif act < 0.34:
            told[at] = swapped_answer(rng, told[at])
        elif act < 0.38:
            header = rng.choice(("peer", "bytes", "node", "inc", "msg_id"))
            value = getattr(rng.choice(told), header) or getattr(told[at], header)
            if header != "node" or (value and told[at].node):
                told[at] = msgspec.structs.replace(told[at], **{header: value})
        elif act < 0.42:
            forget_parents(rng, told)
        else:
            told[at] = changed(rng, told, at)
    return renumbered(told)


def forget_parents(rng: Random, events: list[Event]) -> None:
    """Some own event names nothing."""
    naming = [
        at
        for at, one in enumerate(events)
        if type(one.data) is kinds.Handed and one.data.via == "local" and one.data.facts.parents
    ]
    if naming:
        at = rng.choice(naming)
        data: Any = events[at].data
        facts = msgspec.structs.replace(data.facts, parents=())
        events[at] = msgspec.structs.replace(
            events[at], data=msgspec.structs.replace(data, facts=facts)
        )


def swapped_answer(rng: Random, event: Event) -> Event:
    """An op ends in another way."""
    data = event.data
    if type(data) is kinds.Ok or type(data) is kinds.Fail or type(data) is kinds.Info:
        answers = (
            kinds.Ok(data.op, data.session, getattr(data, "ref", "")),
            kinds.Fail(data.op, data.session, "moderation"),
            kinds.Info(
                data.op,
                data.session,
                rng.choice(("crash", "ack_timeout")),
                dot=dot_of(getattr(data, "ref", "")),
            ),
        )
        return msgspec.structs.replace(event, data=rng.choice(answers))
    return event


def changed(rng: Random, events: list[Event], at: int) -> Event:
    """One field says something else."""
    event = events[at]
    if type(event.data) is kinds.Final and rng.random() < 0.2:
        stuck = msgspec.structs.replace(event.data, missing=1, wake_ms=70_000)
        return msgspec.structs.replace(event, data=stuck)
    names = [one.name for one in fields(type(event.data))]
    if not names:
        return event
    name = "facts" if "facts" in names and rng.random() < 0.4 else rng.choice(names)
    value = getattr(event.data, name)
    if name == "facts":
        inner = rng.choice(("text", "author", "parents", "stamp_ms", "stamp_counter"))
        new: Any = msgspec.structs.replace(value, **{inner: near(rng, getattr(value, inner))})
    elif rng.random() < 0.4 and name not in ("name", "action", "number"):
        peers = [one.data for one in events if type(one.data) is type(event.data)]
        new = getattr(rng.choice(peers), name)
    else:
        new = near(rng, value)
    return msgspec.structs.replace(event, data=msgspec.structs.replace(event.data, **{name: new}))


def near(rng: Random, value: object) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return max(value + rng.choice((-2, -1, 1, 2, 70_000)), 0)
    if isinstance(value, tuple):
        return near_tuple(rng, list(value))
    if isinstance(value, dict):
        key = rng.choice([*value, "none"])
        old = value.get(key)
        return value | {key: old + 1} if isinstance(old, int) else value
    if isinstance(value, str) and "#" in value:
        return other_tag(value)
    if isinstance(value, str) and value in ("same", "new", "empty", "older"):
        return rng.choice(("same", "empty", "older"))
    if isinstance(value, str) and value in ("written", "durable", "replicated:1"):
        return rng.choice(("written", "durable", "replicated:1", "replicated:2"))
    if isinstance(value, str) and value in ("kill", "power", "point", "storage"):
        return rng.choice(("kill", "power", "storage", "core"))
    return value if isinstance(value, Struct) else ""


def near_tuple(rng: Random, values: list[Any]) -> tuple[Any, ...]:
    if not values:
        return ()
    at, act = rng.randrange(len(values)), rng.randrange(4)
    if act == 0:
        del values[at]
    elif act == 1:
        values.insert(rng.randrange(len(values) + 1), values[at])
    elif act == 2:
        rng.shuffle(values)
    elif isinstance(values[at], str):
        values[at] = near(rng, values[at]) or values[at]
    return tuple(values)
