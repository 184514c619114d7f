"""The quiet tracker records in the trace when a replica considers itself quiet, by its own
projection and its own clock.
"""

from collections.abc import Callable

from domain.quiet import Quiet
from lab.trace.kinds import Quiet as Told


class QuietTracker:
    """Tracks one life. Call `look` before an arrival is applied, and `heard` after it. Mutable."""

    __slots__ = ("_looked_us", "_not_before_ms", "_quiet", "_since_us", "_still_ms", "_tell")

    def __init__(self, quiet: Quiet, tell: Callable[[Told], None], now_us: int) -> None:
        self._quiet = quiet
        self._tell = tell
        self._looked_us = now_us
        self._since_us = -1  # it is not quiet
        self._not_before_ms = 0  # by the wall clock, unless something is applied
        self._still_ms = 0  # only a clock that is set back behind this ends it

    def look(self, now_us: int, wall_ms: int) -> None:
        """Call this before something is applied, so that between two calls only time passes."""
        if wall_ms >= self._not_before_ms and (self._since_us < 0 or wall_ms < self._still_ms):
            self._look(now_us, wall_ms)
        self._looked_us = now_us

    def heard(self, now_us: int, wall_ms: int) -> None:
        """Check after something was applied. It may be older than the last if the clock was set
        back.
        """
        self._look(now_us, wall_ms)
        self._looked_us = now_us

    def _look(self, now_us: int, wall_ms: int) -> None:
        quiet = self._quiet
        if not quiet.is_quiet(wall_ms):
            self.end(now_us)
            self._not_before_ms = wall_ms + quiet.quiet_ms - quiet.quiet_for_ms(wall_ms)
            return
        self._not_before_ms = 0
        self._still_ms = wall_ms - quiet.quiet_for_ms(wall_ms) + quiet.quiet_ms
        if self._since_us < 0:
            over_ms = quiet.quiet_for_ms(wall_ms) - quiet.quiet_ms
            self._since_us = max(self._looked_us, now_us - over_ms * 1000)

    def end(self, now_us: int) -> None:
        """The life or the run ends: record the quiet period, if there is one."""
        since_us, self._since_us = self._since_us, -1
        if 0 <= since_us < now_us:
            self._tell(Told(since_us, now_us, self._quiet.quiet_ms))
