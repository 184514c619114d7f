"""Measures the highest paced rate that a cluster of five sustains, in messages per second.

A rate is kept if, one second after the planned moment of the last message, every message was
acknowledged, all five nodes hold all of them durably, and their roots are equal. The rates of a
ladder are tried upwards until one is not kept, several times; later climbs begin where the one
before ended. So the figure is always a rate of the ladder, and a lower bound. The bare baseline is
one process that only appends and syncs what the five nodes wrote together.
"""

import time
from collections.abc import Sequence

from lab.bench import baselines
from lab.bench.cluster import client_of, cluster_of, settled
from lab.bench.figures import Bare, Figure, figure
from lab.bench.load import AUTHOR, TEXT_BYTES, Texts
from lab.bench.session import Session
from lab.client.client import Client
from lab.client.panel import statuses_of
from lab.cluster.cluster import Cluster
from lab.terminal.errors import Problem
from node.control.messages import Accepted, Post

NODES = 5
GRACE_S = 1.0
TICK_S = 0.002  # what became due meanwhile goes out in one frame a node
SETTLE_S = 60.0  # after a rate that was too high
CLIMBS = 3
RECORD_BYTES = TEXT_BYTES + 80  # about what an event and its frame add
BARE_EVENTS_MAX = 20_000


def run(session: Session) -> list[Figure]:
    scale = session.scale
    seconds = scale.paced_s / 2
    raw: list[float] = []
    kept: dict[int, list[float]] = {1: [], NODES: []}  # nodes that are written to
    for targets, found in kept.items():
        with cluster_of(NODES) as cluster:
            cluster.up()
            names = list(cluster.place.nodes)[:targets]
            clients = [client_of(cluster, name) for name in names]
            try:
                start = 0
                for _ in range(min(CLIMBS, scale.repeats)):
                    best = _climb(cluster, clients, scale.rates, start, seconds)
                    found.append(float(scale.rates[best]) if best >= 0 else 0.0)
                    start = max(best, 0)
                raw.append(_bare_rate(cluster))
            finally:
                for client in clients:
                    client.close()
    one, even = (Bare(f"{NODES} appends, as many commits", (rate,)) for rate in raw)
    note = f"{seconds:g} s at each rate, of the ladder {', '.join(map(str, scale.rates))}"
    evenly = f"{NODES} nodes, sent to all evenly"
    return [
        figure(evenly, "msg/s", kept[NODES], at_least=8000, bare=even, note=note),
        figure(f"{NODES} nodes, sent to one", "msg/s", kept[1], bare=one),
    ]


def _bare_rate(cluster: Cluster) -> float:
    """Messages per second of one process that appends and syncs all that five nodes wrote."""
    statuses = statuses_of(cluster.place.nodes.values())
    events = max(status.events for status in statuses.values())
    commits = sum(status.counters["journal_commits"] for status in statuses.values())
    share = max(events // BARE_EVENTS_MAX, 1)
    took_s = baselines.append_s(NODES * events // share, RECORD_BYTES, commits // share)
    return events // share / took_s


def _climb(
    cluster: Cluster, clients: Sequence[Client], rates: Sequence[int], start: int, seconds: float
) -> int:
    """The index of the highest rate that was kept; -1 if not even the lowest was."""
    at = start
    if not _keeps(cluster, clients, rates[at], seconds):
        while at and not _keeps(cluster, clients, rates[at - 1], seconds):
            at -= 1
        return at - 1
    while at + 1 < len(rates) and _keeps(cluster, clients, rates[at + 1], seconds):
        at += 1
    return at


def _keeps(cluster: Cluster, clients: Sequence[Client], rate: int, seconds: float) -> bool:
    texts = Texts(rate).take(int(rate * seconds))
    before = settled(cluster, 0, time.monotonic() + SETTLE_S)
    if before is None:
        raise Problem("the cluster does not come to rest")
    ended = time.monotonic() + seconds
    tally = Tally(clients)
    tally.send(texts, rate)
    in_time = settled(cluster, before + len(texts), ended + GRACE_S) is not None
    until = time.monotonic() + SETTLE_S
    while tally.waiting:  # in any case: the next rate wants a cluster at rest
        tally.read(0.05)
        if time.monotonic() > until:
            raise Problem(f"{tally.waiting} messages were never answered")
    return in_time and not tally.failed


class Tally:
    """Posts to several nodes in turn, and counts their answers."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = clients
        self.waiting = 0
        self.failed = 0  # busy: the node would not take it

    def send(self, texts: Sequence[str], rate: int) -> None:
        """Send each text when it is due, to the nodes in turn."""
        began, sent = time.monotonic(), 0
        while sent < len(texts):
            due = min(int((time.monotonic() - began) * rate) + 1, len(texts))
            for offset, client in enumerate(self._clients):
                mine = texts[sent + offset : due : len(self._clients)]
                if mine:
                    client.submit(
                        [Post(client.new_id(), AUTHOR, text, "", 60_000) for text in mine]
                    )
                    self.waiting += len(mine)
            sent = due
            until = time.monotonic() + TICK_S
            while (left_s := until - time.monotonic()) > TICK_S / 2:
                self.read(left_s)

    def read(self, timeout_s: float) -> None:
        """Read the answers that arrived. Waits for the first node only, up to `timeout_s`."""
        for client in self._clients:
            for reply in client.replies(timeout_s):
                self.waiting -= 1
                self.failed += type(reply) is not Accepted
            timeout_s = 0
