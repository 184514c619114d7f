"""Records in flight: handed to the journal and not visible yet, in the order of their numbers.

A record becomes visible (applied, published, acknowledged) once it is as safe as the node's
durability promises, and in record order: so a restart shows what people saw, in the same order.
Entries of other nodes are in the frontier already, so that no peer sends them twice; own entries
enter it only when they become visible, so that none leaves the node before.

`ExpectedPresence` is the presence that the decider judges commands by: that of the projections,
with the own events in flight applied. Without it a participant could join twice within one sync.
Pure.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from msgspec import Struct

from domain.arrival import Arrival
from domain.dot import Dot
from domain.presence import Presence, PresenceOf, presence_of
from gossip.entry import Entry
from node.core.ports import Record


class Incoming(Struct, frozen=True, gc=False):
    """A record that was handed out. An epoch record has neither arrival nor entry."""

    number: int  # of the journal record
    record: Record
    arrival: Arrival | None = None
    entry: Entry | None = None
    own: bool = False
    receipt: bool = False  # own: its sender waits for copies on other nodes


class Inflight:
    """Mutable; not thread-safe."""

    def __init__(self) -> None:
        self.handed = 0  # the number of the last record handed out
        self.restored = 0  # records 1..restored are not durable before `durable` says so
        self.visible = 0  # records 1..visible are as safe as the node promises
        self.durable = 0  # records 1..durable survive power loss
        self._invisible: deque[Incoming] = deque()
        self._undurable: deque[tuple[int, Dot]] = deque()  # of other origins

    def __len__(self) -> int:
        """How many records are not visible yet."""
        return len(self._invisible)

    @property
    def vouched(self) -> bool:
        """All that was restored is durable."""
        return self.durable >= self.restored

    def boot(self, unsynced: int) -> None:
        """Everything handed out so far was restored; so many at the end are not durable yet."""
        self.restored = self.handed if unsynced else 0

    def take(self, incoming: Incoming) -> None:
        assert incoming.number == self.handed + 1
        self.handed = incoming.number
        self._invisible.append(incoming)
        if incoming.entry is not None and not incoming.own:
            self._undurable.append((incoming.number, incoming.entry.dot))

    def reached(self, visible: int, durable: int) -> None:
        """The journal got on."""
        self.visible, self.durable = visible, durable

    def take_visible(self) -> Iterator[Incoming]:
        """What has become visible, in record order."""
        while self._invisible and self._invisible[0].number <= self.visible:
            yield self._invisible.popleft()

    def take_durable(self) -> Iterator[Dot]:
        """What of other origins has become durable."""
        while self._undurable and self._undurable[0][0] <= self.durable:
            yield self._undurable.popleft()[1]

    def failed(self, kept: int) -> list[Incoming]:
        """Forget the records after `kept`, which are not in the journal; returns them in order."""
        lost: deque[Incoming] = deque()
        while self._invisible and self._invisible[-1].number > kept:
            lost.appendleft(self._invisible.pop())
        while self._undurable and self._undurable[-1][0] > kept:
            self._undurable.pop()
        self.handed = min(self.handed, kept)
        return list(lost)

    def unseen(self) -> Iterable[Incoming]:
        """The records that are not visible yet."""
        return self._invisible

    def invisible(self) -> list[Entry]:
        """Entries of other origins that the frontier holds and nobody here has seen."""
        return [
            incoming.entry
            for incoming in self._invisible
            if incoming.entry is not None and not incoming.own
        ]

    def pending_of(self, author: str) -> Arrival | None:
        """The last own arrival of this participant that is not visible yet."""
        for incoming in reversed(self._invisible):
            if (
                incoming.own
                and incoming.arrival is not None
                and incoming.arrival.event.author == author
            ):
                return incoming.arrival
        return None


class ExpectedPresence:
    """Presence as it will be once the own events in flight are visible: what `decide` is given."""

    def __init__(self, presence: Presence, inflight: Inflight) -> None:
        self._presence = presence
        self._inflight = inflight

    def of(self, author: str) -> PresenceOf | None:
        pending = self._inflight.pending_of(author)
        return self._presence.of(author) if pending is None else presence_of(pending.event)
