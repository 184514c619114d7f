"""Presence: who is here, as far as this node can tell.

Derived from events alone. Of all that is known of a participant, the last event in causal order
decides: having joined or posted makes them active, having left does not. So presence depends on
the set of events and not on the order of their arrival, and it may change its mind about the past
when a late event arrives. No clock is asked: somebody who says nothing for a year is as active as
before. An event of a kind that this version does not know says nothing of presence.
"""

from array import array
from typing import Final, Literal, assert_never

from msgspec import Struct

from domain.arrival import Arrival
from domain.clock import Stamp
from domain.dot import Dot
from domain.events import Event, MessagePosted, ParticipantJoined, ParticipantLeft, UnknownEvent
from domain.history import History
from domain.projection import Fold, fingerprint_of

Because = Literal["joined", "posted", "left"]

# For undo, where no arrival decided before:
NOTHING: Final = -1  # nothing was known of the author
NO_CHANGE: Final = -2  # what decided before still does


class PresenceOf(Struct, frozen=True):
    """`because` of which event (`dot`, at `since`) the participant counts as active or not."""

    author: str
    active: bool
    because: Because
    dot: Dot
    since: Stamp


class PresenceRows(Struct, frozen=True):
    """What consecutive arrivals did to a presence."""

    before: bytes  # undo, 4 bytes an arrival
    deciding: tuple[tuple[str, int], ...]  # those of them that decide: author, index


class Presence(Fold):
    """Mutable; not thread-safe. `apply`, `rewind` and `fingerprint` as in `domain.projection`."""

    __slots__ = ("_before", "_deciding")

    def __init__(self, history: History | None = None) -> None:
        super().__init__(history)
        self._deciding: dict[str, tuple[int, Arrival]] = {}  # by author: index, arrival
        self._before = array("i")  # undo: the index of what decided before, or:

    def apply(self, arrival: Arrival) -> None:
        index = self._take(arrival)
        author = arrival.event.author
        before = self._deciding.get(author)
        if _because(arrival.event) is None or (before and before[1].key > arrival.key):
            self._before.append(NO_CHANGE)
            return
        self._before.append(NOTHING if before is None else before[0])
        self._deciding[author] = (index, arrival)

    def rewind(self) -> Arrival:
        arrival = self._newest()
        before = self._before.pop()
        if before == NOTHING:
            del self._deciding[arrival.event.author]
        elif before != NO_CHANGE:
            self._deciding[arrival.event.author] = (before, self._history[before])
        self._give_back()
        return arrival

    def rows(self, first: int) -> PresenceRows:
        """What the arrivals from this index on have done."""
        found = self._deciding.items()
        deciding = [(author, index) for author, (index, _) in found if index >= first]
        return PresenceRows(self._before[first:].tobytes(), tuple(deciding))

    def take_rows(self, rows: PresenceRows) -> None:
        """Apply the next arrivals at once, which the history has."""
        self._take_many(len(rows.before) // self._before.itemsize)
        self._before.frombytes(rows.before)
        for author, index in rows.deciding:
            self._deciding[author] = (index, self._history[index])

    def fingerprint(self) -> bytes:
        """Of who is active because of what: equal on nodes that hold the same events."""
        people = sorted((author, newest.key) for author, (_, newest) in self._deciding.items())
        return fingerprint_of(repr(people))

    def participants(self) -> list[PresenceOf]:
        """Everybody known, by name."""
        return [presence_of(newest.event) for _, (_, newest) in sorted(self._deciding.items())]

    def of(self, author: str) -> PresenceOf | None:
        """One participant; None if nothing is known of them."""
        found = self._deciding.get(author)
        return presence_of(found[1].event) if found else None

    def is_active(self, author: str) -> bool:
        found = self.of(author)
        return found is not None and found.active


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
