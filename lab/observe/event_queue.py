"""What an observer has noticed and its caller has not taken yet: trace events and polls, in the
order of their times, in a bounded queue; and the same events in a trace file, if one is asked for.

All times are of one monotonic clock, in microseconds since the observer began. One thread puts,
another one drains.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lab.terminal.errors import Exit, Problem
from lab.trace.file import write_lines
from lab.trace.kinds import Data
from lab.trace.trace import Event
from lab.view.cluster_view import Poll

ENTRIES_MAX = 20_000  # that wait to be drained
SAVED_MAX = 1_000_000  # events in a file


class EventQueue:
    """Mutable. An entry for which there is no room is dropped and counted, but written all the
    same: the file is whole, and `seq` is the position in it.
    """

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self.dropped = 0
        self._entries_max = entries_max
        self._began_ns = time.monotonic_ns()
        self._seq = 0
        self._waiting: list[Event | Poll] = []
        self._lock = threading.Lock()
        self._file: TraceFile | None = None

    @property
    def now_us(self) -> int:
        return (time.monotonic_ns() - self._began_ns) // 1000

    @property
    def crowded(self) -> bool:
        """Half full: who can wait with reading should."""
        return len(self._waiting) >= self._entries_max // 2

    @property
    def unsaved(self) -> int:
        """Events over the limit of the file."""
        return self._file.left_out if self._file is not None else 0

    def save(self, path: Path) -> None:
        """Write all events to this file, from the first one on. Raises Problem."""
        assert not self._seq, "events were put already"
        self._file = TraceFile(path)

    def put(self, node: str, life: int, data: Data, cause: int | None = None) -> int:
        """Returns the event's `seq`."""
        event = Event(t_us=self.now_us, seq=self._seq, node=node, inc=life, data=data, cause=cause)
        self._seq += 1
        if self._file is not None:
            self._file.write(event)
        self._append(event)
        return event.seq

    def put_poll(self, poll: Poll) -> None:
        self._append(poll)

    def drain(self) -> list[Event | Poll]:
        with self._lock:
            entries, self._waiting = self._waiting, []
        return entries

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _append(self, entry: Event | Poll) -> None:
        with self._lock:
            if len(self._waiting) >= self._entries_max:
                self.dropped += 1
            else:
                self._waiting.append(entry)


class TraceFile:
    """A trace that is written while it grows."""

    def __init__(self, path: Path, events_max: int = SAVED_MAX) -> None:
        try:
            self._out: BinaryIO = path.open("wb")
        except OSError as error:
            raise Problem(f"cannot write {path}: {error.strerror}", Exit.STORAGE) from None
        self.left_out = 0
        self._room = events_max
        self._events: deque[Event] = deque()
        self._lines = write_lines(self._each())

    def write(self, event: Event) -> None:
        """A file that cannot be written any more ends there; the rest is counted."""
        if self._room <= 0:
            self.left_out += 1
            return
        self._room -= 1
        self._events.append(event)
        try:
            self._out.write(next(self._lines))
        except OSError:
            self._room = 0

    def close(self) -> None:
        try:
            self._out.close()
        except OSError:
            self.left_out += 1  # at least the last one

    def _each(self) -> Iterator[Event]:
        while True:
            yield self._events.popleft()
