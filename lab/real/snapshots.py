"""Snapshots: when to record the state of a replayed replica, and that state as an event of the
trace.
"""

from msgspec import Struct

from lab.trace.kinds import PhaseName, State
from node.core.replica import Replica


class Snapshot(Struct, frozen=True):
    t_ns: int
    phase: PhaseName


def state_of(replica: Replica) -> State:
    root, missing = replica.root.hex(), replica.frontier.missing
    return State(root, len(replica.timeline), missing, replica.state)
