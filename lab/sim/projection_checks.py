"""Refolding: projections made anew from their arrivals, half of it undone, and done again.

A timeline's own fingerprint is of the set of its events. Here its order counts, too: what undoing
breaks may be the order alone.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from domain.arrival import Arrival
from domain.presence import Presence
from domain.timeline import Timeline

UNFOLDED = ("",) * 8  # of a node that nobody looked at so closely
Prints = tuple[str, str, str, str, str, str, str, str]


def print_of(timeline: Timeline, causal: Iterable[Arrival] | None = None) -> str:
    """Equal where nodes hold the same events, and show them in one order.

    `causal`: what the timeline shows in causal order, from a caller who has just read it.
    """
    digest = blake2b(timeline.fingerprint(), digest_size=16)
    for arrival in timeline.select("causal") if causal is None else causal:
        digest.update(arrival.tag)
    digest.update(repr(timeline.holes()).encode())
    return digest.hexdigest()


def refolded(arrivals: Sequence[Arrival]) -> Prints:
    """Of timeline and presence in turn, as `lab.trace.kinds.Final` has them: folded anew, half of
    it, that half folded anew, and with the other half applied again.
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
    for _ in arrivals[half:]:  # once more, before anybody has read it
        timeline.rewind()
        presence.rewind()
    for arrival in arrivals[half:]:
        timeline.apply(arrival)
        presence.apply(arrival)
    return (
        *again,
        *undone,
        print_of(first),
        people.fingerprint().hex(),
        print_of(timeline),
        presence.fingerprint().hex(),
    )


def _folded(arrivals: Iterable[Arrival]) -> tuple[Timeline, Presence]:
    timeline, presence = Timeline(arrivals), Presence()
    for arrival in arrivals:
        presence.apply(arrival)
    return timeline, presence
