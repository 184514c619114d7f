"""Measures what two idle, equal nodes cost, with a short and with a long history.

Bytes per second are those that both send together; CPU is that of one node, in percent of a core.
"""

import time

from lab.bench.cluster import client_of, cluster_of, cpu_s, sent_bytes, settled
from lab.bench.figures import Figure, figure, ratios
from lab.bench.load import Texts, post_all
from lab.bench.scale import Scale
from lab.bench.session import PAIR, Session
from lab.cluster.cluster import Cluster
from lab.terminal.errors import Problem

FEW = 10
WINDOWS = 3
SETTLED_S = 300
POLL_S = 0.1


def run(session: Session) -> list[Figure]:
    scale = session.scale
    with cluster_of(2) as cluster:
        cluster.up()
        with client_of(cluster, "n1") as client:
            post_all(client, Texts().take(FEW))
        few_bytes, few_cpu = _measured(cluster, FEW, scale)
    large = session.history(scale.large)
    large.cluster.up(["n2"])
    many_bytes, many_cpu = _measured(large.cluster, large.count, scale)
    large.cluster.stop(["n2"])
    many = f"{scale.large:,}"
    each = [total / len(PAIR) for total in many_bytes]
    flat = ratios(many_bytes, few_bytes)
    return [
        figure(f"both send, {FEW} messages", "B/s", few_bytes, at_most=100),
        figure(f"both send, {many} messages", "B/s", many_bytes, at_most=100),
        figure(f"one sends, {many} messages", "B/s", each),
        figure(f"bytes, {many} / {FEW} messages", "x", flat, at_most=1.1),
        figure(f"CPU of a node, {FEW} messages", "%", few_cpu, at_most=0.5),
        figure(f"CPU of a node, {many} messages", "%", many_cpu, at_most=0.5),
    ]


def _measured(cluster: Cluster, events: int, scale: Scale) -> tuple[list[float], list[float]]:
    """Bytes a second of both together, and CPU of each in percent, over some windows."""
    if settled(cluster, events, time.monotonic() + SETTLED_S) is None:
        raise Problem("the pair does not converge")
    time.sleep(scale.settle_s)  # until rounds have slowed down
    sent: list[float] = []
    cpu: list[float] = []
    for _ in range(WINDOWS):
        start_s, bytes_before = time.monotonic(), _sent(cluster)
        before = [cpu_s(cluster, name) for name in PAIR]
        time.sleep(scale.window_s)
        while (total := _sent(cluster)) == bytes_before:  # a window shorter than a slow round
            time.sleep(POLL_S)
        after = [cpu_s(cluster, name) for name in PAIR]
        took_s = time.monotonic() - start_s
        sent.append((total - bytes_before) / took_s)
        cpu += [100 * (now - then) / took_s for now, then in zip(after, before, strict=True)]
    return sent, cpu


def _sent(cluster: Cluster) -> int:
    return sum(sent_bytes(cluster, name) for name in PAIR)
