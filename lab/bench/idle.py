"""What two nodes cost that hold the same and have nothing to do, with a short and a long history.

Bytes are those that both send together, CPU is that of one node.
"""

import time

from lab.bench.cluster import client_of, cluster_of, status_of
from lab.bench.figures import Figure, figure
from lab.bench.load import Texts, post_all
from lab.bench.process import cpu_s
from lab.bench.scale import Scale
from lab.bench.session import Session
from lab.cluster import Cluster
from lab.converge import wait_converged
from lab.problem import Problem

FEW = 10
PAIR = ("n1", "n2")
WINDOWS = 3
CONVERGED_S = 300
POLL_S = 0.1


def run(session: Session) -> list[Figure]:
    scale = session.scale
    with cluster_of(2) as cluster:
        cluster.up()
        with client_of(cluster, "n1") as client:
            post_all(client, Texts().take(FEW))
        few_bytes, few_cpu = _measured(cluster, scale)
    large = session.history(scale.large).cluster
    large.up(["n2"])
    many_bytes, many_cpu = _measured(large, scale)
    large.stop(["n2"])
    many = f"{scale.large:,}"
    flat = [theirs / ours for theirs, ours in zip(many_bytes, few_bytes, strict=True)]
    each = [total / len(PAIR) for total in many_bytes]
    return [
        figure("idle", f"both send, {FEW} messages", "B/s", few_bytes, goal=100),
        figure("idle", f"both send, {many} messages", "B/s", many_bytes, goal=100),
        figure("idle", f"one sends, {many} messages", "B/s", each),
        figure("idle", f"bytes, {many} / {FEW} messages", "x", flat, goal=1.1),
        figure("idle", f"CPU of a node, {FEW} messages", "%", few_cpu, goal=0.5),
        figure("idle", f"CPU of a node, {many} messages", "%", many_cpu, goal=0.5),
    ]


def _measured(cluster: Cluster, scale: Scale) -> tuple[list[float], list[float]]:
    """Bytes a second of both together, and CPU of each in percent, over some windows."""
    if not wait_converged(cluster, CONVERGED_S).converged:
        raise Problem("the pair does not converge")
    time.sleep(scale.settle_s)  # until rounds have slowed down
    sent: list[float] = []
    cpu: list[float] = []
    for _ in range(WINDOWS):
        start_s, before, bytes_before = time.monotonic(), _cpu(cluster), _sent(cluster)
        time.sleep(scale.window_s)
        while (total := _sent(cluster)) == bytes_before:  # a window shorter than a slow round
            time.sleep(POLL_S)
        after, took_s = _cpu(cluster), time.monotonic() - start_s
        sent.append((total - bytes_before) / took_s)
        cpu += [100 * (now - then) / took_s for now, then in zip(after, before, strict=True)]
    return sent, cpu


def _sent(cluster: Cluster) -> int:
    total = 0
    for name in PAIR:
        with client_of(cluster, name) as client:
            total += status_of(client).counters["bytes_sent"]
    return total


def _cpu(cluster: Cluster) -> list[float]:
    records = [cluster.process(name) for name in PAIR]
    return [cpu_s(record.pid) for record in records if record is not None]
