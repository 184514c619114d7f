"""`chatlab lab`: what it prints, what it writes, and its exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import lab.campaign.replay_token
from lab.cli.main import main
from lab.plan.faults import Kill, Op, Plan, Timed, plan_from_json, plan_to_json
from lab.plan.scenario import SCENARIOS, names
from lab.sim.world import World
from lab.terminal.errors import Problem
from lab.trace.file import read_lines
from node.core.interface import Persisted
from node.storage.files import StorageError
from node.storage.group_commit import Act, GroupCommit, Progress

ROOT = Path(__file__).parents[3]
RULES = 18  # of one run


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["lab", *words])
    out, err = capsys.readouterr()
    return code, out, err


def objects(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def ack_before_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    original = GroupCommit.settle

    def early(
        self: GroupCommit, act: Act, error: StorageError | None, now_us: int
    ) -> Progress | None:
        progress = original(self, act, error, now_us)
        if act is Act.APPEND and type(progress) is Persisted and self._durability == "always":
            return Persisted(progress.written, progress.written)
        return progress

    monkeypatch.setattr(GroupCommit, "settle", early)


@pytest.fixture
def failing(ack_before_fsync: None, tmp_path: Path) -> Path:
    """A plan in which the planted bug shows, among steps that have nothing to do with it."""
    ops = [
        Op(i, 300_000 + 50_000 * i, f"c{i % 2}", f"n{1 + i % 3}", "post", "c", f"text {i}")
        for i in range(1, 9)
    ]
    faults = [
        Timed(i, 300_200 + 50_000 * (1 + 3 * i), 900_000, Kill(f"n{i}", "power"))
        for i in range(1, 4)
    ]
    plan = Plan("planted", 1, ("n1", "n2", "n3"), 1_000_000, 6_000_000, tuple(ops), tuple(faults))
    path = tmp_path / "plan.json"
    for seed in range(1, 200):
        found = msgspec.structs.replace(plan, seed=seed)
        path.write_bytes(plan_to_json(found))
        if main(["lab", "run", str(path), "--json"]) == 7:
            return path
    raise AssertionError("the planted bug never shows")


def test_the_list_tells_each_scenario_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = answer(capsys, "list")
    assert code == 0 and len(out.splitlines()) == 1 + len(names())
    code, out, _ = answer(capsys, "list", "--json")
    assert [one["name"] for one in objects(out)] == names()
    assert all(one["about"].endswith(".") for one in objects(out))


def test_a_run_has_a_verdict_of_each_checker_and_a_token(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = answer(capsys, "run", "calm", "--seed", "3")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["ID", "CHECKER", "VERDICT", "REASON"]
    assert [line.split()[0] for line in lines[1 : RULES + 1]] == [
        f"C{i}" for i in (*range(1, 15), 16, 17, 18, 21)
    ]
    assert "\nPASS: 5 nodes" in out
    token = lines[-1].removeprefix("token ")
    assert err == f"replay: chatlab lab replay {token}\n"
    code, out, err = answer(capsys, "run", "calm", "--seed", "3", "--json")
    (found,) = objects(out)
    assert (code, err) == (0, "")
    assert found["token"] == token and found["overall"] == "pass" and found["seed"] == 3
    assert len(found["verdicts"]) == RULES
    assert {one["verdict"] for one in found["verdicts"]} <= {"pass", "unknown", "fail"}
    code, out, _ = answer(capsys, "replay", token, "--json")
    assert code == 0 and objects(out)[0] == found


def test_what_shows_nothing_is_unknown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_bytes(plan_to_json(Plan("empty", 1, ("n1", "n2"), 300_000, 1_000_000)))
    assert answer(capsys, "run", str(path))[0] == 8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "nope"], "no scenario 'nope': there are all, "),
        (["run", "./nope.yaml"], "nope.yaml: cannot read it"),
        (["run", "nope.json"], "nope.json: cannot read it"),
        (["explore", "calm", "nope"], "no scenario 'nope'"),
        (["explore", "calm", str(SCENARIOS / "calm.yaml")], "the same name"),
        (["explore", "calm", "--seeds", "0"], "nothing would run"),
        (["replay", "hello"], "that is no token"),
        (["run", "calm", "--seed", "-1"], "--seed"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = answer(capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_a_file_that_is_no_plan_or_no_scenario(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plan, scenario = tmp_path / "a.json", tmp_path / "a.yaml"
    plan.write_text('{"scenario": 3}')
    scenario.write_text("name: a\nabout: b\nfaults: {los: {}}\n")
    assert "a.json is no plan" in answer(capsys, "run", str(plan))[2]
    assert "a.yaml:3:10: faults.los" in answer(capsys, "run", str(scenario))[2]
    scenario.write_text("name: a\nabout: b\nnodes: [2, 2]\nfaults_ms: [500, 900]\n")
    code, out, _ = answer(capsys, "run", str(scenario), "--json")
    token = objects(out)[0]["token"]
    assert code in (0, 8) and token.startswith("own_")
    scenario.unlink()
    assert answer(capsys, "replay", token)[0] == code


def test_traces_and_exports_are_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trace, shiviz, perfetto = (tmp_path / name for name in ("t.jsonl", "s.log", "p.json"))
    code, out, err = answer(
        capsys,
        *("run", "calm", "--json", "--trace", str(trace)),
        *("--shiviz", str(shiviz), "--perfetto", str(perfetto)),
    )
    assert code == 0
    found = read_lines(trace.read_bytes().splitlines())
    assert found.hash == objects(out)[0]["trace_hash"]
    assert shiviz.stat().st_size and json.loads(perfetto.read_text())["traceEvents"]
    assert f"{len(found)} events in {trace}" in err


def test_exploring_passes_and_tells_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("explore", "calm", "lossy", "--seeds", "6", "--first", "20")
    code, out, err = answer(capsys, *words, "--jobs", "1", "--json")
    (alone,) = objects(out)
    assert (code, err) == (0, "") and alone["overall"] == "pass"
    assert (alone["seeds"], alone["first"], alone["last"]) == (6, 20, 25)
    _, out, _ = answer(capsys, *words, "--jobs", "2", "--json")
    (both,) = objects(out)
    for name in ("wall_s", "seeds_s", "jobs"):
        del alone[name], both[name]
    assert alone == both
    code, out, _ = answer(capsys, *words)
    assert code == 0 and "6 seeds (20 to 25), 6 pass, 0 fail" in out and "loss " in out


def test_exploring_from_a_fresh_seed_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = answer(capsys, "explore", "calm", "--fresh", "--seeds", "1", "--json")
    assert code == 0
    assert err == f"first seed: {objects(out)[0]['first']}\n"


def test_a_failing_seed_comes_with_its_replay(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "heal", lambda self: 1 // 0)
    code, out, _ = answer(capsys, "explore", "calm", "--seeds", "2", "--jobs", "1")
    assert code == 7
    lines = out.splitlines()
    assert lines[0].startswith("fail  calm seed 1  LAB: ZeroDivisionError")
    command = lines[1].split()
    assert command[:3] == ["chatlab", "lab", "replay"]
    code, out, _ = answer(capsys, *command[2:])
    assert code == 7 and "ZeroDivisionError" in out
    code, out, _ = answer(
        capsys, "explore", "calm", "--seeds", "50", "--jobs", "2", "--first-failure", "--json"
    )
    failure, summary = objects(out)
    assert failure["rule"] == "LAB" and failure["scenario"] == "calm" and failure["seed"] == 1
    assert code == 7 and summary["ended"] == "failure" and summary["seeds"] == 1
    assert failure["command"] == f"chatlab lab replay {failure['token']}"


def test_another_build_is_refused_unless_forced(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = lab.campaign.replay_token.build_id()
    with monkeypatch.context() as patch:
        patch.setattr(lab.campaign.replay_token, "build_id", lambda: f"{now[:4]}AAAA{now[8:]}")
        token = objects(answer(capsys, "run", "calm", "--json")[1])[0]["token"]
    code, _, err = answer(capsys, "replay", token)
    assert code == 2
    assert "another build: the code of gossip changed since" in err and "--force" in err
    assert answer(capsys, "replay", token, "--force")[0] == 0


def test_the_same_build_must_give_the_same_trace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = objects(answer(capsys, "run", "power-cuts", "--json")[1])[0]["token"]
    monkeypatch.setattr("lab.sim.committer.REPORT_US", 21)
    code, _, err = answer(capsys, "replay", token)
    assert code == 1 and "gave another trace" in err


def test_a_failure_is_shrunk_written_and_told(
    failing: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    capsys.readouterr()
    out = tmp_path / "small.json"
    code, said, _ = answer(capsys, "replay", str(failing), "--shrink", "--story", "--out", str(out))
    assert code == 7
    assert "with 2 of 11 steps" in said
    assert "alice posts m1" in said and "Broken: C" in said and "loses power" in said
    small = plan_from_json(out.read_bytes())
    assert len(small.ops) + len(small.faults) == 2
    assert answer(capsys, "run", str(out))[0] == 7
    code, said, _ = answer(
        capsys, "replay", str(out), "--shrink", "--story", "--json", "--out", str(out)
    )
    (found,) = objects(said)
    assert code == 7 and found["overall"] == "fail"
    assert len(found["shrunk"]["steps"]) == 2 and found["shrunk"]["plan"] == str(out)
    assert found["story"]["endings"][0]["rule"] == found["shrunk"]["rule"]
    assert answer(capsys, "replay", found["shrunk"]["token"])[0] == 7
    code, _, err = answer(capsys, "replay", str(out), "--shrink", "--rule", "C16")
    assert code == 2 and "C16 does not fail" in err


def test_there_must_be_something_to_shrink(capsys: pytest.CaptureFixture[str]) -> None:
    token = objects(answer(capsys, "run", "calm", "--json")[1])[0]["token"]
    code, _, err = answer(capsys, "replay", token, "--shrink")
    assert code == 2 and "nothing to shrink" in err


def test_a_token_gives_the_same_trace_in_another_process(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (found,) = objects(answer(capsys, "run", "all", "--seed", "8", "--json")[1])
    for hash_seed in ("1", "77"):
        ran = subprocess.run(
            [sys.executable, "-m", "lab.cli", "lab", "replay", found["token"], "--json"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert objects(ran.stdout) == [found], ran.stderr


def test_a_failing_round_on_real_processes_says_how_to_have_it_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise Problem("n1 is not running")

    monkeypatch.setattr("lab.real.rounds.run_plan_real", fails)
    words = ("explore", "calm", "--seeds", "0", "--real", "2", "--first", "7")
    code, out, _ = answer(capsys, *words)
    assert code == 7
    assert "calm seed 7  REAL: n1 is not running" in out
    assert "chatlab lab explore calm --seeds 0 --real 1 --first 8\n" in out
    code, out, _ = answer(capsys, *words, "--first-failure", "--json")
    failure, summary = objects(out)
    assert (code, failure["rule"], failure["seed"]) == (7, "REAL", 7)
    assert [one["seed"] for one in summary["real"]] == [7] and summary["ended"] == "failure"
