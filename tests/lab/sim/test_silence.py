"""A silence is told from when to when it lasted, however little it costs to look for it."""

from hypothesis import given
from hypothesis import strategies as st

from domain.quiet import Quiet
from lab.sim.quiet_tracker import QuietTracker
from lab.trace.kinds import Quiet as Told
from tests.domain.builders import arrival, posted

STEPS = st.lists(
    st.tuples(st.integers(0, 40), st.booleans(), st.sampled_from([0, 0, 0, 0, 150, -30, -150])),
    max_size=40,
)


def told_of(steps: list[tuple[int, bool, int]], quiet_ms: int, *, careless: bool) -> list[Told]:
    """Time goes on, clocks are set, something may arrive. `careless`: each look is a whole one."""
    quiet, told = Quiet(quiet_ms), list[Told]()
    quiet.watch(1000)
    silence = QuietTracker(quiet, told.append, 0)
    now_us, ahead_ms = 0, 1000
    for seq, (after_ms, arrives, set_ms) in enumerate(steps, 1):
        now_us, ahead_ms = now_us + after_ms * 1000, ahead_ms + set_ms
        wall_ms = now_us // 1000 + ahead_ms
        (silence.heard if careless else silence.look)(now_us, wall_ms)
        if arrives:
            quiet.apply(arrival(posted(f"n1:{seq}"), wall_ms))
            silence.heard(now_us, wall_ms)
    silence.end(now_us)
    return told


@given(STEPS, st.sampled_from([0, 1, 30, 100]))
def test_looks_that_are_spared_miss_nothing(
    steps: list[tuple[int, bool, int]], quiet_ms: int
) -> None:
    careless = told_of(steps, quiet_ms, careless=True)
    assert told_of(steps, quiet_ms, careless=False) == careless


def test_a_clock_that_is_set_back_ends_a_silence_at_once() -> None:
    steps = [(1, True, 0), (40, False, 0), (30, False, -150), (1, False, 0)]
    assert told_of(steps, 30, careless=False) == [Told(31_000, 71_000, 30)]
