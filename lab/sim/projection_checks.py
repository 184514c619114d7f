"""The `Final` event of a node: what it shows at the end, and the same projections recomputed from
the arrivals, rewound by half, and applied again. C10 compares them.

A timeline's own fingerprint depends on the set of its events only. `print_of` depends on the order,
too, because a wrong rewind may break only the order.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from domain.arrival import Arrival
from domain.presence import Presence
from domain.timeline import Timeline
from lab.sim.event_names import NamingCodec
from lab.trace.kinds import Final
from node.core.replica import Replica

_FIELDS = (  # of `Final`
    *("timeline_again", "presence_again", "timeline_half", "presence_half"),
    *("timeline_half_again", "presence_half_again", "timeline_back", "presence_back"),
)
_UNFOLDED = dict.fromkeys(_FIELDS, "")  # of a node whose projections are not recomputed


def final_of(
    replica: Replica, known: NamingCodec, now_ms: int, *, again: bool = True, lean: bool = False
) -> Final:
    """What a live node shows at the end; with `again`, also its recomputed projections."""
    timeline = replica.timeline
    arrivals = timeline.select("arrival")  # from the disk, each once; all else is in its order
    causal = [arrivals[index] for index in timeline.pick("causal")]
    return Final(
        root=replica.root.hex(),
        arrivals=() if lean else known.refs_of(arrivals),
        causal=() if lean else known.refs_of(causal),
        timeline=print_of(timeline, causal),
        presence=replica.presence.fingerprint().hex(),
        **(_refolded(arrivals) if again else _UNFOLDED),
        missing=replica.frontier.missing,
        forked=tuple(replica.frontier.forked),
        holes=0 if lean else len(timeline.holes()),
        health=replica.state,
        wake_ms=replica.wake_at_ms - now_ms,
        counters={} if lean else replica.counters,
    )


def print_of(timeline: Timeline, causal: Iterable[Arrival] | None = None) -> str:
    """Equal where nodes hold the same events, and show them in one order.

    `causal`: what the timeline shows in causal order, from a caller who has just read it.
    """
    digest = blake2b(timeline.fingerprint(), digest_size=16)
    for arrival in timeline.select("causal") if causal is None else causal:
        digest.update(arrival.tag)
    digest.update(repr(timeline.holes()).encode())
    return digest.hexdigest()


def _refolded(arrivals: Sequence[Arrival]) -> dict[str, str]:
    """By the fields of a Final: timeline and presence folded anew, half of them,
    that half folded anew, and with the other half applied again.
    """
    half = len(arrivals) // 2
    timeline, presence = _folded(arrivals)
    again = (print_of(timeline), presence.fingerprint().hex())
    for arrival in reversed(arrivals[half:]):
        assert timeline.rewind() is arrival
        assert presence.rewind() is arrival
    undone = (print_of(timeline), presence.fingerprint().hex())
    first, people = _folded(arrivals[:half])
    for arrival in arrivals[half:]:
        timeline.apply(arrival)
        presence.apply(arrival)
    for _ in arrivals[half:]:  # once more, before any read
        timeline.rewind()
        presence.rewind()
    for arrival in arrivals[half:]:
        timeline.apply(arrival)
        presence.apply(arrival)
    half_again = (print_of(first), people.fingerprint().hex())
    back = (print_of(timeline), presence.fingerprint().hex())
    return dict(zip(_FIELDS, (*again, *undone, *half_again, *back), strict=True))


def _folded(arrivals: Iterable[Arrival]) -> tuple[Timeline, Presence]:
    timeline, presence = Timeline(arrivals), Presence()
    for arrival in arrivals:
        presence.apply(arrival)
    return timeline, presence
