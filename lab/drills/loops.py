"""A stand-in for the asyncio event loop, in virtual time, for drills of code that uses one.

It has no thread and no file descriptor of its own: a drill advances the time, in seconds, and calls
the registered readers and writers. Only the methods that the drilled code uses exist.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from lab.drills.beside import holds

Call = Callable[[], object]
TURNS_MAX = 10_000


class Handle:
    def __init__(self, when_s: float, call: Call) -> None:
        self.when_s = when_s
        self.call: Call | None = call

    def cancel(self) -> None:
        self.call = None

    def run(self) -> None:
        call, self.call = self.call, None
        if call is not None:
            call()


class Loop:
    """The event loop: only the methods that the drilled code uses. Mutable."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.readers: dict[int, Call] = {}
        self.writers: dict[int, Call] = {}
        self._soon: deque[Handle] = deque()
        self._later: list[Handle] = []

    @property
    def as_asyncio(self) -> asyncio.AbstractEventLoop:
        return cast(asyncio.AbstractEventLoop, self)

    def time(self) -> float:
        return self.now_s

    def call_soon(self, call: Call) -> Handle:
        self._soon.append(Handle(self.now_s, call))
        return self._soon[-1]

    def call_later(self, delay_s: float, call: Call) -> Handle:
        handle = Handle(self.now_s + delay_s, call)
        self._later.append(handle)
        return handle

    def call_at(self, when_s: float, call: Call) -> Handle:
        return self.call_later(when_s - self.now_s, call)

    def add_reader(self, fd: int, call: Call) -> None:
        self.readers[fd] = call

    def remove_reader(self, fd: int) -> bool:
        return self.readers.pop(fd, None) is not None

    def add_writer(self, fd: int, call: Call) -> None:
        self.writers[fd] = call

    def remove_writer(self, fd: int) -> bool:
        return self.writers.pop(fd, None) is not None

    @property
    def waiting(self) -> int:
        """Timers that are not cancelled and not due."""
        return sum(one.call is not None for one in self._later)

    def run(self) -> None:
        """Call all that is due now. Raises Difference if that does not end."""
        for _ in range(TURNS_MAX):
            if not self._soon:
                return
            self._soon.popleft().run()
        holds("an end of what is called soon", truth=False)

    def advance(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        self.run()
        while True:
            self._later = [one for one in self._later if one.call is not None]
            due = [one for one in self._later if one.when_s <= until_s]
            if not due:
                break
            first = min(due, key=lambda one: one.when_s)
            self._later.remove(first)
            self.now_s = max(self.now_s, first.when_s)
            first.run()
            self.run()
        self.now_s = max(self.now_s, until_s)
