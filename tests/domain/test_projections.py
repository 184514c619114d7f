"""What holds for every projection: it is a fold, and each step of it can be undone."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.arrival import Arrival
from domain.clock import Stamp
from domain.events import Event, MessagePosted
from domain.presence import Presence
from domain.projection import FINGERPRINT_BYTES, Projection, fingerprint_of
from domain.quiet import Quiet
from domain.timeline import Timeline
from tests.domain.builders import (
    Step,
    dot,
    histories,
    joined,
    left,
    posted,
    steps,
    unknown,
    visible,
    walk,
)

New = Callable[[], Projection]
NEW: dict[str, New] = {"timeline": Timeline, "presence": Presence, "quiet": lambda: Quiet(5)}
every_projection = pytest.mark.parametrize("new", NEW.values(), ids=NEW.keys())


def folded(new: New, arrivals: list[Arrival]) -> Projection:
    projection = new()
    for one in arrivals:
        projection.apply(one)
    return projection


@every_projection
@given(history=histories(), reads=st.lists(st.booleans(), min_size=12, max_size=12))
def test_each_rewind_leaves_exactly_the_state_from_before(
    new: New, history: list[Arrival], reads: list[bool]
) -> None:
    """Read in between or not: a reading leaves no trace either."""
    projection = new()
    prints, states = [projection.fingerprint()], [visible(projection)]
    for count, one in enumerate(history, 1):
        projection.apply(one)
        before = folded(new, history[:count])
        prints.append(before.fingerprint())
        states.append(visible(before))
        if reads[count - 1]:
            assert (projection.fingerprint(), visible(projection)) == (prints[-1], states[-1])
    for count in range(len(history) - 1, -1, -1):
        assert projection.rewind() is history[count]
        if not reads[count - 1]:
            assert projection.fingerprint() == prints[count]
            assert visible(projection) == states[count]
    assert (projection.fingerprint(), visible(projection)) == (prints[0], states[0])


@every_projection
@given(history=histories(), steps=steps)
def test_a_projection_is_the_fold_of_what_is_applied_and_of_nothing_else(
    new: New, history: list[Arrival], steps: list[Step]
) -> None:
    projection = new()
    for applied in walk(projection, history, steps):
        again = folded(new, applied)
        assert projection.fingerprint() == again.fingerprint()
        assert visible(projection) == visible(again)
        assert len(projection.fingerprint()) == FINGERPRINT_BYTES


@given(history=histories())
def test_several_projections_of_the_same_arrivals_leave_each_other_alone(
    history: list[Arrival],
) -> None:
    together = {name: new() for name, new in NEW.items()}
    for one in history:
        for projection in together.values():
            projection.apply(one)
    for name, new in NEW.items():
        assert visible(together[name]) == visible(folded(new, history))


@every_projection
def test_there_must_be_something_to_rewind(new: New) -> None:
    with pytest.raises(AssertionError, match="nothing to rewind"):
        new().rewind()


@every_projection
def test_a_text_that_is_no_unicode_stops_no_projection(new: New) -> None:
    broken = Arrival(
        MessagePosted(dot("n1:1"), Stamp(1, 0), (), "\ud800", "\udfff"), b"\xff" * 8, 3, "rumor"
    )
    projection = folded(new, [broken])
    assert len(projection.fingerprint()) == FINGERPRINT_BYTES
    assert projection.rewind() is broken
    assert projection.fingerprint() == new().fingerprint()


# --- fingerprints, arrivals, events -------------------------------------------------------------


@given(st.text(st.characters()), st.text(st.characters()))
def test_fingerprints_tell_texts_apart(one: str, other: str) -> None:
    assert (fingerprint_of(one) == fingerprint_of(other)) is (one == other)
    assert len(fingerprint_of(one)) == FINGERPRINT_BYTES


def test_fingerprints_stay_what_they_are() -> None:
    """Nodes of different versions compare them."""
    empty = bytes(FINGERPRINT_BYTES)
    assert Timeline().fingerprint() == empty
    one = Arrival(posted("n1:1", 5), b"tag-of-8", 0, "rumor")
    timeline = folded(Timeline, [one])
    assert timeline.fingerprint() == fingerprint_of("(5, 0, 'n1', 1, 1, b'tag-of-8')")
    assert fingerprint_of("").hex() == "cae66941d9efbd404e4d88758ea67670"


def test_an_arrival_is_ordered_by_stamp_then_dot_then_tag() -> None:
    one = Arrival(MessagePosted(dot("n1.2:3"), Stamp(7, 1), (), "ana", "hi"), b"t", 99, "local")
    assert one.key == (7, 1, "n1", 2, 3, b"t")
    assert not one.skewed
    elsewhere = Arrival(one.event, one.tag, 12345, "recovery", skewed=True)
    assert elsewhere.key == one.key  # how and when it came is local, and no order
    assert elsewhere != one


@pytest.mark.parametrize("event", [posted("n1:1"), joined("n1:1"), left("n1:1"), unknown("n1:1")])
def test_every_event_has_a_header_and_never_changes(event: Event) -> None:
    header = (event.dot, event.stamp, event.parents, event.author)
    assert header == (dot("n1:1"), Stamp(0, 0), (), "ana")
    for name in (*event.__struct_fields__, "new"):
        with pytest.raises(AttributeError):
            setattr(event, name, "other")
