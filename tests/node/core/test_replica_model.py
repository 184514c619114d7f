"""Replicas beside a model: what was asked, and what must have become of it, however it went.

The model knows the texts that were accepted and by whom. It knows no packet, no record and no time.
"""

from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.interface import Acked, Denied, Unmet
from node.core.ports import AckLevel
from tests.node.replicas import Node, exchange, settle

NAMES = ("n1", "n2", "n3")
TEXTS = ("hello", "dang it", "this is forbidden", "   ", "é" * 40)
LEVELS = ((AckLevel.WRITTEN, 0), (AckLevel.DURABLE, 0), (AckLevel.REPLICATED, 1),
          (AckLevel.REPLICATED, 2))  # fmt: skip
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("post"), st.integers(0, 2), st.sampled_from(TEXTS), st.sampled_from(LEVELS)
        ),
        st.tuples(st.just("write"), st.integers(0, 2), st.booleans(), st.none()),
        st.tuples(st.just("fail"), st.integers(0, 2), st.none(), st.none()),
        st.tuples(st.just("meet"), st.integers(0, 2), st.integers(0, 2), st.none()),
        st.tuples(st.just("lose"), st.integers(0, 2), st.none(), st.none()),
        st.tuples(st.just("wait"), st.integers(0, 2), st.integers(1, 400), st.none()),
    ),
    max_size=25,
)


def trio() -> list[Node]:
    nodes = [
        Node(name, tuple(one for one in NAMES if one != name), persist=False) for name in NAMES
    ]
    for node in nodes:
        node.write()
    return nodes


def go(nodes: list[Node], step: tuple[object, ...]) -> None:
    verb, index, what, more = step
    assert isinstance(index, int)
    node = nodes[index]
    if verb == "post":
        level, copies = more  # type: ignore[misc]
        node.post(str(what), ack=level, copies=copies)  # type: ignore[has-type]
    elif verb == "write":
        node.write(durable=bool(what))
    elif verb == "fail" and node.unwritten:
        node.fail()
    elif verb == "meet" and isinstance(what, int):
        exchange(node, nodes[what])
    elif verb == "lose":
        node.sent.clear()
    elif verb == "wait" and isinstance(what, int):
        node.turn(ms=what)


@given(STEPS)
@settings(max_examples=60)
def test_each_question_has_one_answer_and_each_answer_comes_true(
    steps: list[tuple[object, ...]],
) -> None:
    nodes = trio()
    for step in steps:
        go(nodes, step)
    for node in nodes:
        node.persist = True
        node.turn(ms=2000)  # a failed write is tried again
        node.write()
    settle(*nodes, ms=15_000)
    for node in nodes:
        assert sorted(node.outcomes) == list(range(1, node.tickets + 1)), "everybody is answered"
    kinds = Counter(type(one) for node in nodes for one in node.outcomes.values())
    acked = [one for node in nodes for one in node.outcomes.values() if type(one) is Acked]
    dots = {one.dot for one in acked}
    assert len(dots) == len(acked) == kinds[Acked]
    for node in nodes:
        arrivals = node.replica.timeline.select("arrival")
        shown = {arrival.event.dot: arrival.event for arrival in arrivals}
        assert len(shown) == len(arrivals), "nothing is shown twice"
        assert dots <= shown.keys(), "what was acknowledged is everywhere"
        for one in acked:
            event = shown[one.dot]
            assert getattr(event, "text", None) == one.text
            assert getattr(event, "censored_by", None) == one.rules
        assert len({other.replica.root for other in nodes}) == 1
        tell_the_truth(node, {dot.origin for dot in shown}, Counter(d.origin for d in shown))


def tell_the_truth(node: Node, origins: set[str], shown: Counter[str]) -> None:
    """Counters and notes say what happened, and nothing else."""
    counters, name = node.replica.counters, node.replica.node
    answers = Counter(
        (one.by if type(one) is Denied else type(one).__name__) for one in node.outcomes.values()
    )
    assert counters["posted"] == shown[name]
    assert counters["received"] == sum(shown.values()) - shown[name]
    assert counters["rejected"] == answers["moderation"]
    assert counters["refused"] == answers["domain"]
    assert counters["unmet"] == answers[Unmet.__name__]
    for event, counter in (("events_posted", "posted"), ("events_received", "received")):
        told = [note.fields["events"] for note in node.said(event)]
        assert sum(one for one in told if isinstance(one, int)) == counters[counter]
    assert {note.fields["peer"] for note in node.said("events_received")} <= set(NAMES) - {name}
    assert origins <= set(NAMES)


@given(STEPS)
@settings(max_examples=30)
def test_a_life_after_a_kill_shows_what_was_written_and_goes_on_behind_it(
    steps: list[tuple[object, ...]],
) -> None:
    nodes = trio()
    for step in steps:
        go(nodes, step)
    for at, node in enumerate(nodes):
        before = node.texts
        nodes[at] = again = node.restarted()
        assert again.texts[: len(before)] == before or not before
        assert again.replica.counters["restored"] == len(again.texts)
        dots = [a.event.dot for a in again.replica.timeline.select("arrival")]
        last = max((dot.seq for dot in dots if dot.origin == again.replica.node), default=0)
        acked = again.post("again")
        assert type(acked) is Acked and acked.dot.seq == last + 1
    settle(*nodes, ms=15_000)
    assert len({node.replica.root for node in nodes}) == 1
    for node in nodes:
        stamps = [a.event.stamp for a in node.replica.timeline.select("causal")]
        assert all(earlier <= later for earlier, later in pairwise(stamps))
