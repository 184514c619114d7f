"""How soon a message is on all five disks, at 200 messages a second.

The sender asks for `replicated:4`, so the reply comes once the other four have said that it is
durable there: the figure includes the way back, and is an upper bound of what it measures. The
send is timed from its planned moment, so that a stall does not hide behind itself. The bare
baseline is a durable append of the same size on the same disk.
"""

import os
import tempfile
import time
from pathlib import Path

from lab.bench.cluster import cluster_of
from lab.bench.figures import Figure, figure, quantile
from lab.client import Client
from lab.problem import Problem
from node.api import Accepted, Post

RATE = 200
SECONDS = 10.0
WARM_UP = 100
TEXT = "x" * 100


def run() -> list[Figure]:
    with cluster_of(5) as cluster:
        cluster.up()
        with Client("n1", cluster.place.nodes["n1"].control) as client:
            _paced(client, WARM_UP)
            took_ms = _paced(client, int(RATE * SECONDS))
    halves = [took_ms[i::5] for i in range(5)]  # five interleaved samples: a span for the medians
    return [
        figure("spread", "append + fdatasync, bare", "ms", _bare_ms(200)),
        figure("spread", "send to 4 copies p50", "ms", [quantile(h, 0.5) for h in halves], goal=3),
        figure(
            "spread", "send to 4 copies p99", "ms", [quantile(h, 0.99) for h in halves], goal=15
        ),
    ]


def _paced(client: Client, count: int) -> list[float]:
    """Milliseconds from the planned moment of each send to its reply."""
    planned: dict[int, float] = {}
    took: list[float] = []
    began = time.monotonic()
    sent = 0
    while len(took) < count:
        due = began + sent / RATE
        now = time.monotonic()
        if sent < count and now >= due:
            request = Post(client.new_id(), "bench", TEXT, "replicated:4", 30_000)
            planned[request.id] = due
            client.submit([request])
            sent += 1
            continue
        wait_s = due - now if sent < count else 5.0
        for reply in client.replies(wait_s):
            if type(reply) is not Accepted:
                raise Problem(f"the bench was not answered as it should be: {reply}")
            took.append((time.monotonic() - planned.pop(reply.id)) * 1000)
    return took


def _bare_ms(count: int) -> list[float]:
    took: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        handle = os.open(Path(folder) / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for _ in range(count):
                began = time.monotonic()
                os.write(handle, TEXT.encode())
                os.fdatasync(handle)
                took.append((time.monotonic() - began) * 1000)
        finally:
            os.close(handle)
    return took
