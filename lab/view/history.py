"""The history of a view: the events and polls that made it, so that any moment can be shown again.

    history = ViewHistory()
    history.add(event)                    events and polls, in the order of their times
    history.latest                        the view of now
    history.at(t_us)                      the view as it was

Snapshots stand between the entries: `at` copies the last one before the moment and folds the rest.
Entries over the limit leave at the old end; the first snapshot that is kept stands for them, and
`dropped` counts them. A moment before it is shown as that snapshot.
"""

from bisect import bisect_right
from collections import deque

from lab.trace.trace import Event
from lab.view.cluster_view import ClusterView, Poll

ENTRIES_MAX = 200_000
EVERY = 5000  # entries from one snapshot to the next: the longest fold for one moment


class ViewHistory:
    """Mutable. Its views are the caller's to keep, except `latest`, which is to be read only."""

    def __init__(self, entries_max: int = ENTRIES_MAX, every: int = EVERY) -> None:
        assert entries_max >= 2 * every > 0
        self.latest = ClusterView()
        self.dropped = 0
        self._entries_max = entries_max
        self._every = every
        # Each part: the time of its first entry, the view before it, and its entries.
        self._parts: deque[tuple[int, ClusterView, list[Event | Poll]]] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def first_us(self) -> int:
        """The earliest moment that can be shown as it was."""
        return self._parts[0][0] if self._parts else 0

    def add(self, entry: Event | Poll) -> None:
        if not self._parts or len(self._parts[-1][2]) >= self._every:
            self._parts.append((entry.t_us, self.latest.copy(), []))
            if self._count > self._entries_max - self._every:
                gone = len(self._parts.popleft()[2])
                self.dropped += gone
                self._count -= gone
        self._parts[-1][2].append(entry)
        self._count += 1
        fold(self.latest, entry)

    def at(self, t_us: int) -> ClusterView:
        """The view as it was at this moment, everything of that microsecond included."""
        begins = [begin_us for begin_us, _, _ in self._parts]
        index = max(bisect_right(begins, t_us) - 1, 0)
        if not self._parts:
            return ClusterView()
        _, before, entries = self._parts[index]
        view = before.copy()
        for entry in entries:
            if entry.t_us > t_us:
                break
            fold(view, entry)
        view.t_us = max(view.t_us, min(t_us, self.latest.t_us))
        return view


def fold(view: ClusterView, entry: Event | Poll) -> None:
    if isinstance(entry, Poll):
        view.poll(entry)
    else:
        view.apply(entry)
