"""When a failure became inevitable: bounds by the book, a search over curves that are known, and
runs whose failure is certain from an event that is known.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from lab.campaign.judged_run import JudgedRun, run_judged
from lab.cli.main import main
from lab.explain.branches import FailedRun, Inevitable, LaterFaults, inevitable
from lab.explain.inevitable import BATCH, Estimate, Search, wilson
from lab.explain.story import sentence_of
from lab.plan.draw import draw, redrawn
from lab.plan.faults import Kill, Plan, plan_to_json
from lab.plan.scenario import named
from lab.terminal.errors import Exit
from lab.trace.kinds import Crash, Faulted
from tests.mutants import plans
from tests.mutants.command import plant
from tests.transcripts import check_transcript, transcripts

# Newcombe 1998, table I, method 3; the last two rows by the formula with p = 0 and p = 1.
BY_THE_BOOK = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
    (0, 10, 0.0, 0.2775),
    (10, 10, 0.7225, 1.0),
]


@pytest.mark.parametrize(("failed", "runs", "low", "high"), BY_THE_BOOK)
def test_wilson_s_bounds(failed: int, runs: int, low: float, high: float) -> None:
    assert wilson(failed, runs) == pytest.approx((low, high), abs=6e-5)
    assert wilson(runs - failed, runs) == pytest.approx((1 - high, 1 - low), abs=6e-5)


def test_of_nothing_nothing_is_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0) and Estimate(0).side == "open"
    assert [Estimate(0, 10, failed).side for failed in (1, 5, 9)] == ["fine", "open", "lost"]


def test_the_bounds_hold_the_probability_about_as_often_as_they_say() -> None:
    rng = Random(5)
    for p in (0.03, 0.2, 0.5, 0.9):
        held = 0
        for _ in range(1000):
            low, high = wilson(sum(rng.random() < p for _ in range(100)), 100)
            held += low <= p <= high
        assert 920 <= held <= 985


def done(last: int, curve: Callable[[int], float], seeds: int = 100) -> Search:
    search, rng = Search(last, seeds), Random(last)
    while trials := search.wanted():
        assert len(set(trials)) == len(trials)
        for trial in trials:
            search.take(trial, failed=rng.random() < curve(trial[0]))
    assert all(one.runs <= seeds for one in search.estimates)
    return search


def test_a_sharp_step_is_found_wherever_it_is() -> None:
    for last in (1, 2, 7, 100, 5000):
        for step in sorted({1, last // 3 or 1, last // 2 or 1, last}):
            search = done(last, lambda after, step=step: float(after >= step))  # type: ignore[misc]
            assert search.fine is not None and search.lost is not None
            assert (search.fine.after, search.lost.after) == (step - 1, step)
            assert search.fine.runs == search.lost.runs == 100
            assert search.runs < 800


def test_a_gentle_slope_has_no_step_and_is_bracketed() -> None:
    search = done(1000, lambda after: after / 1000)
    assert search.fine is not None and search.lost is not None
    assert 250 < search.fine.after < 500 < search.lost.after < 750
    between = [one for one in search.estimates if search.fine.after < one.after < search.lost.after]
    assert between and all(one.side == "open" and one.runs == 100 for one in between)


def test_the_last_of_two_steps_counts() -> None:
    search = done(3000, lambda after: float(700 < after < 1500 or after > 2100))
    assert search.lost is not None and search.lost.after in (701, 2101)
    assert search.fine is not None and search.fine.after == search.lost.after - 1


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_what_was_never_in_doubt_has_no_step(p: float) -> None:
    search = done(500, lambda _: p)
    assert (search.fine is None) == bool(p) and (search.lost is None) != bool(p)


def reused() -> Plan:
    """With the bug `seq-restarts`: the second post takes the dot of the first one."""
    ops = [plans.post(at, "n1", author=who) for at, who in ((200, "alice"), (800, "bob"))]
    return plans.plan("reused", 1, ops, [plans.fault(300, 400, Kill("n1"))], count=1)


@pytest.fixture
def bug() -> Iterator[None]:
    with plant("seq-restarts"):
        yield


def searched(judged: JudgedRun, later: LaterFaults, seeds: int, jobs: int = 1) -> Inevitable:
    assert judged.failed is not None
    run = FailedRun(judged.source, judged.seed, judged.failed.rule, later)
    last = len(judged.trace) - 1
    return inevitable(run, last, seeds=seeds, jobs=jobs, budget_s=100)


def test_it_is_certain_from_the_kill_on(bug: None) -> None:
    judged = run_judged(reused())
    found = searched(judged, "drop", 20)
    fine, lost = found.search.fine, found.search.lost
    assert found.ended == "done" and fine is not None and lost is not None
    assert (fine.failed, lost.failed, lost.after - fine.after) == (0, 20, 1)
    step = judged.trace.events[lost.after]
    assert type(step.data) is Faulted and step.data.what == "kill" and step.t_us == 300_000
    assert sentence_of(judged, lost.after) == "n1 is killed, and starts again after 100 ms"
    crash = next(event for event in judged.trace if type(event.data) is Crash)
    assert sentence_of(judged, crash.seq) == "n1 is killed (kill -9)"
    assert all(
        one.failed == (0, one.runs)[one.after >= lost.after] for one in found.search.estimates
    )


def test_with_the_plan_s_faults_it_was_certain_from_the_start(bug: None) -> None:
    found = searched(run_judged(reused()), "keep", 10)
    assert found.search.fine is None and found.search.lost is not None
    assert found.search.lost.after == 0


def test_a_checker_that_has_seen_a_failure_sees_it_in_each_branch_after(bug: None) -> None:
    judged = run_judged(reused())
    assert judged.failed is not None and judged.failed.witnesses
    run = FailedRun(judged.source, judged.seed, judged.failed.rule)
    for after in range(max(judged.failed.witnesses), len(judged.trace), 2):
        assert run.fails((after, 0)) and run.fails((after, 1))


def test_jobs_change_no_result(bug: None) -> None:
    judged = run_judged(reused())
    one, two = (searched(judged, "drop", BATCH, jobs).search for jobs in (1, 2))
    counts = [[(e.after, e.runs, e.failed) for e in search.estimates] for search in (one, two)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_and_the_end_of_time_keep_what_there_is(bug: None, jobs: int) -> None:
    judged = run_judged(reused())
    assert judged.failed is not None
    run = FailedRun(judged.source, judged.seed, judged.failed.rule)
    calls = itertools.count()

    def interrupt(search: Search, took_s: float) -> None:
        if next(calls) == 12:
            raise KeyboardInterrupt

    last = len(judged.trace) - 1
    cut = inevitable(run, last, seeds=20, jobs=jobs, budget_s=100, on_progress=interrupt)
    assert cut.ended == "interrupted" and cut.search.runs == 13
    late = inevitable(run, last, seeds=20, jobs=jobs, budget_s=0)
    assert late.ended == "time" and late.search.runs == 1


def test_fresh_faults_are_other_ones_for_the_same_nodes() -> None:
    plan = draw(named("crash-storm"), 3)
    first, again, other = (redrawn(named("crash-storm"), plan, seed) for seed in (1, 1, 2))
    assert first == again != other
    ids = [timed.id for timed in plan.faults]
    for timed in (*first, *other):
        assert timed.id not in ids and timed.at_us <= plan.faults_us
        assert getattr(timed.fault, "node", plan.nodes[0]) in plan.nodes


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_bytes(plan_to_json(reused()))
    return path


@pytest.mark.parametrize("path", transcripts("lab-when.txt"), ids=lambda path: path.stem)
def test_the_command_prints_this(
    path: Path, request: pytest.FixtureRequest, failing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(line: str) -> str:
        _, bug, *options = line.split()
        words = ["--when", "--seeds", "20", "--time", "100", "-j", "1", *options]
        assert main(["lab", "replay", f"{bug}+{failing}", *words]) == Exit.VERDICT_FALSE
        out = capsys.readouterr().out
        out = out[out.index("When did") :].rstrip()
        return "\n".join(one or "." for one in re.sub(r"[\d.]+ s$", "T s", out).splitlines())

    check_transcript(path, lambda: run, request)


def test_the_command_writes_json_and_a_plot(
    failing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "when.svg"
    words = ["lab", "replay", f"seq-restarts+{failing}", "--when", "--seeds", "10", "--json"]
    assert main([*words, "--plot", str(plot)]) == Exit.VERDICT_FALSE
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)["when"]
    assert told["rule"] == "C3" and told["faults"] == "drop" and told["ended"] == "done"
    assert told["step"]["kind"] == "fault" and told["step"]["t_us"] == 300_000
    assert told["fine"] + 1 == told["lost"] == told["step"]["seq"]
    assert told["runs"] == sum(one["runs"] for one in told["moments"])
    (at,) = [one for one in told["moments"] if one["after"] == told["lost"]]
    assert (at["p"], at["failed"], at["low"]) == (1.0, 10, 0.722467)
    assert plot.read_text().lstrip().startswith("<") and "share that fails" in plot.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--when"], "nothing became inevitable"),
        (["--plot", "x.svg"], "give both"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    failing: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", "replay", str(failing), *words]) == Exit.USAGE
    assert said in capsys.readouterr().err


def test_without_leather_a_plot_is_refused_before_anything_runs(
    failing: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lab.cli.inevitable_view.find_spec", lambda name: None)
    words = ["lab", "replay", f"seq-restarts+{failing}", "--when", "--plot", "x.svg"]
    assert main(words) == Exit.USAGE
    out, err = capsys.readouterr()
    assert not out and "needs leather" in err


def test_fresh_faults_need_a_scenario_that_is_here(
    failing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["lab", "replay", f"seq-restarts+{failing}", "--when", "--faults", "fresh"]
    assert main(words) == Exit.USAGE
    assert "--faults fresh" in capsys.readouterr().err
