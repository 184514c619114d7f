"""Which events of the chat a node shows: all of them exactly, as ranges of numbers in each log, and
the newest ones with the time of their arrival.

Memory grows with the logs and their gaps, not with the events, so that a view of a million messages
stays small. Mutable.
"""

from collections.abc import Iterable, Iterator

from domain.seqset import SeqSet

Ranges = Iterable[tuple[int, int]]


class Held:
    """A set of dots. `get` says when one came, if it is recent enough for that to be kept."""

    __slots__ = ("_count", "_logs", "_times")

    def __init__(self) -> None:
        self._logs: dict[str, SeqSet] = {}  # n1.5eed -> numbers
        self._count = 0
        self._times: dict[str, int] = {}  # dot -> microseconds, in the order of arrival

    def __len__(self) -> int:
        return self._count

    def __contains__(self, dot: str) -> bool:
        if dot in self._times:
            return True
        log, seq = parts_of(dot)
        numbers = self._logs.get(log)
        return numbers is not None and seq in numbers

    def __iter__(self) -> Iterator[str]:
        """All dots, log by log."""
        for log, numbers in self._logs.items():
            for first, last in numbers.ranges():
                yield from (f"{log}:{seq}" for seq in range(first, last + 1))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and self._logs == other._logs and self._times == other._times

    __hash__ = None  # type: ignore[assignment]  # mutable

    def get(self, dot: str, default: int | None = None) -> int | None:
        """When it came, in microseconds; `default` if that is not known."""
        return self._times.get(dot, default)

    def add(self, dot: str, t_us: int | None = None) -> bool:
        """False if it was held already. `t_us` None: nobody saw when it came."""
        log, seq = parts_of(dot)
        new = self._log(log).add(seq)
        self._count += new
        if t_us is not None:
            self._times.setdefault(dot, t_us)
        return new

    def add_ranges(self, log: str, ranges: Ranges) -> int:
        """Returns how many are new."""
        numbers = self._log(log)
        new = sum(numbers.add_range(first, last) for first, last in ranges)
        self._count += new
        return new

    def update(self, other: "Held") -> None:
        """Take in what the other holds, without times."""
        for log, numbers in other._logs.items():
            self.add_ranges(log, numbers.ranges())

    def forget_time(self, dot: str) -> None:
        self._times.pop(dot, None)

    def clear(self) -> None:
        self._logs.clear()
        self._times.clear()
        self._count = 0

    def copy(self) -> "Held":
        new = Held()
        new._logs = {log: SeqSet(numbers.ranges()) for log, numbers in self._logs.items()}
        new._times = dict(self._times)
        new._count = self._count
        return new

    def _log(self, name: str) -> SeqSet:
        if name not in self._logs:
            self._logs[name] = SeqSet()
        return self._logs[name]


def parts_of(dot: str) -> tuple[str, int]:
    """`n1.5eed:12` -> (`n1.5eed`, 12)"""
    log, _, seq = dot.rpartition(":")
    return log, int(seq)
