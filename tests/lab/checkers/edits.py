"""Edits: a history that says something else than it did."""

import msgspec

from lab.trace.trace import Event, dot_of, tag_of
from tests.lab.checkers.model import print_of


def renumbered(events: list[Event]) -> list[Event]:
    """The same with `seq` as the position; a cause that is gone is none. Time never goes back."""
    places = {event.seq: at for at, event in enumerate(events)}
    told: list[Event] = []
    t_us = 0
    for at, event in enumerate(events):
        t_us = max(t_us, event.t_us)
        cause = None if event.cause is None else places.get(event.cause)
        told.append(msgspec.structs.replace(event, seq=at, cause=cause, t_us=t_us))
    return told


def edited(events: list[Event], at: int, **changes: object) -> list[Event]:
    """One event says something else."""
    data = msgspec.structs.replace(events[at].data, **changes)
    one = msgspec.structs.replace(events[at], data=data)
    return [*events[:at], one, *events[at + 1 :]]


def places(events: list[Event], kind: type, node: str = "") -> list[int]:
    return [
        at
        for at, event in enumerate(events)
        if type(event.data) is kind and (not node or event.node == node)
    ]


def other_tag(ref: str) -> str:
    return f"{dot_of(ref)}#{print_of(tag_of(ref))}"
