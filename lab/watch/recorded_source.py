"""A recorded run as a source: all its events at once, in the form that a live one gives."""

from collections.abc import Iterable, Sequence

from lab.trace.trace import Event
from lab.view.cluster_view import Poll


class RecordedSource:
    def __init__(self, events: Iterable[Event | Poll]) -> None:
        self._events: Sequence[Event | Poll] = list(events)

    def drain(self) -> Sequence[Event | Poll]:
        events, self._events = self._events, ()
        return events
