"""A budget of restarts: how long to wait for the next one, and when there were too many. Pure.

The same rule holds for a worker that crashes, for the core of a node, for a process that the
launcher starts again, and in the simulator.
"""

from collections import deque
from random import Random

BUDGET = 5
WINDOW_S = 60.0
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 5.0


class RestartBudget:
    """Mutable: `budget` and `window_s` may be set anew, for what comes after."""

    def __init__(self, rng: Random, budget: int = BUDGET, window_s: float = WINDOW_S) -> None:
        assert budget >= 0
        assert window_s > 0
        self.budget = budget
        self.window_s = window_s
        self._rng = rng
        self._crashes: deque[float] = deque()

    def renew(self) -> None:
        """A person asked for a start: earlier crashes do not count any more."""
        self._crashes.clear()

    def crashed(self, now_s: float) -> float | None:
        """Seconds until the restart, or None: the budget is used up."""
        while self._crashes and self._crashes[0] <= now_s - self.window_s:
            self._crashes.popleft()
        if len(self._crashes) >= self.budget:
            return None
        wait_s = min(BACKOFF_FIRST_S * 2.0 ** len(self._crashes), BACKOFF_MAX_S)
        self._crashes.append(now_s)
        return wait_s * self._rng.uniform(0.5, 1.0)


def one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
