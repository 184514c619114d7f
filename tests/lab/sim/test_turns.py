"""What the real turns, commits and states do on simulated disks."""

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from lab.checkers import judge
from lab.plan.faults import DiskErrors, DiskOptions, Kill, Op, Pause, Plan, SlowSync, Timed
from lab.plan.faults import DiskFull as FullDisk
from lab.sim.world import Result, World, run_plan
from lab.trace.kinds import Boot, Crash, Fail, Note, Ok, Stopped, Unwritten, Written
from lab.trace.trace import Event
from node.core.turn_loop import ANSWER_MS, COMMIT_MS, TurnLoop
from node.core.write_state import WriteBounds

S = 1_000_000


def plan_of(*faults: Timed, ops: Iterable[Op] = (), **more: object) -> Plan:
    return Plan("turns", 1, ("n1", "n2"), 8 * S, 5 * S, tuple(ops), faults, **more)  # type: ignore[arg-type]


def post(number: int, at_us: int, node: str, session: str = "", ack: str = "durable") -> Op:
    return Op(number, at_us, session or f"c{number}", node, "post", "ann", f"text {number}", ack)  # type: ignore[arg-type]


def of(result: Result, node: str, *kinds: type) -> list[Event]:
    return [one for one in result.trace if one.node == node and type(one.data) in kinds]


def passes(result: Result) -> bool:
    return [one.rule for one in judge(result.trace) if one.outcome == "fail"] == []


def test_a_node_whose_disk_failed_for_good_lives_on_and_answers() -> None:
    """Nobody minds in this seed: it hears nothing new for itself, says so, and serves others."""
    plan = plan_of(
        Timed(1, 1 * S, 1 * S + 300_000, DiskErrors("n1", "sync", 1.0)),
        ops=[
            post(1, 500_000, "n1"),
            post(2, 1 * S, "n1"),
            post(3, 2 * S, "n1"),
            post(4, 4 * S, "n2"),
            Op(5, 7 * S, "r", "n1", "read", "ann"),
        ],
    )
    for seed in range(1, 10):
        result = run_plan(replace(plan, seed=seed))
        crashes = of(result, "n1", Crash)
        if all(one.t_us >= plan.faults_us for one in crashes):
            break
    assert passes(result)
    (failure,) = of(result, "n1", Unwritten)
    assert failure.data.final  # type: ignore[union-attr]
    assert [one.data.how for one in crashes] == ["storage"], "it is started again at the end"  # type: ignore[union-attr]
    refused = [one.data for one in of(result, "n1", Fail)]
    assert not refused, "nobody can tell, where a sync failed"
    (read,) = [one.data for one in of(result, "n1", Ok) if one.data.seen]  # type: ignore[union-attr]
    assert len(read.seen) == 1, "what was durable, and nothing since"  # type: ignore[union-attr]
    served = [one for one in result.trace if one.node == "n1" and one.kind == "send"]
    assert any(failure.t_us + S < one.t_us < plan.faults_us for one in served)
    finals = {one.node: one.data for one in result.trace if one.kind == "final"}
    assert len({final.root for final in finals.values()}) == 1  # type: ignore[union-attr]


def test_a_slow_disk_makes_a_node_fall_behind_and_catch_up() -> None:
    ops = [post(i, 1 * S + 5_000 * i, "n2", ack="written") for i in range(1, 40)]
    plan = plan_of(
        Timed(1, 1 * S, 3 * S, SlowSync("n1", 2 * S)),
        ops=ops,
        disk=DiskOptions(unwritten=WriteBounds(records=5)),
    )
    result = run_plan(plan)
    assert passes(result)
    notes = [one.data.event for one in of(result, "n1", Note)]  # type: ignore[union-attr]
    assert "writes_behind" in notes
    assert notes.index("writes_behind") < notes.index("writes_caught_up")


def test_a_full_disk_lets_nothing_more_in_while_it_is_tried_again_and_again() -> None:
    ops = [post(i, 1 * S + 20_000 * i, "n2", ack="written") for i in range(1, 150)]
    plan = plan_of(Timed(1, 1 * S + 100_000, 6 * S, FullDisk("n1", 0)), ops=ops)
    held: list[int] = []
    world = World(plan)

    def look(_: object) -> None:
        process = world.hosts["n1"].process
        assert process is not None
        held.append(process.replica._commits.write_state.records)
        if world.agenda.now_us < 5 * S:
            world.agenda.at(world.agenda.now_us + 10_000, look)

    world.agenda.at(2 * S, look)
    result = world.run()
    assert passes(result)
    failures = of(result, "n1", Unwritten)
    assert len(failures) > 5
    assert max(held) <= 2
    assert "writes_resumed" in [one.data.event for one in of(result, "n1", Note)]  # type: ignore[union-attr]


