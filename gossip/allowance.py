"""An allowance for each peer: bounds what all its packets together may make a node compare.

The work for one packet is bounded (`gossip.meter`); a peer that sends such packets without a pause
would still keep a node busy with nothing else. So comparisons are paid from an allowance, in the
bytes of the meter (some 14 microseconds for 1024 of them at most): it fills up with time, and what
a comparison cost is known when it is over, so that the allowance may be overdrawn by one.

A peer without any left gets no comparison: entries that it sends are still taken in, equal roots
are still answered, and a later call finds the allowance refilled. Only comparisons spend it, for
pushes cost no more than their size. A sound peer comes nowhere near: an exchange that brings a full
delta costs less than a tenth of the most that is saved up.
"""

from collections.abc import Iterable

SAVED_BYTES_MAX = 8 * 1024 * 1024
BYTES_PER_MS = 64 * 1024
LINE_BYTES = 512  # of work, for each line or fold heard or told
PACKET_BYTES = 16 * 1024  # for a comparison, whatever it is about


class Allowance:
    """Mutable; not thread-safe. Times are monotonic milliseconds."""

    def __init__(self, peers: Iterable[str]) -> None:
        self._left = dict.fromkeys(peers, SAVED_BYTES_MAX)
        self._since_ms = dict.fromkeys(self._left, 0)

    def grants(self, peer: str, now_ms: int) -> bool:
        """Whether another comparison may be made for this peer."""
        grown = self._left[peer] + (now_ms - self._since_ms[peer]) * BYTES_PER_MS
        self._left[peer] = min(grown, SAVED_BYTES_MAX)
        self._since_ms[peer] = now_ms
        return self._left[peer] > 0

    def spend(self, peer: str, work_bytes: int) -> None:
        self._left[peer] -= PACKET_BYTES + work_bytes
