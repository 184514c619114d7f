"""What the system refuses at a start: exit code 5, one line, and the other nodes go on."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.conftest import ROOT, Lab

pytestmark = pytest.mark.cluster


def folder_of(lab: Lab, name: str) -> Path:
    return Path(lab.place.nodes[name].pid_file).parent


def test_a_folder_in_the_place_of_a_pid_file_ends_that_node_and_no_launcher(lab: Lab) -> None:
    lab.write("nodes: [n1, n2]\nrestart: never\n")
    lab.up()  # from here on the folders are the cluster's
    lab.cluster.down()
    (folder_of(lab, "n1") / "node.pid").mkdir(mode=0o700)
    started = {one.node: one for one in lab.cluster.up()}
    assert started["n2"].state == "running"
    assert started["n1"].state != "running"
    assert lab.cluster.launcher_runs()
    lab.well("send", "n2", "goes on")
    ran = lab.chatlab("node", "run", "n1")
    assert ran.code == 5, ran
    assert len(ran.err.splitlines()) == 1
    assert "Is a directory; move that folder away" in ran.err
    (folder_of(lab, "n1") / "node.pid").rmdir()
    assert [one.state for one in lab.cluster.up(["n1"])] == ["running"]


@pytest.mark.parametrize("limit", [5, 6, 8, 12])
def test_too_few_descriptors_are_said_to_be_that(lab: Lab, limit: int) -> None:
    """Also where an import is the first to need one more."""
    lab.write("nodes: [n1]\n")

    script = (
        "import sys, resource, node.__main__ as m; from pathlib import Path;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}));"
        "sys.exit(m.run('n1', Path(sys.argv[1])))"
    )
    ran = subprocess.run(
        [sys.executable, "-P", "-c", script, str(lab.file)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=lab.environment,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 5, ran
    assert len(ran.stderr.splitlines()) == 1, ran.stderr
    assert "Too many open files" in ran.stderr and "ulimit -n" in ran.stderr
