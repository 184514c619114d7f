"""Incarnations: SWIM's counter (section 4.2), with the start of the process in its upper bits.

A node raises its incarnation to refute that it is suspect or dead, and forgets it when it ends. So
the upper bits are the start, which the journal counts: a new start outranks everything that was
said about an older one. Sender, start and number name a packet for ever.
"""

NUMBER_MAX = 2**63 - 1  # of what stands on the wire
REFUTATION_BITS = 10  # refutations in one start; one more would look like the next start
START = 1 << REFUTATION_BITS  # one start, in incarnations
TOKEN_BITS = 8  # of the start, in a token
_TOKEN_MASK = (1 << TOKEN_BITS) - 1


def incarnation_of(start: int) -> int:
    """The first incarnation of a start."""
    return start << REFUTATION_BITS


def start_of(incarnation: int) -> int:
    return incarnation >> REFUTATION_BITS


def token_of(incarnation: int, number: int) -> int:
    """What an answer to this packet calls it: its number, and the last bits of its sender's start.

    Numbers begin at 1 in each start, so that a number alone would let an answer to an earlier start
    pass for one to this. Tokens come again only after 256 starts, which the restart budget spreads
    over an hour, or after some 2^55 packets. They cost 2 bytes in an exchange that agrees.
    """
    start = incarnation >> REFUTATION_BITS  # as `start_of`: each packet asks
    return (number << TOKEN_BITS | start & _TOKEN_MASK) & NUMBER_MAX
