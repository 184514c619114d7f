"""The logs of one origin of which something is held, in order of epoch, with sums of their hashes.

Folds (`gossip.epoch_folds`) need the sum of hashes and the count of entries over a range of epochs.
The sum over all logs is kept with each change. A sum over a part is the difference of two prefix
sums, which are made again only after this origin has changed: a packet costs what it says, and not
what is held.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import accumulate

from gossip.log import Log


class Logs:
    """Mutable; not thread-safe. Only `Frontier` changes it."""

    __slots__ = ("_counts", "_epochs", "_totals", "by_age", "by_epoch", "count", "total")

    def __init__(self) -> None:
        self.by_age: list[Log] = []  # begun last at the end
        self.by_epoch: list[Log] = []
        self._epochs: list[int] = []
        self.total = 0  # the sum of the hashes of all entries
        self.count = 0  # of these entries
        self._totals: list[int] = []  # of the first 0, 1, 2 ... logs by epoch; empty: to be made
        self._counts: list[int] = []

    def __len__(self) -> int:
        return len(self.by_epoch)

    def begin(self, log: Log) -> None:
        """Something is about to be held of this log for the first time."""
        at = bisect_left(self._epochs, log.id.epoch)
        self._epochs.insert(at, log.id.epoch)
        self.by_epoch.insert(at, log)
        insort(self.by_age, log, key=_age_of)  # at the end, but for one that was claimed before

    def change(self, number: int, count: int) -> None:
        """So much has come to one of these logs, or has gone."""
        self.total += number
        self.count += count
        self._totals = []

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Where in `by_epoch` the epochs first..last begin, and end."""
        return bisect_left(self._epochs, first), bisect_right(self._epochs, last)

    def sum(self, low: int, high: int) -> tuple[int, int]:
        """The sum of the hashes in `by_epoch[low:high]`, and how many entries these are."""
        if high - low == len(self.by_epoch):
            return self.total, self.count
        if not self._totals:
            self._totals = list(accumulate([log.total for log in self.by_epoch], initial=0))
            self._counts = list(accumulate([log.count for log in self.by_epoch], initial=0))
        return self._totals[high] - self._totals[low], self._counts[high] - self._counts[low]

    def newest(self, low: int, high: int) -> Iterator[Log]:
        """The logs of `by_epoch[low:high]`, the one begun last first."""
        if high - low == len(self.by_epoch):
            return reversed(self.by_age)
        return iter(sorted(self.by_epoch[low:high], key=_age_of, reverse=True))

    def kept(self, written: int, most: int) -> list[Log]:
        """The log with the epoch that its origin says it writes in, and those begun last."""
        kept = self.by_age[: -most - 1 : -1]
        at = bisect_left(self._epochs, written)
        if at < len(self._epochs) and self._epochs[at] == written:
            log = self.by_epoch[at]
            if log not in kept:
                kept[-1] = log
        return kept


def _age_of(log: Log) -> int:
    return log.begun
