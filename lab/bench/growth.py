"""Whether work stays as cheap when the history is long, and grows with the differences alone.

Ingest: the same number of messages into a node with a short and into one with a long history, in
turn, so that whatever else the machine does meets both. Rounds: a pair that holds the same is cut,
one node is given some messages, the cut is healed, and all that both send and compute until their
roots are equal is counted. The goals of 1.1 (bytes) and 1.5 (CPU, which is noisy) are this suite's:
the project's is "flat in history, linear in differences".
"""

import time
from statistics import median

from msgspec import Struct

from lab.bench.cluster import client_of, durable, status_of
from lab.bench.figures import Bare, Figure, figure
from lab.bench.process import cpu_s
from lab.bench.session import History, Session
from lab.cluster import Cluster
from lab.problem import Problem
from node.api import ClearFaults, Done, SetFault

PAIR = ("n1", "n2")
HEAL_S = 60.0
POLL_S = 0.01
ROUNDS = 3


class Cost(Struct, frozen=True):
    """Of the exchange of some differences, both nodes together, for each difference."""

    bytes: float
    cpu_us: float


def run(session: Session) -> list[Figure]:
    scale = session.scale
    caught_up = [  # before the histories grow here
        [pull.events / pull.took_s for pull in session.pulls(count)]
        for count in (scale.small, scale.large)
    ]
    small, large = session.history(scale.small), session.history(scale.large)
    for history in (small, large):
        history.cluster.stop(["n2"])
    short: list[float] = []
    long: list[float] = []
    for _ in range(scale.repeats):
        short.append(small.grow(scale.small))
        long.append(large.grow(scale.small))
    counts = f"{scale.large:,} / {scale.small:,}"
    ratios = [there / here for there, here in zip(long, short, strict=True)]
    pulled = [rate / median(caught_up[0]) for rate in caught_up[1]]
    return [
        figure(
            "growth",
            f"ingest with {scale.large:,} messages",
            "msg/s",
            long,
            bare=Bare(f"with {scale.small:,}", tuple(short)),
            curve=large.rates,
            x_name="messages",
        ),
        figure("growth", f"ingest, {counts}", "x", ratios, goal=0.9, at_most=False),
        figure("growth", f"catch-up, {counts}", "x", pulled, goal=0.9, at_most=False),
        *_rounds(session, small, large),
    ]


def _rounds(session: Session, small: History, large: History) -> list[Figure]:
    few, many = session.scale.differences
    costs: dict[tuple[int, int], list[Cost]] = {}
    for which, history in enumerate((small, large)):
        history.cluster.up(list(PAIR))
        _await_equal(history.cluster, history.count, 5 * HEAL_S)
        for differences in (few, many):
            costs[which, differences] = [_heal(history, differences) for _ in range(ROUNDS)]
        history.cluster.stop(["n2"])

    def ratio(of: str, above: tuple[int, int], below: tuple[int, int]) -> list[float]:
        under = median(getattr(cost, of) for cost in costs[below])
        return [getattr(cost, of) / under for cost in costs[above]]

    found: list[Figure] = []
    for of, unit, goal in (("bytes", "B", 1.1), ("cpu_us", "us", 1.5)):
        name = {"bytes": "bytes", "cpu_us": "CPU"}[of]
        each = [getattr(cost, of) for cost in costs[1, many]]
        found += [
            figure("growth", f"{name} of a difference, {many:,} at once", unit, each),
            figure(
                "growth",
                f"{name} of {many:,} differences, long / short history",
                "x",
                ratio(of, (1, many), (0, many)),
                goal=goal,
            ),
            figure(
                "growth",
                f"{name} of a difference, {many:,} / {few:,} at once",
                "x",
                ratio(of, (1, many), (1, few)),
                goal=goal,
            ),
        ]
    return found


def _heal(history: History, differences: int) -> Cost:
    """Cut, post, heal; what it costs until both are equal again."""
    cluster = history.cluster
    for name in PAIR:
        with client_of(cluster, name) as client:
            client.expect(SetFault(client.new_id(), blocked=True), Done)
    history.grow(differences)
    before = _spent(cluster)
    for name in PAIR:
        with client_of(cluster, name) as client:
            client.expect(ClearFaults(client.new_id()), Done)
    _await_equal(cluster, history.count, HEAL_S)
    after = _spent(cluster)
    return Cost(
        (after[0] - before[0]) / differences,
        (after[1] - before[1]) / differences * 1e6,
    )


def _await_equal(cluster: Cluster, events: int, timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    with client_of(cluster, "n1") as one, client_of(cluster, "n2") as two:
        while True:
            seen = status_of(one), status_of(two)
            equal = seen[0].root == seen[1].root and all(durable(one, events) for one in seen)
            if equal:
                return
            if time.monotonic() > until:
                raise Problem("the pair does not converge")
            one.replies(POLL_S)  # nothing comes: this waits


def _spent(cluster: Cluster) -> tuple[int, float]:
    """Bytes sent and seconds of CPU of both so far."""
    sent, spent_s = 0, 0.0
    for name in PAIR:
        record = cluster.process(name)
        assert record is not None, name
        with client_of(cluster, name) as client:
            sent += status_of(client).counters["bytes_sent"]
        spent_s += cpu_s(record.pid)
    return sent, spent_s
