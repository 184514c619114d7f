"""Turns what nodes and the launcher log into `Note` events, with bounded texts."""

from pathlib import Path
from typing import Any

from lab.observe.event_queue import EventQueue
from lab.observe.log_tail import LEVELS, LogLine, Tail, news
from lab.trace.kinds import Note

FIELDS_MAX = 20
TEXT_MAX = 200  # characters
BACKLOG = 20  # lines of each log that are shown from before


class LogNotes:
    """Mutable."""

    def __init__(self, events: EventQueue, level: str = "info") -> None:
        self._events = events
        self._least = LEVELS[level]
        self._tails: dict[str, Tail] = {}

    def close(self) -> None:
        for tail in self._tails.values():
            tail.close()

    def follow(self, node: str, path: Path) -> None:
        """The log of a node, or of the launcher (""): its last lines, and what comes."""
        if node not in self._tails:
            self._tails[node] = Tail(path, node, last=BACKLOG)

    def read(self) -> list[str]:
        """What was written since the last call. Returns the nodes that said that they stop."""
        stopped: list[str] = []
        for line in news(list(self._tails.values())):
            if LEVELS.get(line.level, 20) >= self._least:
                self._put(line)
            if line.event == "node_stopped":
                stopped.append(line.node)
            elif line.event == "node_started" and line.node in stopped:
                stopped.remove(line.node)
        return stopped

    def _put(self, line: LogLine) -> None:
        node = line.node if line.node in self._tails else ""
        fields: dict[str, Any] = {"at": line.ts}
        if line.worker:
            fields["worker"] = line.worker
        for name in list(line.fields)[:FIELDS_MAX]:
            fields[_cut(name)] = _plain(line.fields[name])
        self._events.put(node, 0, Note(_cut(line.event), line.level, fields))


def _plain(value: object) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return _cut(value if isinstance(value, str) else str(value))


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}…"
