"""A trace as Chrome trace JSON, which Perfetto and chrome://tracing show as a time line.

One process per node with the threads `life`, `core` (its turns) and `quiet`; the process 0,
`nemesis`, has the phases of the run and what was done to the nodes. Arrows are packets; counters
are what each node lacks, its log and its traffic. Ops of clients and commits overlap, and stand on
tracks of their own.

Rules of the reader
- Times are microseconds. A slice (`X`) has a duration of at least 1, and slices of one thread nest.
- An arrow is a pair `s`, `f` with equal (id, cat, name). Either end must lie inside a slice of its
  thread, or it is dropped without a word; `f` needs `bp: "e"`, or it binds to the next slice.
- A transmission has an id of its own, so that a packet to five peers is five arrows, and a copy
  that the network makes is one more. A lost one is an `s` without `f`, and an instant says why.
- Waits that overlap are pairs `b`, `e` with equal (id, cat, name).
- Crashes and restarts are instants of the whole process, what a fault did there one of its thread.

A turn takes no time in the simulator, and next to none in a trace of processes: all that a node
says at one microsecond is one slice of 1 µs. What a node lacks is what others show and it does not:
that is the observer's knowledge, not the node's.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lab.exports.labels import UNTOLD, told
from lab.exports.lanes import Waits, in_lanes
from lab.trace.kinds import (
    Boot,
    Copied,
    Crash,
    Dropped,
    Faulted,
    Final,
    Fired,
    Got,
    Handed,
    Healed,
    Invoke,
    Paused,
    Phase,
    Quiet,
    Resumed,
    Run,
    Sent,
    StartRefused,
    State,
    Stopped,
    Visible,
)
from lab.trace.trace import Event

NEMESIS_PID = 0
LIFE, CORE, QUIET = 0, 1, 2
THREADS = {LIFE: "life", CORE: "core", QUIET: "quiet"}
TOLD_PER_TURN_MAX = 20
TRAFFIC_BIN_US = 100_000

# These say something of a node that is no part of a turn of it.
_NO_TURN = frozenset(
    {
        *UNTOLD,
        Copied,
        Dropped,
        Quiet,
        Paused,
        Resumed,
        Crash,
        Stopped,
        StartRefused,
        State,
        Final,
        Fired,
    }
)

Row = dict[str, Any]


def write_perfetto(trace: Iterable[Event], path: Path) -> int:
    """Write the whole trace; returns how many rows."""
    rows = _Rows()
    for event in trace:
        rows.take(event)
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"displayTimeUnit":"ms","traceEvents":[')
        for row in rows.finish():
            file.write(",\n" if count else "\n")
            file.write(json.dumps(row))
            count += 1
        file.write("\n]}\n")
    return count


class _Rows:
    """One pass over a trace. Mutable."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._pids: dict[str, int] = {"": NEMESIS_PID}
        self._last_us = 0
        self._turns: dict[int, Row] = {}  # the newest of each pid
        self._lives: dict[int, tuple[int, str]] = {}  # begin and name, of those that go on
        self._pauses: dict[int, int] = {}
        self._faults: dict[int, tuple[int, Row]] = {}
        self._done: list[tuple[int, int, Row]] = []  # faults: from, to, what to show
        self._phase: tuple[int, str] | None = None
        self._arrows: dict[int, list[int]] = {}  # of a transmission: ids that have not ended
        self._sent_us: dict[int, int] = {}
        self._waits = Waits(self._rows)
        self._counts = _Counters(self._rows)

    def take(self, event: Event) -> None:
        data, pid = event.data, self._pid(event.node)
        self._last_us = event.t_us
        if type(data) not in _NO_TURN and event.node:
            self._turn(event, pid)
        if isinstance(data, Sent | Copied | Got | Dropped):
            self._packet(event, pid)
        elif isinstance(data, Boot | Crash | Stopped | StartRefused | Paused | Resumed):
            self._life(event, pid)
        elif isinstance(data, Faulted | Healed | Phase):
            self._done_to_all(event)
        elif type(data) is Run:
            for name in data.nodes:
                self._pid(name)
        elif type(data) is Quiet:
            self._slice(pid, QUIET, data.from_us, data.to_us, "quiet", "domain", {})
        elif type(data) is Fired:
            self._instant(event, pid, "t", f"fired: {data.what}", "fault")
        self._waits.take(event, pid)
        self._counts.take(event, pid)

    def finish(self) -> Iterator[Row]:
        """All rows: what names things first, and then in the order of time, parents first."""
        for pid, (from_us, name) in self._lives.items():
            self._close_pause(pid, self._last_us)
            self._slice(pid, LIFE, from_us, self._last_us, name, "process", {})
        for from_us, row in self._faults.values():
            self._done.append((from_us, self._last_us, row))
        for lane, (from_us, to_us, row) in in_lanes(self._done):
            args = {"id": row["id"], "nodes": row["nodes"], "detail": row["detail"]}
            self._slice(NEMESIS_PID, 1 + lane, from_us, to_us, row["what"], "fault", args)
        self._end_phase(self._last_us)
        self._waits.finish(self._last_us)
        self._counts.finish(self._last_us)
        yield from self._names()
        yield from sorted(self._rows, key=lambda row: (row["ts"], -row.get("dur", 0)))

    def _pid(self, node: str) -> int:
        return self._pids.setdefault(node, len(self._pids))

    def _names(self) -> Iterator[Row]:
        lanes = {row["tid"] for row in self._rows if row["pid"] == NEMESIS_PID}
        for node, pid in self._pids.items():
            yield _meta(pid, "process_name", {"name": node or "nemesis"})
            yield _meta(pid, "process_sort_index", {"sort_index": pid})
            if node:
                named = THREADS
            else:
                named = {lane: f"faults {lane}" if lane else "phases" for lane in sorted(lanes)}
            for tid, name in named.items():
                yield _meta(pid, "thread_name", {"name": name}) | {"tid": tid}
                yield _meta(pid, "thread_sort_index", {"sort_index": tid}) | {"tid": tid}

    # --- slices and instants --------------------------------------------------------------------

    def _slice(
        self, pid: int, tid: int, from_us: int, to_us: int, name: str, cat: str, args: Row
    ) -> Row:
        dur = max(to_us - from_us, 1)
        row = {"ph": "X", "pid": pid, "tid": tid, "ts": from_us, "dur": dur, "name": name}
        row |= {"cat": cat, "args": args}
        self._rows.append(row)
        return row

    def _instant(self, event: Event, pid: int, scope: str, name: str, cat: str) -> None:
        row = {"ph": "i", "s": scope, "pid": pid, "tid": CORE, "ts": event.t_us, "name": name}
        self._rows.append(row | {"cat": cat, "args": {"seq": event.seq, "what": told(event)}})

    def _turn(self, event: Event, pid: int) -> None:
        """All that happens in a node at one instant is one slice."""
        turn = self._turns.get(pid)
        if turn is None or turn["ts"] != event.t_us:
            args: Row = {"seq": event.seq, "what": []}
            at_us = event.t_us
            turn = self._slice(pid, CORE, at_us, at_us + 1, _turn_name(event), "node", args)
            self._turns[pid] = turn
        if len(turn["args"]["what"]) < TOLD_PER_TURN_MAX:
            turn["args"]["what"].append(told(event))

    def _life(self, event: Event, pid: int) -> None:
        data, at_us = event.data, event.t_us
        if type(data) is Boot:
            again = f"restart, life {event.inc}" if event.inc > 1 else "boot"
            self._instant(event, pid, "p", again, "process")
            self._lives[pid] = (at_us, f"life {event.inc}")
        elif type(data) is Paused:
            self._pauses[pid] = at_us
        elif type(data) is Resumed:
            self._close_pause(pid, at_us)
        else:
            how = f": {data.how}" if type(data) is Crash else ""
            self._instant(event, pid, "p", f"{event.kind}{how}", "process")
            self._close_pause(pid, at_us)
            if (life := self._lives.pop(pid, None)) is not None:
                self._slice(pid, LIFE, life[0], at_us, life[1], "process", {"end": told(event)})

    def _close_pause(self, pid: int, at_us: int) -> None:
        """Inside its life. One that took no time is not shown: it would stick out."""
        from_us = self._pauses.pop(pid, at_us)
        if from_us < at_us:
            self._slice(pid, LIFE, from_us, at_us, "paused", "process", {})

    def _done_to_all(self, event: Event) -> None:
        data, at_us = event.data, event.t_us
        if type(data) is Faulted:
            row = {"id": data.fault, "what": data.what, "nodes": list(data.nodes)}
            self._faults[data.fault] = (at_us, row | {"detail": data.detail})
        elif type(data) is Healed:
            if (found := self._faults.pop(data.fault, None)) is not None:
                self._done.append((found[0], at_us, found[1]))
        elif type(data) is Phase:
            self._end_phase(at_us)
            if data.name != "end":
                self._phase = (at_us, data.name)

    def _end_phase(self, at_us: int) -> None:
        if self._phase is not None and self._phase[0] < at_us:
            from_us, name = self._phase
            self._slice(NEMESIS_PID, 0, from_us, at_us, f"phase {name}", "run", {})
        self._phase = None

    # --- arrows ---------------------------------------------------------------------------------

    def _packet(self, event: Event, pid: int) -> None:
        data = event.data
        if type(data) is Sent:
            self._sent_us[event.seq] = event.t_us
            self._arrows[event.seq] = [event.seq]
            self._arrow("s", event.seq, pid, event.t_us)
            return
        ids = self._arrows.get(-1 if event.cause is None else event.cause)
        if ids is None or event.cause is None:
            return  # the sending is not in this trace
        if type(data) is Copied:
            # It leaves where the packet left, for that is in a slice.
            ids.append(event.seq)
            self._arrow("s", event.seq, pid, self._sent_us[event.cause])
        elif ids:
            number = ids.pop(0)
            if type(data) is Got:
                self._arrow("f", number, pid, event.t_us)
            elif type(data) is Dropped:
                self._instant(event, pid, "t", f"lost: {data.why}", "net")

    def _arrow(self, end: str, number: int, pid: int, at_us: int) -> None:
        row = {"ph": end, "id": number, "cat": "net", "name": "msg", "pid": pid, "tid": CORE}
        row["ts"] = at_us
        if end == "f":
            row["bp"] = "e"
        self._rows.append(row)


