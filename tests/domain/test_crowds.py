"""What a timeline shows is a function of the set of events, whatever the order, also of a crowd."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import timeline as limits
from domain.arrival import Arrival
from domain.dot import Dot
from domain.history import PagedHistory
from domain.timeline import BRANCHES_MAX, Timeline
from gossip import frontier as kept
from gossip.frontier import Added
from tests.domain.builders import arrival, posted
from tests.gossip.builders import entry, held, holding

MOST = 3


@contextmanager
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "BRANCHES_MAX", MOST)
        patch.setattr(kept, "RIVALS_MAX", MOST - 1)
        yield


worlds = st.lists(
    st.builds(
        lambda name, ms, text: arrival(posted(name, ms, text), ms),
        st.sampled_from(["n1:1", "n1:2", "n2:1"]),
        st.integers(0, 5),
        st.text("abc", min_size=1, max_size=3),
    ),
    unique_by=lambda one: (one.event.dot, one.tag),
    max_size=16,
)


def shown_of(arrivals: list[Arrival]) -> list[Arrival]:
    """Of each dot those with the smallest tags, in causal order."""
    dots: dict[Dot, list[Arrival]] = {}
    for one in sorted(arrivals, key=lambda one: one.tag):
        dots.setdefault(one.event.dot, []).append(one)
    return sorted((one for group in dots.values() for one in group[:MOST]), key=lambda one: one.key)


@given(worlds, st.data())
def test_any_set_in_any_order_has_one_timeline(world: list[Arrival], data: st.DataObject) -> None:
    order = data.draw(st.permutations(world))
    with small():
        here, there = Timeline(world), Timeline()
        for one in order:
            there.apply(one)
            if data.draw(st.booleans()):
                there.select("causal")
    expected = shown_of(world)
    assert here.select("causal") == there.select("causal") == expected
    assert here.shown == there.shown == len(expected)
    assert here.fingerprint() == there.fingerprint()
    assert sorted(here.select("arrival"), key=lambda one: one.key) == expected
    assert here.holes() == there.holes()


@given(worlds, st.data())
def test_each_moment_is_shown_as_it_was_and_a_rewind_leads_back_to_it(
    world: list[Arrival], data: st.DataObject
) -> None:
    with small():
        timeline = Timeline(world)
        for count in range(len(world) + 1):
            assert timeline.select("causal", arrivals=count) == shown_of(world[:count])
        as_of = data.draw(st.integers(0, 5))
        in_order = sorted(world, key=lambda one: one.received_at_ms)
        by_time = [one for one in in_order if one.received_at_ms <= as_of]
        assert Timeline(in_order).select("causal", as_of_ms=as_of) == shown_of(by_time)
        for count in range(len(world) - 1, -1, -1):
            assert timeline.rewind() is world[count]
            assert timeline.select("causal") == shown_of(world[:count])
            assert timeline.fingerprint() == Timeline(world[:count]).fingerprint()
        for one in world:
            timeline.apply(one)
        assert timeline.select("causal") == shown_of(world)


@given(st.lists(st.integers(0, 40), unique=True, max_size=20))
def test_a_timeline_shows_what_a_frontier_keeps(numbers: list[int]) -> None:
    """The rule is one rule, in two places: of what is new to a frontier a timeline is made."""
    rivals = [entry("n1", 1, branch=f"b{number}") for number in numbers]
    with small():
        frontier, timeline = holding(), Timeline()
        for number, one in enumerate(rivals):
            if frontier.add(one) in (Added.NEW, Added.RIVAL):
                event = posted("n1:1", number, one.data.hex())
                timeline.apply(Arrival(event, one.tag, number, "rumor"))
        texts = {getattr(one.event, "text", "") for one in timeline.select("causal")}
        assert texts == {data.hex() for data in held(frontier)}


def test_the_bound_is_that_of_the_frontier() -> None:
    assert kept.RIVALS_MAX + 1 == BRANCHES_MAX


def test_five_thousand_rivals_in_three_orders_have_one_timeline() -> None:
    rivals = [arrival(posted("n1:1", number, f"{number}")) for number in range(5000)]
    found = []
    for seed in range(3):
        Random(seed).shuffle(rivals)
        timeline = Timeline(rivals)
        found.append([one.tag for one in timeline.select("causal")])
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == BRANCHES_MAX


def test_a_history_in_columns_finds_all_with_one_dot() -> None:
    events = [arrival(posted(name, at, f"{at}")) for at, name in enumerate(["n1:1", "n2:1"] * 3)]
    history = PagedHistory(lambda index: events[index].event)
    for one in events:
        history.append(one)
    assert history.of(events[0].event.dot) == [0, 2, 4]
    assert history.of(Dot("n9", 1, 1)) == []
