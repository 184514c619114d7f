"""Convergence of a cluster: compares the roots of all live nodes, and lists the ranges by which two
frontiers differ.

Equal roots prove equal sets. They are read one after another, so under traffic equal roots say
"equal within these milliseconds"; with `quiet_s` they must also stay the same for that long. A node
whose process runs but that does not answer (starting, paused) is live: the cluster has not
converged until it says so. A node that is down is no part of it.
"""

import time
from collections.abc import Callable, Iterable

from msgspec import Struct

from domain.dot import LogId
from domain.seqset import SeqSet
from lab.client.panel import Panel
from lab.cluster.cluster import Cluster
from lab.observe.node_states import ranges_of
from lab.terminal.errors import Exit, Problem
from node.control.messages import FrontierPage, LogStatus, ReadFrontier

POLL_S = 0.02


class Roots(Struct, frozen=True):
    """One poll: the root and the number of events of each live node; "" if it did not answer."""

    roots: dict[str, str]
    events: dict[str, int]

    @property
    def equal(self) -> bool:
        seen = set(self.roots.values())
        return len(seen) == 1 and "" not in seen


class Converged(Struct, frozen=True):
    converged: bool
    roots: dict[str, str]
    events: dict[str, int]
    waited_ms: int
    not_counted: dict[str, str] = {}  # nodes of the cluster that are not live, and why


class Missing(Struct, frozen=True):
    """Events of one log that one node holds and the other lacks, as inclusive ranges of seq."""

    origin: str
    epoch: int
    ranges: list[tuple[int, int]]
    events: int


def wait_converged(
    cluster: Cluster,
    timeout_s: float,
    quiet_s: float = 0.0,
    on: Callable[[Roots], None] | None = None,
) -> Converged:
    """Poll until the roots of all live nodes are equal, or the time is over."""
    began = time.monotonic()
    same: tuple[str, float] | None = None  # the common root, and since when
    with Panel(cluster.place.nodes.values()) as panel:
        while True:
            seen = look(cluster, panel)
            now = time.monotonic()
            if on is not None:
                on(seen)
            if not seen.roots:
                text = "no node is running: start the cluster with `chatlab cluster up -d`"
                raise Problem(text, Exit.UNREACHABLE)
            if seen.equal:
                root = next(iter(seen.roots.values()))
                if same is None or same[0] != root:
                    same = (root, now)
            else:
                same = None
            done = same is not None and now - same[1] >= quiet_s
            if done or now - began >= timeout_s:
                waited_ms = round((now - began) * 1000)
                down = {name: "down" for name in cluster.place.nodes if name not in seen.roots}
                return Converged(done, seen.roots, seen.events, waited_ms, down)
            time.sleep(POLL_S)


def look(cluster: Cluster, panel: Panel) -> Roots:
    """Poll all live nodes once."""
    answers = panel.ask(lambda number: ReadFrontier(number, logs_max=0), 1.0)
    roots = {name: page.root for name, page in answers.items() if type(page) is FrontierPage}
    events = {name: page.events for name, page in answers.items() if type(page) is FrontierPage}
    for name in cluster.place.nodes:
        if name not in roots and cluster.process(name) is not None:
            roots[name] = ""
    return Roots(roots, events)


def lacking(holder: Iterable[LogStatus], other: Iterable[LogStatus]) -> list[Missing]:
    """The events that `holder` holds and `other` does not."""
    theirs = {(log.origin, log.epoch): SeqSet(ranges_of(log)) for log in other}
    found: list[Missing] = []
    for log in sorted(holder, key=lambda log: (log.origin, log.epoch)):
        have = theirs.get((log.origin, log.epoch), SeqSet())
        held = SeqSet(ranges_of(log))
        ranges = [gap for first, last in held.ranges() for gap in have.missing_from(first, last)]
        if ranges:
            count = sum(last - first + 1 for first, last in ranges)
            found.append(Missing(log.origin, log.epoch, ranges, count))
    return found


def forks(left: Iterable[LogStatus], right: Iterable[LogStatus]) -> list[str]:
    """Logs of which both hold the same numbers with another head: the content differs."""
    theirs = {(log.origin, log.epoch): log for log in right}
    found: list[str] = []
    for log in left:
        other = theirs.get((log.origin, log.epoch))
        if other is None or other.prefix != log.prefix or not log.prefix:
            continue
        if other.head != log.head or other.forked != log.forked:
            found.append(str(LogId(log.origin, log.epoch)))
    return found
