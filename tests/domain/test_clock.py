"""The hybrid clock: Kulkarni, Demirbas et al. 2014, section 3, and what a skewed peer cannot do."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from domain.clock import COUNTER_MAX, FAR_MS, SKEW_MAX_MS, HybridClock, Stamp

walls = st.integers(1, 9)
stamps = st.builds(
    Stamp, st.integers(0, 12), st.sampled_from([0, 1, 2, COUNTER_MAX - 1, COUNTER_MAX])
)


# --- the documented behaviour -------------------------------------------------------------------


def test_the_wall_clock_leads_and_the_counter_tells_apart_what_it_cannot() -> None:
    clock = HybridClock()
    assert clock.last == Stamp(0, 0)
    assert [clock.tick(ms) for ms in (1000, 1000, 1000, 1001)] == [
        Stamp(1000, 0),
        Stamp(1000, 1),
        Stamp(1000, 2),
        Stamp(1001, 0),
    ]
    assert clock.last == Stamp(1001, 0)


def test_a_wall_clock_that_is_set_back_stops_the_milliseconds_and_not_the_order() -> None:
    clock = HybridClock()
    assert [clock.tick(ms) for ms in (1000, 400, 400)] == [
        Stamp(1000, 0),
        Stamp(1000, 1),
        Stamp(1000, 2),
    ]


def test_an_answer_is_later_than_its_question_though_its_wall_clock_is_behind() -> None:
    asking, answering = HybridClock(), HybridClock()
    question = asking.tick(5000)
    assert answering.observe(question, wall_ms=2000)
    assert answering.tick(2000) == Stamp(5000, 1) > question


def test_an_older_stamp_does_not_move_the_clock() -> None:
    clock = HybridClock()
    clock.tick(1000)
    assert clock.observe(Stamp(999, 7), 1000)
    assert clock.observe(Stamp(1000, 0), 1000)
    assert clock.last == Stamp(1000, 0)


def test_a_stamp_that_is_too_far_ahead_is_refused_and_drags_nobody() -> None:
    clock = HybridClock(skew_max_ms=500)
    clock.tick(1000)
    assert not clock.observe(Stamp(1501, 0), wall_ms=1000)
    assert clock.last == Stamp(1000, 0)
    assert clock.observe(Stamp(1500, 3), wall_ms=1000)
    assert clock.tick(1001) == Stamp(1500, 4)


def test_five_minutes_ahead_are_tolerated_unless_told_otherwise() -> None:
    assert SKEW_MAX_MS == HybridClock().skew_max_ms == 300_000
    assert HybridClock().observe(Stamp(300_000, 0), 0)
    assert not HybridClock().observe(Stamp(300_001, 0), 0)


def test_ones_own_past_is_followed_however_far_ahead_it_is() -> None:
    clock = HybridClock(skew_max_ms=500)
    clock.restore(Stamp(10**9, 3))
    assert clock.tick(1000) == Stamp(10**9, 4)
    clock.restore(Stamp(5, 5))
    assert clock.last == Stamp(10**9, 4)


def test_a_full_counter_borrows_a_millisecond_from_the_future() -> None:
    clock = HybridClock()
    clock.restore(Stamp(1000, COUNTER_MAX - 1))
    assert [clock.tick(1000) for _ in range(3)] == [
        Stamp(1000, COUNTER_MAX),
        Stamp(1001, 0),
        Stamp(1001, 1),
    ]


def test_stamps_are_ordered_by_time_and_then_by_counter() -> None:
    ordered = [Stamp(1, 9), Stamp(2, 0), Stamp(2, 1), Stamp(3, 0)]
    assert sorted(reversed(ordered)) == ordered
    with pytest.raises(AttributeError):
        ordered[0].ms = 7  # type: ignore[misc]


# --- properties ---------------------------------------------------------------------------------

Call = tuple[Literal["tick", "observe", "restore"], int, Stamp]
_VERBS: st.SearchStrategy[Literal["tick", "observe", "restore"]] = st.sampled_from(
    ["tick", "tick", "observe", "restore"]
)
calls = st.lists(st.tuples(_VERBS, walls, stamps), max_size=30)


@given(calls)
def test_it_never_goes_back_and_never_gives_the_same_stamp_twice(calls: list[Call]) -> None:
    clock = HybridClock(skew_max_ms=3)
    for verb, wall_ms, stamp in calls:
        before = clock.last
        if verb == "tick":
            given_out = clock.tick(wall_ms)
            assert given_out == clock.last > before
            assert given_out.ms >= wall_ms
            assert 0 <= given_out.counter <= COUNTER_MAX
        elif verb == "observe":
            followed = clock.observe(stamp, wall_ms)
            assert followed is (stamp.ms <= wall_ms + 3)
            assert clock.last == (max(before, stamp) if followed else before)
        else:
            clock.restore(stamp)
            assert clock.last == max(before, stamp)


class Happened(Struct, frozen=True):
    stamp: Stamp
    past: frozenset[int]  # the events that could have caused it


class Peer:
    def __init__(self, skew_max_ms: int) -> None:
        self.clock = HybridClock(skew_max_ms)
        self.past: frozenset[int] = frozenset()


_NODES = st.integers(0, 2)
_LAN = st.lists(
    st.one_of(
        st.tuples(_NODES, walls, st.none()),  # a node emits an event
        st.tuples(_NODES, walls, st.integers(0, 99)),  # a node meets one of those there are
    ),
    max_size=40,
)


def converse(turns: list[tuple[int, int, int | None]], skew_max_ms: int) -> list[Happened]:
    """Nodes whose walls show anything at any time emit events and meet those of others."""
    nodes = [Peer(skew_max_ms) for _ in range(3)]
    happened: list[Happened] = []
    for number, wall_ms, met in turns:
        node = nodes[number]
        if met is None:
            happened.append(Happened(node.clock.tick(wall_ms), node.past))
            node.past |= {len(happened) - 1}
        elif happened:
            index = met % len(happened)
            event = happened[index]
            if node.clock.observe(event.stamp, wall_ms):
                node.past |= event.past | {index}
            else:
                assert event.stamp.ms > wall_ms + skew_max_ms
    return happened


@given(_LAN, st.sampled_from([0, 3, 20]))
def test_what_could_have_caused_an_event_has_a_smaller_stamp(
    turns: list[tuple[int, int, int | None]], skew_max_ms: int
) -> None:
    happened = converse(turns, skew_max_ms)
    for event in happened:
        for cause in event.past:
            assert happened[cause].stamp < event.stamp


@given(_LAN)
def test_no_stamp_is_ahead_of_every_wall_clock_that_had_a_part_in_it(
    turns: list[tuple[int, int, int | None]],
) -> None:
    shown = [wall_ms for _, wall_ms, met in turns if met is None]
    for event, wall_ms in zip(converse(turns, 20), shown, strict=True):
        causes = [shown[cause] for cause in event.past]
        assert wall_ms <= event.stamp.ms <= max([wall_ms, *causes])
        assert event.stamp.counter <= len(causes)  # the paper's bound


# --- a wall clock that was wrong ------------------------------------------------------------------


def test_a_small_glitch_is_kept_and_one_of_more_than_a_day_is_gone_behind() -> None:
    clock = HybridClock()
    clock.tick(1000)
    clock.tick(1000 + FAR_MS)
    assert not clock.is_far_ahead(1000)
    assert clock.tick(1000) == Stamp(1000 + FAR_MS, 1)
    clock.tick(2000 + FAR_MS)
    assert clock.is_far_ahead(1999)
    clock.set_back(Stamp(1000, 3))
    assert clock.tick(1000) == Stamp(1000, 4)
    assert clock.tick(2000) == Stamp(2000, 0)
