"""SIGTERM at any moment ends a node: nothing that begins, waits or ends swallows it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from node.storage.files import FileStorage
from node.storage.verify import examine
from tests.cluster.conftest import ROOT, Lab
from tests.cluster.test_scrub import notes, rot, say
from tests.cluster.windows import NAMES, told
from tests.node.journals import Writer, commit, open_journal

pytestmark = pytest.mark.cluster

ENDED_S = 2.0
FAILED = ("crash: the end of a life", "crash: the wait")  # the journal is left as the crash left it


@pytest.mark.parametrize("window", NAMES)
def test_a_node_that_is_told_to_stop_stops(tmp_path: Path, window: str, until: Any) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text("name: r\nnodes: [n1]\n")
    folder = tmp_path / ".chatlab" / "r" / "n1" / "journal"
    folder.mkdir(parents=True)
    journal, _ = open_journal(FileStorage(folder))
    writer = Writer()
    commit(journal, [writer.opening(), *writer.events(5)])
    journal.close(clean=True)
    command = [sys.executable, "-P", "-m", "tests.cluster.windows", "n1", str(file), window]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if window == "crash: the wait":
            log = folder.parent / "node.jsonl"
            until(lambda: log.exists() and "core_restarts" in log.read_text())
            told(file).write_text(str(time.monotonic()))
            process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    took_s = time.monotonic() - float(told(file).read_text())
    assert took_s < ENDED_S
    if window in FAILED:
        assert process.returncode == 1 and said.startswith("chatlab: n1: SIGTERM; ")
    else:
        assert (process.returncode, said) == (0, "")
    report = examine(folder)
    assert not report.findings and report.events >= 5


def test_what_a_hangup_asked_for_outlives_a_reopening(lab: Lab, until: Any) -> None:
    """The lists that were read last count, and not those that the process began with."""
    text = "nodes: [n1]\nscrub_bytes_per_s: 10000000\n"
    lab.write(text).up()
    say(lab, "n1", 0, 8)
    (lab.folder / "birds.txt").write_text("heron\n")
    lab.write(f"{text}moderation:\n  rules: [{{id: birds, words: birds.txt, action: reject}}]\n")
    lab.cluster.signal("n1", signal.SIGHUP)
    until(lambda: notes(lab, "n1", "policy_read"))
    rot(lab, "n1", 0.5)
    until(lambda: len(notes(lab, "n1", "node_ready")) == 2, timeout_s=20)
    assert lab.chatlab("send", "n1", "a heron").code != 0
    lab.well("send", "n1", "a swan")
