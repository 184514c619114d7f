"""Shapes of partitions: the links that each shape cuts. The names are those of Jepsen's nemeses."""

from random import Random
from typing import assert_never

from lab.plan.faults import Cut, Shape

CUT_SHARE = 0.3  # of all links, in the shape `uniform`


def cuts_of(shape: Shape, nodes: tuple[str, ...], rng: Random) -> tuple[Cut, ...]:
    """Directed links. With fewer than two nodes there are none."""
    if len(nodes) < 2:
        return ()
    mixed = rng.sample(nodes, len(nodes))
    if shape == "one":
        return _between(mixed[:1], mixed[1:])
    if shape == "halves":
        half = len(mixed) // 2
        return _between(mixed[:half], mixed[half:])
    if shape == "minority-third":
        third = max(1, (len(mixed) - 1) // 3)
        return _between(mixed[:third], mixed[third:])
    if shape == "ring":
        # Each sees a majority, and no two the same: its neighbours on a ring.
        seen = {
            (mixed[i], mixed[(i + by) % len(mixed)]) for i in range(len(mixed)) for by in (1, -1)
        }
        return tuple([(a, b) for a in mixed for b in mixed if a != b and (a, b) not in seen])
    if shape == "bridge":
        # Two halves that only one node connects.
        half = (len(mixed) - 1) // 2
        return _between(mixed[1 : 1 + half], mixed[1 + half :])
    if shape == "one-way":
        half = rng.randint(1, len(mixed) - 1)
        return tuple([(a, b) for a in mixed[:half] for b in mixed[half:]])
    if shape == "uniform":
        return tuple([(a, b) for a in mixed for b in mixed if a != b and rng.random() < CUT_SHARE])
    assert_never(shape)


def _between(some: list[str], others: list[str]) -> tuple[Cut, ...]:
    """Both ways."""
    cuts = [(a, b) for a in some for b in others]
    return tuple(cuts + [(b, a) for a, b in cuts])
