"""Reads Chrome trace JSON as Perfetto does, from its rules and without a line of the exporter.

Whatever it would drop without a word is a TraceJsonError here.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

Row = dict[str, Any]
NEEDED = {
    "X": ("pid", "tid", "ts", "dur", "name", "cat", "args"),
    "M": ("pid", "name", "args"),
    "s": ("pid", "tid", "ts", "id", "name", "cat"),
    "f": ("pid", "tid", "ts", "id", "name", "cat", "bp"),
    "i": ("pid", "tid", "ts", "name", "s"),
    "C": ("pid", "ts", "name", "args"),
    "b": ("pid", "tid", "ts", "id", "name", "cat"),
    "e": ("pid", "tid", "ts", "id", "name", "cat"),
}


class TraceJsonError(ValueError):
    pass


class TimeLine:
    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.keys() != {"displayTimeUnit", "traceEvents"}:
            raise TraceJsonError(f"unknown keys {document.keys()}")
        self.rows: list[Row] = document["traceEvents"]
        self.names: dict[int, str] = {}
        self.threads: dict[tuple[int, int], str] = {}
        self.arrows: list[tuple[Row, Row]] = []
        self.unended: list[Row] = []
        self._check_fields()
        self._check_names()
        self._check_slices()
        self._check_arrows()
        self._check_waits()

    def of(self, ph: str) -> list[Row]:
        return [row for row in self.rows if row["ph"] == ph]

    def _check_fields(self) -> None:
        for row in self.rows:
            if missing := [name for name in NEEDED[row["ph"]] if name not in row]:
                raise TraceJsonError(f"{row}: no {missing}")
            for name in ("ts", "dur", "pid", "tid", "id"):
                if name in row and (type(row[name]) is not int or row[name] < 0):
                    raise TraceJsonError(f"{row}: {name} is no number of microseconds, or no id")
            if row["ph"] == "X" and row["dur"] < 1:
                raise TraceJsonError(f"{row}: takes no time")
            if row["ph"] == "i" and row["s"] not in ("t", "p", "g"):
                raise TraceJsonError(f"{row}: no scope")
            if row["ph"] == "f" and row["bp"] != "e":
                raise TraceJsonError(f"{row}: binds to the next slice")
            if row["ph"] == "C" and not all(type(v) in (int, float) for v in row["args"].values()):
                raise TraceJsonError(f"{row}: no counter")

    def _check_names(self) -> None:
        for row in self.of("M"):
            if row["name"] == "process_name":
                if row["pid"] in self.names:
                    raise TraceJsonError(f"{row}: named twice")
                self.names[row["pid"]] = row["args"]["name"]
            elif row["name"] == "thread_name":
                self.threads[row["pid"], row["tid"]] = row["args"]["name"]
        for row in self.rows:
            if row["pid"] not in self.names:
                raise TraceJsonError(f"{row}: a process without a name")
            if row["ph"] in ("X", "s", "f") and (row["pid"], row["tid"]) not in self.threads:
                raise TraceJsonError(f"{row}: a thread without a name")

    def _check_slices(self) -> None:
        """A stack for each thread: what begins inside a slice must end inside it."""
        self.slices: dict[tuple[int, int], list[Row]] = defaultdict(list)
        for row in self.of("X"):
            self.slices[row["pid"], row["tid"]].append(row)
        for rows in self.slices.values():
            stack: list[int] = []
            for row in sorted(rows, key=lambda row: (row["ts"], -row["dur"])):
                while stack and stack[-1] <= row["ts"]:
                    stack.pop()
                if stack and row["ts"] + row["dur"] > stack[-1]:
                    raise TraceJsonError(
                        f"{row}: sticks out of its slice, which ends at {stack[-1]}"
                    )
                stack.append(row["ts"] + row["dur"])

    def slice_at(self, row: Row) -> Row:
        """The slice that an arrow's end binds to."""
        around = [
            one
            for one in self.slices[row["pid"], row["tid"]]
            if one["ts"] <= row["ts"] < one["ts"] + one["dur"]
        ]
        if not around:
            raise TraceJsonError(f"{row}: in no slice")
        return min(around, key=lambda one: int(one["dur"]))

    def _check_arrows(self) -> None:
        begun: dict[tuple[int, str, str], Row] = {}
        ended = set()
        for row in [*self.of("s"), *self.of("f")]:  # the order in the file does not matter
            key = (row["id"], row["cat"], row["name"])
            if row["ph"] == "s":
                if key in begun:
                    raise TraceJsonError(f"{row}: begins twice")
                begun[key] = row
            else:
                if key in ended or key not in begun:
                    raise TraceJsonError(f"{row}: ends what never began, or twice")
                if row["ts"] < begun[key]["ts"]:
                    raise TraceJsonError(f"{row}: ends before it begins")
                ended.add(key)
                self.arrows.append((begun[key], row))
        self.unended = [row for key, row in begun.items() if key not in ended]
        at = {(p, t): {one["ts"]: one for one in rows} for (p, t), rows in self.slices.items()}
        for row in [*self.of("s"), *self.of("f")]:
            if row["ts"] not in at.get((row["pid"], row["tid"]), {}):
                self.slice_at(row)  # not at the very begin of one: look for it

    def _check_waits(self) -> None:
        open_: dict[tuple[int, int, str, str], Row] = {}
        for row in self.rows:
            key = (row["pid"], row.get("id", -1), row.get("cat", ""), row["name"])
            if row["ph"] == "b":
                if key in open_:
                    raise TraceJsonError(f"{row}: begins twice")
                open_[key] = row
            elif row["ph"] == "e" and (key not in open_ or open_.pop(key)["ts"] > row["ts"]):
                raise TraceJsonError(f"{row}: ends what never began")
        if open_:
            raise TraceJsonError(f"never end: {list(open_)[:3]}")
