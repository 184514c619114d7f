"""One node of three that loses its identity in each of many lives, as after kill -9 on a disk that
promises nothing: each life opens an epoch, says one thing, and is over."""

import time
from tracemalloc import get_traced_memory, start, stop

from msgspec import Struct

from gossip.epoch_folds import KEPT
from gossip.packets import Syn
from gossip.wire import encode
from tests.gossip.builders import packet
from tests.node.replicas import Node, exchange

KEPT_FLAT = KEPT + 2  # restarts after which a digest has all the lines that it will ever have
CALM_MS = 3000


class Told(Struct):
    digests: list[int]  # bytes of n2's summary as a Syn, after each life
    converged: int  # lives after which all three named one root
    boot_ms: float  # of a peer, with its records at hand: restoring them, and the first turn
    boot_bytes: int  # of Python objects that such a boot makes and keeps
    events: int


def restarts(count: int) -> Told:
    one, two, three = Node("n1", ("n2", "n3")), Node("n2", ("n1", "n3")), Node("n3", ("n1", "n2"))
    digests: list[int] = []
    converged = 0
    for number in range(count):
        one = one.restarted(must_open="unclean stop", seed=number)
        one.post(f"life {number}")
        for _ in range(CALM_MS // 50):
            for node in (one, two, three):
                node.turn(ms=50)
            exchange(one, two, three)
            if one.replica.root == two.replica.root == three.replica.root:
                converged += 1
                break
        digests.append(digest_bytes(two))
        for node in (one, two, three):  # what the helper remembers of a life is no part of it
            node.published.clear()
            node.notes.clear()
            node.outcomes.clear()
    began_s = time.perf_counter()
    two.restarted()
    boot_ms = (time.perf_counter() - began_s) * 1000
    start()
    last = two.restarted()
    boot_bytes, _ = get_traced_memory()
    stop()
    assert last.replica.root == two.replica.root
    return Told(digests, converged, boot_ms, boot_bytes, len(last.texts))


def digest_bytes(node: Node) -> int:
    summary = node.replica.engine._folding.next_summary(node.replica.frontier)
    return len(encode(packet(Syn(bytes(16), 1, summary.lines, folds=summary.folds))))


def restarted(count: int) -> str:
    """The figure; raises if the promise does not hold."""
    told = restarts(count)
    early, late = told.digests[KEPT_FLAT], max(told.digests[KEPT_FLAT:])
    assert told.converged == told.events == count, told.converged
    assert late - early <= 4, (early, late)  # only the count in the fold grows, by its digits
    return (
        f"{count} restarts of one of three nodes, each in a new epoch: converged after each, "
        f"a peer's digest {early} B after {KEPT_FLAT + 1} and {late} B at most; a boot with "
        f"{count} epochs takes {told.boot_ms:.0f} ms and {told.boot_bytes / 1024:.0f} KiB"
    )
