"""Network faults in a running cluster: set in the transports of the nodes, and restored after
restarts.

A fault belongs to a link, not to a process. A transport keeps it in memory only, so the faults are
also written to a file (`faults.json`), and a node that is restarted gets them again as soon as it
answers. Between its start and that moment, some milliseconds, its links have no faults.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lab.client.atomic_json import write_json
from lab.client.client import Client
from lab.cluster.cluster import Cluster
from lab.terminal.errors import Problem
from node.control.messages import ClearFaults, Done, Request, SetFault


class Fault(Struct, frozen=True):
    """Faults of the links to `peers` (empty: all). None leaves that setting unchanged."""

    peers: list[str]
    blocked: bool | None = None
    loss: float | None = None
    duplicate: float | None = None
    delay_ms: float | None = None
    jitter_ms: float | None = None

    def text(self) -> str:
        parts = ["blocked"] if self.blocked else []
        parts += [f"loss {self.loss:.0%}"] if self.loss is not None else []
        parts += [f"dup {self.duplicate:.0%}"] if self.duplicate is not None else []
        if self.delay_ms is not None:
            jitter = f"±{self.jitter_ms:g}ms" if self.jitter_ms else ""
            parts.append(f"delay {self.delay_ms:g}ms{jitter}")
        return " ".join(parts) or "none"


Faults = dict[str, list[Fault]]


def put(cluster: Cluster, node: str, fault: Fault) -> None:
    """Set the faults of the links from `node`; raises if the node cannot be reached."""
    _tell(cluster, node, [_asking(fault)])
    faults = _read(cluster)
    faults.setdefault(node, []).append(fault)
    write_json(_file(cluster), faults)


def cut(cluster: Cluster, sides: list[list[str]], one_way: bool) -> list[Problem]:
    """Block all links between the sides. Nodes that are down are cut when they come back."""
    problems: list[Problem] = []
    faults = _read(cluster)
    for index, side in enumerate(sides[:1] if one_way else sides):
        others = [name for at, other in enumerate(sides) if at != index for name in other]
        fault = Fault(others, blocked=True)
        for node in side:
            faults.setdefault(node, []).append(fault)
            if cluster.process(node) is None:
                continue
            try:
                _tell(cluster, node, [_asking(fault)])
            except Problem as problem:
                problems.append(problem)
    write_json(_file(cluster), faults)
    return problems


def cut_already(cluster: Cluster) -> list[str]:
    """The links that are blocked, as `n1 -x-> n2,n3`."""
    found: list[str] = []
    for node, faults in sorted(_read(cluster).items()):
        peers = {peer for fault in faults if fault.blocked for peer in fault.peers}
        found += [f"{node} -x-> {','.join(sorted(peers))}"] if peers else []
    return found


def heal_nodes(cluster: Cluster, nodes: list[str]) -> list[Problem]:
    """Make the links from these nodes whole."""
    problems: list[Problem] = []
    faults = _read(cluster)
    for node in nodes:
        faults.pop(node, None)
        if cluster.process(node) is None:
            continue
        try:
            _tell(cluster, node, [ClearFaults])
        except Problem as problem:
            problems.append(problem)
    write_json(_file(cluster), faults)
    return problems


def put_again(cluster: Cluster, node: str) -> int:
    """After a restart: the faults that the node's links had. Returns how many.

    A peer that has left the cluster file has no link; what was said of it is kept for its return.
    """
    known = cluster.place.nodes
    faults = []
    for fault in _read(cluster).get(node, []):
        peers = [peer for peer in fault.peers if peer in known]
        if peers or not fault.peers:
            faults.append(replace(fault, peers=peers))
    if faults:
        _tell(cluster, node, [_asking(fault) for fault in faults])
    return len(faults)


def forget(cluster: Cluster) -> None:
    _file(cluster).unlink(missing_ok=True)


def _asking(fault: Fault) -> Callable[[int], Request]:
    fields = msgspec.structs.asdict(fault)
    return lambda number: SetFault(number, **fields)


def _tell(cluster: Cluster, node: str, make: list[Callable[[int], Request]]) -> None:
    at = cluster.place.node(node)
    with Client(node, at.control) as client:
        for one in make:
            client.expect(one(client.new_id()), Done)


def _file(cluster: Cluster) -> Path:
    return Path(cluster.place.root, "faults.json")


def _read(cluster: Cluster) -> Faults:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(_file(cluster).read_bytes(), type=Faults)
    return {}
