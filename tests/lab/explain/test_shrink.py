"""Shrinking: smaller plans that fail in the same checker, and stories that can be read."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from lab.campaign.explore import Options, explore
from lab.campaign.judged_run import run_judged
from lab.cli.verdict_view import story_lines
from lab.explain.lessons import LESSONS
from lab.explain.shrink import ShrinkProgress, broken_by, ddmin, fails, shrink, size_of, with_items
from lab.explain.shrink_passes import pinned, simpler, without_node
from lab.explain.story import tell
from lab.plan.draw import draw
from lab.plan.faults import (
    Hold,
    Kill,
    Loss,
    NetworkOptions,
    Op,
    Partition,
    Plan,
    SlowSync,
    Timed,
    plan_from_json,
    plan_to_json,
)
from lab.plan.plan_text import steps
from lab.plan.scenario import named
from lab.terminal.tables import Paint
from lab.trace.kinds import Dropped
from node.core.interface import Persisted
from node.storage import group_commit
from node.storage.files import StorageError
from node.storage.group_commit import Act, GroupCommit
from tests.transcripts import check_transcript, transcripts


def plant_ack_before_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """The committer says durable when the records are only written."""
    original = GroupCommit.settle

    def early(
        self: GroupCommit, act: Act, error: StorageError | None, now_us: int
    ) -> group_commit.Progress | None:
        progress = original(self, act, error, now_us)
        if act is Act.APPEND and type(progress) is Persisted and self._durability == "always":
            return Persisted(progress.written, progress.written)
        return progress

    monkeypatch.setattr(GroupCommit, "settle", early)


@pytest.fixture
def ack_before_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    plant_ack_before_fsync(monkeypatch)


def test_ack_before_fsync_is_found_and_shrunk(ack_before_fsync: None) -> None:
    found = explore(Options((named("power-cuts"),), 1, 100, 2))
    caught = [one for one in found.failures if one.rule in ("C1", "C5")]
    assert caught
    for failure in caught[:3]:
        plan = draw(named("power-cuts"), failure.seed)
        small = shrink(plan, failure.rule, budget_s=60)
        assert small.done and small.steps <= 10 < small.before
        assert fails(small.plan, failure.rule)
        again = plan_from_json(plan_to_json(small.plan))
        assert run_judged(again).trace.hash == run_judged(small.plan).trace.hash


def test_ddmin_keeps_what_is_needed_and_nothing_else() -> None:
    for needed in ({3}, {0, 99}, {7, 8, 50}, set(range(0, 100, 9)), set()):
        asked = 0

        def test(kept: list[int], needed: set[int] = needed) -> bool:
            nonlocal asked
            asked += 1
            return needed <= set(kept)

        assert ddmin(list(range(100)), test) == sorted(needed)
        assert asked < 400


def large() -> Plan:
    return draw(named("all"), 11)


def test_shrinking_by_a_fake_checker_reaches_the_smallest_plan() -> None:
    """Fails where something is killed after somebody posted at the same node."""

    def fake(plan: Plan, rule: str) -> bool:
        assert rule == "C1"
        posted = {op.node: op.at_us for op in plan.ops if op.action == "post"}
        return any(
            isinstance(timed.fault, Kill) and timed.fault.node in posted for timed in plan.faults
        )

    seeds = [seed for seed in range(60) if fake(draw(named("all"), seed), "C1")]
    for seed in seeds[:3]:
        told: list[ShrinkProgress] = []
        small = shrink(
            draw(named("all"), seed), "C1", budget_s=60, on_progress=told.append, failing=fake
        )
        assert small.done and small.steps == 2 and len(small.plan.nodes) == 1
        assert small.plan.nodes == ("n1",) and small.plan.ops[0].author == "alice"
        assert small.plan.network == NetworkOptions("constant", 1000, 0)
        assert small.plan.liveness_us == 5_000_000 and small.plan.faults_us < 10_000_000
        assert small.runs == len(told) and told[-1].steps == 2


def test_shrinking_stops_when_the_time_is_over() -> None:
    plan = large()
    small = shrink(plan, "C1", budget_s=0, failing=lambda *_: True)
    assert not small.done and small.plan == plan and small.runs == 0


def test_simplifying_comes_to_an_end_and_makes_plans_that_run() -> None:
    for seed in range(3):
        plan = draw(named("all"), seed)
        for candidate in list(simpler(plan, "C5"))[::40]:
            assert candidate != plan and size_of(candidate) <= size_of(plan)
            assert run_judged(candidate, only=("C18",)).failures == ()
    done = shrink(large(), "C6", budget_s=60, failing=lambda *_: True)
    assert done.done and done.steps == 0


def test_a_phase_that_a_rule_speaks_of_is_not_shortened() -> None:
    plan = replace(large(), ops=())
    for rule, least_us in (("C6", plan.liveness_us), ("C1", 5_000_000), ("C5", 1_000_000)):
        spans = {candidate.liveness_us for candidate in simpler(plan, rule)}
        assert min(spans) == least_us


def test_a_node_goes_with_all_that_is_done_to_it() -> None:
    cuts = (("n1", "n2"), ("n2", "n3"))
    plan = Plan(
        "p",
        1,
        ("n1", "n2", "n3"),
        1_000_000,
        1_000_000,
        (
            Op(1, 0, "a", "n1", "post", "a", "x", "replicated", 2),
            Op(2, 0, "a", "n3", "read", "a"),
        ),
        (
            Timed(1, 0, 9, Partition("one", cuts)),
            Timed(2, 0, 9, Hold((("n3", "n1"),))),
            Timed(3, 0, 9, Kill("n3")),
        ),
    )
    left = without_node(plan, "n3")
    assert left.nodes == ("n1", "n2") and [op.id for op in left.ops] == [1]
    assert left.ops[0].copies == 1
    assert left.faults == (Timed(1, 0, 9, Partition("one", (("n1", "n2"),))),)
    assert with_items(plan, [plan.ops[1], plan.faults[0]]).faults == plan.faults[:1]


def test_lost_packets_become_cuts_and_the_run_stays_the_same() -> None:
    plan = replace(draw(named("calm"), 5), faults=(Timed(1, 300_000, 9_000_000, Loss(0.2)),))
    exact = pinned(plan)
    assert exact is not None

    def packets(plan: Plan) -> list[object]:
        lost, found = 0, []
        for event in run_judged(plan).trace:
            lost += type(event.data) is Dropped
            if event.kind in ("visible", "recv"):
                found.append((event.t_us, event.node, event.msg_id, event.kind))
        return [lost, *found]

    assert packets(exact) == packets(plan)
    assert len(exact.faults) > 10
    assert all(isinstance(timed.fault, Partition) for timed in exact.faults)
    assert pinned(exact) is None


# --- stories --------------------------------------------------------------------------------------

PLAIN = Plan(
    "told",
    1,
    ("n1", "n2", "n3"),
    2_000_000,
    5_000_000,
    (
        Op(1, 300_000, "alice", "n1", "post", "alice", "hello"),
        Op(2, 900_000, "bob", "n2", "post", "bob", "who is there?"),
        Op(3, 6_000_000, "alice", "n1", "read", "alice"),
    ),
    (),
    boot_spread_us=0,
    network=NetworkOptions("constant", 1000, 0),
)
TOLD: dict[str, Callable[[], Plan]] = {
    "nothing": lambda: PLAIN,
    "power": lambda: replace(
        PLAIN,
        seed=2,
        nodes=("n1",),
        ops=PLAIN.ops[:1],
        faults=(
            Timed(1, 200_000, 900_000, SlowSync("n1", 900_000)),
            Timed(2, 310_000, 1_500_000, Kill("n1", "power")),
        ),
    ),
    "links": lambda: replace(
        PLAIN,
        faults=(
            Timed(1, 250_000, 800_000, Partition("one-way", (("n1", "n2"),))),
            Timed(2, 850_000, 1_200_000, Kill("n3")),
            Timed(3, 850_000, 1_900_000, Loss(1.0)),
        ),
    ),
}


@pytest.mark.parametrize("path", transcripts("lab-story.txt"), ids=lambda path: path.stem)
def test_stories_read_like_this(
    path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bench() -> Callable[[str], str]:
        def run(line: str) -> str:
            with monkeypatch.context() as patch:
                name, _, planted = line.removeprefix("story ").partition(" with ")
                if planted == "ack before fsync":
                    plant_ack_before_fsync(patch)
                plan = TOLD[name]()
                done = [f"{step.at_us / 1e6:.1f} s  {step.text}" for step in steps(plan)]
                lines = story_lines(tell(run_judged(plan)), Paint(on=False))
            # Where in the trace it stands changes with every packet that a node sends.
            lines = [re.sub(r"\[\d+ ", "[", one) for one in lines]
            return "\n".join(one or "." for one in [*done, "", *lines])

        return run

    check_transcript(path, bench, request)


def test_a_story_of_a_large_run_tells_what_concerns_the_failure(ack_before_fsync: None) -> None:
    found = explore(Options((named("power-cuts"),), 1, 100, 2, first_failure=True))
    (failure,) = found.failures
    judged = run_judged(named("power-cuts"), failure.seed)
    story = tell(judged)
    verdict = judged.failed
    assert verdict is not None and broken_by(judged, failure.rule)
    assert 3 < len(story.lines) < len(judged.trace) / 4
    assert {line.seq for line in story.lines if line.witness} >= set(verdict.witnesses)
    ending = story.endings[0]
    assert ending.rule == failure.rule and ending.lesson == LESSONS[failure.rule]
    assert "#" not in ending.broken
    assert all("#" not in line.text for line in story.lines if not line.witness)


def test_every_rule_has_a_lesson() -> None:
    from lab.campaign.judged_run import ALL_RULES

    figures_only = {"C11", "C13", "C17"}
    assert LESSONS.keys() == ALL_RULES.keys() - figures_only
