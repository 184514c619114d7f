"""Reads the structured logs of all nodes, merged by time, and follows them across rotation.

A log file is followed by path and inode. When the path leads to another file (rotation, a wiped and
restarted node) the old one is read to its end and the new one from its start; when the file gets
shorter it is read from its start again. A file that does not exist yet is waited for. Only whole
lines count: a line that is being written is read when its end is there.
"""

import heapq
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
READ_BYTES = 1024 * 1024
LAST_BYTES = 64 * 1024


class LogLine(Struct, frozen=True):
    ts: str
    level: str
    event: str
    node: str
    worker: str
    fields: dict[str, Any]
    raw: bytes


def parse_line(raw: bytes, node: str) -> LogLine:
    """A line as it is, or, when it is no JSON, one that shows its text."""
    try:
        fields = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        fields = {"event": "not_json", "text": raw.decode("utf-8", "replace")}
    return LogLine(
        ts=str(fields.pop("ts", "")),
        level=str(fields.pop("level", "info")),
        event=str(fields.pop("event", "")),
        node=str(fields.pop("node", node)),
        worker=str(fields.pop("worker", "")),
        fields=fields,
        raw=raw,
    )


class Tail:
    """One log file: from its start, from its end, or from its `last` lines on."""

    def __init__(
        self, path: Path, node: str, at_end: bool = False, last: int | None = None
    ) -> None:
        self.path = path
        self.node = node
        self._fd: int | None = None
        self._rest = b""
        self._open()
        if at_end and self._fd is not None:
            os.lseek(self._fd, 0, os.SEEK_END)
        elif last is not None and self._fd is not None:
            os.lseek(self._fd, _begin_of_last(self._fd, last), os.SEEK_SET)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def lines(self) -> Iterator[LogLine]:
        """What was written since the last call."""
        while True:
            yield from self._read()
            if not self._replaced():
                return
            self.close()
            self._rest = b""
            self._open()
            if self._fd is None:
                return

    def _open(self) -> None:
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = None

    def _read(self) -> Iterator[LogLine]:
        if self._fd is None:
            return
        at = os.lseek(self._fd, 0, os.SEEK_CUR)
        if os.fstat(self._fd).st_size < at:  # truncated
            os.lseek(self._fd, 0, os.SEEK_SET)
            self._rest = b""
        while chunk := os.read(self._fd, READ_BYTES):
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            for raw in whole:
                if raw.strip():
                    yield parse_line(raw, self.node)

    def _replaced(self) -> bool:
        try:
            now = os.stat(self.path)
        except OSError:
            return False
        if self._fd is None:
            return True
        mine = os.fstat(self._fd)
        return (now.st_dev, now.st_ino) != (mine.st_dev, mine.st_ino)


def _begin_of_last(fd: int, lines: int) -> int:
    """Where the last lines begin; no more than `LAST_BYTES` before the end."""
    begin = max(os.fstat(fd).st_size - LAST_BYTES, 0)
    data = os.pread(fd, LAST_BYTES, begin)
    parts = data.split(b"\n")[1 if begin else 0 :][-lines - 1 :]
    end = begin + len(data)
    return min(end - sum(map(len, parts)) - len(parts) + 1, end)


def rotated(path: Path) -> list[Path]:
    """The older parts of a log, oldest first: node.jsonl.2, node.jsonl.1."""
    parts = [
        (int(part.suffix[1:]), part)
        for part in path.parent.glob(f"{path.name}.*")
        if part.suffix[1:].isdigit()
    ]
    return [part for _, part in sorted(parts, reverse=True)]


def history(tails: list[Tail]) -> Iterator[LogLine]:
    """All lines so far, rotated parts included, merged by time. `news` goes on from there."""
    return heapq.merge(*(_whole(tail) for tail in tails), key=_time)


def _whole(tail: Tail) -> Iterator[LogLine]:
    for path in rotated(tail.path):
        older = Tail(path, tail.node)
        try:
            yield from older.lines()
        finally:
            older.close()
    yield from tail.lines()


def news(tails: list[Tail]) -> list[LogLine]:
    """What all nodes wrote since the last call, merged by time."""
    return sorted((line for tail in tails for line in tail.lines()), key=_time)


def _time(line: LogLine) -> str:
    return line.ts
