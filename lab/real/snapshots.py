"""Looking: a replayed replica as it stands at some moment of a run."""

from msgspec import Struct

from lab.sim.event_names import Known
from lab.sim.projection_checks import print_of, refolded
from lab.trace.kinds import Final, PhaseName, State
from node.core.replica import Replica


class Snapshot(Struct, frozen=True):
    t_ns: int
    phase: PhaseName


def state_of(replica: Replica) -> State:
    root, missing = replica.root.hex(), replica.frontier.missing
    return State(root, len(replica.timeline), missing, replica.state)


def final_of(replica: Replica, known: Known, now_ms: int) -> Final:
    arrivals = replica.timeline.select("arrival")
    causal = [arrivals[index] for index in replica.timeline.pick("causal")]
    return Final(
        replica.root.hex(),
        known.refs_of(arrivals),
        known.refs_of(causal),
        print_of(replica.timeline, causal),
        replica.presence.fingerprint().hex(),
        *refolded(arrivals),
        replica.frontier.missing,
        tuple(replica.frontier.forked),
        len(replica.timeline.holes()),
        replica.state,
        replica.wake_at_ms - now_ms,
        replica.counters,
    )
