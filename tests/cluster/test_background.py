"""What runs until Ctrl-C hears SIGINT also where a script started it in the background.

A shell starts such a process with the signal ignored, and Python then leaves it so.
"""

import json
import signal
import subprocess
from typing import Any

import psutil
import pytest

from lab.terminal.errors import Exit

pytestmark = pytest.mark.cluster
IGNORING = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
UP = [
    (["watch", "--json", "--every", "0.05"], Exit.DONE),
    (["logs", "--follow"], Exit.INTERRUPTED),
    (["timeline", "n1", "--follow"], Exit.INTERRUPTED),
]


def background(lab: Any, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*IGNORING, *lab.command(*arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=lab.folder,
        env=lab.environment,
    )


def interrupted(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    """Once it has said something on stdout, and so is at work."""
    assert process.stdout is not None
    with process:
        try:
            first = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    return process.returncode, first + out, err


def test_what_follows_ends(lab: Any) -> None:
    lab.write("nodes: [n1, n2]\n")
    lab.up()
    lab.well("send", "n1", "hello")
    for arguments, code in UP:
        ended, out, err = interrupted(background(lab, *arguments))
        assert (ended, b"Traceback" in err) == (code, False), (arguments, out, err)


def test_a_cluster_in_the_foreground_is_stopped(lab: Any) -> None:
    lab.write("nodes: [n1, n2]\n")
    process = background(lab, "cluster", "up")
    assert process.stderr is not None
    for line in process.stderr:  # its own time limit bounds it
        if line.startswith(b"following the logs"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (Exit.DONE, b"\nstopped 2 nodes\n"), out
    assert lab.cluster.running() == []


def test_exploring_tells_what_it_found_so_far(lab: Any, until: Any) -> None:
    process = background(
        lab, "lab", "explore", "calm", "--seeds", "1000000", "--jobs", "1", "--json"
    )
    # It says nothing before its end: it is at work once it has used so much of a processor.
    looked = psutil.Process(process.pid)
    until(lambda: looked.cpu_times().user > 2.5, timeout_s=60)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, b"Traceback" in err) == (Exit.INTERRUPTED, False), (out, err)
    told = json.loads(out.splitlines()[-1])
    assert told["ended"] == "interrupted" and told["seeds"] > 0
