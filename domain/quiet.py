"""The quiet period is a projection: for how long has this node received nothing new?

A node that has received nothing new for a while may guess that its timeline is stable. The guess is
local and can be wrong: behind a partition a node is quiet, too. Every arrival counts, whatever its
kind and origin. If nothing has ever arrived, the node is not quiet.

A process knows only what it has observed. While it was down, others may have posted, and the
journal cannot contain what never arrived. So the period counts from `watch`, when the process began
to listen, even if the newest arrival of an earlier process is older.

Time is this node's wall clock (Unix milliseconds), as recorded in the arrivals. The newest arrival
counts, not the largest time: if the clock was set back, the period starts again instead of being
negative.
"""

from domain.arrival import Arrival
from domain.history import History
from domain.projection import Fold, fingerprint_of


class Quiet(Fold):
    """Mutable; not thread-safe. `apply`, `rewind` and `fingerprint` as in `domain.projection`."""

    def __init__(self, quiet_ms: int, history: History | None = None) -> None:
        assert quiet_ms >= 0, quiet_ms
        super().__init__(history)
        self.quiet_ms = quiet_ms
        self._before = 0  # arrivals of earlier lives
        self._watched_ms = 0  # since when this life listens

    def watch(self, wall_ms: int) -> None:
        """A process begins to listen: everything applied so far arrived before."""
        self._before, self._watched_ms = self._applied, wall_ms

    def apply(self, arrival: Arrival) -> None:
        self._take(arrival)

    def take_rows(self, count: int) -> None:
        """Apply so many of the next arrivals at once, which the history has."""
        self._take_many(count)

    def rewind(self) -> Arrival:
        arrival = self._newest()
        self._give_back()
        return arrival

    def fingerprint(self) -> bytes:
        """Of when the newest arrival came. That is this node's own: others have other times."""
        last = self._applied - 1
        newest_ms = self._history.received_at_ms(last) if self._applied else None
        return fingerprint_of(repr(newest_ms))

    def quiet_for_ms(self, wall_ms: int) -> int:
        """How long this life has met nothing new. 0 if nothing ever arrived, never negative."""
        if not self._applied:
            return 0
        heard = self._applied > self._before
        since_ms = self._history.received_at_ms(self._applied - 1) if heard else self._watched_ms
        return max(wall_ms - since_ms, 0)

    def is_quiet(self, wall_ms: int) -> bool:
        return bool(self._applied) and self.quiet_for_ms(wall_ms) >= self.quiet_ms
