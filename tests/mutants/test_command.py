"""`chatlab lab mutants` as a command: lists, rows, and where there is no checkout."""

import json
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.terminal.errors import Exit
from tests.mutants.catalogue import CATALOGUE

Capture = pytest.CaptureFixture[str]


def test_the_list_has_every_mutant(capsys: Capture) -> None:
    assert main(["lab", "mutants", "--list", "--json"]) == Exit.DONE
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["mutant"] for one in told] == list(CATALOGUE.mutants)
    assert main(["lab", "mutants", "ack-before-sync", "--list"]) == Exit.DONE
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_row_has_its_token_and_the_sound_core_is_beside_it(capsys: Capture) -> None:
    found = main(["lab", "mutants", "ack-at-once", "--seeds", "2", "-j", "1", "--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert found == Exit.DONE
    assert {row["mutant"] for row in rows} == {"", "ack-at-once"}
    assert all(row["caught"] == 0 for row in rows if not row["mutant"])
    assert any(row["token"].startswith("ack-at-once+") for row in rows)


def test_ablation_says_what_a_mutant_needs(capsys: Capture) -> None:
    name = "once-suspect-always"
    assert main(["lab", "mutants", name, "--ablate", "--seeds", "2", "-j", "1", "--json"]) == 0
    (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert row["mutant"] == name
    assert row["caught"] > 0
    assert list(row["without"]) == ["kill"]


def test_where_there_is_no_checkout_both_commands_say_so(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.cli.planted.__file__", str(tmp_path / "lab" / "cli" / "planted.py"))
    for command in (["mutants", "--list"], ["replay", "ack-at-once+lossy.1.x.y.z"]):
        assert main(["lab", *command]) == Exit.USAGE
        assert "tests/mutants of a checkout" in capsys.readouterr().err
