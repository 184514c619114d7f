"""A session by hand is the run of its plan, exactly, whatever a person does; and so it can go back,
and branch.
"""

from contextlib import suppress
from time import process_time

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
from lab.sim.world import run_plan
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
        with suppress(PlayError):  # of a node that this seed does not have
            move(session, one)
    same(session)


# --- back, and branches ---------------------------------------------------------------------------


def played() -> PlaySession:
    """n2 is dead from 1 s to 3 s, and each second somebody says something."""
    session = PlaySession(calm_plan())
    for second in range(1, 6):
        session.advance(second * S - 1 - session.now_us)
        if second == 1:
            session.do(Inflict(Kill("n2", "power")))
        elif second == 3:
            session.do(End((1,)))
        else:
            session.do(Ask(f"n{second % 3 + 1}", text=f"second {second}"))
    session.advance(S)
    return session


def test_back_is_as_it_was_and_forth_again_too() -> None:
    session = played()
    before = without_options(session.trace.events)
    for to_us in (4 * S, 2 * S, 0, 6 * S):
        session.back(to_us)
        assert session.now_us == to_us
        mine = without_options(session.trace.events)
        assert mine == [event for event in before if event.t_us <= to_us]
    session.back(500_000)
    session.advance(5 * S + 500_000)
    assert without_options(session.trace.events) == before
    assert len(session.branches) == 1


def test_who_acts_in_the_past_begins_a_branch_and_the_old_one_stays() -> None:
    session = played()
    before, plan = without_options(session.trace.events), session.plan()
    session.back(2 * S)
    assert [word.fault for word in session.active] == [Kill("n2", "power")]
    session.do(Ask("n4", text="another way"))
    assert [(one.name, one.parent, one.from_us) for one in session.branches] == [
        ("main", "", 0),
        ("branch 2", "main", 2 * S),
    ]
    session.advance(4 * S)
    assert session.world.hosts["n2"].process is None  # nobody has started it on this branch
    same(session)
    session.go("main")
    assert without_options(session.trace.events) == before and session.plan() == plan
    session.go("branch 2", 2 * S)
    mine = without_options(session.trace.events)
    assert mine == [event for event in before if event.t_us <= 2 * S]


def test_a_branch_can_have_a_name() -> None:
    session = played()
    session.fork("without n1")
    session.do(Inflict(Kill("n1")))
    assert session.branch.name == "without n1"
    same(session)
    for bad in ("main", "x" * 41, "a\nb"):
        with pytest.raises(PlayError):
            session.fork(bad)
    with pytest.raises(PlayError, match="no branch 'other': there are main, without n1"):
        session.go("other")


def test_a_step_is_the_next_event_or_the_next_change() -> None:
    session = PlaySession(calm_plan())
    seen = len(session.trace)
    assert session.step() and session.trace.events[seen].kind == "boot"
    session.advance(2 * S)
    session.do(Ask("n1", text="hello"))
    kinds: list[type[Data]] = []
    while Visible not in kinds[-1:]:
        seen = len(session.trace)
        assert session.step(over=SMALL)
        kinds.append(
            next(type(e.data) for e in session.trace.events[seen:] if type(e.data) not in SMALL)
        )
    assert kinds in ([Visible], [Ok, Visible])
    session.advance(20 * S)
    now_us = session.now_us
    assert not session.step(over=SMALL) and session.now_us == now_us + 10 * S


