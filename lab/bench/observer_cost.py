"""Measures what observers cost: the node that is observed, and themselves.

- One client posts to a node with all its requests in flight, alone and beside 50 observers, in
  turn. Each observer is a live source with a view: it subscribes to the feed and asks for a status
  twice a second. They share one process of the lowest priority (`lab.bench.observers`).
- The same while these 50 observers are stopped (SIGSTOP): how much the node's memory grows.
- One observer of five nodes that looks ten times a second, while they talk: its own CPU, without a
  screen.
- A history of a long simulated run: its memory, and how long it takes to show a moment.
"""

import random
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from lab.bench.cluster import client_of, cluster_of, cpu_s, resident_mib
from lab.bench.figures import Bare, Figure, figure, ratios
from lab.bench.load import Texts, post_all
from lab.bench.observers import Observed
from lab.bench.report_page import long_plan
from lab.bench.session import Session
from lab.cluster.cluster import Cluster
from lab.sim.world import run_plan
from lab.terminal.errors import Problem
from lab.view.history import ViewHistory

NODES = 5
EVERY_S = 0.5
FAST_S = 0.1
WARM_UP_SHARE = 10
TALK_PER_S = 20
MOMENTS = 30
KIB = 1 / 1024


class Observers:
    """A process with so many observers. Mutable."""

    def __init__(self, process: "subprocess.Popen[str]", count: int) -> None:
        self.process = process
        self.count = count

    def end(self) -> Observed:
        said, _ = self.process.communicate("")
        return msgspec.json.decode(said.splitlines()[-1], type=Observed)


@contextmanager
def observing(cluster: Cluster, count: int, every_s: float) -> Iterator[Observers]:
    """Begins when all of them follow all nodes."""
    command = [sys.executable, "-m", "lab.bench.observers", cluster.place.file, str(count)]
    with subprocess.Popen(
        [*command, str(every_s)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise Problem("the observers do not begin")
            yield Observers(process, count)
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


def figures(session: Session) -> list[Figure]:
    with cluster_of(1) as cluster:
        cluster.up()
        found = [*_ingest(cluster, session), *_stopped(cluster, session)]
    return [*found, _fast(session), *_history(session)]


class _Half(msgspec.Struct, frozen=True):
    """One batch of posts."""

    rate: float  # messages a second
    cpu_us: float  # of the node, for each message
    grown_mib: float


def _batch(cluster: Cluster, texts: Texts, count: int) -> _Half:
    batch = texts.take(count)
    with client_of(cluster, "n1") as client:
        mib, cpu = resident_mib(cluster, "n1"), cpu_s(cluster, "n1")
        took_s = post_all(client, batch)
    used_s = cpu_s(cluster, "n1") - cpu
    grown_mib = max(resident_mib(cluster, "n1") - mib, 4 * KIB)  # a page at least
    return _Half(count / took_s, used_s / count * 1e6, grown_mib)


def _ingest(cluster: Cluster, session: Session) -> list[Figure]:
    scale, texts = session.scale, Texts()
    _batch(cluster, texts, scale.ingest // WARM_UP_SHARE)
    alone: list[_Half] = []
    beside: list[_Half] = []
    own: list[float] = []
    for _ in range(scale.repeats):
        alone.append(_batch(cluster, texts, scale.ingest))
        with observing(cluster, scale.observers, EVERY_S) as observers:
            beside.append(_batch(cluster, texts, scale.ingest))
            seen = observers.end()
        own.append(100 * seen.cpu_s / seen.took_s / seen.observers)
    many = f"{scale.observers} observers"
    rates = ratios([one.rate for one in beside], [one.rate for one in alone])
    cpu = [one.cpu_us for one in beside]
    bare = Bare("alone", tuple(one.cpu_us for one in alone))
    note = f"{scale.ingest:,} messages each"
    pairs = zip(alone, beside, strict=True)
    for_them = [max((b.cpu_us - a.cpu_us) * b.rate / 1e4, 0.01) for a, b in pairs]
    return [
        figure(f"ingest beside {many} / alone", "x", rates, at_least=0.95, note=note),
        figure(f"CPU of the node for a message, {many}", "us", cpu, bare=bare, note=note),
        figure(f"CPU of the node for {many}, of a core", "%", for_them, note=note),
        figure("CPU of one of them meanwhile", "%", own),
    ]


def _stopped(cluster: Cluster, session: Session) -> list[Figure]:
    scale, texts = session.scale, Texts(2)
    grown = [_batch(cluster, texts, scale.ingest).grown_mib]
    with observing(cluster, scale.observers, EVERY_S) as observers:
        observers.process.send_signal(signal.SIGSTOP)
        stopped = _batch(cluster, texts, scale.ingest).grown_mib
    bare = Bare("alone", tuple(grown))
    name = f"the node grows beside {scale.observers} stopped observers"
    return [
        figure(name, "MiB", [stopped], at_most=64, bare=bare, note=f"{scale.ingest:,} messages")
    ]


def _fast(session: Session) -> Figure:
    scale, texts = session.scale, Texts(3)
    used: list[float] = []
    with cluster_of(NODES) as cluster:
        cluster.up()
        with client_of(cluster, "n1") as client:
            for _ in range(scale.repeats):
                with observing(cluster, 1, FAST_S) as observers:
                    ends_s = time.monotonic() + scale.window_s
                    while time.monotonic() < ends_s:
                        post_all(client, texts.take(1))
                        client.replies(1 / TALK_PER_S)  # nothing comes: this waits
                    seen = observers.end()
                used.append(100 * seen.cpu_s / seen.took_s)
    name = f"CPU of an observer of {NODES} nodes, 10 looks/s, {TALK_PER_S} messages/s"
    return figure(name, "%", used, at_most=15)


def _history(session: Session) -> list[Figure]:
    trace = run_plan(long_plan(session.scale.sim)).trace
    tracemalloc.start()
    history = ViewHistory()
    for event in trace:
        history.add(event)
    mib = tracemalloc.get_traced_memory()[0] / 2**20
    tracemalloc.stop()
    rng, took_ms = random.Random(1), []
    for _ in range(MOMENTS):
        t_us = rng.randrange(history.latest.t_us)
        began = time.monotonic()
        history.at(t_us)
        took_ms.append((time.monotonic() - began) * 1000)
    note = f"a run of {len(trace):,} events"
    return [
        figure("a history, beside its events", "MiB", [mib], at_most=64, note=note),
        figure("a moment of it", "ms", took_ms, at_most=100, note=note),
    ]
