"""R5 on real processes, a sample: by strace, and on a small tmpfs in a namespace of its own.

What the sender sees is one line, and the exit code of storage; what was acknowledged is there after
the restart. Skipped, with the reason, where the system does not let us inject.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.cluster.conftest import ROOT, Lab, Ran
from tests.cluster.conftest import lab as lab  # noqa: PLC0414  (the fixture)
from tests.cluster.conftest import until as until  # noqa: PLC0414

pytestmark = pytest.mark.cluster
ONE = "nodes: [n1]\n"
STORAGE = 5
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child")


def can(*command: str) -> str:
    """Why that cannot be run here, or ""."""
    if shutil.which(command[0]) is None:
        return f"there is no {command[0]} here"
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    why = f"{command[0]} is not permitted: {ran.stderr.strip()[:100]}"
    return "" if ran.returncode == 0 else why


@pytest.fixture
def strace() -> str:
    why = can("strace", "-f", "-o", os.devnull, "-e", "inject=fdatasync:error=EIO", "true")
    if why:
        pytest.skip(why)
    return "strace"


class Injected:
    """A node process under strace, which makes the system calls fail that are named."""

    def __init__(self, lab: Lab, inject: str) -> None:
        self.lab = lab
        self.err = lab.folder / "stderr"
        command = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"inject={inject}"]
        with self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*command, sys.executable, "-P", "-m", "node", "n1", "--file", str(lab.file)],
                stderr=err,
                cwd=ROOT,
                env=lab.environment,
            )

    def ready(self, until: Callable[..., None]) -> None:
        at = self.lab.place.nodes["n1"]
        until(lambda: Path(at.control).exists() or self.process.poll() is not None, 20)

    def stop(self) -> None:
        children = psutil.Process(self.process.pid).children(recursive=True)
        for child in children:
            child.kill()
        self.process.kill()
        self.process.wait(10)


def sent(lab: Lab, count: int) -> tuple[list[str], list[Ran]]:
    """The texts that were acknowledged, and the answers of the others."""
    acked, others = [], []
    for number in range(count):
        text = f"message {number}"
        ran = lab.chatlab("send", "n1", text, "--as", "ana", "--timeout", "5")
        if ran.code == 0:
            acked.append(text)
        else:
            others.append(ran)
    return acked, others


def nothing_lost(lab: Lab, acked: list[str]) -> None:
    """After a start without trouble."""
    lab.up()
    texts = [item["text"] for item in lab.well("timeline", "n1", "--json").lines]
    assert set(acked) <= set(texts)
    assert len(texts) == len(set(texts))
    lab.well("send", "n1", "all is well again")


def is_one_line(ran: Ran, *words: str) -> None:
    assert ran.code == STORAGE, ran
    assert len(ran.err.splitlines()) == 1, ran.err
    assert "Traceback" not in ran.err
    assert any(word in ran.err for word in words), ran.err


@pytest.mark.parametrize("when", ["6+", "7"])
def test_a_failed_sync_is_told_and_nothing_acknowledged_is_lost(
    lab: Lab, strace: str, until: Callable[..., None], when: str
) -> None:
    """Once is as bad as always: the kernel would call the next one a success."""
    node = Injected(lab.write(ONE), f"fdatasync:error=EIO:when={when}")
    try:
        node.ready(until)
        acked, others = sent(lab, 12)
        status = lab.well("status", "n1", "--json").json
    finally:
        node.stop()
    assert "Traceback" not in node.err.read_text()
    assert acked and others, "some before, none after"
    for ran in others:
        is_one_line(ran, "cannot sync")
    assert status["state"] == "read_only"
    nothing_lost(lab, acked)


@pytest.mark.parametrize(
    ("inject", "words"),
    [
        ("rename,renameat,renameat2:error=EIO:when=1", "Input/output error"),
        ("fsync:error=EIO:when=1", "Input/output error"),
        ("flock:error=EIO:when=1", "Input/output error"),
    ],
)
def test_what_fails_at_the_start_is_one_line_and_an_exit_code(
    lab: Lab, strace: str, until: Callable[..., None], inject: str, words: str
) -> None:
    node = Injected(lab.write(ONE), inject)
    try:
        until(lambda: node.process.poll() is not None, 20)
    finally:
        if node.process.poll() is None:
            node.stop()
    err = node.err.read_text().splitlines()
    assert node.process.returncode in (1, STORAGE), err
    assert len(err) == 1 and words in err[0], err
    lab.up()
    lab.well("send", "n1", "all is well")


def test_a_full_disk_and_a_read_only_one() -> None:
    """In a namespace of its own, so that nothing else can see the mounts: see `fulldisk`."""
    why = can(*NAMESPACE, "sh", "-c", "mount -t tmpfs -o size=64k tmpfs /mnt")
    if why:
        pytest.skip(why)
    ran = subprocess.run(
        [*NAMESPACE, "--mount-proc", sys.executable, "-P", "-m", "tests.reliability.fulldisk"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["acked_before"] and told["refused"] and told["acked_after"]
    assert told["lost"] == 0
