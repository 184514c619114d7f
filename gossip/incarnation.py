"""Incarnations: SWIM's counter (section 4.2), with the start of the process in its upper bits.

A node raises its incarnation to refute what is said about it, and forgets it when it ends. So the
start, which the journal counts, comes first: a new start outranks everything that was ever said
about an older one. And a packet is named for ever by sender, start and number.
"""

REFUTATION_BITS = 10  # refutations in one start; one more would look like the next start
START = 1 << REFUTATION_BITS  # one start, in incarnations


def incarnation_of(start: int) -> int:
    """The first incarnation of a start."""
    return start << REFUTATION_BITS


def start_of(incarnation: int) -> int:
    return incarnation >> REFUTATION_BITS
