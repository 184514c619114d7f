"""The index of logs whose entries lines name by tag: forked ones, and disputed ones.

In such a log a position does not say which entry is meant. A log registers itself with `mark` when
it becomes one and when it ends to be one, so that no packet has to look through all logs.
"""

from domain.dot import LogId


class Naming:
    """Mutable; not thread-safe."""

    def __init__(self) -> None:
        self._logs: set[LogId] = set()
        self._sorted: list[LogId] | None = []

    def __bool__(self) -> bool:
        return bool(self._logs)

    def mark(self, log: LogId, *, named: bool) -> None:
        """This log is forked or disputed, or no longer so."""
        if named != (log in self._logs):
            (self._logs.add if named else self._logs.remove)(log)
            self._sorted = None

    def in_order(self) -> list[LogId]:
        """By origin and epoch."""
        if self._sorted is None:
            self._sorted = sorted(self._logs)
        return self._sorted
