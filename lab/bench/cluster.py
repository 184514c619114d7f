"""Starts and stops clusters for benches, and reads what a node costs from the operating system.

A cluster has a temporary folder of its own, moderation with 1,000 rules, and defaults otherwise;
the folder is removed at the end. Memory is resident memory in MiB (psutil): it includes pages that
a node shares with the launcher. CPU is in seconds over all threads.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from threading import Event

import psutil

from lab.bench.sample_texts import banned
from lab.client.client import Client
from lab.client.location import parse
from lab.client.panel import Panel
from lab.cluster.cluster import Cluster
from lab.cluster.launcher_state import read_launched
from lab.terminal.errors import Problem
from node.control.messages import ReadStatus, Status

RULES = 1000
NOTICED_S = 5.0
POLL_S = 0.005
SETTLED_POLL_S = 0.01  # each time costs what is measured
COMMAND = (sys.executable, "-m", "lab.cli")
MODERATION = """\
moderation:
  rules:
    - {id: bench, words: words.txt, action: censor}
"""


@contextlib.contextmanager
def cluster_of(count: int) -> Iterator[Cluster]:
    """That many nodes with 1,000 rules, not started yet; all else is as by default."""
    folder = Path(tempfile.mkdtemp(prefix="chatlab-bench-"))
    file = folder / "cluster.yaml"
    names = ", ".join(f"n{number}" for number in range(1, count + 1))
    words = banned(RULES, Random(RULES))
    (folder / "words.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    file.write_text(f"nodes: [{names}]\n{MODERATION}", encoding="utf-8")
    cluster = Cluster(parse(file))
    try:
        yield cluster
    finally:
        cluster.down()
        shutil.rmtree(folder, ignore_errors=True)


def client_of(cluster: Cluster, node: str, timeout_s: float = 60.0) -> Client:
    return Client(node, cluster.place.nodes[node].control, timeout_s)


def kill(cluster: Cluster, node: str) -> None:
    """kill -9, until the launcher knows it: a start before that would start nothing."""
    cluster.kill(node)
    look, until = Event(), time.monotonic() + NOTICED_S
    while read_launched(cluster.place.launched_file).nodes[node].state != "down":
        if time.monotonic() > until:
            raise Problem(f"the launcher does not notice that {node} is gone")
        look.wait(POLL_S)


def status_of(client: Client) -> Status:
    return client.expect(ReadStatus(client.new_id()), Status)


def durable(status: Status, events: int) -> bool:
    """Whether a node holds `events` events or more, and all of its events are on its disk."""
    return (
        status.events >= events
        and status.durable_upto >= events
        and status.durable_upto == status.written_upto
        and not status.counters["journal_queued_records"]
    )


def settled(cluster: Cluster, events: int, until: float) -> int | None:
    """How many events all nodes hold once they hold so many, durably, and agree. None: too late."""
    look = Event()
    with Panel(cluster.place.nodes.values()) as panel:
        while True:
            answers = panel.ask(ReadStatus, max(until - time.monotonic(), 0.05))
            seen = [status for status in answers.values() if type(status) is Status]
            at_rest = (
                len(seen) == len(cluster.place.nodes)
                and len({status.root for status in seen}) == 1
                and all(durable(status, max(events, status.events)) for status in seen)
            )
            if time.monotonic() > until:
                return None
            if at_rest:
                return seen[0].events
            look.wait(SETTLED_POLL_S)


def journal_files(cluster: Cluster, node: str) -> list[Path]:
    folder = Path(cluster.place.nodes[node].journal_dir)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def checkpoints(cluster: Cluster, node: str) -> list[Path]:
    """The files that let a start skip reading the journal; the list may be empty."""
    folder = Path(cluster.place.nodes[node].dir)
    return [path for path in folder.rglob("*checkpoint*") if path.is_file()]


def command_ms(command: Sequence[str], folder: Path) -> float:
    """Milliseconds of a whole process, from its start until it has ended well."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    began = time.monotonic()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return (time.monotonic() - began) * 1000


def interpreter_ms(count: int) -> list[float]:
    """Milliseconds of an interpreter that ends at once: the lower bound of a process."""
    return [command_ms([sys.executable, "-c", "pass"], Path.cwd()) for _ in range(count)]


# --- what a process costs, as the system counts it ------------------------------------------------


def process_of(cluster: Cluster, node: str) -> psutil.Process:
    record = cluster.process(node)
    assert record is not None, node
    return psutil.Process(record.pid)


def resident_mib(cluster: Cluster, node: str) -> float:
    return float(process_of(cluster, node).memory_info().rss) / 2**20


def cpu_s(cluster: Cluster, node: str) -> float:
    """Seconds on a processor, of all its threads so far; to the nanosecond where Linux tells it."""
    process = process_of(cluster, node)
    try:
        tasks = Path(f"/proc/{process.pid}/task").iterdir()
        ran = [int((task / "schedstat").read_text().split()[0]) for task in tasks]
    except OSError:
        times = process.cpu_times()
        return float(times.user + times.system)
    return sum(ran) / 1e9


def sent_bytes(cluster: Cluster, node: str) -> int:
    """All packets so far."""
    with client_of(cluster, node) as client:
        return status_of(client).counters["bytes_sent"]


def size_bytes(files: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in files)
