"""Columns with an end: what remains agrees with itself, and with what nodes show."""

from typing import Any

import pytest

from lab.plan.scenario import named
from lab.sim.world import run
from lab.trace.kinds import Boot, Facts, Faulted, Handed, Run, Visible
from lab.trace.trace import Event, Trace
from lab.view.columns import Columns
from lab.view.recent_columns import RecentColumns

NODES = ("n1", "n2", "n3")


class Reader:
    """What a page does with chunks: which node shows what."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.nodes: list[str] = []
        self.refs: list[str] = []
        self.held: dict[str, set[str]] = {}
        self.rows = 0
        self.kinds: list[str] = []

    def take(self, recent: RecentColumns) -> None:
        if recent.restarted:
            self.begin()
        chunk = recent.take()
        self.nodes += chunk["nodes"]
        self.refs += [ref[0] for ref in chunk["refs"]]
        self.rows += len(chunk["t"])
        assert all(cause < self.rows for cause in chunk["cause"])
        assert all(delta >= 0 for delta in chunk["t"][1:])
        for kind, lane, ref in zip(chunk["kind"], chunk["lane"], chunk["ref"], strict=True):
            what = chunk["kinds"][kind]
            self.kinds.append(what)
            if what in ("visible", "recovered"):
                self.held.setdefault(self.nodes[lane], set()).add(self.refs[ref])
            elif what == "lost":
                self.held[self.nodes[lane]].remove(self.refs[ref])


@pytest.fixture(scope="module", params=[("churn", 3), ("power-cuts", 4), ("partition", 1)])
def trace(request: pytest.FixtureRequest) -> Trace:
    name, seed = request.param
    return run(named(name), seed=seed).trace


def test_without_too_many_rows_they_are_those_of_columns(trace: Trace) -> None:
    recent, columns = RecentColumns(10**6), Columns()
    for event in trace:
        recent.add(event)
        columns.add(event)
    assert not recent.restarted and recent.left == 0
    assert recent.take() == columns.take()


@pytest.mark.parametrize("rows_max", [150, 400, 1000])
def test_what_is_kept_is_held_by_whom_it_was(trace: Trace, rows_max: int) -> None:
    recent, reader = RecentColumns(rows_max), Reader()
    held: dict[str, set[str]] = {}
    restarts = 0
    for event in trace:
        recent.add(event)
        if type(event.data) is Visible:
            held.setdefault(event.node, set()).add(event.data.ref)
        elif type(event.data) is Boot:
            held[event.node] = set(event.data.arrivals)
        restarts += recent.restarted
        if event.seq % 7 == 0:
            reader.take(recent)
            kept = set(reader.refs)
            for node in reader.nodes:
                assert reader.held.get(node, set()) == held.get(node, set()) & kept
            assert reader.rows <= 1.2 * rows_max
    every = set().union(*held.values())
    reader.take(recent)
    assert restarts and recent.left
    assert len(every - set(reader.refs)) <= recent.left


def event(seq: int, node: str, data: Any) -> Event:
    return Event(seq, seq, node, 1, data)


def post(recent: RecentColumns, number: int, nodes: tuple[str, ...]) -> None:
    ref = f"n1.1:{number}#{number}"
    facts = Facts("posted", "ana", (), 0, 0, f"text {number}")
    for index, node in enumerate(nodes):
        seq = 10 * number + 2 * index
        recent.add(event(seq, node, Handed(number, ref, "rumor", 0, facts)))
        recent.add(event(seq + 1, node, Visible(number, ref, "rumor")))


def test_what_a_node_lacks_stays_and_what_all_have_goes() -> None:
    recent, reader = RecentColumns(400), Reader()
    recent.add(event(0, "", Run(1, "real", "", 0, NODES, "normal", "")))
    recent.add(event(1, "n1", Faulted(1, "partition", ("n3",))))
    post(recent, 1, ("n1", "n2"))
    for number in range(2, 300):
        post(recent, number, NODES)
    reader.take(recent)
    assert "n1.1:1#1" in reader.refs and "n1.1:2#2" not in reader.refs
    assert "n1.1:299#299" in reader.refs
    assert recent.left == 299 - len(reader.refs)
    assert reader.kinds.count("fault") == 1


def test_when_a_node_lacks_everything_the_oldest_go() -> None:
    recent, reader = RecentColumns(400), Reader()
    recent.add(event(0, "", Run(1, "real", "", 0, NODES, "normal", "")))
    for number in range(1, 1000):
        post(recent, number, ("n1", "n2"))
        reader.take(recent)
        assert reader.rows <= 400
    assert reader.refs[-1] == "n1.1:999#999" and recent.left > 800


def test_a_start_with_a_long_history_is_bounded_too() -> None:
    recent, reader = RecentColumns(400), Reader()
    recent.add(event(0, "", Run(1, "real", "", 0, NODES, "normal", "")))
    refs = tuple(f"n1.1:{number}#0" for number in range(5000))
    for seq, node in enumerate(NODES, 1):
        recent.add(event(seq, node, Boot("same", (), refs, True, "", "n1.1")))
    reader.take(recent)
    assert reader.rows <= 500 and recent.left >= 4500
    assert len({frozenset(held) for held in reader.held.values()}) == 1
