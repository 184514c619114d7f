"""Both forms of a history tell the same, and projections over either do."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.arrival import Arrival
from domain.events import Event
from domain.history import History, MemoryHistory, PagedHistory
from domain.presence import Presence
from domain.projection import Projection
from domain.quiet import Quiet
from domain.timeline import Timeline
from tests.domain.builders import Step, histories, random_history, steps, visible


class Shelf:
    """What a journal is to a node: the events, by index."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.loaded: list[int] = []
        self.history = PagedHistory(self.load)

    def load(self, index: int) -> Event:
        self.loaded.append(index)
        return self.events[index]

    def append(self, arrival: Arrival) -> None:
        self.events.append(arrival.event)
        self.history.append(arrival)

    def pop(self) -> Arrival:
        popped = self.history.pop()
        self.events.pop()
        return popped


def told(history: History, arrivals: list[Arrival]) -> None:
    assert len(history) == len(arrivals)
    for index, one in enumerate(arrivals):
        assert history[index] == one
        assert history.key(index) == one.key
        assert history.author(index) == one.event.author
        assert history.received_at_ms(index) == one.received_at_ms
    everything = range(len(arrivals))
    assert list(history.in_order(everything)) == sorted(everything, key=lambda i: arrivals[i].key)


@given(arrivals=histories())
def test_a_history_gives_back_what_was_appended(arrivals: list[Arrival]) -> None:
    shelf, memory = Shelf(), MemoryHistory()
    for count, one in enumerate(arrivals, 1):
        for history in (shelf, memory):
            history.append(one)
        told(shelf.history, arrivals[:count])
        told(memory, arrivals[:count])
    for one in reversed(arrivals):
        assert (shelf.pop(), memory.pop()) == (one, one)
    told(shelf.history, [])


def test_columns_alone_tell_the_order() -> None:
    arrivals = random_history(Random(1), 300, 0.5)
    shelf = Shelf()
    for one in arrivals:
        shelf.append(one)
    order = shelf.history.in_order(range(300))
    assert [arrivals[i].key for i in order] == sorted(one.key for one in arrivals)
    assert shelf.loaded == []


@given(arrivals=histories(), steps=steps)
def test_projections_over_a_shared_history_are_those_that_keep_their_own(
    arrivals: list[Arrival], steps: list[Step]
) -> None:
    """Whoever owns the history appends first; what is rewound is still there until it pops it."""
    shelf = Shelf()
    shared: list[Projection] = [
        Timeline(history=shelf.history),
        Presence(shelf.history),
        Quiet(5, shelf.history),
    ]
    own: list[Projection] = [Timeline(), Presence(), Quiet(5)]
    waiting, applied = list(arrivals), list[Arrival]()
    for step in steps:
        if step == "apply" and waiting:
            applied.append(waiting.pop(0))
            shelf.append(applied[-1])
            for projection in (*shared, *own):
                projection.apply(applied[-1])
        elif step == "rewind" and applied:
            assert [one.rewind() for one in (*shared, *own)] == [applied[-1]] * 6
            assert shelf.pop() == applied.pop()
        elif step == "read":
            assert [visible(one) for one in shared] == [visible(one) for one in own]
    assert [one.fingerprint() for one in shared] == [one.fingerprint() for one in own]
    assert [visible(one) for one in shared] == [visible(one) for one in own]


@given(st.integers(1, 6))
def test_a_projection_may_stand_at_an_earlier_point_than_its_history(back: int) -> None:
    shelf, arrivals = Shelf(), random_history(Random(back), 8, 0.5)
    timeline = Timeline(history=shelf.history)
    for one in arrivals:
        shelf.append(one)
        timeline.apply(one)
    for one in reversed(arrivals[-back:]):
        assert timeline.rewind() == one
    assert visible(timeline) == visible(Timeline(arrivals[:-back]))
    assert len(shelf.history) == len(arrivals)


def test_a_look_at_the_end_of_a_long_timeline_loads_no_more_than_it_shows() -> None:
    shelf = Shelf()
    timeline = Timeline(history=shelf.history)
    for one in random_history(Random(2), 500, 0.2):
        shelf.append(one)
        timeline.apply(one)
    shown = timeline.select("causal", last=10)
    assert len(shown) == len(shelf.loaded) == 10
    assert list(timeline.pick("arrival", last=2)) == [498, 499]


@pytest.mark.parametrize("skewed", [False, True])
def test_how_an_event_came_is_kept(skewed: bool) -> None:
    shelf = Shelf()
    for via in ("local", "rumor", "anti-entropy", "recovery"):
        one = random_history(Random(3), 1, 0)[0]
        arrival = Arrival(one.event, b"\0" * 7 + b"\1", 2**47, via, skewed)
        shelf.append(arrival)
        assert shelf.history[len(shelf.history) - 1] == arrival
