"""A session by hand is the run of its plan, exactly, whatever a person does; and so it can go back,
and branch.
"""

from random import Random
from time import perf_counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lab.campaign.judged_run import run_judged
from lab.campaign.replay_token import parse, token_of
from lab.plan.draw import draw
from lab.plan.faults import (
    Astray,
    Burst,
    ClockDrift,
    ClockOffset,
    Corrupt,
    Cut,
    DiskErrors,
    DiskFull,
    Duplicate,
    Fault,
    Hold,
    Kill,
    Latency,
    Loss,
    Narrow,
    Partition,
    Pause,
    Plan,
    Point,
    Reorder,
    Rot,
    ShortWrites,
    SlowSync,
    Worker,
    plan_from_json,
    plan_to_json,
)
from lab.plan.scenario import named
from lab.play.deeds import Ask, Deed, End, Inflict, PlayError
from lab.play.session import OPEN_US, SMALL, PlaySession, calm_plan
from lab.sim.world import World, run_plan
from lab.trace.kinds import Data, Faulted, Ok, Run, Visible
from lab.trace.trace import Event

S = 1_000_000
NODES = ("n1", "n2", "n3", "n4", "n5")

node = st.sampled_from(NODES)
share = st.floats(0, 1)
us = st.integers(0, 400_000)
cut: st.SearchStrategy[Cut] = st.tuples(node, node).filter(lambda pair: pair[0] != pair[1])
cuts = st.lists(cut, min_size=1, max_size=8, unique=True).map(tuple)
hows = st.sampled_from(["kill", "power", "stop"])
disks = st.sampled_from(["same", "same", "empty", "older", "other", "moved", "unnamed", "short"])
sites = st.sampled_from(["before_write", "mid_write", "after_write", "after_sync", "mid_send"])
faults: st.SearchStrategy[Fault] = st.one_of(
    st.builds(Kill, node, hows, disks, flips=st.integers(0, 2), sectors=st.integers(0, 2)),
    st.builds(Pause, node),
    st.builds(Partition, st.just("uniform"), cuts),
    st.builds(Hold, cuts),
    st.builds(Loss, share),
    st.builds(Burst, share, share, share),
    st.builds(Duplicate, share, us),
    st.builds(Reorder, share, us),
    st.builds(Corrupt, share),
    st.builds(Latency, us),
    st.builds(Narrow, st.integers(2_000, 50_000), st.integers(0, 20_000)),
    st.builds(Worker, node),
    st.builds(Rot, node, st.integers(0, 3)),
    st.builds(Astray, node, st.sampled_from(["folder", "segment", "emptied"])),
    st.builds(Point, node, sites, share, st.integers(1, 2), us, st.booleans()),
    st.builds(DiskErrors, node, st.sampled_from(["write", "sync"]), share),
    st.builds(DiskFull, node, st.integers(0, 3000)),
    st.builds(ShortWrites, node, st.floats(0, 0.3)),
    st.builds(SlowSync, node, us),
    st.builds(ClockOffset, node, st.integers(-600_000, 600_000)),
    st.builds(ClockDrift, node, st.integers(-20_000, 20_000)),
)
actions = st.sampled_from(["post", "post", "post", "join", "leave", "read"])
asks = st.builds(Ask, node, actions, st.sampled_from(["ana", "ben"]), st.text(max_size=30))
# A number chooses among the faults that last, or the moments that were seen, when its turn comes.
moves = st.one_of(
    st.builds(Inflict, faults),
    asks,
    asks,
    st.tuples(st.just("end"), st.integers(0, 99)),
    st.tuples(st.just("advance"), st.integers(0, 1_500_000)),
    st.tuples(st.just("advance"), st.integers(0, 1_500_000)),
    st.tuples(st.just("step"), st.integers(0, 1)),
    st.tuples(st.just("back"), st.integers(0, 99)),
    st.tuples(st.just("go"), st.integers(0, 99)),
    st.tuples(st.just("fork"), st.just(0)),
)
Move = Deed | tuple[str, int]


def brink(session: PlaySession) -> None:
    """Up to the last microsecond before something happens: what is done next coincides with it."""
    next_us = session.world.agenda.next_us
    if next_us is not None and session.now_us < next_us - 1 < session.now_us + S:
        session.advance(next_us - 1 - session.now_us)


def move(session: PlaySession, one: Move) -> None:
    if not isinstance(one, tuple):
        brink(session)
        session.do(one)
        return
    what, number = one
    if what == "advance":
        session.advance(number)
    elif what == "step":
        session.step(over=SMALL if number else frozenset())
    elif what == "back":
        session.back(session.branch.end_us * number // 99)
    elif what == "go":
        session.go(session.branches[number % len(session.branches)].name)
    elif what == "fork":
        session.fork()
    elif session.active:
        brink(session)
        session.do(End((session.active[number % len(session.active)].id,)))


def without_options(events: list[Event]) -> list[Event]:
    """The first event has the plan in its options, and a session's grows."""
    first = events[0].data
    assert isinstance(first, Run)
    return [replace(events[0], data=replace(first, options="")), *events[1:]]


def same(session: PlaySession) -> None:
    """The trace of now is the one of the plan, run as the laboratory runs any plan."""
    plan = session.plan()
    mine = without_options(session.trace.events)
    its = without_options(run_plan(plan).trace.events)
    assert plan.faults_us == session.now_us
    assert mine == its[: len(mine)]
    assert all(event.t_us >= session.now_us for event in its[len(mine) :])
    assert plan_from_json(plan_to_json(plan)) == plan
    assert parse(str(token_of(plan, 0))).source == plan


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(moves, max_size=25), st.integers(1, 1000))
def test_whatever_is_done_the_plan_says_it(todo: list[Move], seed: int) -> None:
    session = PlaySession(calm_plan(seed))
    session.advance(300_000)
    for one in todo:
        move(session, one)
    same(session)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["lossy", "crash-storm", "all", "partition", "bad-hardware"]),
    st.lists(moves, max_size=12),
    st.integers(1, 1000),
)
def test_in_a_scenario_with_faults_of_its_own(name: str, todo: list[Move], seed: int) -> None:
    session = PlaySession(draw(named(name), seed))
    session.advance(2 * S)
    for one in todo:
        move(session, one)
    same(session)
