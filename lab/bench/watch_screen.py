"""Measures `chatlab watch` on a terminal of 80x24 beside five nodes: when it first shows them, and
what ten looks and frames a second cost while people talk.

The first frame counts from the start of the process. CPU is that of the whole process, in percent
of a core; bytes are those that it sends to its terminal. The bare baseline is an interpreter that
ends at once.
"""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from lab.bench.cluster import COMMAND, client_of, cluster_of, interpreter_ms
from lab.bench.figures import Bare, Figure, figure
from lab.bench.load import Texts, post_all
from lab.bench.session import Session
from lab.client.client import Client
from lab.cluster.cluster import Cluster
from lab.terminal.errors import Problem

NODES = 5
FIRST_MS_MAX = 500
CPU_MAX = 15  # %
FRAMES_PER_S = 10
POSTS = 2  # for each frame
WINDOWS = 3
SHOWN_S = 30.0


def figures(session: Session) -> list[Figure]:
    scale = session.scale
    bare = Bare("bare interpreter", tuple(interpreter_ms(scale.repeats)))
    with cluster_of(NODES) as cluster:
        cluster.up()
        with client_of(cluster, "n1") as client:
            post_all(client, Texts().take(scale.small))
            first_ms = [_first_ms(cluster) for _ in range(scale.repeats)]
            windows = [_window(cluster, client, scale.window_s) for _ in range(WINDOWS)]
    note = f"{NODES} nodes, {POSTS * FRAMES_PER_S} messages a second"
    return [
        figure("watch, first frame", "ms", first_ms, at_most=FIRST_MS_MAX, bare=bare),
        figure("watch at 10 Hz, CPU", "%", [cpu for cpu, _ in windows], at_most=CPU_MAX, note=note),
        figure("watch at 10 Hz, a frame", "B", [size for _, size in windows], note=note),
    ]


class _Screen:
    """A terminal with a `watch` on it. Mutable."""

    def __init__(self, leader: int, pid: int) -> None:
        self._leader = leader
        self._process = psutil.Process(pid)
        self.sent = 0  # bytes

    def read(self, until_s: float, *, first: bool = False) -> bool:
        """Take what it sends, up to this time; or until it has shown all nodes. Has it?"""
        shown = 0
        while (left_s := until_s - time.monotonic()) > 0 and not (first and shown >= NODES):
            ready, _, _ = select.select([self._leader], [], [], left_s)
            if ready:
                came = os.read(self._leader, 65536)
                self.sent += len(came)
                shown += came.count(b"running")
        return shown >= NODES

    @property
    def cpu_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def _watching(cluster: Cluster) -> Iterator[_Screen]:
    """A `watch` that has begun; it is ended by its key."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    root = Path(__file__).parents[2]
    child = subprocess.Popen(
        [*COMMAND, "watch", "--every", str(1 / FRAMES_PER_S)],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=Path(cluster.place.file).parent,
        env=os.environ | {"PYTHONPATH": str(root), "TERM": "xterm-256color"},
    )
    os.close(follower)
    try:
        yield _Screen(leader, child.pid)
        os.write(leader, b"q")
        child.wait(SHOWN_S)
    finally:
        child.kill()
        child.wait()
        os.close(leader)


def _first_ms(cluster: Cluster) -> float:
    began_s = time.monotonic()
    with _watching(cluster) as screen:
        _begin(screen)
        return (time.monotonic() - began_s) * 1000


def _begin(screen: _Screen) -> None:
    if not screen.read(time.monotonic() + SHOWN_S, first=True):
        raise Problem("`chatlab watch` does not show the nodes")


def _window(cluster: Cluster, client: Client, window_s: float) -> tuple[float, float]:
    """CPU in percent of a core, and bytes of a frame, while messages come."""
    with _watching(cluster) as screen:
        _begin(screen)
        screen.read(time.monotonic() + 1)  # until it has read the history
        texts = Texts()
        cpu_s, sent, began_s = screen.cpu_s, screen.sent, time.monotonic()
        due_s = began_s
        while due_s < began_s + window_s:
            post_all(client, texts.take(POSTS))
            due_s += 1 / FRAMES_PER_S
            screen.read(due_s)
        took_s = time.monotonic() - began_s
        return 100 * (screen.cpu_s - cpu_s) / took_s, (screen.sent - sent) / took_s / FRAMES_PER_S
