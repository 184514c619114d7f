"""The scheduler runs the events of the simulation in the order of their times. It is the only clock
of the simulator and its only queue; time is in integer microseconds.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Act = Callable[[Any], None]


class Scheduler:
    """Mutable. Acts of one instant run in the order in which they were scheduled."""

    __slots__ = ("_count", "_heap", "now_us")

    def __init__(self) -> None:
        self.now_us = 0
        self._heap: list[tuple[int, int, Act, Any]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def done(self) -> int:
        """How many acts have run."""
        return self._count - len(self._heap)

    def at(self, at_us: int, act: Act, arg: Any = None) -> None:
        self._count = count = self._count + 1
        heappush(self._heap, (at_us, count, act, arg))

    def run(self, until_us: int) -> None:
        """Run everything up to and including this time, and advance the clock to it."""
        heap = self._heap
        while heap and heap[0][0] <= until_us:
            self.now_us, _, act, arg = heappop(heap)
            act(arg)
        self.now_us = until_us

    def pending(self, of: Act) -> int:
        """How many times this act is scheduled."""
        return sum(act == of for _, _, act, _ in self._heap)
