"""Turns of lines: which part of a log is sent to a peer next, where one line cannot hold all of it.

A log with more ranges than a line may hold is sent in parts, one a packet. Each log counts its own
turns with each peer. One count for all logs could keep step with the packets of an exchange: then
the same part would be sent in each, and another one never.
"""

from domain.dot import LogId

# Logs remembered for one peer. Of more, those told longest ago go on with the count of packets.
LOGS_MAX = 256


class LineTurns:
    """Mutable; not thread-safe."""

    def __init__(self) -> None:
        self._packets: dict[str, int] = {}
        self._turns: dict[str, dict[LogId, int]] = {}

    def begin(self, listener: str) -> None:
        """Another packet for this peer."""
        self._packets[listener] = self._packets.get(listener, -1) + 1

    def turn(self, listener: str, log: LogId) -> int:
        """How often this peer was told a part of this log before; this is one more time."""
        turns = self._turns.setdefault(listener, {})
        turn = turns.pop(log, self._packets.get(listener, 0))
        if len(turns) >= LOGS_MAX:
            del turns[next(iter(turns))]
        turns[log] = turn + 1
        return turn
