"""What a node costs that has nothing to do: CPU and bytes per second, in a cluster of five."""

import time

import psutil

from lab.bench.cluster import cluster_of
from lab.bench.figures import Figure, figure
from lab.client import Client
from lab.converge import wait_converged
from node.api import Accepted, Post, ReadStatus, Status

SETTLE_S = 5.0
WINDOW_S = 10.0
MESSAGES = 1000


def run() -> list[Figure]:
    cpu: list[float] = []
    sent: list[float] = []
    memory: list[float] = []
    with cluster_of(5) as cluster:
        started = cluster.up()
        with Client("n1", cluster.place.nodes["n1"].control) as client:
            for number in range(MESSAGES):
                client.expect(Post(client.new_id(), "bench", f"message {number}"), Accepted)
        wait_converged(cluster, 10)
        time.sleep(SETTLE_S)  # until rounds have slowed down
        processes = [psutil.Process(one.pid) for one in started]
        before = [
            (_cpu_s(p), _sent_bytes(cluster.place.nodes[s.node].control, s.node))
            for p, s in zip(processes, started, strict=True)
        ]
        began = time.monotonic()
        time.sleep(WINDOW_S)
        took_s = time.monotonic() - began
        for process, one, (cpu_s, bytes_then) in zip(processes, started, before, strict=True):
            cpu.append(100 * (_cpu_s(process) - cpu_s) / took_s)
            now = _sent_bytes(cluster.place.nodes[one.node].control, one.node)
            sent.append((now - bytes_then) / took_s)
            memory.append(process.memory_info().rss / 2**20)
    return [
        figure("idle", "CPU of a node", "%", cpu, goal=0.5),
        figure("idle", "bytes sent by a node", "B/s", sent),
        figure("idle", f"resident memory with {MESSAGES} messages", "MiB", memory),
    ]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _sent_bytes(control: str, node: str) -> int:
    with Client(node, control) as client:
        status = client.expect(ReadStatus(client.new_id()), Status)
    return status.counters["bytes_sent"]
