"""Scenarios on real processes: the same checkers on a merged trace, and every turn fed back."""

import contextlib
import random
from pathlib import Path
from signal import SIGHUP
from typing import Any

import pytest
from msgspec.structs import replace

from lab.campaign.explore import Options, explore
from lab.checkers import judge
from lab.client.client import Client, RequestFailure, Unreachable
from lab.plan.draw import draw
from lab.plan.faults import ClockOffset, Kill, Pause, Point, Timed
from lab.plan.scenario import Scenario, named
from lab.real import RealResult, run_plan_real, run_real
from lab.real.rounds import explore_rounds
from lab.sim.conformance import conform
from lab.sim.conformance import replay as replay_trace
from lab.trace.file import read_lines, write_lines
from lab.trace.kinds import Boot, Dropped, Final, Got, Run
from node.control.messages import Accepted, Post
from node.recording.format import (
    PacketIn,
    PolicyIn,
    SubmitIn,
    TickIn,
    Turn,
    WrittenIn,
    read_recording,
    recordings_in,
)

pytestmark = pytest.mark.cluster

SAFETY = ("C1", "C2", "C3", "C4", "C5", "C7", "C8", "C9", "C10", "C14", "C16", "C18")
LIVES = ("boot", "crash", "stop", "pause", "resume")
THREE = "nodes: [n1, n2, n3]\ntrace: true\n"


def short(name: str, faults_ms: int = 1500) -> Scenario:
    """A scenario whose phase of faults lasts only so long."""
    return replace(named(name), faults_ms=(faults_ms, faults_ms))


def check(result: RealResult) -> None:
    verdicts = {one.rule: one for one in judge(result.trace)}
    assert [one for one in verdicts.values() if one.outcome == "fail"] == []
    assert {verdicts[rule].outcome for rule in SAFETY} == {"pass"}
    assert verdicts["C6"].outcome == "pass", verdicts["C6"]
    assert result.conformance.differences == 0, result.conformance.text()
    assert result.conformance.turns == result.acts > 100
    assert result.core_failures == ()
    assert result.put_off == 0


def test_rounds_on_real_processes_pass_and_leave_nothing_running() -> None:
    calm = (named("calm"),)
    found = explore(Options(calm, first=2, seeds=0, real=2, real_scenarios=calm))
    explore_rounds(found)
    assert [one.outcome for one in found.real] == ["pass", "pass"], found.real
    assert found.outcome == "pass" and found.runs == 0


def test_a_run_with_a_kill_can_be_fed_back(lab: Any) -> None:
    lab.write(THREE).up()
    cluster, places = lab.cluster, lab.place.nodes
    dice = random.Random(3)
    posted = 0
    for number in range(200):
        name = dice.choice(("n1", "n2", "n3"))
        with (
            contextlib.suppress(Unreachable, RequestFailure),
            Client(name, places[name].control) as one,
        ):
            one.expect(Post(one.new_id(), "ana", f"hello {number}"), Accepted)
            posted += 1
        if number == 40:
            cluster.signal("n1", SIGHUP)  # reads its moderation anew: an input, too
        if number == 80:
            cluster.kill("n2")
        if number == 120:
            assert cluster.up(["n2"])[0].state == "running"
    lab.well("wait", "--converged", "--timeout", "5")
    lab.well("cluster", "down")
    assert posted > 150
    found = conform(Path(lab.place.root))
    assert (found.lives, found.differences, found.incomplete) == (4, 0, ()), found.text()
    assert found.turns > 2 * posted
    kinds = {
        type(item)
        for path in recordings_in(Path(lab.place.root))
        for entry in read_recording(path).entries
        if type(entry) is Turn
        for item in entry.inputs
    }
    assert kinds == {TickIn, PacketIn, SubmitIn, WrittenIn, PolicyIn}
    print(found.text())


def test_nothing_is_recorded_unless_asked_for(lab: Any) -> None:
    lab.write("nodes: [n1]\n").up()
    lab.well("send", "n1", "hello")
    assert recordings_in(Path(lab.place.root)) == []
    assert not Path(lab.place.nodes["n1"].dir, "trace").exists()


def test_a_calm_run_keeps_every_promise_and_its_trace_is_one_like_any_other(tmp_path: Path) -> None:
    result = run_real(short("calm"), 1, detail="full")
    check(result)
    assert result.not_possible == ()
    events = result.trace.events
    about = events[0].data
    assert type(about) is Run and about.source == "real"
    assert [event.t_us for event in events] == sorted(event.t_us for event in events)
    causes = [event for event in events if event.cause is not None]
    assert all(event.cause is not None and event.cause < event.seq for event in causes)
    assert all(event.cause is not None for event in events if type(event.data) is Got)
    assert replay_trace(result.trace) == []
    assert read_lines(write_lines(result.trace)).hash == result.trace.hash
    finals = [event.data for event in events if type(event.data) is Final]
    assert len({final.root for final in finals if type(final) is Final}) == 1


def test_a_partition_keeps_every_promise() -> None:
    result = run_real(short("partition", 3000), 3)
    check(result)
    assert result.ledger.fired["partition"] > 0
    dropped = [event.data for event in result.trace if type(event.data) is Dropped]
    assert Dropped("partition") in dropped


def test_killed_and_stopped_nodes_keep_every_promise_and_the_impossible_is_named() -> None:
    faults = (
        Timed(1, 300_000, 900_000, Kill("n2")),
        Timed(2, 400_000, 700_000, Pause("n1")),
        Timed(3, 800_000, 1_200_000, Kill("n3", "stop")),
        Timed(4, 1_000_000, 1_500_000, Kill("n4", disk="empty")),
        Timed(5, 500_000, 1_500_000, Kill("n1", "power")),
        Timed(6, 500_000, 1_500_000, ClockOffset("n1", 500)),
        Timed(7, 500_000, 1_500_000, Point("n2", "after_write", 0.5, 2, 100)),
    )
    plan = replace(draw(short("calm"), 5), faults=faults)
    result = run_plan_real(plan)
    check(result)
    assert [line.partition(" ")[0] for line in result.not_possible] == [
        "clock_offset",
        "point",
        "power",
    ]
    assert [timed.id for timed in result.plan.faults] == [1, 2, 3, 4]
    lives = [(one.kind, one.node) for one in result.trace if one.kind in LIVES]
    assert lives.count(("boot", "n2")) == lives.count(("boot", "n3")) == 2
    ends = [(kind, node) for kind, node in lives if kind in ("crash", "stop")]
    assert ends == [("crash", "n2"), ("stop", "n3"), ("crash", "n4")]
    boots = [one.data for one in result.trace if one.node == "n4" and type(one.data) is Boot]
    assert [one.disk for one in boots] == ["new", "empty"]
    verdicts = {one.rule: one for one in judge(result.trace)}
    assert verdicts["C17"].outcome == "pass", verdicts["C17"]
