"""Looking: a replayed replica as it stands at some moment of a run."""

from msgspec import Struct

from lab.trace.kinds import PhaseName, State
from node.core.replica import Replica


class Snapshot(Struct, frozen=True):
    t_ns: int
    phase: PhaseName


def state_of(replica: Replica) -> State:
    root, missing = replica.root.hex(), replica.frontier.missing
    return State(root, len(replica.timeline), missing, replica.state)
