"""Strategies of set reconciliation: how two nodes find out what each lacks.

One strategy a file, one small sans-IO interface, compared by real bytes on the wire. A strategy
only compares: it neither sends nor stores. `gossip.engine` runs the exchange, `gossip.delta` cuts
what is lacking into runs, `gossip.epoch_folds` decides which logs get a line at all.

- `vector`: version vector with ranges, one line per log (default).
"""

from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct

from gossip.frontier import Frontier
from gossip.log import Log
from gossip.packets import Line


class Lack(Struct, frozen=True):
    """What the other side lacks of one log. Exactly one of the two lists is used.

    `ranges` are positions of ours; `tagged` are single entries (seq, data), where the log is
    forked or disputed and positions do not say which branch is meant.
    """

    log: Log
    ranges: list[tuple[int, int]]
    tagged: list[tuple[int, bytes]]
    count: int


class Strategy(Protocol):
    name: str

    def next_lines(self, frontier: Frontier, logs: Iterable[Log] | None = None) -> list[Line]:
        """What to tell the other side next about what we hold, in all logs or in these."""
        ...

    def hear(self, frontier: Frontier, theirs: Iterable[Line]) -> None:
        """Learn what they claim to hold, and where it does not fit what we hold."""
        ...

    def next_lacks(
        self, frontier: Frontier, theirs: Iterable[Line], unnamed: Iterable[Log] | None = None
    ) -> list[Lack]:
        """What we hold and they, by their own word, do not; a long backlog comes in parts.

        `hear` comes before. `unnamed` are the logs of ours that they have no line for and lack;
        None: all such logs.
        """
        ...
