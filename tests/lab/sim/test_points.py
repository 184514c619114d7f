"""Crash points act where they are said to, and what an op is told twice is told in the trace."""

from typing import get_args

import pytest

from lab.checkers import Judge
from lab.plan.faults import SITES, Op, Plan, Point, Site, Timed
from lab.sim.clients import Clients
from lab.sim.world import World, run_plan
from lab.trace.kinds import Boot, Crash, Fired, Ok, Totals
from node.core.interface import Acked
from node.core.ports import AckLevel
from tests.lab.sim.judged import wrong

NODES = ("n1", "n2", "n3")


def plan(*faults: Timed, posts: int = 6) -> Plan:
    ops = tuple(
        Op(n, 400_000 + n * 300_000, "c", "n1", "post", "ann", f"message {n}")
        for n in range(1, 1 + posts)
    )
    return Plan("points", 5, NODES, 4_000_000, 4_000_000, ops, faults)


def test_all_sites_are_listed() -> None:
    assert get_args(Site) == SITES


@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("site", SITES)
def test_every_site_acts_and_is_counted(site: Site, power: bool) -> None:
    """The second point ends a life, so that the journal is opened anew."""
    point = Timed(1, 500_000, 3_000_000, Point("n1", site, 1.0, 2, 200_000, power))
    again = Timed(2, 2_000_000, 3_000_000, Point("n1", "before_write", 1.0, 1, 100_000))
    result = run_plan(plan(point, again))
    crashed = [e.data.site for e in result.trace if type(e.data) is Crash]
    assert site in {one.removesuffix(", power") for one in crashed}
    told = [e.data.detail for e in result.trace if type(e.data) is Fired and e.data.what == "point"]
    totals = next(e.data for e in result.trace if type(e.data) is Totals)
    assert totals.fired["point"] == len(told) == len(crashed)
    assert wrong(result) == []


def test_a_crash_in_the_middle_of_a_write_leaves_a_torn_tail() -> None:
    trace = run_plan(
        plan(Timed(1, 500_000, 900_000, Point("n1", "mid_write", 1.0, 1, 50_000)))
    ).trace
    boots = [e.data for e in trace if type(e.data) is Boot and e.node == "n1"]
    assert boots[1].torn_bytes > 0
    assert "tail repaired" in boots[1].must_open_epoch


def test_a_second_answer_is_a_line_of_the_trace_and_fails_c2() -> None:
    world = World(plan(posts=1))
    world.start()
    world.agenda.run(1_000_000)
    (ok,) = [e.data for e in world.trace if type(e.data) is Ok]
    host = world.hosts["n1"]
    assert host.process is not None
    dot = host.process.replica.timeline.select("arrival")[0].event.dot
    assert isinstance(world.clients, Clients)
    world.clients.answered(host, 1, Acked(dot, AckLevel.DURABLE, 0, ok.text, ()), None)
    world.heal()
    world.quieten()
    world.agenda.run(8_000_000)
    events = world.finish().trace.events
    assert [e.data for e in events if type(e.data) is Ok] == [ok, ok]
    judging = Judge(only=("C2",))
    judging.see_all(events)
    assert judging.verdicts()[0].outcome == "fail"
