"""Reads a log as ShiViz does, from its rules and without a line of the exporter.

Its parser (js/model/parser.js) compiles the first line with the flags g and m, takes the second one
for the delimiter of runs, and reads the rest. Its graph (js/model/modelGraph.js) holds the clocks
to its rules. Whatever it would complain of is a LogError here.
"""

import json
import re
from pathlib import Path

from msgspec import Struct


class LogError(ValueError):
    pass


class Row(Struct, frozen=True):
    host: str
    clock: dict[str, int]
    text: str
    t_us: int


def read(path: Path) -> list[Row]:
    first, delimiter, log = path.read_bytes().decode("utf-8").split("\n", 2)
    if delimiter:
        raise LogError("one run needs no delimiter")
    names = re.findall(r"\(\?<(\w+)>", first)
    if not {"host", "clock", "event"} <= set(names):
        raise LogError(f"the expression has only the groups {names}")
    # JavaScript's dot ends a match at more line ends than Python's.
    expression = re.compile(
        first.replace("(?<", "(?P<").replace(".*", "[^\n\r\u2028\u2029]*"), re.MULTILINE
    )
    rows, at = [], 0
    for match in expression.finditer(log):
        if log[at : match.start()].strip():
            raise LogError(f"no event: {log[at : match.start()]!r}")
        at = match.end()
        clock = json.loads(match["clock"])
        rows.append(Row(match["host"], clock, match["event"], int(match["timestamp"])))
    if log[at:].strip():
        raise LogError(f"no event: {log[at:]!r}")
    _check(rows)
    return rows


def _check(rows: list[Row]) -> None:
    counts: dict[str, int] = {}
    for row in rows:
        if any(type(value) is not int or value < 1 for value in row.clock.values()):
            raise LogError(f"{row}: no counter")
        if row.host not in row.clock:
            raise LogError(f"{row}: no entry for its own host")
        counts[row.host] = counts.get(row.host, 0) + 1
        if row.clock[row.host] != counts[row.host]:
            raise LogError(f"{row}: its own entry should be {counts[row.host]}")
    known: dict[str, dict[str, int]] = {}
    for row in rows:
        for host, count in row.clock.items():
            if count > counts.get(host, 0):
                raise LogError(f"{row}: {host} has no event {count}")
        before = known.get(row.host, {})
        if any(row.clock.get(host, 0) < count for host, count in before.items()):
            raise LogError(f"{row}: forgets what its host knew")
        known[row.host] = row.clock


def happened_before(one: Row, other: Row) -> bool:
    """By the clocks alone."""
    return one is not other and other.clock.get(one.host, 0) >= one.clock[one.host]
