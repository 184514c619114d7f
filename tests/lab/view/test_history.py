"""A history shows any moment as a view that was folded up to there."""

import msgspec
import pytest

from lab.plan.scenario import named
from lab.sim.world import run
from lab.trace.file import write_lines
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


def test_who_looks_on_changes_nothing_of_a_simulated_run(trace: Trace) -> None:
    history = ViewHistory()
    watched = run(named("churn"), seed=3, observers=[history.add]).trace
    assert list(write_lines(watched)) == list(write_lines(trace))
    assert len(history) == len(trace)


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


def test_older_messages_are_counted_and_their_content_is_let_go(trace: Trace) -> None:
    small, whole = ClusterView(messages_max=10), ClusterView()
    for event in trace:
        small.apply(event)
        whole.apply(event)
        assert len(small.messages) <= 10
        assert {n: small.lacks(n) for n in small.nodes} == {n: whole.lacks(n) for n in whole.nodes}
    assert small.known == whole.known == small.older + 10
    assert list(small.messages) == list(whole.messages)[-10:]
    name = next(iter(small.nodes))
    assert list(small.nodes[name].held) == list(whole.nodes[name].held)
    assert sum(small.nodes[name].held.get(dot) is not None for dot in whole.messages) == 10


def test_a_poll_counts_what_the_feed_left_out() -> None:
    view = ClusterView()
    view.poll(Poll(t_us=5, node="n1", health="running", logs={"n1.5eed": ((1, 1000000),)}))
    view.poll(Poll(t_us=6, node="n2", health="running", logs={"n1.5eed": ((1, 10), (12, 999))}))
    assert (view.known, view.older) == (1000000, 1000000)
    assert (view.lacks("n1"), view.lacks("n2")) == (0, 1000000 - 998)
    assert "n1.5eed:11" not in view.nodes["n2"].held
    assert view.holders("n1.5eed:12") == ["n1", "n2"]


def test_the_spread_of_a_message_ends_with_the_last_node_that_is_up(trace: Trace) -> None:
    view = ClusterView()
    for event in trace:
        view.apply(event)
    assert view.spreads_us and all(one >= 0 for one in view.spreads_us)
    for dot, spread_us in view.spread_us.items():
        came = [node.held.get(dot) for node in view.nodes.values()]
        assert max(one for one in came if one is not None) - view.first_us[dot] >= 0 <= spread_us
