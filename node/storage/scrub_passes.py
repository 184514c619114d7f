"""One pass after the other over a journal, in small steps: what to read next, what is damage.

The worker of a process drives them (`node.process.scrub`), and so does the simulator, over its own
disk and clock. Nothing here waits: `rest_s` says how long the driver is to rest before the next
step.

- A step reads, or checks, a bounded piece. The rate is bytes of a step over the rest after it.
- The end of the last segment is being written. Bytes there that are no whole frame are no finding;
  only damage with a whole frame behind it is.
- A finding counts when a second pass, at once and without rests, finds the same. Then `step`
  returns it, once.
"""

from collections.abc import Generator, Iterable

import msgspec
from msgspec import Struct

from node.storage.files import Reader, StorageError
from node.storage.scan import Hole, Scanner
from node.storage.segments import list_segments

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

    def __init__(
        self,
        reader: Reader,
        scrubbed: Scrubbed,
        bytes_per_s: int,
        *,
        step_bytes: int = STEP_BYTES,
        pause_s: float = PAUSE_S,
    ) -> None:
        assert bytes_per_s > 0 < step_bytes
        self._reader = reader
        self._step_s, self._pause_s = step_bytes / bytes_per_s, pause_s
        self.rest_s = pause_s  # before the next step
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
        holes = self._stepped()
        if self.confirming:
            self.rest_s = 0.0
        else:
            self.rest_s = self._step_s if holes is None else self._pause_s
        return holes

    def _stepped(self) -> list[Hole] | None:
        try:
            next(self._going)
        except StopIteration as end:
            self._going = self._pass()
            return self._judged(end.value)
        except FileNotFoundError:  # a segment was begun, and taken back meanwhile
            return self._given_up("")
        except OSError as error:
            return self._given_up(error.strerror or str(error))
        except StorageError as failure:
            return self._given_up(str(failure))
        return None

    def _given_up(self, why: str) -> list[Hole]:
        """What cannot be read is no finding: a start would fail on it, and memory has it all."""
        self._going, self._suspects = self._pass(), set()
        self.counters["scrub_unreadable"] += bool(why)
        self.trouble = why
        return []

    def _judged(self, holes: list[Hole]) -> list[Hole]:
        self.counters["scrub_passes"] += 1
        self.trouble = ""
        new = {place_of(hole): hole for hole in holes if place_of(hole) not in self._known}
        sure = [hole for place, hole in new.items() if place in self._suspects]
        self._suspects = set() if sure else set(new)
        self._known |= {place_of(hole) for hole in sure}
        self.counters["scrub_damaged"] += len(sure)
        return sure

    def _pass(self) -> Generator[None, None, list[Hole]]:
        scanner = Scanner(b"")
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
            for end in scanner.steps(segment, b"".join(parts), is_last=is_last):
                if end >= stop:
                    stop = end + self._step_bytes
                    yield
        return scanner.done().holes
