"""Branches: the same run up to an event of the trace, and another future from there on."""

import pytest
from msgspec.structs import replace

from lab.plan.draw import draw
from lab.plan.faults import Kill, Plan
from lab.plan.random_streams import RandomStreams, stream
from lab.plan.scenario import named
from lab.sim.branch import Branch
from lab.sim.world import Result, World
from lab.trace.kinds import Faulted, Totals
from tests.mutants.plans import back_with_peers


def of(plan: Plan, branch: Branch | None = None) -> Result:
    return World(plan, branch=branch).run()


@pytest.mark.parametrize("name", ["all", "crash-storm", "bad-hardware", "lossy"])
def test_a_branch_is_the_same_run_up_to_its_event_and_another_one_after(name: str) -> None:
    plan = draw(named(name), 2)
    whole = of(plan).trace.events
    for after in (0, len(whole) // 2):
        one, again, other = (of(plan, Branch(after, seed)).trace.events for seed in (5, 5, 6))
        assert one[: after + 1] == other[: after + 1] == whole[: after + 1]
        assert one == again and one != other
        assert whole not in (one, other)


def test_after_the_last_draw_nothing_is_left_to_chance() -> None:
    plan = draw(named("all"), 4)
    whole = of(plan).trace
    assert of(plan, Branch(len(whole) - 1, 9)).trace.hash == whole.hash
    assert of(plan, Branch(len(whole), 9)).trace.hash == whole.hash  # it is never reached


def test_faults_that_have_not_begun_can_be_left_out() -> None:
    plan = draw(named("crash-storm"), 7)
    whole = of(plan).trace.events
    begun = [event for event in whole if type(event.data) is Faulted]
    half = begun[len(begun) // 2]
    branched = of(plan, Branch(half.seq, 1, ())).trace.events
    assert [e for e in branched if type(e.data) is Faulted] == begun[: len(begun) // 2 + 1]
    assert not [e for e in of(plan, Branch(0, 1, ())).trace if type(e.data) is Faulted]
    kept = of(plan, Branch(half.seq, 1)).trace.events
    assert sum(type(e.data) is Faulted for e in kept) == len(begun)
    totals = next(e.data for e in reversed(branched) if type(e.data) is Totals)
    assert set(totals.enabled) == {e.data.what for e in begun[: len(begun) // 2 + 1]}  # type: ignore[union-attr]


def test_faults_that_have_not_begun_can_be_replaced() -> None:
    plan = back_with_peers(1)
    (first, *_) = plan.faults
    assert type(first.fault) is Kill
    early = replace(first, id=100, at_us=1, until_us=2)
    later = replace(first, id=101, at_us=first.at_us + 700_000, until_us=first.until_us + 700_000)
    whole = of(plan).trace.events
    seq = next(event.seq for event in whole if type(event.data) is Faulted)
    begun = [
        (event.data.fault, event.t_us)
        for event in of(plan, Branch(seq, 1, (early, later))).trace
        if type(event.data) is Faulted
    ]
    fresh = [e.data for e in of(plan, Branch(0, 1, (later,))).trace if type(e.data) is Faulted]
    assert [data.fault for data in fresh] == [101]
    assert begun == [(first.id, first.at_us), (101, later.at_us)]


def test_streams_are_reseeded_in_place_and_those_made_later_too() -> None:
    streams = RandomStreams(7)
    one = streams.stream("one")
    assert one.random() == stream(7, "one").random()
    draws = one.random
    streams.reseed(8)
    assert draws() == stream(8, "one").random()
    assert streams.stream("two").random() == stream(8, "two").random()
    assert streams.add("three", stream(1, "x")).random() == stream(8, "three").random()
