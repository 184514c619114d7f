"""What the benches of one run share: the scale, and the histories, which take long to make.

A history is a cluster of two nodes: one client posts the messages to n1, and n2 stays empty until a
bench lets it catch up. A history is made when the first bench asks for it, and is measured while it
grows. Each bench leaves n1 running and n2 stopped; the next bench relies on that.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from msgspec import Struct, field

from lab.bench.cluster import client_of, cluster_of, durable, resident_mib, size_bytes, status_of
from lab.bench.figures import Curve
from lab.bench.load import Texts, post_all
from lab.bench.scale import Scale
from lab.client.client import Client
from lab.cluster.cluster import Cluster
from lab.terminal.errors import Problem

PAIR = ("n1", "n2")  # the nodes of a history
STEPS = 40  # measured while a history grows
PULL_TIMEOUT_S = 300.0
POLL_S = 0.005


class Pull(Struct, frozen=True):
    """One catch-up of an empty node: what it lacked when the clock began, and what it cost."""

    events: int
    count: int  # all that it holds now
    took_s: float
    bytes: int  # received, all packets
    packets: int
    progress: Curve  # seconds, events held


class History(Struct):
    cluster: Cluster
    texts: Texts
    count: int = 0
    idle_mib: float = 0.0
    resident: list[tuple[float, float]] = field(default_factory=list)  # messages, MiB
    rates: list[tuple[float, float]] = field(default_factory=list)  # messages, msg/s
    disk_bytes: int = 0  # all that n1 had stored when the history was complete

    def client(self, node: str = "n1") -> Client:
        return client_of(self.cluster, node)

    def grow(self, count: int) -> float:
        """Post `count` more messages to n1. Returns messages per second."""
        texts = self.texts.take(count)
        with self.client() as client:
            took_s = post_all(client, texts)
        self.count += count
        return count / took_s

    @contextmanager
    def compressing(self) -> Iterator[None]:
        """Within this context both nodes have `compress: true`; n1 is restarted."""
        file = Path(self.cluster.place.file)
        before = file.read_text(encoding="utf-8")
        for text in (before + "compress: true\n", before):
            file.write_text(text, encoding="utf-8")
            self.cluster.stop(["n1", "n2"])
            self.cluster.up(["n1"])
            if text is not before:
                yield

    def pull(self) -> Pull:
        """Let an empty n2 catch up with n1, and leave it running.

        The clock begins when n2 first answers; if it holds the half by then, when it was asked to
        start. Done is: it holds all, and all is on its disk.
        """
        self.cluster.stop(["n2"])
        self.cluster.wipe(["n2"])
        asked = time.monotonic()
        self.cluster.up(["n2"])
        with self.client("n2") as client:
            began = time.monotonic()
            status = status_of(client)
            held = status.events
            if 2 * held > self.count:
                held, began = 0, asked
            progress = [(time.monotonic() - began, float(status.events))]
            while not durable(status, self.count):
                client.replies(POLL_S)  # nothing comes: this waits
                status = status_of(client)
                progress.append((time.monotonic() - began, float(status.events)))
                if progress[-1][0] > PULL_TIMEOUT_S:
                    raise Problem(f"n2 holds {status.events} of {self.count}, and no more comes")
        counters = status.counters
        return Pull(
            events=self.count - held,
            count=self.count,
            took_s=progress[-1][0],
            bytes=counters["bytes_received"],
            packets=counters["packets_received"],
            progress=tuple(progress),
        )


class Session:
    """A run of benches. A context manager: at the end its clusters are gone."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self._stack = ExitStack()
        self._histories: dict[int, History] = {}
        self._pulls: dict[int, list[Pull]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def history(self, count: int) -> History:
        """The history that was made with so many messages; it may have grown since."""
        if count not in self._histories:
            self._histories[count] = self._made(count)
        return self._histories[count]

    def pulls(self, count: int) -> list[Pull]:
        """Catch-ups with the history of so many messages."""
        if count not in self._pulls:
            large = count == self.scale.large
            repeats = self.scale.repeats_large if large else self.scale.repeats
            history = self.history(count)
            self._pulls[count] = [history.pull() for _ in range(repeats)]
            history.cluster.stop(["n2"])
        return self._pulls[count]

    def compressed_pulls(self) -> list[Pull]:
        """Catch-ups with the middle history, with compression."""
        history = self.history(self.scale.middle)
        with history.compressing():
            return [history.pull() for _ in range(self.scale.repeats)]

    def _made(self, count: int) -> History:
        history = History(self._stack.enter_context(cluster_of(2)), Texts())
        history.cluster.up(["n1"])
        history.idle_mib = resident_mib(history.cluster, "n1")
        history.resident.append((0.0, history.idle_mib))
        step = max(count // STEPS, 1)
        while history.count < count:
            rate = history.grow(min(step, count - history.count))
            history.rates.append((float(history.count), rate))
            history.resident.append((float(history.count), resident_mib(history.cluster, "n1")))
        folder = Path(history.cluster.place.nodes["n1"].dir)
        history.disk_bytes = size_bytes(path for path in folder.rglob("*") if path.is_file())
        return history
