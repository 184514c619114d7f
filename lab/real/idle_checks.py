"""Checks of idle nodes: what a node at rest reports of itself must agree with what the operating
system reports of its process (memory, descriptors, threads, CPU time).

`report` is called with one line of text for each thing that is wrong. Work may still be under way,
so each check is repeated until it holds, for at most `SETTLE_S` seconds.
"""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from lab.client.location import ClusterLocation
from lab.client.panel import statuses_of
from node.control.messages import Status

SETTLE_S = 10.0
LOOK_S = 0.1
REST_S = 0.5
CPU_SHARE_MAX = 0.6  # of one processor, at rest; a loop that spins takes all of it
WAKES_S_MAX = 1500  # at rest: rounds, and whatever else the loop has to do
DESCRIPTORS_SPARE = 4
THREADS_SPARE = 1
ZERO = (
    "control_flying",
    "control_waiting_bytes",
    "control_unread_bytes",
    "feed_unread_bytes",
    "gossip_unread_bytes",
    "journal_queued_records",
    "link_queued_bytes",
    "feed_connections",
    "packets_unheard",
    "scrub_damaged",
    "scrub_unreadable",
)
Reporter = Callable[[str], None]


class Level(Struct, frozen=True):
    """The resources that a process holds."""

    descriptors: int
    threads: int


class Rest(Struct, frozen=True):
    """What the checks need to know of the nodes."""

    lives: Mapping[str, int]  # how many each has had
    durability: str
    clients_max: int  # that may be there
    scrubbed: bool = False  # nodes with one life have begun to scrub their journals


def level_of(pid: int) -> Level:
    threads = len(os.listdir(f"/proc/{pid}/task"))
    return Level(len(os.listdir(f"/proc/{pid}/fd")), threads)


def look(place: ClusterLocation, rest: Rest, report: Reporter) -> None:
    until_s = time.monotonic() + SETTLE_S
    while True:
        statuses = statuses_of(place.nodes.values(), 2.0)
        wrong = [text for one in statuses.values() for text in _own(one, place, rest)]
        wrong += _between(statuses, rest.lives)
        wrong += [f"{name} says nothing" for name in place.nodes if name not in statuses]
        if not wrong or time.monotonic() > until_s:
            break
        time.sleep(LOOK_S)
    for text in wrong:
        report(text)


def _own(one: Status, place: ClusterLocation, rest: Rest) -> list[str]:
    wrong = [f"{one.node} has {name} at {one.counters[name]}" for name in ZERO
             if one.counters.get(name, 0)]  # fmt: skip
    peers = set(place.nodes) - {one.node}
    clients = one.counters["control_connections"]
    dropped = sum(sum(peer.dropped.values()) for peer in one.peers.values())
    facts = {
        "state": (one.state, "running"),
        "durability": (one.durability, rest.durability),
        "missing": (one.missing, 0),
        "peers": (set(one.peers), peers),
        "dead or suspect": ([n for n, peer in one.peers.items() if peer.state != "alive"], []),
        "not in sync": ([n for n, peer in one.peers.items() if not peer.in_sync], []),
        "faults": ([n for n, peer in one.peers.items() if peer.fault], []),
        "logs shown": (len(one.frontier), one.places.logs),
        "refused logs": (one.places.refused, 0),
        "workers that do not run": (
            [n for n, worker in one.workers.items() if worker.state != "running"],
            [],
        ),
        "restarts": (sum(worker.restarts for worker in one.workers.values()), 0),
        "gossip connections": (one.counters["gossip_connections"], len(peers)),
        "clients": (clients, min(max(clients, 1), rest.clients_max)),
        "dropped packets": (one.counters["packets_dropped"], dropped),
        "bytes sent": (one.counters["bytes_sent"], sum(p.sent_bytes for p in one.peers.values())),
        "bytes received": (
            one.counters["bytes_received"],
            sum(p.received_bytes for p in one.peers.values()),
        ),
        "written": (one.written_upto >= one.events, True),
        "heard of long ago": (
            [n for n, p in one.peers.items() if p.last_heard_ms is None or p.last_heard_ms > 9000],
            [],
        ),
    }
    if rest.scrubbed and rest.lives[one.node] == 1:
        facts["read its journal again"] = (one.counters["scrub_bytes"] > 0, True)
    if rest.durability == "always":
        facts["durable"] = (one.durable_upto, one.written_upto)
    return wrong + [
        f"{one.node} has {what} {got!r} instead of {wanted!r}"
        for what, (got, wanted) in facts.items()
        if got != wanted
    ]


def _between(statuses: Mapping[str, Status], lives: Mapping[str, int]) -> list[str]:
    """All hold the same; and between two that lived through it nothing was lost on the way."""
    wrong: list[str] = []
    if len({one.root for one in statuses.values()}) > 1:
        wrong.append("the roots of nodes at rest differ")
    if statuses and all(count == 1 for count in lives.values()):
        for what in ("packets", "bytes"):
            sent, got = (
                sum(one.counters[f"{what}_{way}"] for one in statuses.values())
                for way in ("sent", "received")
            )
            if sent != got or not sent:
                wrong.append(f"all nodes sent {sent} {what}, and received {got}")
    for name, one in statuses.items():
        for peer, to in one.peers.items():
            other = statuses.get(peer)
            if other is None or lives[name] > 1 or lives[peer] > 1:
                continue
            got = other.peers[name].received_bytes
            if got != to.sent_bytes:
                wrong.append(f"{name} sent {to.sent_bytes} bytes to {peer}, who received {got}")
    return wrong


def look_idle(pids: Mapping[str, int], levels: Mapping[str, Level], report: Reporter) -> None:
    """Check that an idle node sleeps, and that it has released what its visitors used."""
    before = {name: _used(pid) for name, pid in pids.items()}
    began_s = time.monotonic()
    time.sleep(REST_S)
    took_s = time.monotonic() - began_s
    for name, pid in pids.items():
        cpu_s, wakes = (b - a for a, b in zip(before[name], _used(pid), strict=True))
        if wakes > WAKES_S_MAX * took_s or cpu_s > CPU_SHARE_MAX * took_s:
            report(f"{name} does not rest: {wakes} wakes and {cpu_s:.2f} s in {took_s:.1f} s")
    until_s = time.monotonic() + SETTLE_S
    left = {name: levels[name] for name in pids if name in levels}
    while left and time.monotonic() < until_s:
        left = {name: at for name, at in left.items() if _above(level_of(pids[name]), at)}
        if left:
            time.sleep(LOOK_S)
    for name, at in left.items():
        report(f"{name} holds {level_of(pids[name])} after its visitors have left, and held {at}")


def _above(now: Level, before: Level) -> bool:
    return (
        now.descriptors > before.descriptors + DESCRIPTORS_SPARE
        or now.threads > before.threads + THREADS_SPARE
    )


def _used(pid: int) -> tuple[float, int]:
    """Seconds of processor, and how often its first thread has waited."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    ticks = fields.rpartition(")")[2].split()[11:13]
    cpu_s = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    report = next(line for line in lines if line.startswith("voluntary_ctxt_switches"))
    return cpu_s, int(report.split()[1])
