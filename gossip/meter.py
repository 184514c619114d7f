"""A meter: bounds how much one packet may make a node read, in bytes, whatever it asks for.

What is read is counted in bytes: those that the store had to fetch for it (a store that keeps its
bytes in a journal fetches the chunk around an entry), and a share for each entry looked at, for it
is hashed. Measured are 14 microseconds per KiB, where small events of many logs lie between each
other, and up to 25 where other processes take the caches. So a packet can be made up to cost some
12 ms for each of four things at most: what is taken in, what is compared, what is named in the
answer, and the delta.

Nothing is lost when a meter has run out. What was not looked at is looked at in a later exchange,
and each begins where the last one stopped, or with another log.
"""

from gossip.store import Store

READ_BYTES_MAX = 512 * 1024
ENTRY_BYTES = 64  # for looking at an entry, beside its own bytes
# For a range or a rival that is looked at without its bytes, and for one entry that is lacking.
STEP_BYTES = 128


class Meter:
    """Mutable; not thread-safe."""

    def __init__(self, store: Store, bytes_max: int = READ_BYTES_MAX) -> None:
        self._store = store
        self._bytes_max = self._left = bytes_max
        self._fetched = store.fetched_bytes
        self._before = 0  # read for all packets before the one at hand

    def begin(self) -> None:
        """Another packet, or another part of the work for it."""
        fetched = self._store.fetched_bytes
        self._before += self._bytes_max - self._left + fetched - self._fetched
        self._left = self._bytes_max
        self._fetched = fetched

    @property
    def total(self) -> int:
        """Bytes that were read since the meter was made."""
        return (
            self._before + self._bytes_max - self._left + self._store.fetched_bytes - self._fetched
        )

    def affords(self, size: int) -> int:
        """How often that may be spent before it is spent."""
        return max(-(-(self._left - self._store.fetched_bytes + self._fetched) // size), 0)

    def spend(self, size: int) -> None:
        self._left -= size

    def spent(self) -> bool:
        return self._left <= self._store.fetched_bytes - self._fetched
