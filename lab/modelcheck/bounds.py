"""The bounds of a search: the posts of each node, and the limits on rounds, crashes, steps, states
and time.
"""

from typing import Literal

from msgspec import Struct

NODES_MAX = 3


class Workload(Struct, frozen=True):
    """`posts` per node; its length says how many nodes there are: n1, n2, ..."""

    posts: tuple[int, ...] = (1, 1)
    ack: Literal["written", "durable"] = "durable"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple([f"n{number}" for number in range(1, len(self.posts) + 1)])


class Bounds(Struct, frozen=True):
    """Everything that could go on for ever has a bound, over all nodes together.

    A continuation that a node begins by itself is no round of these. `steps` bounds the length of
    a path; `states` and `seconds` bound the search, and make it incomplete.
    """

    rounds: int = 2
    drops: int = 0
    copies: int = 0  # packets that arrive and stay on their way
    crashes: int = 0
    timeouts: int = 0  # exchanges given up
    settle: bool = True  # ask of each state whether the nodes agree when they are left alone
    steps: int = 60
    states: int = 1_000_000
    seconds: float = 60.0
