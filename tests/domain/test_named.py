"""What is known to be missing: exact up to a bound, honest beyond it, and never more memory."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import timeline as limits
from domain.arrival import Arrival
from domain.dot import Dot
from domain.timeline import Timeline
from tests.domain.builders import arrival, posted

ALL, EACH = 4, 2

names = st.sampled_from(
    [f"{origin}{epoch}:{seq}" for origin in "abcdef" for epoch in ("", ".2") for seq in (1, 2, 5)]
)


@contextmanager
def small(most: int = ALL, each: int = EACH) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "NAMED_MAX", most)
        patch.setattr(limits, "NAMED_EACH_MAX", each)
        yield


@st.composite
def histories(draw: st.DrawFn) -> list[Arrival]:
    """Events that name parents which may never come."""
    made = draw(st.lists(names, unique=True, max_size=14))
    return [
        arrival(posted(name, at, parents=" ".join(draw(st.lists(names, max_size=4, unique=True)))))
        for at, name in enumerate(made)
    ]


def naive(history: list[Arrival]) -> list[tuple[str, int, int, int]]:
    """All positions below what is held or named of a log, that are not held."""
    held = {one.event.dot for one in history}
    last: dict[tuple[str, int], int] = {}
    for one in (*held, *(parent for each in history for parent in each.event.parents)):
        log = (one.origin, one.epoch)
        last[log] = max(last.get(log, 0), one.seq)
    found: list[tuple[str, int, int, int]] = []
    for (origin, epoch), end in sorted(last.items()):
        for seq in range(1, end + 1):
            if Dot(origin, epoch, seq) in held:
                continue
            if found and found[-1][:2] == (origin, epoch) and found[-1][3] == seq - 1:
                found[-1] = (origin, epoch, found[-1][2], seq)
            else:
                found.append((origin, epoch, seq, seq))
    return found


def check_counts(timeline: Timeline) -> None:
    """What is counted is what is there."""
    assert timeline._charged.keys() == timeline._mentioned.keys()
    unheld = [log for log in timeline._charged if log not in timeline._held]
    authors = Counter(timeline.arrival(timeline._charged[log]).event.dot.log for log in unheld)
    assert timeline._unheld == len(unheld)
    assert timeline._named_by == {(log.origin, log.epoch): n for log, n in authors.items()}


@given(histories(), st.data())
def test_below_the_bound_the_holes_are_those_of_the_set_in_any_order(
    history: list[Arrival], data: st.DataObject
) -> None:
    timeline = Timeline(data.draw(st.permutations(history)))
    assert timeline.holes() == naive(history)
    assert not timeline.overlooked


@given(histories(), st.data())
def test_with_any_bound_what_is_told_is_true_and_no_more_is_remembered(
    history: list[Arrival], data: st.DataObject
) -> None:
    with small(data.draw(st.integers(0, 6)), data.draw(st.integers(0, 4))):
        timeline = Timeline()
        for count, one in enumerate(history, 1):
            timeline.apply(one)
            check_counts(timeline)
            true = naive(history[:count])
            told = timeline.holes()
            everything = {(o, e, seq) for o, e, a, b in true for seq in range(a, b + 1)}
            assert {(o, e, seq) for o, e, a, b in told for seq in range(a, b + 1)} <= everything
            assert timeline.overlooked or told == true
            assert timeline._unheld <= limits.NAMED_MAX


@given(histories(), st.data())
def test_all_of_it_can_be_undone(history: list[Arrival], data: st.DataObject) -> None:
    with small():
        timeline, states = Timeline(), []
        for one in history:
            states.append((timeline.holes(), timeline.overlooked, timeline._unheld))
            timeline.apply(one)
        for one in reversed(history):
            assert timeline.rewind() is one
            check_counts(timeline)
            assert (timeline.holes(), timeline.overlooked, timeline._unheld) == states.pop()
        assert not timeline._charged and not timeline._named_by


def test_a_flood_of_made_up_parents_is_bounded_and_said_and_spares_what_others_name() -> None:
    parents = iter(f"x.{number:x}:9" for number in range(1, 100_000))
    timeline = Timeline()
    for seq in range(1, 400):
        sixteen = " ".join(next(parents) for _ in range(16))
        timeline.apply(arrival(posted(f"n4:{seq}", seq, parents=sixteen)))
    assert len(timeline.holes()) == limits.NAMED_EACH_MAX == timeline.named
    assert timeline.overlooked
    timeline.apply(arrival(posted("n1:1", 9, parents="n2:7")))
    assert ("n2", 1, 1, 7) in timeline.holes()


def test_what_came_after_all_makes_room_again() -> None:
    with small():
        timeline = Timeline([arrival(posted("n1:1", parents="a:1 b:1"))])
        timeline.apply(arrival(posted("a:1", 5)))
        timeline.apply(arrival(posted("n1:2", 6, parents="c:1")))
        assert timeline.holes() == [("b", 1, 1, 1), ("c", 1, 1, 1)]
        assert not timeline.overlooked
        timeline.apply(arrival(posted("n1:3", 7, parents="d:1 e:1")))
        assert timeline.overlooked
