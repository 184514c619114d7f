"""Columns say what a trace says: rows, causes, and what nodes show, in chunks or at once."""

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import pytest

from lab.campaign.judged_run import JudgedRun, opened, run_judged
from lab.trace.kinds import Boot, Facts, Faulted, Final, Handed, Healed, Run, Visible
from lab.trace.trace import Trace
from lab.view.columns import TEXT_MAX, Columns

NUMBERS = ("t", "seq", "lane", "kind", "cause", "peer", "ref", "text", "bytes")


@pytest.fixture(
    scope="module", params=[("partition", 1), ("power-cuts", 4), ("lost-checkpoints", 2)]
)
def judged(request: pytest.FixtureRequest) -> JudgedRun:
    name, seed = request.param
    return run_judged(opened(name), seed)


def rows_of(columns: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of one chunk that holds a whole run, with names instead of indices."""
    numbers = [columns[name] for name in NUMBERS]
    times, seqs = accumulate(columns["t"]), accumulate(columns["seq"])
    for t, seq, *row in zip(times, seqs, *numbers[2:], strict=True):
        found = dict(zip(NUMBERS[2:], row, strict=True)) | {"t": t, "seq": seq}
        found["kind"] = columns["kinds"][found["kind"]]
        found["node"] = columns["nodes"][found["lane"]] if found["lane"] >= 0 else ""
        found["ref"] = columns["refs"][found["ref"]][0] if found["ref"] >= 0 else ""
        found["text"] = columns["texts"][found["text"]] if found["text"] >= 0 else ""
        yield found


def test_each_row_is_an_event_and_each_cause_is_the_row_of_a_cause(judged: JudgedRun) -> None:
    events = judged.trace.events
    rows = list(rows_of(Columns().add_all(events).take()))
    assert len(rows) > 1000
    for row in rows:
        event = events[row["seq"]]
        assert row["t"] == event.t_us
        if row["kind"] not in ("recovered", "lost", "fault", "healed"):
            assert (row["kind"], row["node"]) == (event.kind, event.node)
            assert row["ref"] == getattr(event.data, "ref", "")
            cause = events[event.cause].seq if event.cause is not None else None
            if cause is not None:
                assert rows[row["cause"]]["seq"] == cause
    assert any(row["bytes"] for row in rows if row["kind"] == "send")


def test_what_nodes_show_is_as_they_said_at_the_end(judged: JudgedRun) -> None:
    shown: dict[str, set[str]] = {node: set() for node in judged.plan.nodes}
    for row in rows_of(Columns().add_all(judged.trace).take()):
        if row["kind"] in ("visible", "recovered"):
            assert row["ref"] not in shown[row["node"]]
            shown[row["node"]].add(row["ref"])
        elif row["kind"] == "lost":
            shown[row["node"]].remove(row["ref"])
    ends = {one.node: set(one.data.arrivals) for one in judged.trace if type(one.data) is Final}
    assert ends
    assert {node: shown[node] for node in ends} == ends


def test_chunks_put_together_are_the_whole(judged: JudgedRun) -> None:
    columns, whole = Columns(), Columns().add_all(judged.trace).take()
    joined: dict[str, list[Any]] = {name: [] for name in whole if name != "kinds"}
    for event in judged.trace:
        columns.add(event)
        if event.seq % 97 == 0:
            for name, items in columns.take().items():
                joined.get(name, []).extend(items)
    for name, items in columns.take().items():
        joined.get(name, []).extend(items)
    assert joined | {"kinds": whole["kinds"]} == whole
    assert columns.take()["t"] == []


def facts(text: str) -> Facts:
    return Facts("posted", "ana", (), 5, 0, text)


def test_a_fault_has_a_row_for_each_of_its_nodes_and_none_if_all_have_it() -> None:
    trace = Trace()
    run = Run(
        schema=1,
        source="sim",
        scenario="x",
        seed=1,
        nodes=("a", "b", "c"),
        detail="lean",
        options="",
    )
    trace.add(0, "", 0, run)
    trace.add(1, "", 0, Faulted(7, "hold", ("a", "c"), "share 0.123456789"))
    trace.add(2, "", 0, Faulted(8, "loss", ("a", "b", "c")))
    trace.add(3, "", 0, Healed(7))
    trace.add(4, "", 0, Healed(8))
    trace.add(5, "", 0, Healed(99))
    rows = list(rows_of(Columns().add_all(trace).take()))
    assert [(row["kind"], row["lane"], row["cause"]) for row in rows] == [
        ("fault", 0, -1), ("fault", 2, -1), ("fault", -1, -1), ("healed", 0, 0), ("healed", 2, 1),
        ("healed", -1, 2), ("healed", -1, -1),
    ]  # fmt: skip
    assert rows[0]["text"] == "hold share 0.123"


def test_without_packets_an_arrival_is_traced_to_where_its_sender_showed_it() -> None:
    """As in what is observed live. A start has what its disk has, and what that lacks is lost."""
    trace = Trace()
    trace.add(1, "a", 1, Handed(1, "a.1:1#x", "local", 5, facts("x" * 9999)))
    trace.add(2, "a", 1, Visible(1, "a.1:1#x", "local"))
    trace.add(3, "b", 1, Handed(1, "a.1:1#x", "rumor", 5, facts("y"), "a"))
    trace.add(4, "b", 1, Visible(1, "a.1:1#x", "rumor"))
    boot = Boot("empty", (), ("a.1:2#y",), clean=True, must_open_epoch="", log="b.2")
    trace.add(5, "b", 2, boot)
    columns = Columns()
    taken = columns.add_all(trace).take()
    rows = list(rows_of(taken))
    assert [(row["kind"], row["cause"]) for row in rows] == [
        ("handed", -1), ("visible", -1), ("handed", 1), ("visible", -1), ("boot", -1),
        ("recovered", 4), ("lost", 4),
    ]  # fmt: skip
    assert taken["nodes"] == ["a", "b"]
    assert taken["refs"] == [
        ["a.1:1#x", "ana", "x" * (TEXT_MAX - 1) + "…", "posted", 5, 0],
        ["a.1:2#y", "", "", "unknown", 0, 0],
    ]  # fmt: skip
    assert [columns.row(seq) for seq in (0, 4, 5)] == [0, 4, -1]
