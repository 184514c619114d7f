"""The quiet period: a local guess that nothing more will come, and how it can be wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.arrival import Arrival
from domain.quiet import Quiet
from tests.domain.builders import Step, arrival, histories, posted, steps, unknown, walk


def quiet_since(*times_ms: int, quiet_ms: int = 100) -> Quiet:
    quiet = Quiet(quiet_ms)
    for seq, at_ms in enumerate(times_ms, 1):
        quiet.apply(arrival(posted(f"n1:{seq}"), at_ms))
    return quiet


def test_it_is_quiet_once_nothing_has_arrived_for_the_whole_period() -> None:
    quiet = quiet_since(1000)
    assert [quiet.quiet_for_ms(wall) for wall in (1000, 1099, 1100)] == [0, 99, 100]
    assert [quiet.is_quiet(wall) for wall in (1000, 1099, 1100, 9999)] == [False, False, True, True]


def test_every_arrival_breaks_the_silence_whatever_it_is() -> None:
    quiet = quiet_since(1000)
    quiet.apply(arrival(unknown("n2:1"), 1090, "anti-entropy"))
    assert not quiet.is_quiet(1100)
    assert quiet.is_quiet(1190)


def test_a_node_that_has_met_nothing_is_not_quiet() -> None:
    quiet = Quiet(0)
    assert not quiet.is_quiet(10**12)
    assert quiet.quiet_for_ms(10**12) == 0
    assert quiet.fingerprint() != quiet_since(0).fingerprint()


def test_a_period_of_nothing_is_over_at_once() -> None:
    assert quiet_since(1000, quiet_ms=0).is_quiet(1000)


def test_a_clock_that_is_set_back_begins_the_silence_anew() -> None:
    quiet = quiet_since(5000, 1000)
    assert quiet.quiet_for_ms(1050) == 50
    assert quiet_since(5000).quiet_for_ms(1000) == 0
    assert not quiet_since(5000).is_quiet(1000)


def test_a_process_speaks_only_of_the_silence_that_it_has_watched() -> None:
    """It was down from 1000 to 5000: what came meanwhile elsewhere it cannot know."""
    quiet = quiet_since(1000)
    before = quiet.fingerprint()
    quiet.watch(5000)
    assert [quiet.quiet_for_ms(wall) for wall in (4900, 5000, 5099, 5100)] == [0, 0, 99, 100]
    assert [quiet.is_quiet(wall) for wall in (5000, 5099, 5100)] == [False, False, True]
    assert quiet.fingerprint() == before  # of the arrivals, as ever
    quiet.apply(arrival(posted("n1:2"), 5150))
    assert (quiet.quiet_for_ms(5150), quiet.quiet_for_ms(5300)) == (0, 150)
    quiet.rewind()
    assert quiet.quiet_for_ms(5150) == 150


def test_a_process_that_has_watched_and_never_met_anything_is_not_quiet() -> None:
    quiet = Quiet(100)
    quiet.watch(1000)
    assert (quiet.is_quiet(9999), quiet.quiet_for_ms(9999)) == (False, 0)


def test_a_rewind_takes_the_silence_back_to_the_arrival_before() -> None:
    quiet = quiet_since(1000, 1500)
    assert not quiet.is_quiet(1550)
    quiet.rewind()
    assert quiet.quiet_for_ms(1550) == 550
    quiet.rewind()
    assert len(quiet) == 0
    with pytest.raises(AssertionError, match="nothing to rewind"):
        quiet.rewind()


def test_no_period_is_negative() -> None:
    with pytest.raises(AssertionError):
        Quiet(-1)


def test_the_fingerprint_is_that_of_this_nodes_own_time() -> None:
    assert quiet_since(7, 1000).fingerprint() == quiet_since(1000).fingerprint()
    assert quiet_since(1000).fingerprint() != quiet_since(1001).fingerprint()


@given(histories(), steps, st.integers(0, 25), st.integers(0, 10))
def test_only_the_newest_arrival_counts(
    history: list[Arrival], steps: list[Step], wall_ms: int, quiet_ms: int
) -> None:
    quiet = Quiet(quiet_ms)
    for applied in walk(quiet, history, steps):
        silence = wall_ms - applied[-1].received_at_ms if applied else 0
        assert quiet.quiet_for_ms(wall_ms) == max(silence, 0)
        assert quiet.is_quiet(wall_ms) is (bool(applied) and max(silence, 0) >= quiet_ms)
        assert len(quiet) == len(applied)
