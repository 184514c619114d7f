"""What a node measures only when it serves metrics: how long things take, as histograms.

Everything else that `node.control.metrics_text` shows is counted by the node anyway. Plain lists,
because the hot path must not pay for locks: each histogram is written by one thread and read by
another, and a reader may see a value that is not yet in the sum.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence

from domain.arrival import Arrival

# Upper bounds in seconds. What travels: from one turn of a loop to an hour of partition.
LAG_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 600, 3600)
# What is synced: from a disk that lies to one that hangs.
FSYNC_S = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Histogram:
    """Counts of values by upper bound. Mutable."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)  # of each interval alone; the last has no bound
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times


class Measures:
    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self.lag_s = Histogram(LAG_S)
        self.fsync_s = Histogram(FSYNC_S)

    def arrived(self, arrivals: Sequence[tuple[int, Arrival]]) -> None:
        """These events are visible here from now on. Of others' events the age is measured.

        By the clock of its origin and the clock of this node: across machines a difference of
        their clocks is in it, and a negative age counts as none. Own events that come back after
        a loss have not travelled.
        """
        now_ms = self._wall_ms()
        for _, arrival in arrivals:
            if arrival.via not in ("local", "recovery"):
                self.lag_s.observe(max(0, now_ms - arrival.event.stamp.ms) / 1000)
