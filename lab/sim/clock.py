"""The two clocks of a simulated node: a monotonic clock, which drifts but never goes back, and a
wall clock, which can also step.

Between two changes both are pure functions of true time (microseconds). `wake_us` is the inverse of
the monotonic clock: the first microsecond of true time at which it shows a given millisecond.
"""

WALL_EPOCH_MS = 1_700_000_000_000  # true time 0, as wall clocks show it
MONOTONIC_START_US = 1_000_000  # a clock that starts at 0 hides bugs
_WALL_AHEAD_MS = WALL_EPOCH_MS - MONOTONIC_START_US // 1000
_MILLION = 1_000_000


class NodeClock:
    """The clocks of one node. Mutable."""

    __slots__ = ("_base_us", "_ppm", "_since_us", "offset_ms")

    def __init__(self) -> None:
        self._since_us = 0  # true time of the last change of the rate
        self._base_us = MONOTONIC_START_US  # what the monotonic clock showed then
        self._ppm = 0
        self.offset_ms = 0  # of the wall clock; it is changed as it is

    def read(self, true_us: int) -> tuple[int, int]:
        """(monotonic ms, wall ms)."""
        us = self._monotonic_us(true_us) if self._ppm else self._base_us + true_us - self._since_us
        ms = us // 1000
        return ms, ms + _WALL_AHEAD_MS + self.offset_ms

    def wake_us(self, now_ms: int) -> int:
        """True time at which `read` first gives this monotonic millisecond, or a later one."""
        wanted = now_ms * 1000 - self._base_us
        if not self._ppm:
            return self._since_us + wanted
        return self._since_us - (-wanted * _MILLION // (_MILLION + self._ppm))

    def drift(self, ppm: int, true_us: int) -> None:
        """From now on both clocks run faster by this many millionths."""
        assert -_MILLION < ppm < _MILLION
        self._base_us = self._monotonic_us(true_us)
        self._since_us = true_us
        self._ppm = ppm

    def _monotonic_us(self, true_us: int) -> int:
        elapsed = true_us - self._since_us
        return self._base_us + elapsed + elapsed * self._ppm // _MILLION
