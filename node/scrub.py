"""The scrub: a running node reads its own journal again, slowly, and looks for bytes that changed.

A disk loses bits of what nobody reads for months, and a node reads its journal only at a start. So
this worker makes one pass after the other, at a bounded rate. It reads with a reader of its own,
changes nothing, and finds what a start would find, for it is the same survey (`node.survey`).

- One step reads, or checks, `STEP_BYTES` in a thread beside the event loop, and then rests as long
  as the rate asks. So the loop never waits for the disk, and for Python's lock a millisecond.
- What the kernel has in memory is let go before it is read: rot is on the disk, and hidden by a
  copy in memory.
- The end of the last segment is being written. Bytes there that are no whole frame are no finding;
  only damage with a whole frame behind it is.
- A finding counts when a second pass, at once and without rests, finds the same. Then it is told
  once; what becomes of it is for whoever is told (`node.lifecycle`).
"""

import asyncio
import os
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from node.pump import Guard, bare
from node.storage import FileReader, Reader, StorageError
from node.survey import Hole, Surveyor, list_segments

STEP_BYTES = 64 * 1024
PAUSE_S = 5.0  # between two passes
Place = tuple[int, int, int]  # segment, offset, length


def place_of(hole: Hole) -> Place:
    return hole.segment, hole.offset, hole.length


class Scrubbed(Struct):
    """What is known of a journal's damage, through all lives of a node."""

    known: set[Place] = set()  # told already, or set aside by an opening
    counters: dict[str, int] = msgspec.field(
        default_factory=lambda: dict.fromkeys(
            ("scrub_bytes", "scrub_passes", "scrub_damaged", "scrub_unreadable"), 0
        )
    )

    def open(self, holes: Iterable[Hole]) -> None:
        """An opening of the journal found these, and set them aside."""
        self.known |= {place_of(hole) for hole in holes}


class Passes:
    """Pass after pass over one journal, in steps. Not thread-safe: one step at a time."""

    def __init__(self, reader: Reader, scrubbed: Scrubbed, step_bytes: int = STEP_BYTES) -> None:
        self._reader = reader
        self._known, self.counters = scrubbed.known, scrubbed.counters
        self.trouble = ""  # why the last pass could not be made
        self._step_bytes = step_bytes
        self._suspects: set[Place] = set()  # of the pass before
        self._going = self._pass()

    @property
    def confirming(self) -> bool:
        """Something was found, and this pass looks whether it is so."""
        return bool(self._suspects)

    def step(self) -> list[Hole] | None:
        """One bounded piece of work. None: the pass goes on. A list: it ended, with new damage."""
        try:
            next(self._going)
        except StopIteration as end:
            self._going = self._pass()
            found: list[Hole] = end.value
            return self._judged(found)
        except FileNotFoundError:  # a segment was begun, and taken back meanwhile
            return self._given_up("")
        except OSError as error:
            return self._given_up(error.strerror or str(error))
        except StorageError as error:
            return self._given_up(str(error))
        return None

    def _given_up(self, why: str) -> list[Hole]:
        """What cannot be read is no finding: a start would fail on it, and memory has it all."""
        self._going, self._suspects = self._pass(), set()
        self.counters["scrub_unreadable"] += bool(why)
        self.trouble = why
        return []

    def _judged(self, found: list[Hole]) -> list[Hole]:
        self.counters["scrub_passes"] += 1
        self.trouble = ""
        new = {place_of(hole): hole for hole in found if place_of(hole) not in self._known}
        sure = [hole for place, hole in new.items() if place in self._suspects]
        self._suspects = set() if sure else set(new)
        self._known |= {place_of(hole) for hole in sure}
        self.counters["scrub_damaged"] += len(sure)
        return sure

    def _pass(self) -> Generator[None, None, list[Hole]]:
        surveyor = Surveyor(b"")
        segments = list_segments(self._reader)
        for index, segment in enumerate(segments):
            is_last = index == len(segments) - 1
            parts: list[bytes] = []
            offset = 0
            while offset < segment.size:
                part = self._reader.read(segment.name, offset, self._step_bytes)
                if not part:
                    break  # cut back meanwhile
                parts.append(part)
                offset += len(part)
                self.counters["scrub_bytes"] += len(part)
                yield
            stop = self._step_bytes
            for end in surveyor.steps(segment, b"".join(parts), is_last=is_last):
                if end >= stop:
                    stop = end + self._step_bytes
                    yield
        return surveyor.done().holes


class ColdReader(FileReader):
    """Reads what is on the disk, and not what the kernel has kept of it."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        fd = os.open(self.path / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.posix_fadvise(fd, offset, length, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)
        return super().read(name, offset, length)


class Scrub:
    """A supervised worker. `on_damage` is told of each hole once, in the event loop, and
    `on_trouble` of why nothing can be read, when that changes."""

    name = "scrub"

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        folder: Path,
        scrubbed: Scrubbed,
        bytes_per_s: int,
        on_damage: Callable[[list[Hole]], None],
        on_trouble: Callable[[str], None],
        *,
        guard: Guard = bare,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._loop = loop
        self._passes = Passes(ColdReader(folder), scrubbed)
        self._rest_s = STEP_BYTES / bytes_per_s
        self._on_damage, self._on_trouble = on_damage, on_trouble
        self._told = ""
        self._pause_s = pause_s
        self._guard = guard
        self._begin = guard(self._step)
        self._timer: asyncio.TimerHandle | None = None
        self._running = False
        self._life = 0  # a step that ends after a stop belongs to nobody

    @property
    def counters(self) -> dict[str, int]:
        return dict(self._passes.counters)

    def start(self) -> None:
        self._life += 1
        self._timer = self._loop.call_later(self._pause_s, self._begin)

    def stop(self) -> None:
        self._life += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _step(self) -> None:
        if self._running:  # of the life before: wait for it
            self._timer = self._loop.call_later(self._rest_s, self._begin)
            return
        self._running = True
        step = self._loop.run_in_executor(None, self._passes.step)
        life = self._life
        step.add_done_callback(lambda done: self._after(done, life))

    def _after(self, done: "asyncio.Future[list[Hole] | None]", life: int) -> None:
        self._running = False
        if life == self._life and not done.cancelled():
            self._guard(lambda: self._stepped(done))()

    def _stepped(self, done: "asyncio.Future[list[Hole] | None]") -> None:
        found = done.result()
        wait_s = self._rest_s
        if self._passes.confirming:
            wait_s = 0.0
        elif found is not None:
            wait_s = self._pause_s
        self._timer = self._loop.call_later(wait_s, self._begin)
        if self._passes.trouble != self._told:
            self._told = self._passes.trouble
            if self._told:
                self._on_trouble(self._told)
        if found:
            self._on_damage(found)
