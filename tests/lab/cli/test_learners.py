"""What a learner runs in the lab: a planted bug that is seen, an example that does something."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.experiments import demers, pushpull
from lab.modelcheck import Bounds, Workload, search
from lab.terminal.errors import Exit

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_planted_bug_ends_with_a_token_that_is_told(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", "mutants", "ack-before-sync", "--seeds", "4", "-j", "1"]) == Exit.DONE
    out, err = capsys.readouterr()
    token = re.findall(r"^token (\S+)$", out, re.MULTILINE)[0]
    assert token.startswith("ack-before-sync+")
    assert f"chatlab lab replay {token} --shrink --story" in err
    told = main(["lab", "replay", token, "--shrink", "--story", "--time", "10"])
    out = capsys.readouterr().out
    assert told == Exit.VERDICT_FALSE
    assert "The promise:" in out and "Why it matters:" in out
    plan = re.findall(r"run it: chatlab lab replay (ack-before-sync\+\S+\.json)", out)[0]
    assert main(["lab", "replay", plan]) == Exit.VERDICT_FALSE
    capsys.readouterr()
    # Nothing is left of the bug: the same run of the sound core passes, and is another one.
    assert main(["lab", "replay", token.partition("+")[2], "--force"]) != Exit.VERDICT_FALSE


@pytest.mark.parametrize("jobs", ["1", "2"])  # two: workers have the bug as well
def test_exploring_finds_a_planted_bug_and_the_token_plants_it_again(
    here: Path, capsys: pytest.CaptureFixture[str], jobs: str
) -> None:
    words = ["lab", "explore", "power-cuts", "--seeds", "6", "--rule", "C5", "-j", jobs]
    plant = ["--plant", "ack-before-sync"]
    assert main([*words, *plant, "--first-failure", "--json"]) == Exit.VERDICT_FALSE
    failure = json.loads(capsys.readouterr().out.splitlines()[0])
    assert failure["rule"] == "C5"
    assert failure["token"].startswith("ack-before-sync+power-cuts.")
    assert failure["command"] == f"chatlab lab replay {failure['token']}"
    assert main(["lab", "replay", failure["token"], "--json"]) == Exit.VERDICT_FALSE
    capsys.readouterr()
    assert main(words) == Exit.DONE  # and nothing is left of it
    assert "ack-before-sync" not in capsys.readouterr().out


def test_a_failure_reads_the_same_in_every_process() -> None:
    """The reason, the witness and the token: none depends on the order of a set."""
    words = ["explore", "forks", "--plant", "lost-leg-never-retried", "--rule", "C1"]
    words += ["--first", "1", "--seeds", "1", "--json"]
    told = set()
    for hash_seed in ("1", "2", "3"):
        ran = subprocess.run(
            [sys.executable, "-m", "lab.cli", "lab", *words],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert ran.returncode == Exit.VERDICT_FALSE, ran.stderr
        told.add(ran.stdout.splitlines()[0])
    assert len(told) == 1, told


def test_what_cannot_be_planted_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "explore", "--plant", "no-such-bug"]) == Exit.USAGE
    assert "no mutant 'no-such-bug'" in capsys.readouterr().err
    assert main(["lab", "explore", "--plant", "never-push", "--real", "1"]) == Exit.USAGE
    assert "real nodes" in capsys.readouterr().err
    for more, told in (
        (["--rule", "C99"], "there are C1, C2"),
        (["--rule", "C1", "--real", "1"], "all"),
    ):
        assert main(["lab", "explore", *more]) == Exit.USAGE
        assert told in capsys.readouterr().err


def test_a_bug_that_nobody_planted_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "replay", "no-such-bug+lossy.1.x.y.z"]) == Exit.USAGE
    assert "no mutant 'no-such-bug'" in capsys.readouterr().err


def test_the_example_in_the_help_of_sweep_does_something(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", "sweep", "--help"]) == Exit.DONE
    text = " ".join(capsys.readouterr().out.split())
    found = re.search(r"chatlab (lab sweep lossy gossip\.[^`]*)", text)
    assert found is not None, text
    words = found[1].split()
    words[words.index("--seeds") + 1] = "2"
    assert main([*words, "-j", "1", "--json"]) == Exit.DONE
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 2
    one, other = ({k: v for k, v in row.items() if k not in ("name", "knobs")} for row in rows)
    figures = [k for k in one if isinstance(one[k], int | float) and one[k] != other[k]]
    assert figures, "fanout changed nothing"


def test_long_commands_say_how_far_they_are() -> None:
    heard: list[float | None] = []
    bounds = Bounds(rounds=1, crashes=1, states=600)
    search(Workload((1, 1)), bounds, on_progress=lambda share, _: heard.append(share))
    assert heard
    assert all(share is not None and 0 <= share <= 1 for share in heard)
    tried: list[int] = []
    pushpull.run(10, 3, 1, lambda: tried.append(1))
    demers.run(1, 2, 1, sites=20, tried=lambda: tried.append(1))
    assert len(tried) == 5
