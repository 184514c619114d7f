"""Presence is a projection: which participants are active, as far as this node knows.

It is computed from events alone. Of all known events of a participant, the last one in causal order
decides: a join or a post makes the participant active, a leave does not. So presence depends on the
set of events and not on the order of their arrival, and a late event can change it for the past. No
clock is used: a participant who posts nothing for a year stays active. An event of a kind that this
version does not know does not affect presence.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, Literal, assert_never

from msgspec import Struct

from domain.arrival import Arrival, OrderKey
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
    """Whether a participant is active; the event (`dot`, with stamp `since`) that decides it."""

    author: str
    active: bool
    because: Because
    dot: Dot
    since: Stamp


class PresenceRows(Struct, frozen=True):
    """The effect of consecutive arrivals on a presence, as it is stored in a checkpoint."""

    before: bytes  # undo, 4 bytes an arrival
    deciding: tuple[tuple[str, int], ...]  # those of them that decide: author, index


class Presence(Fold):
    """Mutable; not thread-safe. `apply`, `rewind` and `fingerprint` as in `domain.projection`."""

    def __init__(self, history: History | None = None) -> None:
        super().__init__(history)
        # By author: index and key of what decides, and what it says. Not the event: it may be long.
        self._deciding: dict[str, tuple[int, OrderKey, PresenceOf]] = {}
        self._names: list[str] = []  # the authors, sorted; those who came since are not in it
        self._before = array("i")  # undo: the index of what decided before, or:

    def apply(self, arrival: Arrival) -> None:
        index = self._take(arrival)
        author = arrival.event.author
        before = self._deciding.get(author)
        if _because(arrival.event) is None or (before and before[1] > arrival.key):
            self._before.append(NO_CHANGE)
            return
        self._before.append(NOTHING if before is None else before[0])
        self._decide(author, index, arrival)

    def rewind(self) -> Arrival:
        arrival = self._newest()
        before = self._before.pop()
        if before == NOTHING:
            del self._deciding[arrival.event.author]
            self._names = []
        elif before != NO_CHANGE:
            self._decide(arrival.event.author, before, self._history[before])
        self._give_back()
        return arrival

    def _decide(self, author: str, index: int, arrival: Arrival) -> None:
        self._deciding[author] = (index, arrival.key, presence_of(arrival.event))

    def rows(self, first: int) -> PresenceRows:
        """The effects of the arrivals from this index on."""
        found = self._deciding.items()
        deciding = [(author, index) for author, (index, *_) in found if index >= first]
        return PresenceRows(self._before[first:].tobytes(), tuple(deciding))

    def take_rows(self, rows: PresenceRows) -> None:
        """Apply the next arrivals at once, which the history has."""
        self._take_many(len(rows.before) // self._before.itemsize)
        self._before.frombytes(rows.before)
        for author, index in rows.deciding:
            self._decide(author, index, self._history[index])

    def fingerprint(self) -> bytes:
        """A hash of who is active and why: equal on nodes that hold the same events."""
        people = sorted((author, key) for author, (_, key, _) in self._deciding.items())
        return fingerprint_of(repr(people))

    @property
    def known(self) -> int:
        """How many participants are known."""
        return len(self._deciding)

    def participants(self, after: str = "", most: int | None = None) -> list[PresenceOf]:
        """Those whose names come after this one, by name; all of them, or no more than so many."""
        names = self._sorted()
        first = bisect_right(names, after) if after else 0
        last = len(names) if most is None else first + most
        return [self._deciding[name][2] for name in names[first:last]]

    def _sorted(self) -> list[str]:
        """All names. Authors are added at the end of a dict: what is new is sorted in."""
        if len(self._names) < len(self._deciding):
            self._names += list(self._newer(len(self._deciding) - len(self._names)))
            self._names.sort()
        return self._names

    def _newer(self, count: int) -> Iterator[str]:
        """The authors that were met last."""
        return (name for name, _ in zip(reversed(self._deciding), range(count), strict=False))

    def of(self, author: str) -> PresenceOf | None:
        """One participant; None if nothing is known of them."""
        found = self._deciding.get(author)
        return found[2] if found else None

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
