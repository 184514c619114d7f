"""The timeline: three orders over the same arrivals, what is late, and what is known to miss."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import domain.timeline
from domain.arrival import Arrival
from domain.dot import Dot
from domain.events import MessagePosted
from domain.timeline import INSERTIONS_MAX, Timeline
from tests.domain.builders import (
    ORDERS,
    Step,
    arrival,
    dot,
    histories,
    key_of,
    posted,
    random_history,
    steps,
    walk,
)

Hole = tuple[str, int, int, int]


def texts(arrivals: list[Arrival]) -> str:
    return " ".join(a.event.text for a in arrivals if type(a.event) is MessagePosted)


def five() -> Timeline:
    """Three nodes' messages as one node met them: b and d came late."""
    return Timeline(
        [
            arrival(posted("n1:1", 10, "a", "ana"), at_ms=100),
            arrival(posted("n2:1", 30, "c", "bob"), at_ms=110),
            arrival(posted("n3:1", 20, "b", "eve"), at_ms=120),
            arrival(posted("n1:2", 50, "e", "ana"), at_ms=130),
            arrival(posted("n2:2", 40, "d", "bob"), at_ms=140),
        ]
    )


@contextmanager
def insertions_max(value: int) -> Iterator[None]:
    """Short histories take the way of long ones, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(domain.timeline, "INSERTIONS_MAX", value)
        yield


# --- references by brute force ------------------------------------------------------------------


def holes_of(arrivals: list[Arrival]) -> list[Hole]:
    """Number by number: what is below something that is held or named, and is not held."""
    held = {a.event.dot for a in arrivals}
    known = held | {parent for a in arrivals for parent in a.event.parents}
    found: list[Hole] = []
    for log in sorted({one.log for one in known}):
        last = max(one.seq for one in known if one.log == log)
        for seq in range(1, last + 1):
            if Dot(log.origin, log.epoch, seq) in held:
                continue
            if found and found[-1][:2] == (log.origin, log.epoch) and found[-1][3] == seq - 1:
                found[-1] = (*found[-1][:3], seq)
            else:
                found.append((log.origin, log.epoch, seq, seq))
    return found


def late_of(arrivals: list[Arrival]) -> int:
    """How many had, when they came, something before them that belongs after them."""
    return sum(any(b.key > a.key for b in arrivals[:i]) for i, a in enumerate(arrivals))


# --- orders -------------------------------------------------------------------------------------


def test_one_set_of_arrivals_is_shown_in_three_orders() -> None:
    timeline = five()
    assert texts(timeline.select("causal")) == "a b c d e"
    assert texts(timeline.select("arrival")) == "a c b e d"
    assert texts(timeline.select("author")) == "a e c d b"
    assert len(timeline) == 5


def test_what_comes_before_something_already_there_is_late() -> None:
    assert five().late == 2
    timeline = five()
    timeline.select("causal")
    assert timeline.late == 2  # reading does not undo the churn


def test_the_last_part_of_any_order_can_be_asked_for() -> None:
    timeline = five()
    assert texts(timeline.select("causal", last=2)) == "d e"
    assert texts(timeline.select("arrival", last=2)) == "e d"
    assert texts(timeline.select("author", last=1)) == "b"
    for nothing in (0, -3):
        assert timeline.select("causal", last=nothing) == []
    assert texts(timeline.select("causal", last=99)) == "a b c d e"


def test_a_past_is_shown_as_it_was_by_count_or_by_the_wall_clock() -> None:
    timeline = five()
    assert texts(timeline.select("causal", arrivals=3)) == "a b c"
    assert texts(timeline.select("arrival", arrivals=3)) == "a c b"
    assert texts(timeline.select("author", arrivals=4)) == "a e c b"
    assert texts(timeline.select("causal", as_of_ms=110)) == "a c"
    assert texts(timeline.select("arrival", as_of_ms=109)) == "a"
    assert texts(timeline.select("causal", arrivals=4, as_of_ms=120, last=2)) == "b c"
    for order in ORDERS:
        assert timeline.select(order, arrivals=-1) == timeline.select(order, arrivals=0) == []
        assert timeline.select(order, arrivals=99) == timeline.select(order)


def test_a_selection_is_the_readers_own() -> None:
    timeline = five()
    for order in ORDERS:
        for last in (None, 5):
            timeline.select(order, last=last).clear()
            timeline.select(order, arrivals=5, last=last).clear()
    assert texts(timeline.select("causal")) == "a b c d e"
    assert texts(timeline.select("arrival")) == "a c b e d"


def test_equal_stamps_are_ordered_by_dot() -> None:
    names = ("n1:1", "n1:2", "n1.2:1", "n2:1")
    timeline = Timeline(arrival(posted(name, 7)) for name in reversed(names))
    assert [a.event.dot for a in timeline.select("causal")] == [dot(name) for name in names]


# --- forks --------------------------------------------------------------------------------------


def test_both_branches_of_a_fork_are_kept_and_shown_in_one_order_everywhere() -> None:
    one, other = arrival(posted("n1:1", 5, "one")), arrival(posted("n1:1", 5, "other"))
    assert one.tag != other.tag
    here, there = Timeline([one, other]), Timeline([other, one])
    assert here.select("causal") == there.select("causal")
    assert len(here.select("causal")) == 2
    assert here.fingerprint() == there.fingerprint() != Timeline([one]).fingerprint()
    assert here.holes() == []


def test_a_dot_is_held_until_its_last_branch_is_rewound() -> None:
    branches = [arrival(posted("n1:2", 5, text)) for text in ("one", "two", "three")]
    timeline = Timeline(branches)
    for left_over in (2, 1):
        timeline.rewind()
        assert timeline.contains(dot("n1:2"))
        assert timeline.holes() == [("n1", 1, 1, 1)]
        assert len(timeline) == left_over
    timeline.rewind()
    assert not timeline.contains(dot("n1:2"))
    assert timeline.holes() == []


def test_to_apply_one_event_twice_is_a_bug_of_the_caller() -> None:
    event = arrival(posted("n1:1", 5))
    timeline = Timeline([event])
    with pytest.raises(AssertionError, match=r"n1\.1:1 was applied twice"):
        timeline.apply(event)


# --- holes --------------------------------------------------------------------------------------


def test_a_log_with_a_gap_has_a_hole() -> None:
    timeline = Timeline(arrival(posted(name)) for name in ("n1:2", "n1:5", "n1:6", "n2:1"))
    assert timeline.holes() == [("n1", 1, 1, 1), ("n1", 1, 3, 4)]
    timeline.apply(arrival(posted("n1:3")))
    assert timeline.holes() == [("n1", 1, 1, 1), ("n1", 1, 4, 4)]
    assert timeline.contains(dot("n1:3"))
    assert not timeline.contains(dot("n1:4"))
    assert not timeline.contains(dot("n9:1"))


def test_a_parent_that_nobody_brought_yet_is_a_hole_with_all_that_came_before_it() -> None:
    timeline = Timeline([arrival(posted("n1:1", parents="n2:3 n3.2:1"))])
    assert timeline.holes() == [("n2", 1, 1, 3), ("n3", 2, 1, 1)]
    timeline.apply(arrival(posted("n2:2")))
    assert timeline.holes() == [("n2", 1, 1, 1), ("n2", 1, 3, 3), ("n3", 2, 1, 1)]
    timeline.rewind()
    assert timeline.holes() == [("n2", 1, 1, 3), ("n3", 2, 1, 1)]
    timeline.rewind()
    assert timeline.holes() == []


def test_a_rewind_forgets_only_what_the_rewound_event_told_of() -> None:
    timeline = Timeline(
        [
            arrival(posted("n1:1", parents="n2:2")),
            arrival(posted("n1:2", parents="n2:5 n2:4 n2:1")),
            arrival(posted("n1:3", parents="n2:5")),
        ]
    )
    for last in (5, 5, 2):
        assert timeline.holes() == [("n2", 1, 1, last)]
        timeline.rewind()
    assert timeline.holes() == []


@given(histories(), steps)
def test_holes_are_what_brute_force_finds(history: list[Arrival], steps: list[Step]) -> None:
    timeline = Timeline()
    for applied in walk(timeline, history, steps):
        assert timeline.holes() == holes_of(applied)


# --- orders, whatever happens -------------------------------------------------------------------


@given(histories(16), steps, st.sampled_from([0, 1, 3, INSERTIONS_MAX]))
def test_every_order_is_what_sorting_finds_while_arrivals_come_and_go_between_reads(
    history: list[Arrival], steps: list[Step], most: int
) -> None:
    timeline = Timeline()
    with insertions_max(most):
        for applied in walk(timeline, history, steps):
            causal = sorted(applied, key=key_of)
            assert timeline.select("causal") == causal
            assert timeline.select("arrival") == applied
            by_author = sorted(causal, key=lambda a: a.event.author)
            assert timeline.select("author") == by_author
            assert timeline.late == late_of(applied)
            assert len(timeline) == len(applied)


def as_of(history: list[Arrival], ms: int | None) -> list[Arrival]:
    """Up to the last one that came by then."""
    last = max(
        (i for i, a in enumerate(history, 1) if ms is None or a.received_at_ms <= ms), default=0
    )
    return history[:last]


def test_a_past_view_is_one_that_was_though_the_clock_was_set_back() -> None:
    came = [(100, "a"), (200, "b"), (150, "c"), (160, "d")]
    timeline = Timeline(
        [arrival(posted(f"n1:{i}", i, text), ms) for i, (ms, text) in enumerate(came, 1)]
    )
    shown = {ms: texts(timeline.select("causal", as_of_ms=ms)) for ms in (99, 120, 155, 190, 210)}
    assert shown == {99: "", 120: "a", 155: "a b c", 190: "a b c d", 210: "a b c d"}


@given(
    histories(),
    st.sampled_from(ORDERS),
    st.none() | st.integers(-1, 14),
    st.none() | st.integers(-1, 21),
    st.none() | st.integers(-1, 14),
)
def test_a_selection_is_the_end_of_the_whole_past(
    history: list[Arrival],
    order: domain.timeline.Order,
    arrivals: int | None,
    as_of_ms: int | None,
    last: int | None,
) -> None:
    past = history if arrivals is None else history[: max(arrivals, 0)]
    past = as_of(past, as_of_ms)
    whole = Timeline(past).select(order)
    wanted = whole if last is None else whole[max(len(whole) - max(last, 0), 0) :]
    timeline = Timeline(history)
    assert timeline.select(order, arrivals=arrivals, as_of_ms=as_of_ms, last=last) == wanted


@given(histories(), st.data())
def test_the_causal_order_does_not_depend_on_the_order_of_arrival(
    history: list[Arrival], data: st.DataObject
) -> None:
    here, there = Timeline(history), Timeline()
    for event in data.draw(st.permutations(history)):
        there.apply(event)
        if event.event.dot.seq % 2:  # somebody reads now and then
            there.select("causal")
    for order in ("causal", "author"):
        assert here.select(order) == there.select(order)
    assert here.holes() == there.holes()
    assert here.fingerprint() == there.fingerprint()


@given(histories(), st.data())
def test_fingerprints_are_equal_where_the_sets_are_and_nowhere_else(
    pool: list[Arrival], data: st.DataObject
) -> None:
    some = st.lists(st.sampled_from(pool), unique_by=key_of) if pool else st.just([])
    here, there = data.draw(some), data.draw(some)
    same = set(map(key_of, here)) == set(map(key_of, there))
    assert (Timeline(here).fingerprint() == Timeline(there).fingerprint()) is same


@pytest.mark.parametrize("shuffled", [0.0, 0.02, 0.5, 1.0])
def test_long_histories_are_sorted_in_and_rewound_as_short_ones_are(shuffled: float) -> None:
    rng = Random(f"timeline {shuffled}")
    history = random_history(rng, 600, shuffled)
    timeline = Timeline()
    applied: list[Arrival] = []
    for start in range(0, len(history), 120):
        timeline.extend(history[start : start + 120])
        applied += history[start : start + 120]
        if rng.random() < 0.5:
            assert timeline.select("causal") == sorted(applied, key=key_of)
        for _ in range(rng.randrange(100)):
            assert timeline.rewind() is applied.pop()
        assert timeline.select("causal") == sorted(applied, key=key_of)
        assert timeline.late == late_of(applied)
        assert timeline.holes() == holes_of(applied)
        assert timeline.fingerprint() == Timeline(applied).fingerprint()
    assert (timeline.late == 0) is (shuffled == 0)
