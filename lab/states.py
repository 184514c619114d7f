"""What `ps` shows of each node: its process, what the launcher saw, and what it says itself."""

import contextlib
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from lab.ask import statuses_of
from lab.cluster import Cluster
from lab.launched import read_launched
from lab.process import read_record, state_of
from node.api import PeerStatus
from node.link import LinkFault

ASK_TIMEOUT_S = 0.5


class NodeState(Struct, frozen=True):
    node: str
    state: str  # running, recovering, read_only, …, or: paused, starting, down, backoff, failed
    pid: int | None
    uptime_ms: int | None
    restarts: int
    events: int | None
    missing: int | None
    peers: int  # in the cluster file, besides this one
    alive_peers: int | None
    address: str
    exit: str  # how its last process ended
    faults: dict[str, LinkFault]  # peer -> what happens to packets sent there
    root: str = ""  # hex; "" where nobody answers
    stable: bool | None = None  # it guesses that nothing more will come


def as_wanted(one: NodeState) -> bool:
    """Whether the node is as the cluster file wants it: up, and able to do all that it should."""
    return one.state == "running"


def states_of(cluster: Cluster) -> list[NodeState]:
    """One state per node, in the order of the file."""
    place = cluster.place
    records = {name: cluster.process(name) for name in place.nodes}
    letters = {name: state_of(record.pid) for name, record in records.items() if record}
    awake = [place.nodes[name] for name, letter in letters.items() if letter != "T"]
    statuses = statuses_of(awake, ASK_TIMEOUT_S)
    launched = read_launched(place.launched_file).nodes
    addresses = _addresses(Path(place.address_book))
    now_ms = int(time.time() * 1000)
    states: list[NodeState] = []
    for name in place.nodes:
        record, status, seen = records[name], statuses.get(name), launched.get(name)
        if status is not None:
            state, uptime_ms = str(status.state), status.uptime_ms
        elif record is not None:
            state = "paused" if letters.get(name) == "T" else "starting"
            saved = read_record(Path(place.nodes[name].pid_file))
            uptime_ms = now_ms - saved.started_at_ms if saved is not None else 0
        else:
            lasting = seen is not None and seen.state in ("backoff", "failed")
            state = seen.state if seen is not None and lasting else "down"
            uptime_ms = None
        states.append(
            NodeState(
                name,
                state,
                record.pid if record is not None else None,
                uptime_ms,
                max(seen.starts - 1, 0) if seen is not None else 0,
                status.events if status is not None else None,
                status.missing if status is not None else None,
                len(place.nodes) - 1,
                _alive(status.peers) if status is not None else None,
                addresses.get(name, ""),
                seen.exit if seen is not None and record is None else "",
                {p: s.link for p, s in status.peers.items() if s.link} if status else {},
                status.root if status is not None else "",
                status.stable if status is not None else None,
            )
        )
    return states


def _alive(peers: dict[str, PeerStatus]) -> int:
    return sum(peer.state == "alive" for peer in peers.values())


def _addresses(book: Path) -> dict[str, str]:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(book.read_bytes(), type=dict[str, str])
    return {}
