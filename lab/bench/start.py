"""How long people wait: `cluster up -d` of five nodes, and one `send`, as whole processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

from lab.bench.cluster import cluster_of
from lab.bench.figures import Figure, figure

REPEATS = 7
COMMAND = (sys.executable, "-m", "lab.cli")


def run() -> list[Figure]:
    ups: list[float] = []
    sends: list[float] = []
    bare = [_timed([sys.executable, "-c", "pass"], Path.cwd()) for _ in range(REPEATS)]
    for _ in range(REPEATS):
        with cluster_of(5) as cluster:
            folder = Path(cluster.place.file).parent
            ups.append(_timed([*COMMAND, "cluster", "up", "-d"], folder))
            sends.append(_timed([*COMMAND, "send", "n1", "hello"], folder))
    return [
        figure("start", "bare interpreter", "ms", bare),
        figure("start", "cluster up -d, 5 nodes", "ms", ups, goal=1500),
        figure("start", "send", "ms", sends, goal=200),
    ]


def _timed(command: list[str], folder: Path) -> float:
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root}
    began = time.monotonic()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return (time.monotonic() - began) * 1000
