"""Presence: the last event in causal order decides, whenever it arrives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.arrival import Arrival, OrderKey
from domain.clock import Stamp
from domain.events import UnknownEvent
from domain.presence import Presence, PresenceOf
from tests.domain.builders import (
    Step,
    arrival,
    dot,
    histories,
    joined,
    key_of,
    left,
    posted,
    steps,
    unknown,
    walk,
)

BECAUSE = {"MessagePosted": "posted", "ParticipantJoined": "joined", "ParticipantLeft": "left"}


def presence_of(arrivals: list[Arrival]) -> Presence:
    presence = Presence()
    for one in arrivals:
        presence.apply(one)
    return presence


def deciding(arrivals: list[Arrival]) -> dict[str, Arrival]:
    """The reference: of each participant the last event that says anything."""
    speaking = [a for a in arrivals if type(a.event) is not UnknownEvent]
    return {a.event.author: a for a in sorted(speaking, key=key_of)}


def keys(decided: dict[str, Arrival]) -> dict[str, OrderKey]:
    return {author: one.key for author, one in decided.items()}


# --- the documented behaviour -------------------------------------------------------------------


def test_who_joined_or_posted_is_active_and_who_left_is_not() -> None:
    presence = presence_of(
        [
            arrival(joined("n1:1", 10, "ana")),
            arrival(posted("n2:1", 20, "hello", "bob")),
            arrival(joined("n3:1", 30, "eve")),
            arrival(left("n3:2", 40, "eve")),
        ]
    )
    assert presence.participants() == [
        PresenceOf("ana", True, "joined", dot("n1:1"), Stamp(10, 0)),
        PresenceOf("bob", True, "posted", dot("n2:1"), Stamp(20, 0)),
        PresenceOf("eve", False, "left", dot("n3:2"), Stamp(40, 0)),
    ]
    assert presence.of("bob") == presence.participants()[1]
    assert [presence.is_active(name) for name in ("ana", "bob", "eve")] == [True, True, False]


def test_nothing_is_known_of_a_stranger() -> None:
    presence = Presence()
    assert presence.participants() == []
    assert presence.of("ana") is None
    assert not presence.is_active("ana")


def test_a_late_event_changes_the_past_and_not_the_present() -> None:
    presence = presence_of([arrival(left("n1:3", 30))])
    before = presence.fingerprint()
    presence.apply(arrival(joined("n1:1", 10)))
    presence.apply(arrival(posted("n1:2", 20)))
    assert not presence.is_active("ana")
    assert presence.fingerprint() == before
    presence.apply(arrival(posted("n2:1", 40)))  # said elsewhere, after having left here
    assert presence.is_active("ana")


def test_an_unknown_kind_of_event_says_nothing_of_presence() -> None:
    presence = presence_of([arrival(unknown("n1:1", 10))])
    assert presence.participants() == []
    presence.apply(arrival(joined("n1:2", 20)))
    presence.apply(arrival(unknown("n1:3", 30)))
    assert presence.of("ana") == PresenceOf("ana", True, "joined", dot("n1:2"), Stamp(20, 0))
    assert len(presence) == 3
    for count in (2, 1, 0):
        presence.rewind()
        assert len(presence) == count
    assert presence.of("ana") is None


def test_names_are_compared_code_point_by_code_point() -> None:
    presence = presence_of([arrival(joined("n1:1", 1, "Ana")), arrival(left("n1:2", 2, "ana"))])
    assert [(of.author, of.active) for of in presence.participants()] == [
        ("Ana", True),
        ("ana", False),
    ]


def test_one_branch_of_a_fork_decides_and_it_is_the_same_everywhere() -> None:
    branches = [arrival(joined("n1:1", 5)), arrival(left("n1:1", 5))]
    here, there = presence_of(branches), presence_of(branches[::-1])
    assert here.participants() == there.participants()
    assert here.fingerprint() == there.fingerprint()
    winner = max(branches, key=key_of)
    assert here.is_active("ana") is (winner is branches[0])


def test_there_must_be_something_to_rewind() -> None:
    with pytest.raises(AssertionError, match="nothing to rewind"):
        Presence().rewind()


# --- properties ---------------------------------------------------------------------------------


@given(histories(), steps)
def test_the_last_event_in_causal_order_decides_whatever_comes_and_goes(
    history: list[Arrival], steps: list[Step]
) -> None:
    presence = Presence()
    for applied in walk(presence, history, steps):
        decided = deciding(applied)
        assert [of.author for of in presence.participants()] == sorted(decided)
        for author, one in decided.items():
            because = BECAUSE[type(one.event).__name__]
            found = presence.of(author)
            assert found is not None
            assert (found.because, found.active) == (because, because != "left")
            assert (found.dot, found.since) == (one.event.dot, one.event.stamp)


@given(histories(), st.data())
def test_presence_does_not_depend_on_the_order_of_arrival(
    history: list[Arrival], data: st.DataObject
) -> None:
    here, there = presence_of(history), presence_of(data.draw(st.permutations(history)))
    assert here.participants() == there.participants()
    assert here.fingerprint() == there.fingerprint()


@given(histories(), st.data())
def test_fingerprints_are_equal_where_the_same_events_decide_and_nowhere_else(
    pool: list[Arrival], data: st.DataObject
) -> None:
    some = st.lists(st.sampled_from(pool), unique_by=key_of) if pool else st.just([])
    here, there = data.draw(some), data.draw(some)
    same = keys(deciding(here)) == keys(deciding(there))
    assert (presence_of(here).fingerprint() == presence_of(there).fingerprint()) is same


@given(histories(), st.data())
def test_pages_are_the_participants_however_it_was_read_before(
    history: list[Arrival], data: st.DataObject
) -> None:
    presence = Presence()
    for one in history:
        presence.apply(one)
        if data.draw(st.booleans()):
            presence.participants()
    for _ in range(data.draw(st.integers(0, len(history)))):
        presence.rewind()
        if data.draw(st.booleans()):
            presence.participants()
    size, pages = data.draw(st.integers(1, 4)), list[PresenceOf]()
    while page := presence.participants(pages[-1].author if pages else "", size):
        assert len(page) <= size
        pages += page
    assert pages == presence.participants()
    assert presence.known == len(pages)
    assert [one.author for one in pages] == sorted({one.author for one in pages})
