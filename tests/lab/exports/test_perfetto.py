"""Chrome trace JSON: nesting, arrows, waits and names on real traces with faults, and no trace."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab.exports import write_perfetto
from lab.trace.kinds import (
    Boot,
    Copied,
    Crash,
    Dropped,
    Faulted,
    Final,
    Got,
    Invoke,
    Paused,
    Resumed,
    Run,
    Sent,
    Totals,
    Visible,
)
from lab.trace.trace import Event, Trace
from tests.lab.exports.chrome_reader import TimeLine, TraceJsonError
from tests.lab.exports.traces import RUNS, events


def count(trace: list[Event], *kinds: type) -> int:
    return sum(type(event.data) in kinds for event in trace)


def written(trace: list[Event], folder: Path) -> TimeLine:
    rows = write_perfetto(trace, folder / "trace.json")
    line = TimeLine(folder / "trace.json")
    assert len(line.rows) == rows
    return line


@pytest.mark.parametrize(("scenario", "seed"), RUNS)
def test_the_rules_hold_and_nothing_is_missing(tmp_path: Path, scenario: str, seed: int) -> None:
    trace = events(scenario, seed)
    line = written(trace, tmp_path)
    about = trace[0].data
    assert isinstance(about, Run)
    assert line.names == {0: "nemesis"} | dict(enumerate(about.nodes, start=1))

    # Each transmission is an arrow, which ends, is lost, or is still on its way.
    assert len(line.of("s")) == count(trace, Sent, Copied)
    assert len(line.arrows) == count(trace, Got)
    lost = [row for row in line.of("i") if row["name"].startswith("lost: ")]
    assert Counter(row["name"] for row in lost) == Counter(
        f"lost: {event.data.why}" for event in trace if isinstance(event.data, Dropped)
    )
    in_flight = sum(e.data.counts["in_flight"] for e in trace if isinstance(e.data, Totals))
    assert len(line.unended) == len(lost) + in_flight

    faults = [row for row in line.of("X") if row["cat"] == "fault"]
    assert all(row["pid"] == 0 and row["tid"] > 0 for row in faults)
    assert sorted((row["args"]["id"], row["name"]) for row in faults) == sorted(
        (one.data.fault, one.data.what) for one in trace if isinstance(one.data, Faulted)
    )
    whole = [row for row in line.of("i") if row["s"] == "p"]
    assert Counter(row["name"].partition(":")[0].partition(",")[0] for row in whole) == Counter(
        ("restart" if one.inc > 1 else "boot") if one.kind == "boot" else one.kind
        for one in trace
        if one.kind in ("boot", "crash", "stop", "refused")
    )
    asked = [row for row in line.of("b") if row["cat"] == "client"]
    assert len(asked) == count(trace, Invoke)


@pytest.mark.parametrize(("scenario", "seed"), RUNS)
def test_an_arrow_joins_the_two_that_it_says(tmp_path: Path, scenario: str, seed: int) -> None:
    trace = events(scenario, seed)
    line = written(trace, tmp_path)
    got = sorted(
        (event.peer, trace[event.cause].t_us, event.node, event.t_us)
        for event in trace
        if type(event.data) is Got and event.cause is not None
    )
    assert got == sorted(
        (line.names[s["pid"]], s["ts"], line.names[f["pid"]], f["ts"]) for s, f in line.arrows
    )
    for begun, ended in line.arrows[::20]:
        assert line.slice_at(begun)["pid"] != line.slice_at(ended)["pid"]


@pytest.mark.parametrize(("scenario", "seed"), RUNS)
def test_at_the_end_nobody_lacks_what_others_show(tmp_path: Path, scenario: str, seed: int) -> None:
    trace = events(scenario, seed)
    line = written(trace, tmp_path)
    rows = [row for row in line.of("C") if row["name"] == "missing ids"]
    lacks = {row["pid"]: row["args"]["missing ids"] for row in rows}
    assert len({one.data.root for one in trace if isinstance(one.data, Final)}) == 1
    # What was shown once and died with its only disk is missed by everybody.
    shown = {one.data.ref for one in trace if isinstance(one.data, Visible)}
    assert set(lacks.values()) == {len(shown - final_refs(trace))}
    assert all(row["args"][row["name"]] >= 0 for row in line.of("C"))


def final_refs(trace: list[Event]) -> set[str]:
    return {ref for one in trace if isinstance(one.data, Final) for ref in one.data.arrivals}


def test_a_part_of_a_trace_is_sound_too(tmp_path: Path) -> None:
    """Packets whose sending was cut off have no arrow; ops and commits that go on are closed."""
    trace = events("crash-storm", 4)
    for part in (trace[: len(trace) // 2], trace[len(trace) // 2 :], trace[500:900]):
        line = written(part, tmp_path)
        assert line.of("X")


def test_an_empty_trace_is_an_empty_time_line(tmp_path: Path) -> None:
    line = written(Trace().events, tmp_path)
    assert {row["ph"] for row in line.rows} == {"M"}
    assert line.names == {0: "nemesis"}


def test_a_crash_ends_what_stands_still(tmp_path: Path) -> None:
    """A pause that took no time would stick out of its life."""
    trace = Trace()
    boot = Boot("new", (), (), clean=True, must_open_epoch="", log="n1.1")
    trace.add(0, "n1", 1, boot)
    trace.add(5, "n1", 1, Paused())
    trace.add(9, "n1", 1, Resumed())
    trace.add(20, "n1", 1, Paused())
    trace.add(20, "n1", 1, Crash("kill", "", 0, 0))
    trace.add(20, "n1", 2, boot)
    trace.add(25, "n1", 2, Paused())
    line = written(trace.events, tmp_path)
    lives = [row for row in line.of("X") if line.threads[row["pid"], row["tid"]] == "life"]
    assert [(row["name"], row["ts"], row["dur"]) for row in lives] == [
        ("life 1", 0, 20),
        ("paused", 5, 4),
        ("life 2", 20, 5),
    ]


def test_two_exports_of_one_trace_are_the_same(tmp_path: Path) -> None:
    trace = events("all", 3)
    for name in ("a", "b"):
        write_perfetto(trace, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


X = {"ph": "X", "pid": 1, "tid": 0, "ts": 10, "dur": 10, "name": "x", "cat": "c", "args": {}}
S = {"ph": "s", "pid": 1, "tid": 0, "ts": 12, "id": 7, "name": "msg", "cat": "net"}
F = {**S, "ph": "f", "ts": 15, "bp": "e"}
B = {"ph": "b", "pid": 1, "tid": 0, "ts": 1, "id": 7, "name": "op", "cat": "client"}


@pytest.mark.parametrize(
    "rows",
    [
        [X, {**X, "ts": 15}],
        [X, {**X, "ts": 9, "dur": 2}],
        [{**X, "dur": 0}],
        [{**X, "ts": 1.5}],
        [{**X, "pid": 2}],
        [X, {**S, "ts": 20}],
        [X, {**S, "ts": 9}],
        [X, S, S],
        [X, F],
        [X, S, F, F],
        [X, S, {**F, "name": "other"}],
        [X, S, {**F, "bp": "x"}],
        [X, {**S, "ts": 16}, F],
        [B],
        [B, {**B, "ph": "e", "ts": 0}],
        [{**B, "ph": "e"}],
        [{"ph": "i", "pid": 1, "tid": 0, "ts": 1, "name": "x", "s": "?"}],
        [{"ph": "C", "pid": 1, "ts": 1, "name": "x", "args": {"x": "1"}}],
    ],
)
def test_the_reader_sees_what_is_wrong(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    names = [
        {"ph": "M", "pid": 1, "name": "process_name", "args": {"name": "n1"}},
        {"ph": "M", "pid": 1, "tid": 0, "name": "thread_name", "args": {"name": "core"}},
    ]
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"displayTimeUnit": "ms", "traceEvents": [*names, X, S, F]}))
    TimeLine(path)  # a sound one
    path.write_text(json.dumps({"displayTimeUnit": "ms", "traceEvents": [*names, *rows]}))
    with pytest.raises(TraceJsonError):
        TimeLine(path)
