"""A stop is clean only when its last sync returned: exit code, log and mark say the same."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.storage.files import FileReader
from node.storage.scan import scan_journal
from tests.cluster.conftest import ROOT, Lab
from tests.cluster.conftest import lab as lab  # noqa: PLC0414  (the fixture)
from tests.cluster.conftest import until as until  # noqa: PLC0414

pytestmark = pytest.mark.cluster
MODULE = "tests.reliability.failing"


class Node:
    """One node process, on a disk that fails while a switch is on."""

    def __init__(self, lab: Lab, durability: str) -> None:
        self.lab = lab.write(f"nodes: [n1]\ndurability: {durability}\ninterval_ms: 60000\n")
        self.dir = lab.folder / ".chatlab" / lab.place.name / "n1"
        self.switches = lab.folder / "switches"
        self.switches.mkdir()

    def start(self, until: Callable[..., None]) -> None:
        self.err = self.lab.folder / "stderr"
        with self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE, "n1", self.lab.file, self.switches],
                stderr=err,
                cwd=ROOT,
                env=self.lab.environment,
            )
        control = Path(self.lab.place.nodes["n1"].control)
        until(lambda: control.exists() or self.process.poll() is not None, 20)

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()

    def said(self, event: str) -> dict[str, Any]:
        lines = (self.dir / "node.jsonl").read_text().splitlines()
        return next(one for one in map(json.loads, reversed(lines)) if one["event"] == event)


@pytest.mark.parametrize("switch", ["sync", "full", ""])
@pytest.mark.parametrize("durability", ["always", "interval", "none"])
def test_what_a_stop_says_of_itself_is_the_same_everywhere(
    lab: Lab, until: Callable[..., None], durability: str, switch: str
) -> None:
    node = Node(lab, durability)
    node.start(until)
    try:
        lab.well("send", "n1", "before the disk fails", "--ack", "written")
        if switch:
            (node.switches / switch).touch()
    finally:
        code = node.stop()
    stopped = node.said("node_stopped")
    marked = bool(scan_journal(FileReader(node.dir / "journal")).clean_stop)
    # In mode always everything is synced long before, and only the mark is left to be.
    assert (code, stopped["clean"], marked) == ((5, False, False) if switch else (0, True, True))
    lines = node.err.read_text().splitlines()
    if not switch:
        assert lines == []
        return
    why = "Input/output error" if switch == "sync" else "No space left on device"
    assert why in stopped["reason"]
    assert len(lines) == 1 and "the stop was not clean: journal: cannot" in lines[0], lines
    os.unlink(node.switches / switch)
    node.start(until)
    assert node.said("journal_opened")["clean"] is False
    assert [one["text"] for one in lab.well("timeline", "n1", "--json").lines] == [
        "before the disk fails"
    ]
    assert node.stop() == 0
