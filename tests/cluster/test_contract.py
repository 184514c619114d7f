"""The JSON of docs/cli.md: each command prints an object with the keys that the page promises."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import Lab

pytestmark = pytest.mark.cluster

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
RULES = "moderation: {rules: [{id: harsh, words: harsh.txt, action: reject}]}\n"


def promised() -> dict[str, list[str]]:
    """Keys, by what stands in the first column of the table of JSON."""
    table = PAGE.partition("\n## JSON\n")[2]
    rows = re.findall(r"^\| (`.+?) \| (`.+?) \|$", table, re.MULTILINE)
    return {row: re.findall(r"`(\w+)`", keys) for row, keys in rows}


def test_every_command_prints_the_keys_of_the_contract(lab: Lab) -> None:
    lab.write("nodes: [n1, n2]\n" + RULES)
    (lab.folder / "harsh.txt").write_text("zonk\n", encoding="utf-8")
    lab.up()

    def said(*words: str, code: int = 0) -> Any:
        ran = lab.chatlab(*words, "--json")
        assert ran.code == code, ran
        return json.loads(ran.out.splitlines()[0])

    objects = {
        "`send`": said("send", "n1", "hello", "--as", "ana"),
        "`send`, refused (exit code 3)": said("send", "n1", "zonk", "--as", "ana", code=3),
        "`wait`": said("wait"),
        "`timeline`": said("timeline", "n1"),
        "`presence`": said("presence", "n1"),
        "`status`": said("status", "n1"),
        "`diff`": said("diff", "n1", "n2"),
        "`stat`": said("stat", "--count", "1", "--every", "0.1"),
        "`cluster ps`": said("cluster", "ps"),
        "`logs`": said("logs", "n1"),
        "`moderate`": said("moderate", "zonk"),
        "`doctor`": said("doctor"),
    }
    lab.well("cluster", "down")
    objects["`journal verify`"] = said("journal", "verify", "n1")
    assert promised().keys() == objects.keys()
    for name, keys in promised().items():
        assert set(keys) <= objects[name].keys(), name
    assert objects["`timeline`"]["dot"].keys() == {"origin", "epoch", "seq"}
    assert type(objects["`timeline`"]["dot"]["epoch"]) is str
    assert objects["`timeline`"]["hlc"].keys() == {"ms", "counter"}


def test_errors_and_faults_are_objects(lab: Lab) -> None:
    lab.write("nodes: [n1, n2]\n")
    lab.up()
    ran = lab.chatlab("send", "n9", "hello", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert json.loads(ran.err).keys() == {"error", "exit", "kind"}
    lab.well("cluster", "fault", "n1", "--loss", "20%")
    (fault,) = lab.well("cluster", "ps", "--json").lines[0]["faults"].values()
    assert fault.keys() == {"blocked", "loss", "duplicate", "delay_ms", "jitter_ms"}