def test_each_person_waits_for_no_answer() -> None:
    session = PlaySession(calm_plan())
    session.advance(S)
    session.do(Inflict(Pause("n1")))
    for text in ("one", "two"):
        session.do(Ask("n1", text=text))
    assert [op.session for op in session.plan().ops[:2]] == ["you@n1", "you@n1/2"]
    assert session.world.clients.flying == 2


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        (Ask("n9"), "no node 'n9': there are n1, n2, n3, n4, n5"),
        (Inflict(Kill("")), "no node ''"),
        (Inflict(Loss(1.1)), "share 1.1 is not from 0 to 1"),
        (Inflict(Loss(float("nan"))), "share nan is not from 0 to 1"),
        (Inflict(ClockDrift("n1", -1_000_000)), "ppm -1000000 is not from -100000 to 100000"),
        (Inflict(Partition("one", ())), "expected one link at least"),
        (Inflict(Partition("one", (("n1", "n1"),))), "n1 has no link to itself"),
        (Inflict(Partition("one", (("n1", "n7"),))), "no node 'n7'"),
        (End((7,)), "no fault 7 lasts"),
        (End((1, 1)), "one fault is there twice"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(deed: Deed, reason: str) -> None:
    session = PlaySession(calm_plan())
    session.advance(S)
    session.do(Inflict(Kill("n1")))
    before, plan = list(session.trace.events), session.plan()
    with pytest.raises(PlayError, match=reason):
        session.do(deed)
    assert session.trace.events == before and session.plan() == plan
    for wrong in (-1, session.now_us + 1):
        with pytest.raises(PlayError):
            session.back(wrong)


def test_nothing_grows_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.play.session.EVENTS_MAX", 300)
    session = PlaySession(calm_plan())
    with pytest.raises(PlayError, match="as long as one may be"):
        session.advance(600 * S)
    assert 300 <= len(session.trace) < 400
    with pytest.raises(PlayError, match="as long as one may be"):
        session.do(Ask("n1"))
    session.back(S)
    monkeypatch.setattr("lab.play.session.DEEDS_MAX", 1)
    session.do(Ask("n1"))
    with pytest.raises(PlayError, match="1 deeds are enough"):
        session.do(Ask("n1"))
    with pytest.raises(PlayError, match="51 nodes are more than a page shows"):
        PlaySession(replace(calm_plan(), nodes=tuple([f"n{at}" for at in range(51)])))
    monkeypatch.setattr("lab.play.session.BRANCHES_MAX", 2)
    with pytest.raises(PlayError, match="there are 2 branches"):
        session.fork()


def test_a_bug_of_the_simulator_is_said_and_one_can_go_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = PlaySession(calm_plan())
    session.advance(S)

    def broken(_: object) -> None:
        raise AssertionError("planted")

    session.world.agenda.at(1_200_000, broken)
    for _ in range(2):
        with pytest.raises(PlayError, match="the simulator broke here: AssertionError: planted"):
            session.advance(S)
        with pytest.raises(PlayError, match="planted"):
            session.do(Ask("n1"))
    session.back(S)
    session.advance(S)
    assert not session.broken


# --- how long it takes ----------------------------------------------------------------------------


def test_a_minute_of_five_nodes_is_run_again_within_a_second() -> None:
    """The goal is 1 s on a machine that does nothing else; this allows for another four times."""
    session = PlaySession(calm_plan())
    for at in range(60):
        session.advance((at + 1) * S - 1 - session.now_us)
        session.do(Ask(f"n{at % 5 + 1}", text=f"message {at}"))
    began = process_time()
    session.back(59 * S)
    assert process_time() - began < 4


# --- what the checkers say ------------------------------------------------------------------------


def test_the_token_of_a_session_has_its_verdicts() -> None:
    session = played()
    judged = run_judged(session.plan())
    assert judged.outcome == "pass", [one for one in judged.verdicts if one.outcome != "pass"]
    token = parse(str(judged.token))
    again = run_judged(token.resolved(), token.seed)
    assert token.made(again.trace.hash) and again.verdicts == judged.verdicts
    assert any(type(event.data) is Faulted for event in again.trace)
    assert all(timed.until_us < OPEN_US for timed in session.plan().faults)


def test_a_scenario_goes_on_by_hand_where_its_plan_ends() -> None:
    base: Plan = draw(named("lossy"), 3)
    session = PlaySession(base)
    session.advance(base.faults_us + 5 * S)
    session.do(Ask("n1", text="after all"))
    same(session)
    assert len(session.plan().faults) == len(base.faults)