def _turn_name(event: Event) -> str:
    """What began it."""
    data = event.data
    if type(data) is Got:
        return f"recv.{data.body}"
    if type(data) is Invoke:
        return f"ask.{data.action}"
    if type(data) is Sent and event.cause is None:
        return "timer"
    return event.kind


def _meta(pid: int, name: str, args: Row) -> Row:
    return {"ph": "M", "pid": pid, "name": name, "args": args}


# --- counters -----------------------------------------------------------------------------------


class _Counters:
    """What a node lacks, the bytes of its log, its traffic. Mutable; adds to `rows`."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows
        self._shown: dict[int, set[str]] = {}  # refs, by pid
        self._anywhere: set[str] = set()
        self._log_bytes: dict[int, int] = {}
        self._bin: dict[int, tuple[int, int]] = {}  # by pid: its begin, bytes sent in it

    def take(self, event: Event, pid: int) -> None:
        data = event.data
        if type(data) is Boot:
            self._shown[pid] = set(data.arrivals)
            self._anywhere |= self._shown[pid]
            self._lacks(event.t_us, [pid])
        elif type(data) is Visible:
            news = data.ref not in self._anywhere
            self._anywhere.add(data.ref)
            self._shown.setdefault(pid, set()).add(data.ref)
            self._lacks(event.t_us, list(self._shown) if news else [pid])
        elif type(data) is Handed and event.bytes is not None:
            size = self._log_bytes[pid] = self._log_bytes.get(pid, 0) + event.bytes
            self._counter(event.t_us, pid, "log bytes", size)
        elif type(data) is Sent and event.bytes is not None:
            self._traffic(event.t_us, pid, event.bytes)

    def finish(self, last_us: int) -> None:
        for pid in list(self._bin):
            self._traffic(last_us + TRAFFIC_BIN_US, pid, 0)

    def _lacks(self, at_us: int, pids: list[int]) -> None:
        for pid in pids:
            count = len(self._anywhere) - len(self._shown[pid])
            self._counter(at_us, pid, "missing ids", count)

    def _traffic(self, at_us: int, pid: int, size: int) -> None:
        begin_us = at_us - at_us % TRAFFIC_BIN_US
        before_us, sent = self._bin.get(pid, (begin_us, 0))
        if before_us != begin_us:
            per_s = sent * 1_000_000 // TRAFFIC_BIN_US
            self._counter(before_us, pid, "sent bytes/s", per_s)
            if begin_us > before_us + TRAFFIC_BIN_US:
                self._counter(before_us + TRAFFIC_BIN_US, pid, "sent bytes/s", 0)
            sent = 0
        self._bin[pid] = (begin_us, sent + size)

    def _counter(self, at_us: int, pid: int, name: str, value: int) -> None:
        row = {"ph": "C", "pid": pid, "tid": CORE, "ts": at_us, "name": name}
        self._rows.append(row | {"args": {name: value}})
