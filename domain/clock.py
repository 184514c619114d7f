"""A hybrid logical clock (HLC): time stamps for display whose order never contradicts causality.

Source: Kulkarni, Demirbas et al. 2014, "Logical Physical Clocks", section 3. A stamp is (ms,
counter): the largest wall-clock millisecond known, and a counter for events within it. If event a
could have caused event b, a's stamp is smaller. A stamp orders events on a screen; it never
identifies an event.

The clock reads no time itself: the caller passes `wall_ms` (Unix milliseconds). `observe` refuses a
remote stamp that is more than `skew_max_ms` ahead of the wall clock: the event is kept and shown
with that stamp, but the local clock does not move into the future.

A wall clock that was wrong does not spoil the node's own stamps for ever either. They stay above
every stamp that the node has made or accepted, so after a small clock error they run ahead until
the wall clock has caught up. A stamp more than `FAR_MS` ahead of the wall clock can only come from
a clock that was wrong, if the caller knows that the clock is right now: then the caller uses
`set_back` to continue above the largest stamp that is not far ahead. An error of a time zone is
smaller than `FAR_MS`, and keeps the order.
"""

from msgspec import Struct

SKEW_MAX_MS = 5 * 60 * 1000
FAR_MS = 24 * 60 * 60 * 1000
COUNTER_MAX = 2**16 - 1
STAMP_MS_MAX = 2**48 - 1


class Stamp(Struct, frozen=True, order=True, gc=False):
    ms: int  # Unix milliseconds, 48 bits
    counter: int  # 16 bits


class HybridClock:
    def __init__(self, skew_max_ms: int = SKEW_MAX_MS) -> None:
        self._ms = 0
        self._counter = 0
        self.skew_max_ms = skew_max_ms

    @property
    def last(self) -> Stamp:
        """The largest stamp given out or accepted so far."""
        return Stamp(self._ms, self._counter)

    def tick(self, wall_ms: int) -> Stamp:
        """The stamp of a new local event: larger than every stamp given out or accepted."""
        if wall_ms > self._ms:
            self._ms, self._counter = wall_ms, 0
        elif self._counter < COUNTER_MAX:
            self._counter += 1
        else:
            self._ms, self._counter = self._ms + 1, 0
        return Stamp(self._ms, self._counter)

    def observe(self, stamp: Stamp, wall_ms: int) -> bool:
        """Move past a remote stamp. False if it is too far ahead, and then nothing moves."""
        if stamp.ms > wall_ms + self.skew_max_ms:
            return False
        self.restore(stamp)
        return True

    def is_far_ahead(self, wall_ms: int) -> bool:
        """Whether the last stamp is so far ahead that it was made by a clock that was wrong."""
        return self._ms > wall_ms + FAR_MS

    def set_back(self, stamp: Stamp) -> None:
        """Go on above this stamp: the largest of the past that is not far ahead."""
        self._ms, self._counter = stamp.ms, stamp.counter

    def restore(self, stamp: Stamp) -> None:
        """Move past a stamp of this node's own past, whatever the wall clock shows now.

        This includes a stamp that a wrong clock made: later events follow it, and must have larger
        stamps. The stamps of such a node stay ahead until time has caught up, or until `set_back`,
        and its peers show them as skewed.
        """
        ms, counter = stamp.ms, stamp.counter
        if ms > self._ms or (ms == self._ms and counter > self._counter):
            self._ms, self._counter = ms, counter
