"""A plan is data: it can be written down, read back, cut, and run again."""

import msgspec
import pytest
from msgspec.structs import replace

from lab.plan.draw import draw
from lab.plan.faults import Kill, Op, Plan, Timed, plan_from_json, plan_to_json
from lab.plan.scenario import named, names
from lab.sim.world import World, run, run_plan
from lab.trace.kinds import Boot, Crash, Fail, Faulted, Handed, Info, Ok, Paused, Stopped

NODES = ("n1", "n2", "n3")


@pytest.mark.parametrize("name", names())
def test_a_plan_survives_its_file_and_runs_the_same(name: str) -> None:
    plan = draw(named(name), 7)
    again = plan_from_json(plan_to_json(plan))
    assert again == plan
    assert run_plan(again).trace.hash == run(named(name), 7).trace.hash


def test_the_first_event_carries_the_whole_plan() -> None:
    result = run(named("all"), 5)
    options = result.trace.events[0].data.options  # type: ignore[union-attr]
    assert plan_from_json(options.encode()) == result.plan


def test_an_unknown_field_of_a_plan_is_refused() -> None:
    text = plan_to_json(Plan("x", 1, NODES, 10, 10)).replace(b'"seed"', b'"sead"')
    with pytest.raises(msgspec.ValidationError):
        plan_from_json(text)


def test_items_can_be_taken_out_and_the_others_still_happen() -> None:
    """What a shrinker does. The other items keep their ids, and with them their chances."""
    plan = draw(named("all"), 8)
    assert len(plan.faults) > 2 and len(plan.ops) > 10
    fewer = replace(plan, faults=plan.faults[1:], ops=plan.ops[::2])
    result = run_plan(fewer)
    begun = [e.data.fault for e in result.trace if type(e.data) is Faulted]
    assert begun == [timed.id for timed in fewer.faults]
    assert run_plan(replace(plan, faults=(), ops=())).ledger.fired == {}


def small(*faults: Timed, ops: tuple[Op, ...] = ()) -> Plan:
    return Plan("small", 3, NODES, 3_000_000, 3_000_000, ops, faults)


def post(number: int, at_us: int, node: str = "n1") -> Op:
    return Op(number, at_us, "c1", node, "post", "ann", f"message {number}")


def test_a_plan_by_hand() -> None:
    kill = Timed(1, 1_000_000, 2_000_000, Kill("n1", "power"))
    ops = (post(1, 500_000), post(2, 1_500_000), post(3, 2_500_000))
    trace = run_plan(small(kill, ops=ops)).trace
    answers = [type(e.data) for e in trace if type(e.data) in (Ok, Fail, Info)]
    assert answers == [Ok, Fail, Ok]  # n1 was down when the second was asked
    boots = [e.data for e in trace if type(e.data) is Boot and e.node == "n1"]
    assert [boot.disk for boot in boots] == ["new", "same"]
    assert len(boots[1].arrivals) == 1


@pytest.mark.parametrize(("how", "ends"), [("kill", Crash), ("power", Crash), ("stop", Stopped)])
def test_ways_to_end_a_life(how: str, ends: type) -> None:
    kill = Timed(1, 1_000_000, 2_000_000, Kill("n1", how))  # type: ignore[arg-type]
    trace = run_plan(small(kill, ops=(post(1, 999_900),))).trace
    assert [type(e.data) for e in trace if type(e.data) in (Crash, Stopped)] == [ends]
    clean = [e.data.clean for e in trace if type(e.data) is Boot and e.node == "n1"]
    assert clean == [False, how == "stop"]


@pytest.mark.parametrize("disk", ["empty", "older"])
def test_a_node_that_comes_back_with_another_disk_gets_its_events_back(disk: str) -> None:
    kill = Timed(1, 1_500_000, 2_000_000, Kill("n1", "kill", disk))  # type: ignore[arg-type]
    trace = run_plan(small(kill, ops=tuple(post(n, n * 200_000) for n in range(1, 6)))).trace
    assert [e.data.disk for e in trace if type(e.data) is Boot and e.node == "n1"][1] == disk
    back = [e.data for e in trace if type(e.data) is Handed and e.data.via == "recovery"]
    if disk == "empty":
        assert len(back) == 5
    else:  # the copy was made halfway
        assert 0 < len(back) < 5


def test_a_world_can_be_driven_by_hand() -> None:
    world = World(small(ops=(post(1, 500_000),)))
    world.start()
    world.agenda.run(400_000)
    assert all(host.up for host in world.hosts.values())
    world.hosts["n2"].pause()
    world.agenda.run(1_000_000)
    process = world.hosts["n3"].process
    assert process is not None and len(process.replica.timeline) == 1
    paused = world.hosts["n2"].process
    assert paused is not None and len(paused.replica.timeline) == 0
    world.hosts["n2"].resume()
    world.agenda.run(1_100_000)
    assert len(paused.replica.timeline) == 1
    assert any(type(e.data) is Paused for e in world.trace)
