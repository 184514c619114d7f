"""The state of each node, as `ps` shows it: its process, the launcher's record, and the node's own
status.
"""

import contextlib
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from domain.seqset import SeqSet
from lab.client.location import ClusterLocation
from lab.client.panel import statuses_of
from lab.cluster.cluster import Cluster
from lab.cluster.launcher_state import LaunchedNode, read_launched
from lab.cluster.processes import read_record, state_of
from node.control.messages import LogStatus, PeerStatus, Status
from node.network.link_faults import LinkFault

ASK_TIMEOUT_S = 0.5


class NodeState(Struct, frozen=True):
    node: str
    state: str  # running, recovering, read_only, …, or: paused, starting, down, backoff, failed
    pid: int | None
    uptime_ms: int | None
    restarts: int
    events: int | None
    missing: int | None
    peers: int  # that it knows; of one that does not answer: in the cluster file
    alive_peers: int | None
    address: str
    exit: str  # how its last process ended
    faults: dict[str, LinkFault]  # peer -> what happens to packets sent there
    root: str = ""  # hex; "" if it does not answer
    stable: bool | None = None  # it guesses that nothing more will come
    in_file: bool = True  # False: it has left the cluster file, and its state is still here
    lacks: int | None = None  # events that nodes which answer hold between them, and this one not
    cluster: str = ""  # the id that it reports; "" if it does not answer, or has none


def as_wanted(one: NodeState) -> bool:
    """Whether the node is as the cluster file wants it: up, and able to do all that it should."""
    return one.state == "running" or not one.in_file


def states_of(cluster: Cluster) -> list[NodeState]:
    """One state per node, in the order of the file; then those that have left it."""
    place = cluster.place
    nodes = {**place.nodes, **cluster.former()}
    records = {name: cluster.process(name) for name in nodes}
    letters = {name: state_of(record.pid) for name, record in records.items() if record}
    awake = [nodes[name] for name, letter in letters.items() if letter != "T"]
    statuses = statuses_of(awake, ASK_TIMEOUT_S)
    launched = read_launched(place.launched_file).nodes
    addresses = _addresses(place)
    now_ms = int(time.time() * 1000)
    lacks = lacks_of(statuses)
    states: list[NodeState] = []
    for name, at in nodes.items():
        record, status, seen = records[name], statuses.get(name), launched.get(name)
        if status is not None:
            state, uptime_ms = str(status.state), status.uptime_ms
        elif record is not None:
            state = "paused" if letters.get(name) == "T" else "starting"
            saved = read_record(Path(at.pid_file))
            uptime_ms = now_ms - saved.started_at_ms if saved is not None else 0
        else:
            lasting = seen is not None and seen.state in ("backoff", "failed")
            state = seen.state if seen is not None and lasting else "down"
            uptime_ms = None
        states.append(
            NodeState(
                node=name,
                state=state,
                pid=record.pid if record is not None else None,
                uptime_ms=uptime_ms,
                restarts=max(seen.starts - 1, 0) if seen is not None else 0,
                events=status.events if status is not None else None,
                missing=status.missing if status is not None else None,
                peers=len(status.peers) if status is not None else len(place.nodes) - 1,
                alive_peers=_alive(status.peers) if status is not None else None,
                address=addresses.get(name, ""),
                exit=_exit_of(seen) if record is None else "",
                faults={p: s.link for p, s in status.peers.items() if s.link} if status else {},
                root=status.root if status is not None else "",
                stable=status.stable if status is not None else None,
                in_file=name in place.nodes,
                lacks=lacks.get(name),
                cluster=status.cluster if status is not None else "",
            )
        )
    return states


def lacks_of(statuses: dict[str, Status]) -> dict[str, int]:
    """How many events each node lacks, of all that these nodes hold together.

    A status names a bounded number of logs. If there are more, only counts are compared, and the
    result is a lower bound.
    """
    return holdings(statuses)[1]


def ranges_of(log: LogStatus) -> tuple[tuple[int, int], ...]:
    """The numbers that a node says it holds of a log, as inclusive ranges, ascending."""
    prefix = ((1, log.prefix),) if log.prefix else ()
    return (*prefix, *log.ranges)


def holdings(statuses: dict[str, Status]) -> tuple[int, dict[str, int]]:
    """How many events these nodes hold together, and how many of them each one lacks."""
    if any(status.places.logs > len(status.frontier) for status in statuses.values()):
        most = max(status.events for status in statuses.values())
        return most, {name: most - status.events for name, status in statuses.items()}
    union: dict[tuple[str, int], SeqSet] = {}
    own: dict[str, int] = {}
    for name, status in statuses.items():
        own[name] = 0
        for log in status.frontier:
            for first, last in ranges_of(log):
                union.setdefault((log.origin, log.epoch), SeqSet()).add_range(first, last)
                own[name] += last - first + 1
    total = sum(last - first + 1 for held in union.values() for first, last in held.ranges())
    return total, {name: total - count for name, count in own.items()}


def _exit_of(seen: LaunchedNode | None) -> str:
    """How its last process ended, if a launcher was there to see it."""
    if seen is None or not seen.starts:
        return ""
    return (
        "ended unseen: its launcher was gone"
        if seen.state in ("running", "starting")
        else seen.exit
    )


def _alive(peers: dict[str, PeerStatus]) -> int:
    return sum(peer.state == "alive" for peer in peers.values())


def _addresses(place: ClusterLocation) -> dict[str, str]:
    """As the file says, or else as the address book remembers."""
    known: dict[str, str] = {}
    with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
        known = msgspec.json.decode(Path(place.address_book).read_bytes(), type=dict[str, str])
    return known | {name: f"tcp://{at.listen}" for name, at in place.nodes.items() if at.listen}