@pytest.mark.parametrize("inputs_max", [1, 3, 2048])
def test_whatever_a_turn_takes_the_copies_agree(
    inputs_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    most: list[int] = []
    whole = TurnLoop._run

    def counted(self: TurnLoop) -> None:
        before = self.waiting
        whole(self)
        most.append(before - self.waiting)

    monkeypatch.setattr(TurnLoop, "_run", counted)
    ops = [post(i, 1 * S + 700 * i, f"n{1 + i % 2}") for i in range(1, 60)]
    result = run_plan(
        plan_of(
            Timed(1, 1 * S, 2 * S, Pause("n1")),
            ops=ops,
            turn_us=5_000,
            inputs_max=inputs_max,
        )
    )
    assert passes(result)
    assert len(of(result, "n1", Ok)) + len(of(result, "n2", Ok)) == 59
    assert max(most) <= inputs_max
    assert max(most) == inputs_max or inputs_max > 3


def test_small_bounds_of_a_commit_cut_it_into_many() -> None:
    def commits(commit_bytes_max: int) -> int:
        ops = [post(i, 1 * S + 100 * i, "n1") for i in range(1, 30)]
        disk = DiskOptions(sync_us=5_000, commit_bytes_max=commit_bytes_max)
        result = run_plan(plan_of(ops=ops, disk=disk))
        assert passes(result)
        return len(of(result, "n1", Written))

    assert commits(1) > 2 * commits(8_000_000)


# --- stops --------------------------------------------------------------------------------------


def test_a_stop_waits_for_replies_and_takes_nothing_new() -> None:
    """The sync takes long: what is in flight is answered, and who comes meanwhile is told."""
    plan = plan_of(
        Timed(1, 900_000, 3 * S, SlowSync("n1", 600_000)),
        Timed(2, 1 * S + 1_000, 3 * S, Kill("n1", "stop")),
        ops=[post(1, 1 * S, "n1"), post(2, 1 * S + 10_000, "n1")],
    )
    for seed in range(1, 10):
        result = run_plan(replace(plan, seed=seed))
        assert passes(result)
        ends = of(result, "n1", Ok, Fail, Stopped)
        if ends[0].t_us < ends[-1].t_us - 1 and len(ends) == 3:
            break
    late, acked, stopped = ends
    assert type(late.data) is Fail
    assert (late.data.op, late.data.code, late.data.reason) == (2, "down", "the node is stopping")
    assert type(acked.data) is Ok
    assert acked.data.op == 1
    assert type(stopped.data) is Stopped
    assert stopped.t_us >= acked.t_us > plan.ops[1].at_us
    assert stopped.data.written == stopped.data.durable


def test_a_stop_whose_journal_cannot_be_written_out_in_time_is_no_clean_one() -> None:
    plan = plan_of(
        Timed(1, 900_000, 4 * S, SlowSync("n1", 20 * S)),
        Timed(2, 1 * S + 1_000, 5 * S, Kill("n1", "stop")),
        ops=[post(1, 1 * S, "n1")],
    )
    result = run_plan(plan)
    assert passes(result)
    (crash,) = of(result, "n1", Crash)
    assert type(crash.data) is Crash
    assert crash.data.how == "kill"
    assert crash.t_us == 1 * S + 1_000 + (ANSWER_MS + COMMIT_MS) * 1000
    assert of(result, "n1", Stopped) == []
    boot = of(result, "n1", Boot)[-1].data
    assert type(boot) is Boot
    assert not boot.clean


def test_who_is_to_start_while_it_still_stops_starts_when_it_is_down() -> None:
    plan = plan_of(
        Timed(1, 900_000, 3 * S, SlowSync("n1", 600_000)),
        Timed(2, 1 * S + 1_000, 1 * S + 2_000, Kill("n1", "stop", flips=0)),
        ops=[post(1, 1 * S, "n1"), post(2, 4 * S, "n1")],
    )
    result = run_plan(plan)
    assert passes(result)
    boots = of(result, "n1", Boot)
    (stopped,) = of(result, "n1", Stopped)
    assert len(boots) == 2
    assert boots[1].t_us == stopped.t_us > 1 * S + 2_000
    assert type(boots[1].data) is Boot
    assert boots[1].data.clean
