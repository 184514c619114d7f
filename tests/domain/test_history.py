"""Both forms of a history tell the same, and projections over either do."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.arrival import Arrival
from domain.clock import Stamp
from domain.events import Event
from domain.history import History, MemoryHistory, PagedHistory
from domain.presence import Presence
from domain.projection import Projection
from domain.quiet import Quiet
from domain.timeline import Timeline
from tests.domain.builders import (
    Step,
    arrival,
    histories,
    posted,
    random_history,
    steps,
    visible,
)


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


# --- rows -----------------------------------------------------------------------------------------

Projections = tuple[Timeline, Presence, Quiet]


def over(history: History) -> Projections:
    return Timeline(history=history), Presence(history), Quiet(5, history)


def extended(shelf: Shelf, projections: Projections, arrivals: list[Arrival]) -> None:
    for one in arrivals:
        shelf.append(one)
        for projection in projections:
            projection.apply(one)


def handed_over(first: int, of: tuple[Shelf, Projections], to: tuple[Shelf, Projections]) -> None:
    """What was appended from this index on, as rows; the names before it are known already."""
    (shelf, (timeline, presence, _)), (other, (its_timeline, its_presence, its_quiet)) = of, to
    other.events = list(shelf.events)
    rows = shelf.history.rows(first, other.history.named)
    its_named = its_timeline.named
    other.history.take_rows(rows)
    held = [(log, seq, seq) for log, found in shelf.history.positions(first) for seq, _ in found]
    count = len(shelf.history) - first
    its_timeline.take_rows(timeline.rows(first, its_named), count, held)
    its_presence.take_rows(presence.rows(first))
    its_quiet.take_rows(count)


@given(
    arrivals=histories().filter(lambda found: len({a.event.dot for a in found}) == len(found)),
    cuts=st.lists(st.integers(0, 12), max_size=3),
    steps=steps,
)
def test_rows_taken_at_once_are_arrivals_taken_one_by_one(
    arrivals: list[Arrival], cuts: list[int], steps: list[Step]
) -> None:
    source, target = (Shelf(), Shelf())
    made, taken = over(source.history), over(target.history)
    ends = sorted({min(cut, len(arrivals)) for cut in cuts})
    for first, end in zip([0, *ends], ends, strict=False):
        extended(source, made, arrivals[first:end])
        handed_over(first, (source, made), (target, taken))
    assert [visible(one) for one in taken] == [visible(one) for one in made]
    done = len(source.history)
    told(target.history, arrivals[:done])
    extended(source, made, arrivals[done:])  # and what comes after is taken in as ever
    extended(target, taken, arrivals[done:])
    for step in steps:
        if step == "rewind" and len(made[0]):
            assert [one.rewind() for one in taken] == [one.rewind() for one in made]
        assert [visible(one) for one in taken] == [visible(one) for one in made]
    assert [one.fingerprint() for one in taken] == [one.fingerprint() for one in made]


def test_a_long_history_is_handed_over_in_parts() -> None:
    arrivals = random_history(Random(5), 600, 0.3)
    source, target = Shelf(), Shelf()
    made, taken = over(source.history), over(target.history)
    for first in range(0, 600, 150):
        extended(source, made, arrivals[first : first + 150])
        handed_over(first, (source, made), (target, taken))
    assert [visible(one) for one in taken] == [visible(one) for one in made]
    assert list(made[0].pick("causal")) == list(taken[0].pick("causal"))
    for _ in arrivals:
        assert [one.rewind() for one in taken] == [one.rewind() for one in made]
        assert taken[0].holes() == made[0].holes()


def test_the_last_stamp_is_one_that_a_clock_follows() -> None:
    shelf = Shelf()
    assert shelf.history.last_stamp(0) == Stamp(0, 0)
    for ms, skewed in ((5, False), (900, True), (3, False)):
        one = arrival(posted(f"n1:{ms}", ms))
        shelf.append(Arrival(one.event, one.tag, 1, "rumor", skewed))
    assert shelf.history.last_stamp(0) == Stamp(5, 0)
    assert shelf.history.last_stamp(1) == Stamp(3, 0)


def test_the_largest_stamp_up_to_some_time_of_those_that_a_clock_follows() -> None:
    made = [(5, False), (9, False), (9, True), (700, False), (11, True)]
    arrivals = [
        Arrival(posted(f"n1:{at}", ms), bytes([at] * 8), 0, "rumor", skewed)
        for at, (ms, skewed) in enumerate(made, 1)
    ]
    memory, paged = MemoryHistory(), PagedHistory(lambda index: arrivals[index].event)
    for one in arrivals:
        memory.append(one)
        paged.append(one)
    for ms_max, found in ((4, 0), (5, 5), (8, 5), (600, 9), (700, 700), (2**48 - 1, 700)):
        assert memory.largest_stamp(ms_max).ms == paged.largest_stamp(ms_max).ms == found
        assert memory.largest_stamp(ms_max) == paged.largest_stamp(ms_max)
    assert memory.largest_of_others() == paged.largest_of_others() == Stamp(700, 0)


def test_the_largest_stamp_of_others_leaves_out_own_events() -> None:
    arrivals = [arrival(posted("n1:1", 9), via="local"), arrival(posted("n2:1", 4), via="rumor")]
    memory, paged = MemoryHistory(), PagedHistory(lambda index: arrivals[index].event)
    assert memory.largest_of_others() == paged.largest_of_others() == Stamp(0, 0)
    for one in arrivals:
        memory.append(one)
        paged.append(one)
    assert memory.largest_of_others().ms == paged.largest_of_others().ms == 4
