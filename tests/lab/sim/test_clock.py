"""A node's clocks: the monotonic one never goes back, whatever is done to it."""

from hypothesis import given
from hypothesis import strategies as st

from lab.sim.clock import WALL_EPOCH_MS, NodeClock

CHANGES = st.lists(
    st.tuples(
        st.integers(0, 5_000_000), st.integers(-500_000, 500_000), st.integers(-(10**6), 10**6)
    ),
    max_size=8,
)


@given(CHANGES, st.lists(st.integers(0, 50_000), min_size=1, max_size=20))
def test_monotonic_time_never_goes_back_and_waking_finds_its_moment(
    changes: list[tuple[int, int, int]], steps: list[int]
) -> None:
    clock, now_us, shown = NodeClock(), 0, 0
    for wait_us, ppm, offset_ms in changes:
        now_us += wait_us
        assert clock.read(now_us)[0] >= shown
        shown = clock.read(now_us)[0]
        clock.drift(ppm, now_us)
        clock.offset_ms = offset_ms
        assert clock.read(now_us)[0] == shown
    for step in steps:
        wanted_ms = clock.read(now_us)[0] + step
        wake_us = clock.wake_us(wanted_ms)
        assert clock.read(wake_us)[0] >= wanted_ms
        assert wake_us <= now_us or clock.read(wake_us - 1)[0] < wanted_ms


def test_the_wall_clock_steps_and_the_other_does_not() -> None:
    clock = NodeClock()
    before = clock.read(2_000_000)
    assert before[1] == WALL_EPOCH_MS + 2000
    clock.offset_ms -= 5000
    assert clock.read(2_000_000) == (before[0], before[1] - 5000)


def test_drift_is_of_both() -> None:
    clock = NodeClock()
    clock.drift(10_000, 0)
    fast = clock.read(100_000_000)
    clock = NodeClock()
    true = clock.read(100_000_000)
    assert (fast[0] - true[0], fast[1] - true[1]) == (1000, 1000)
