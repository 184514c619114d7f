"""The scheduler runs the events of the simulation in the order of their times. It is the only clock
of the simulator and its only queue; time is in integer microseconds.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Act = Callable[[Any], None]
# What a plan says of an instant comes before all else that happens in it: boots, faults and then
# ops, each in the order of the plan. Their numbers count from these.
BOOTS, FAULTS, OPS = -3 << 40, -2 << 40, -1 << 40


class Scheduler:
    """Mutable. Acts of one instant run in the order of their numbers. Those of `at` count from 1
    as they are scheduled; those of `put` have a number of the caller's.
    """

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

    @property
    def next_us(self) -> int | None:
        """When the next act is due; None: nothing is scheduled."""
        return self._heap[0][0] if self._heap else None

    def at(self, at_us: int, act: Act, arg: Any = None) -> int:
        """Returns the number of this act."""
        self._count = count = self._count + 1
        heappush(self._heap, (at_us, count, act, arg))
        return count

    def put(self, at_us: int, number: int, act: Act, arg: Any = None) -> None:
        """No two acts of one instant may have the same number."""
        self._count += 1
        heappush(self._heap, (at_us, number, act, arg))

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
