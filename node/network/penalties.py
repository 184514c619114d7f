"""Penalties: packets of a peer that abused its key are ignored for a while, longer each time. Pure.

Only a name that is proved by a key is penalized. A name that a packet merely claims is not, or
anybody could silence another node by using its name.
"""

from collections.abc import Callable

from msgspec import Struct

FIRST_S = 1.0
MAX_S = 60.0
FORGET_S = 600.0  # of good behaviour
NAMES_MAX = 1024  # never reached: names come from the list of trusted keys


class _Record(Struct):
    strikes: int = 0
    until_s: float = 0.0


class Penalties:
    def __init__(
        self, now_s: Callable[[], float], first_s: float = FIRST_S, max_s: float = MAX_S
    ) -> None:
        assert 0 < first_s <= max_s
        self._now_s = now_s
        self._first_s = first_s
        self._max_s = max_s
        self._records: dict[str, _Record] = {}

    def strike(self, name: str) -> float:
        """Count one abuse. Returns for how many seconds nothing of that name is heard."""
        now_s = self._now_s()
        record = self._records.get(name)
        if record is None or now_s - record.until_s > FORGET_S:
            if len(self._records) >= NAMES_MAX:
                self._records.clear()
            record = self._records[name] = _Record()
        pause_s = min(self._first_s * 2.0 ** min(record.strikes, 16), self._max_s)
        record.strikes += 1
        record.until_s = now_s + pause_s
        return pause_s

    def silenced(self, name: str) -> bool:
        record = self._records.get(name)
        return record is not None and self._now_s() < record.until_s
