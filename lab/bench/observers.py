"""`python -m lab.bench.observers FILE COUNT`: so many observers of a cluster in one process.

Each is a live source with a view, as `chatlab watch` has one, without a screen. They have the
lowest priority: what is measured is what they cost the nodes, not what they compute beside them.
Prints `ready` when
all of them follow all nodes, and `ended` with what they saw when its input ends.
"""

import os
import sys
import time
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import msgspec

from lab.client.location import parse
from lab.cluster.cluster import Cluster
from lab.observe.live_source import LiveSource
from lab.view.cluster_view import ClusterView, Poll

LOOK_S = 0.2  # between two drains


class Observed(msgspec.Struct, frozen=True):
    """Sums over all observers."""

    observers: int
    cpu_s: float  # of this process, since it was ready
    took_s: float
    known: int  # messages, the least of all views
    dropped: int
    missed: int
    unread: int


def main(file: str, count: int, every_s: float) -> None:
    os.nice(19)
    place = parse(Path(file))
    sources = [LiveSource(Cluster(place), every_s) for _ in range(count)]
    views = [ClusterView() for _ in sources]
    ended = Flag()

    def await_end() -> None:
        sys.stdin.buffer.read()
        ended.set()

    reader = Thread(target=await_end, daemon=True)
    for source in sources:
        source.start()
    ready = False
    began_s = cpu_s = 0.0
    reader.start()
    while not ended.wait(LOOK_S):
        for source, view in zip(sources, views, strict=True):
            _fold(source, view)
        if not ready and all(_follows(view, len(place.nodes)) for view in views):
            ready, began_s, cpu_s = True, time.monotonic(), time.process_time()
            print("ready", flush=True)
    took_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
    for source, view in zip(sources, views, strict=True):
        source.close()
        _fold(source, view)
    lost = [source.lost for source in sources]
    observed = Observed(
        observers=count,
        cpu_s=cpu_s,
        took_s=took_s,
        known=min(view.known for view in views),
        dropped=sum(one.dropped for one in lost),
        missed=sum(one.missed for one in lost),
        unread=sum(one.unread for one in lost),
    )
    print(msgspec.json.encode(observed).decode(), flush=True)


def _fold(source: LiveSource, view: ClusterView) -> None:
    for entry in source.drain():
        if isinstance(entry, Poll):
            view.poll(entry)
        else:
            view.apply(entry)


def _follows(view: ClusterView, nodes: int) -> bool:
    return len(view.nodes) == nodes and all(one.life for one in view.nodes.values())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
