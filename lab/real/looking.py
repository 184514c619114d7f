"""Looking: a replayed replica as it stands at some moment of a run."""

from msgspec import Struct

from domain.presence import Presence
from domain.timeline import Timeline
from lab.kinds import Final, PhaseName, State
from lab.sim.known import Known
from node.replica import Replica


class Look(Struct, frozen=True):
    t_ns: int
    phase: PhaseName


def state_of(replica: Replica) -> State:
    root, missing = replica.root.hex(), replica.frontier.missing
    return State(root, len(replica.timeline), missing, replica.state)


def final_of(replica: Replica, known: Known, now_ms: int) -> Final:
    arrivals = replica.timeline.select("arrival")
    return Final(
        replica.root.hex(),
        known.refs_of(arrivals),
        known.refs_of(replica.timeline.select("causal")),
        replica.timeline.fingerprint().hex(),
        replica.presence.fingerprint().hex(),
        *_refolded(replica),
        replica.frontier.missing,
        tuple(replica.frontier.forked),
        len(replica.timeline.holes()),
        replica.state,
        replica.wake_at_ms - now_ms,
        replica.counters,
    )


def _refolded(replica: Replica) -> tuple[str, str, str, str]:
    """Fingerprints of timeline and presence: folded anew, and half of it rewound and redone."""
    arrivals = replica.timeline.select("arrival")
    timeline, presence = Timeline(arrivals), Presence()
    for arrival in arrivals:
        presence.apply(arrival)
    again = (timeline.fingerprint().hex(), presence.fingerprint().hex())
    back = arrivals[len(arrivals) // 2 :]
    for _ in back:
        timeline.rewind()
        presence.rewind()
    for arrival in back:
        timeline.apply(arrival)
        presence.apply(arrival)
    return (*again, timeline.fingerprint().hex(), presence.fingerprint().hex())
