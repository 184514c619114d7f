"""Columns of a run that goes on for ever: the newest rows, and what is still lacking somewhere.

    recent = RecentColumns()
    recent.add(event)
    recent.take()           a chunk, as `Columns.take`
    recent.restarted        the next chunk begins anew: a reader forgets all that it has
    recent.left             messages that are no longer drawn

When there are too many rows, the columns are built anew of the newest half of the events. Of what
is older only this remains: messages that some node lacks (the newest, as far as there is room), the
last thing that happened to each process, and faults that go on. A message that is left out is left
out of every row, then and later, so that the rows agree with each other.
"""

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from lab.trace.kinds import (
    Boot,
    Crash,
    Faulted,
    Handed,
    Healed,
    Paused,
    Resumed,
    Run,
    Stopped,
    Visible,
)
from lab.trace.trace import Event
from lab.view.columns import Columns

ROWS_MAX = 50_000
_OF_PROCESSES = frozenset({Boot, Crash, Stopped, Paused, Resumed})


class RecentColumns:
    """Mutable. Memory is bounded by `rows_max`, and one name for each message that was left out."""

    def __init__(self, rows_max: int = ROWS_MAX) -> None:
        self.restarted = False
        self._rows_max = rows_max
        self._columns = Columns()
        self._nodes: dict[str, None] = {}  # in the order of their lanes
        self._events: list[Event] = []
        self._gone: set[str] = set()  # refs

    @property
    def left(self) -> int:
        return len(self._gone)

    def add(self, event: Event) -> None:
        data = event.data
        names = data.nodes if type(data) is Run else (event.node,) if event.node else ()
        self._nodes.update(dict.fromkeys(names))
        kept = self._without_gone(event)
        if kept is None:
            return
        self._events.append(kept)
        self._columns.add(kept)
        if self._columns.length > self._rows_max:
            self._begin_anew()

    def take(self) -> dict[str, Any]:
        self.restarted = False
        return self._columns.take()

    def _without_gone(self, event: Event) -> Event | None:
        data = event.data
        if type(data) is Boot:
            arrivals = tuple(ref for ref in data.arrivals if ref not in self._gone)
            return replace(event, data=replace(data, arrivals=arrivals))
        return None if getattr(data, "ref", "") in self._gone else event

    def _begin_anew(self) -> None:
        cut = self._cut()
        self._gone |= self._old_messages(cut)
        older = list(self._remains(self._events[:cut]))
        newer = [self._without_gone(event) for event in self._events[cut:]]
        self._events = [event for event in (*older, *newer) if event is not None]
        self._columns = Columns(self._nodes)
        for event in self._events:
            self._columns.add(event)
        self.restarted = True

    def _cut(self) -> int:
        """The index of the first event of the newest half, in rows."""
        room = self._rows_max // 2
        for index in range(len(self._events) - 1, -1, -1):
            data = self._events[index].data
            room -= 1 + (len(data.arrivals) if type(data) is Boot else 0)
            if room < 0:
                return index + 1
        return 0

    def _old_messages(self, cut: int) -> set[str]:
        """What is only before the cut and nobody lacks; and the oldest of what has no room."""
        holders: dict[str, set[str]] = {}  # in the order in which messages came about
        rows: dict[str, int] = {}
        new: set[str] = set()
        for index, event in enumerate(self._events):
            data = event.data
            if type(data) is Boot:
                for held in holders.values():
                    held.discard(event.node)
                for ref in data.arrivals:
                    holders.setdefault(ref, set()).add(event.node)
                    rows[ref] = rows.get(ref, 0) + 1
            elif isinstance(data, Handed | Visible):
                held = holders.setdefault(data.ref, set())
                rows[data.ref] = rows.get(data.ref, 0) + 1
                if type(data) is Visible:
                    held.add(event.node)
                if index >= cut:
                    new.add(data.ref)
        old: set[str] = set()
        room = self._rows_max // 4
        for ref in reversed(holders):
            if ref in new:
                continue
            if len(holders[ref]) < len(self._nodes) and rows[ref] <= room:
                room -= rows[ref]
            else:
                old.add(ref)
        return old

    def _remains(self, events: list[Event]) -> Iterator[Event | None]:
        last = {event.node: event.seq for event in events if type(event.data) in _OF_PROCESSES}
        boots = {event.node: event.seq for event in events if type(event.data) is Boot}
        healed = {event.data.fault for event in self._events if type(event.data) is Healed}
        for event in events:
            data = event.data
            if (
                isinstance(data, Handed | Visible)
                or event.seq in (last.get(event.node), boots.get(event.node))
                or (type(data) is Faulted and data.fault not in healed)
            ):
                yield self._without_gone(event)
