"""`chatlab watch` beside real nodes: it tells of changes, changes nothing, and ends when asked."""

import json
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.cluster
TWO = "nodes: [n1, n2]\n"


@pytest.fixture
def watching(lab: Any) -> Iterator[subprocess.Popen[str]]:
    """Two nodes, and somebody who looks on."""
    lab.write(TWO)
    lab.up()
    process = subprocess.Popen(
        lab.command("watch", "--json", "--every", "0.05"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=lab.folder,
        env=lab.environment,
        text=True,
    )
    with process:  # its pipes are closed, whatever happens
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str], **wanted: object) -> dict[str, Any]:
    """The next change of which all that is true. (The test's own time limit bounds it.)"""
    assert process.stdout is not None
    for line in process.stdout:
        found: dict[str, Any] = json.loads(line)
        if all(found[name] == value for name, value in wanted.items()):
            return found
    raise AssertionError("it ended and never said so")


def test_it_tells_what_changes_and_ends_cleanly(lab: Any, watching: subprocess.Popen[str]) -> None:
    first = told(watching, node="n1", state="running", events=0)
    told(watching, node="n2", state="running", events=0)
    lab.well("send", "n1", "hello", "--ack", "replicated:1")
    one = told(watching, node="n1", events=1)
    other = told(watching, node="n2", events=1)
    assert one["root"] == other["root"] != first["root"]
    lab.well("cluster", "kill", "n2")
    assert told(watching, node="n2", state="down")["pid"] is None
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=10)
    assert (watching.returncode, err) == (0, "")


def test_whoever_reads_may_have_seen_enough(lab: Any, watching: subprocess.Popen[str]) -> None:
    told(watching, node="n1", state="running")
    assert watching.stdout is not None and watching.stderr is not None
    watching.stdout.close()
    lab.well("send", "n1", "hello", "--ack", "replicated:1")
    assert watching.wait(timeout=10) == 0
    assert watching.stderr.read() == ""


def test_where_there_is_no_cluster_it_says_so(lab: Any) -> None:
    ran = lab.chatlab("watch")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
