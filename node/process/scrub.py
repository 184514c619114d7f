"""The scrub worker: reads the journal of a running node again, slowly, to find changed bytes.

A disk loses bits of what nobody reads for months, and a node reads its journal only at a start. So
this worker makes one pass after the other (`node.storage.scrub_passes`), at a bounded rate. It
reads with a reader of its own, changes nothing, and finds what a start would find, for it is the
same scan (`node.storage.scan`). What becomes of a finding is decided by `node.process.lifecycle`.

- Steps run in a thread beside the event loop. So the loop never waits for the disk, and for
  Python's lock a millisecond. Nobody waits for that thread either: a disk that does not answer
  keeps no node from ending.
- What the kernel has in memory of a sealed segment is let go before it is read: rot is on the disk,
  and hidden by a copy in memory.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from node.sockets.pump import Guard, bare
from node.storage.files import FileReader
from node.storage.scan import Hole
from node.storage.scrub_passes import PAUSE_S, Passes, Scrubbed
from node.storage.segments import list_segments

Found = list[Hole] | None


class ColdReader(FileReader):
    """Reads what is on the disk, and not what the kernel has kept of it.

    But for the last segment: after a sync that failed the kernel may have the only copy of what is
    in it, and calls that clean. The others were synced before the next one began.
    """

    def read(self, name: str, offset: int, length: int) -> bytes:
        if name == max([segment.name for segment in list_segments(self)], default=name):
            return super().read(name, offset, length)
        fd = os.open(self.path / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.posix_fadvise(fd, offset, length, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)
        return super().read(name, offset, length)


class Scrub:
    """A supervised worker. In the event loop `on_damage` is told of each hole once, `on_trouble` of
    why nothing can be read, when that changes, and `on_pass` of the end of each pass."""

    name = "scrub"

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        folder: Path,
        scrubbed: Scrubbed,
        bytes_per_s: int,
        on_damage: Callable[[list[Hole]], None],
        on_trouble: Callable[[str], None],
        on_pass: Callable[[], None] = lambda: None,
        *,
        guard: Guard = bare,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._loop = loop
        self._passes = Passes(ColdReader(folder), scrubbed, bytes_per_s, pause_s=pause_s)
        self._on_damage, self._on_trouble = on_damage, on_trouble
        self._on_pass = on_pass
        self._reported = ""
        self._guard = guard
        self._begin = guard(self._step)
        self._timer: asyncio.TimerHandle | None = None
        self._asked: SimpleQueue[int | None] | None = None  # steps for the thread, by life
        self._running = False
        self._life = 0  # a step that ends after a stop belongs to nobody

    @property
    def counters(self) -> dict[str, int]:
        return dict(self._passes.counters)

    def start(self) -> None:
        self._life += 1
        self._asked = SimpleQueue()
        work = threading.Thread(target=self._work, args=(self._asked,), name="scrub", daemon=True)
        work.start()
        self._timer = self._loop.call_later(self._passes.rest_s, self._begin)

    def stop(self) -> None:
        self._life += 1
        if self._asked is not None:
            self._asked.put(None)
            self._asked = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _work(self, asked: "SimpleQueue[int | None]") -> None:
        """The thread: one step for each that is asked for."""
        while (life := asked.get()) is not None:
            outcome: Found | Exception
            try:
                outcome = self._passes.step()
            except Exception as error:  # the worker's crash, in the loop
                outcome = error
            with suppress(RuntimeError):  # the loop has closed: nobody is left to be told
                self._loop.call_soon_threadsafe(self._after, outcome, life)

    def _step(self) -> None:
        if self._running:  # of the life before: wait for it
            self._timer = self._loop.call_later(self._passes.rest_s, self._begin)
            return
        assert self._asked is not None
        self._running = True
        self._asked.put(self._life)

    def _after(self, outcome: Found | Exception, life: int) -> None:
        self._running = False
        if life == self._life:
            self._guard(lambda: self._stepped(outcome))()

    def _stepped(self, outcome: Found | Exception) -> None:
        if isinstance(outcome, Exception):
            raise outcome
        self._timer = self._loop.call_later(self._passes.rest_s, self._begin)
        if self._passes.trouble != self._reported:
            self._reported = self._passes.trouble
            if self._reported:
                self._on_trouble(self._reported)
        if outcome is not None:
            self._on_pass()
        if outcome:
            self._on_damage(outcome)
