"""Real nodes, real processes. Every test stops what it started, by pid, whatever happens."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.client.location import ClusterLocation, parse
from lab.cluster.cluster import Cluster
from lab.cluster.processes import read_record, send_signal

ROOT = Path(__file__).resolve().parents[2]
FIVE = "nodes: [n1, n2, n3, n4, n5]\n"


@dataclass(frozen=True)
class Ran:
    """What a `chatlab` process said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        assert len(self.lines) == 1, self.out
        return self.lines[0]


class Lab:
    """A folder with a cluster file, the cluster, and the command line beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "cluster.yaml"

    def write(self, text: str = FIVE) -> "Lab":
        self.file.write_text(text, encoding="utf-8")
        return self

    @property
    def place(self) -> ClusterLocation:
        return parse(self.file)

    @property
    def cluster(self) -> Cluster:
        return Cluster(self.place)

    def command(self, *arguments: str | bytes) -> list[str | bytes]:
        return [sys.executable, "-P", "-m", "lab.cli", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CHATLAB")}
        return kept | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"}

    def chatlab(
        self, *arguments: str | bytes, stdin: bytes = b"", timeout_s: float = 60.0, **more: str
    ) -> Ran:
        done = subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env=self.environment | more,
            timeout=timeout_s,
            check=False,
        )
        out, err = done.stdout.decode(), done.stderr.decode(errors="backslashreplace")
        return Ran(done.returncode, out, err)

    def well(self, *arguments: str | bytes, stdin: bytes = b"", timeout_s: float = 60.0) -> Ran:
        ran = self.chatlab(*arguments, stdin=stdin, timeout_s=timeout_s)
        assert ran.code == 0, (arguments, ran)
        return ran

    def up(self) -> None:
        started = self.cluster.up()
        assert all(one.state == "running" for one in started), started

    def clean(self) -> None:
        """Stop everything, first politely, then by the pid files that are left."""
        for path in [*self.folder.rglob("*.yaml")]:
            try:
                cluster = Cluster(parse(path))
            except Exception:
                continue
            for at in cluster.place.nodes.values():
                record = read_record(Path(at.pid_file))
                if record is not None:
                    send_signal(record, signal.SIGCONT)
            try:
                cluster.down()
            finally:
                for at in cluster.place.nodes.values():
                    record = read_record(Path(at.pid_file))
                    if record is not None:
                        send_signal(record, signal.SIGKILL)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory(prefix="cl-", dir="/tmp") as folder:
        made = Lab(Path(folder))
        try:
            yield made
        finally:
            made.clean()


@pytest.fixture
def five(lab: Lab) -> Lab:
    """Five nodes, running."""
    lab.write()
    lab.up()
    return lab


@pytest.fixture
def until() -> Callable[..., None]:
    def wait(done: Callable[[], object], timeout_s: float = 10.0) -> None:
        end = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < end, "the condition did not come true in time"
            time.sleep(0.01)

    return wait
