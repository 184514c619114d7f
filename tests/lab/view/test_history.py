"""A history shows any moment as a view that was folded up to there."""

import msgspec
import pytest

from lab.plan.scenario import named
from lab.sim.world import run
from lab.trace.trace import Trace
from lab.view.cluster_view import ClusterView, NodeView, Poll
from lab.view.history import ViewHistory


@pytest.fixture(scope="module")
def trace() -> Trace:
    return run(named("churn"), seed=3).trace


def plain(view: ClusterView) -> object:
    """Everything that a view says, as values that can be compared."""
    nodes = {
        name: {key: value for key, value in vars(node).items() if key != "latencies_us"}
        for name, node in view.nodes.items()
    }
    return view.t_us, nodes, view.messages, view.faults, list(view.lines), view.phase


def folded(trace: Trace, until_us: int) -> ClusterView:
    view = ClusterView()
    for event in trace:
        if event.t_us <= until_us:
            view.apply(event)
    view.t_us = until_us
    return view


@pytest.mark.parametrize("share", [0.0, 0.1, 0.33, 0.5, 0.99, 1.0])
def test_a_moment_is_shown_as_it_was(trace: Trace, share: float) -> None:
    history = ViewHistory(entries_max=10**6, every=100)
    for event in trace:
        history.add(event)
    t_us = int(trace.events[-1].t_us * share)
    assert plain(history.at(t_us)) == plain(folded(trace, t_us))


def test_to_look_back_changes_nothing(trace: Trace) -> None:
    history = ViewHistory(entries_max=10**6, every=100)
    for event in trace:
        history.add(event)
    before = plain(history.latest)
    for node in history.at(2_000_000).nodes.values():
        node.held.clear()
    assert plain(history.latest) == before


def test_entries_over_the_limit_are_counted_and_stand_in_a_snapshot(trace: Trace) -> None:
    history = ViewHistory(entries_max=400, every=100)
    for event in trace:
        history.add(event)
        assert len(history) <= 400
    assert history.dropped + len(history) == len(trace)
    assert history.first_us > 0
    begin = history.at(0)
    assert 0 < len(begin.messages) <= len(history.latest.messages)


def test_the_end_of_a_run_shows_what_its_nodes_hold(trace: Trace) -> None:
    history = ViewHistory()
    for event in trace:
        history.add(event)
    finals = {event.node: event.data for event in trace if event.kind == "final"}
    for name, data in finals.items():
        assert history.latest.nodes[name].events == len(msgspec.structs.asdict(data)["arrivals"])
    assert history.latest.converged


def test_a_node_that_does_not_answer_keeps_what_is_known_of_it() -> None:
    view = ClusterView()
    view.poll(Poll(t_us=5, node="n1", health="running", root="ab", events=3, stable=True))
    view.poll(Poll(t_us=9, node="n1", health="down"))
    node: NodeView = view.nodes["n1"]
    assert (node.health, node.root, view.t_us) == ("down", "ab", 9)
