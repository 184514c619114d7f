"""Presence: who is here, as far as this node can tell.

Derived from events alone. Of all that is known of a participant, the last event in causal order
decides: having joined or posted makes them active, having left does not. So presence depends on
the set of events and not on the order of their arrival, and it may change its mind about the past
when a late event arrives. No clock is asked: somebody who says nothing for a year is as active as
before. An event of a kind that this version does not know says nothing of presence.
"""

from typing import Literal, assert_never

from msgspec import Struct

from domain.arrival import Arrival
from domain.clock import Stamp
from domain.dot import Dot
from domain.events import Event, MessagePosted, ParticipantJoined, ParticipantLeft, UnknownEvent
from domain.projection import fingerprint_of

Because = Literal["joined", "posted", "left"]


class PresenceOf(Struct, frozen=True):
    """`because` of which event (`dot`, at `since`) the participant counts as active or not."""

    author: str
    active: bool
    because: Because
    dot: Dot
    since: Stamp


class Presence:
    """Mutable; not thread-safe. `apply`, `rewind` and `fingerprint` as in `domain.projection`."""

    __slots__ = ("_arrivals", "_before", "_newest")

    def __init__(self) -> None:
        self._newest: dict[str, Arrival] = {}  # author -> the arrival that decides
        self._arrivals: list[Arrival] = []
        self._before: list[Arrival | None] = []  # undo: what decided before; itself: no change

    def apply(self, arrival: Arrival) -> None:
        author = arrival.event.author
        before = self._newest.get(author)
        self._arrivals.append(arrival)
        if _because(arrival.event) is None or (before and before.key > arrival.key):
            self._before.append(arrival)
            return
        self._before.append(before)
        self._newest[author] = arrival

    def rewind(self) -> Arrival:
        assert self._arrivals, "nothing to rewind"
        arrival, before = self._arrivals.pop(), self._before.pop()
        if before is None:
            del self._newest[arrival.event.author]
        elif before is not arrival:
            self._newest[arrival.event.author] = before
        return arrival

    def fingerprint(self) -> bytes:
        """Of who is active because of what: equal on nodes that hold the same events."""
        people = sorted((author, newest.key) for author, newest in self._newest.items())
        return fingerprint_of(repr(people))

    def __len__(self) -> int:
        return len(self._arrivals)

    def participants(self) -> list[PresenceOf]:
        """Everybody known, by name."""
        return [presence_of(newest.event) for _, newest in sorted(self._newest.items(), key=_name)]

    def of(self, author: str) -> PresenceOf | None:
        """One participant; None if nothing is known of them."""
        newest = self._newest.get(author)
        return presence_of(newest.event) if newest else None

    def is_active(self, author: str) -> bool:
        found = self.of(author)
        return found is not None and found.active


def _name(item: tuple[str, Arrival]) -> str:
    return item[0]


def presence_of(event: Event) -> PresenceOf:
    because = _because(event)
    assert because is not None, f"{event.dot} decides nothing"
    return PresenceOf(event.author, because != "left", because, event.dot, event.stamp)


def _because(event: Event) -> Because | None:
    """None where the event says nothing of presence."""
    if type(event) is MessagePosted:
        return "posted"
    if type(event) is ParticipantJoined:
        return "joined"
    if type(event) is ParticipantLeft:
        return "left"
    if type(event) is UnknownEvent:
        return None
    assert_never(event)
