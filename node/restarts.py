"""A budget of restarts: how long to wait for the next one, and when there were too many. Pure.

The same rule holds for a worker that crashes, for the core of a node, and in the simulator.
"""

from collections import deque
from random import Random

BUDGET = 5
WINDOW_S = 60.0
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 5.0


class RestartBudget:
    """How long to wait before the next restart, and when there have been too many."""

    def __init__(
        self,
        rng: Random,
        budget: int = BUDGET,
        window_s: float = WINDOW_S,
        backoff_first_s: float = BACKOFF_FIRST_S,
        backoff_max_s: float = BACKOFF_MAX_S,
    ) -> None:
        assert budget >= 0
        assert window_s > 0
        assert 0 < backoff_first_s <= backoff_max_s
        self.budget = budget
        self.window_s = window_s
        self._rng = rng
        self._first_s = backoff_first_s
        self._max_s = backoff_max_s
        self._crashes: deque[float] = deque()

    def crashed(self, now_s: float) -> float | None:
        """Seconds until the restart, or None: the budget is used up."""
        while self._crashes and self._crashes[0] <= now_s - self.window_s:
            self._crashes.popleft()
        if len(self._crashes) >= self.budget:
            return None
        wait_s = min(self._first_s * 2.0 ** len(self._crashes), self._max_s)
        self._crashes.append(now_s)
        return wait_s * self._rng.uniform(0.5, 1.0)


def one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
