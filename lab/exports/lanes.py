"""Helpers for the Perfetto export, where the slices of one thread must nest: overlapping intervals
are spread over lanes, or become pairs of asynchronous events.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from lab.trace.kinds import Crash, Fail, Handed, Info, Invoke, Ok, Stopped, Unwritten, Written
from lab.trace.trace import Event

Row = dict[str, Any]
Interval = tuple[int, int, Row]


def in_lanes(intervals: Iterable[Interval]) -> Iterator[tuple[int, Interval]]:
    """Each interval with the number of the first lane that is free when it begins."""
    free_us: list[int] = []
    for interval in sorted(intervals, key=lambda one: one[:2]):
        from_us, to_us, _ = interval
        lane = next((i for i, at_us in enumerate(free_us) if at_us <= from_us), len(free_us))
        free_us[lane : lane + 1] = [max(to_us, from_us + 1)]
        yield lane, interval


class Waits:
    """Pairs `b`, `e`: ops of clients until they are answered, records until they are durable.

    Mutable; adds to `rows`.
    """

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows
        self._ops: dict[int, Row] = {}
        self._commits: dict[int, dict[int, Row]] = {}  # by pid, by number of the record

    def take(self, event: Event, pid: int) -> None:
        data, at_us = event.data, event.t_us
        if type(data) is Invoke:
            args = {"op": data.op, "session": data.session, "author": data.author}
            self._ops[data.op] = self._begin(at_us, pid, data.op, "client", data.action, args)
        elif isinstance(data, Ok | Fail | Info):
            if (begun := self._ops.pop(data.op, None)) is not None:
                self._end(begun, at_us, event.kind)
        elif type(data) is Handed:
            row = self._begin(at_us, pid, event.seq, "journal", "commit", {"ref": data.ref})
            self._commits.setdefault(pid, {})[data.number] = row
        elif type(data) is Written:
            self._close(pid, at_us, 0, data.durable, "durable")
        elif type(data) is Unwritten:
            self._close(pid, at_us, data.kept + 1, None, "failed")
        elif isinstance(data, Crash | Stopped):
            self._close(pid, at_us, 0, data.durable, "durable, not told")
            self._close(pid, at_us, 0, None, "the life ended")

    def finish(self, last_us: int) -> None:
        """End everything that never ended within this trace."""
        for row in self._ops.values():
            self._end(row, last_us, "the trace ended")
        for pid in self._commits:
            self._close(pid, last_us, 0, None, "the trace ended")

    def _begin(self, at_us: int, pid: int, number: int, cat: str, name: str, args: Row) -> Row:
        row = {"ph": "b", "id": number, "cat": cat, "name": name, "pid": pid, "tid": 1}
        row |= {"ts": at_us, "args": args}
        self._rows.append(row)
        return row

    def _end(self, begun: Row, at_us: int, how: str) -> None:
        self._rows.append({**begun, "ph": "e", "ts": at_us, "args": {"end": how}})

    def _close(self, pid: int, at_us: int, first: int, last: int | None, how: str) -> None:
        """The commits of records first..last."""
        commits = self._commits.get(pid, {})
        for number in [n for n in commits if n >= first and (last is None or n <= last)]:
            self._end(commits.pop(number), at_us, how)
