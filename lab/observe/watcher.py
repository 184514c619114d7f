"""Watches a cluster: polls the states of its nodes and reports what has changed.

It only observes: it reads pid files and sends status requests. A node that does not answer is no
error; it is shown with the state of its process.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from msgspec import Struct

from lab.cluster.cluster import Cluster
from lab.observe.node_states import NodeState, states_of

Seen = TypeVar("Seen")


class ClusterChange(Struct, frozen=True):
    """One node, as it is now, at this wall time."""

    at_ms: int
    state: NodeState


def looks(cluster: Cluster, every_s: float) -> Iterator[tuple[int, list[NodeState]]]:
    """Polls for ever: yields the wall time (ms) and the states of all nodes in the file's order."""
    return at_intervals(partial(states_of, cluster), every_s)


def at_intervals(look: Callable[[], Seen], every_s: float) -> Iterator[tuple[int, Seen]]:
    """Looks for ever: yields the wall time (ms) and what was seen. A look may take longer."""
    while True:
        began_s = time.monotonic()
        yield int(time.time() * 1000), look()
        time.sleep(max(0.0, every_s - (time.monotonic() - began_s)))


class Changes:
    """The changes from one poll to the next. Mutable."""

    def __init__(self) -> None:
        self._before: dict[str, NodeState] = {}

    def of(self, at_ms: int, states: Sequence[NodeState]) -> list[ClusterChange]:
        """The changed nodes. In the first poll all are new; uptime is ignored."""
        found = []
        for state in states:
            timeless = _timeless(state)
            if self._before.get(state.node) != timeless:
                self._before[state.node] = timeless
                found.append(ClusterChange(at_ms, state))
        return found


def _timeless(state: NodeState) -> NodeState:
    changed = {name: getattr(state, name) for name in NodeState.__struct_fields__}
    return NodeState(**{**changed, "uptime_ms": None})
