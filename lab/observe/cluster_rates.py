"""One line of figures for a whole cluster, from two readings of its nodes' statuses. Pure.

A rate is a sum over nodes. Each node has its own interval, from its last answer to this one, so
that a node which was silent for a while does not come back with all of it in one second. Counters
begin anew with each start of a node: what they say then happened since that start.
"""

from collections.abc import Mapping

from msgspec import Struct

from lab.observe.node_states import holdings
from node.control.messages import Status


class ClusterFigures(Struct, frozen=True):
    """A moment, and what happened since the reading before. `None`: nobody answers."""

    at_ms: int  # Unix time
    nodes: int  # in the cluster file
    up: int  # that answer
    events: int | None  # that they hold together
    missing: int | None  # copies that lack: over all nodes, what each does not hold of it
    roots: int  # that differ; 1: all hold the same
    events_per_s: float  # new ones in the cluster
    posted_per_s: float  # own events of the nodes, as safe as each node promises
    rounds_per_s: float  # of anti-entropy, with an answer
    received_bytes_per_s: float
    sent_bytes_per_s: float
    duplicates_per_s: float  # events that came and were held already
    restarts: int  # of nodes and of their workers, since the reading before


class _Reading(Struct, frozen=True):
    at_ms: int
    status: Status


class ClusterRates:
    """Mutable: remembers the last answer of each node."""

    def __init__(self, nodes: int) -> None:
        self._nodes = nodes
        self._before: dict[str, _Reading] = {}
        self._looked_at_ms: int | None = None
        self._most: tuple[int, int] | None = None  # when, and the most events that were seen

    def look(self, at_ms: int, statuses: Mapping[str, Status]) -> ClusterFigures | None:
        """The figures since the last look; None for the first, which begins the first interval."""
        events, lacks = holdings(dict(statuses)) if statuses else (None, {})
        known = {name: max(lacks[name], status.missing) for name, status in statuses.items()}
        changes = [self._change(at_ms, name, status) for name, status in statuses.items()]
        is_first, self._looked_at_ms = self._looked_at_ms is None, at_ms
        grown = self._grown(at_ms, events)
        if is_first:
            return None
        sums = [sum(column) for column in zip(*(rates for rates, _ in changes), strict=True)]
        posted, rounds, received, sent, duplicates = sums or [0.0] * 5
        return ClusterFigures(
            at_ms=at_ms,
            nodes=self._nodes,
            up=len(statuses),
            events=events,
            missing=sum(known.values()) if statuses else None,
            roots=len({status.root for status in statuses.values()}),
            events_per_s=round(grown, 1),
            posted_per_s=round(posted, 1),
            rounds_per_s=round(rounds, 1),
            received_bytes_per_s=round(received, 1),
            sent_bytes_per_s=round(sent, 1),
            duplicates_per_s=round(duplicates, 1),
            restarts=sum(restarts for _, restarts in changes),
        )

    def _grown(self, at_ms: int, events: int | None) -> float:
        """Events a second. A node that goes down takes away what it alone holds: that is no loss
        yet, and its return no growth.
        """
        if events is None:
            return 0.0
        before, self._most = self._most, (at_ms, events)
        if before is None:
            return 0.0
        if events < before[1]:
            self._most = at_ms, before[1]
            return 0.0
        return _rate(events - before[1], at_ms - before[0])

    def _change(self, at_ms: int, name: str, status: Status) -> tuple[list[float], int]:
        """Of one node: the rates of its counters, and how many starts there were."""
        before = self._before.get(name)
        self._before[name] = _Reading(at_ms, status)
        now, began_ms = _counts(status), at_ms - status.uptime_ms
        if before is None:
            if self._looked_at_ms is None or began_ms < self._looked_at_ms:
                return [0.0] * len(now), 0  # it has run for a while, unseen
            return [_rate(count, at_ms - self._looked_at_ms) for count in now], 0
        took_ms = at_ms - before.at_ms
        starts = max(status.incarnation - before.status.incarnation, 0)
        if starts:
            return [_rate(count, took_ms) for count in now], starts + _crashes(status)
        then = _counts(before.status)
        rates = [_rate(max(a - b, 0), took_ms) for a, b in zip(now, then, strict=True)]
        return rates, max(_crashes(status) - _crashes(before.status), 0)


def _counts(status: Status) -> list[int]:
    """In the order of the figures."""
    counters = status.counters
    rounds = counters.get("rounds_same", 0) + counters.get("rounds_differed", 0)
    names = ("bytes_received", "bytes_sent", "entries_duplicate")
    return [counters.get("posted", 0), rounds, *(counters.get(name, 0) for name in names)]


def _crashes(status: Status) -> int:
    return sum(worker.restarts for worker in status.workers.values())


def _rate(count: int, took_ms: int) -> float:
    return count * 1000 / took_ms if took_ms > 0 else 0.0
