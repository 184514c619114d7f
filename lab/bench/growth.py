"""Measures whether costs stay flat as the history grows, and rise only with the differences.

Ingest: the same number of messages goes into a node with a short history and into one with a long
one, in turn, so that other load on the machine affects both. Rounds: the link of a pair of equal
nodes is cut, one node gets some messages, the link heals; then the bytes that both send and their
CPU time count until their roots are equal. The goals 1.1 (bytes) and 1.5 (CPU, which is noisy) are
ratios chosen for this suite; the goal of the project is "flat in history, linear in differences".
"""

import time
from statistics import median

from lab.bench.cluster import cpu_s, sent_bytes, settled
from lab.bench.figures import Bare, Figure, figure, ratios
from lab.bench.session import PAIR, History, Session
from lab.terminal.errors import Problem
from node.control.messages import ClearFaults, Done, SetFault

HEAL_S = 60.0
ROUNDS = 3
Costs = dict[tuple[bool, int], list[tuple[float, float]]]  # see `_costs`


def run(session: Session) -> list[Figure]:
    scale = session.scale
    near, far = [  # before the histories grow here
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
    return [
        figure(
            f"ingest with {scale.large:,} messages",
            "msg/s",
            long,
            bare=Bare(f"with {scale.small:,}", tuple(short)),
            curve=large.rates,
            x_name="messages",
        ),
        figure(f"ingest, {counts}", "x", ratios(long, short), at_least=0.9),
        figure(f"catch-up, {counts}", "x", [rate / median(near) for rate in far], at_least=0.9),
        *_rounds(session, small, large),
    ]


def _rounds(session: Session, small: History, large: History) -> list[Figure]:
    few, many = session.scale.differences
    costs = _costs(small, few, many, long=False) | _costs(large, few, many, long=True)
    found: list[Figure] = []
    for at, name, unit, goal in ((0, "bytes", "B", 1.1), (1, "CPU", "us", 1.5)):
        each = {which: [cost[at] for cost in some] for which, some in costs.items()}
        by_history = [cost / median(each[False, many]) for cost in each[True, many]]
        by_count = [cost / median(each[True, few]) for cost in each[True, many]]
        flat = f"{name} of {many:,} differences, long / short history"
        linear = f"{name} of a difference, {many:,} / {few:,} at once"
        found += [
            figure(f"{name} of a difference, {many:,} at once", unit, each[True, many]),
            figure(flat, "x", by_history, at_most=goal),
            figure(linear, "x", by_count, at_most=goal),
        ]
    return found


def _costs(history: History, few: int, many: int, *, long: bool) -> Costs:
    """Bytes and µs of CPU of both nodes for each difference; by whether the history is long, and
    how many differences there were at once.
    """
    history.cluster.up(list(PAIR))
    _await_equal(history, 5 * HEAL_S)
    found = {(long, count): [_heal(history, count) for _ in range(ROUNDS)] for count in (few, many)}
    history.cluster.stop(["n2"])
    return found


def _heal(history: History, differences: int) -> tuple[float, float]:
    """Cut, post, heal. Returns the bytes and µs of CPU until both nodes are equal again."""
    for name in PAIR:
        with history.client(name) as client:
            client.expect(SetFault(client.new_id(), blocked=True), Done)
    history.grow(differences)
    bytes_before, cpu_before_s = _spent(history)
    for name in PAIR:
        with history.client(name) as client:
            client.expect(ClearFaults(client.new_id()), Done)
    _await_equal(history, HEAL_S)
    bytes_after, cpu_after_s = _spent(history)
    return (
        (bytes_after - bytes_before) / differences,
        (cpu_after_s - cpu_before_s) / differences * 1e6,
    )


def _spent(history: History) -> tuple[int, float]:
    cluster = history.cluster
    return sum(sent_bytes(cluster, name) for name in PAIR), sum(
        cpu_s(cluster, name) for name in PAIR
    )


def _await_equal(history: History, timeout_s: float) -> None:
    if settled(history.cluster, history.count, time.monotonic() + timeout_s) is None:
        raise Problem("the pair does not converge")
