"""`chatlab lab search`: what it prints, and its exit codes."""

import json
import re

import pytest

from lab.cli.main import main
from lab.terminal.errors import Exit


def test_a_sound_space_is_told_and_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "search", "--posts", "1,0", "--crashes", "0"]) == Exit.DONE
    out = capsys.readouterr().out
    assert re.match(r"\d+ states, \d+ steps between them, depth \d+, ", out)
    assert "(the whole space)" in out
    assert '   1  somebody posts "n1 says 1" at n1' in out


def test_one_that_is_cut_off_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "search", "--states", "50", "--json"]) == Exit.VERDICT_UNKNOWN
    found = json.loads(capsys.readouterr().out)
    assert found["states"] >= 50
    assert found["complete"] is False
    assert found["violation"] is None


@pytest.mark.parametrize("posts", ["", "1", "1,1,1,1", "1,x", "1,-1", "1,100"])
def test_a_wrong_workload_is_wrong_usage(posts: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "search", "--posts", posts]) == Exit.USAGE
    assert "two or three numbers, as in 1,1" in capsys.readouterr().err
