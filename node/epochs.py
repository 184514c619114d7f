"""Epochs: when this node must go on writing in a new log, so that no dot is ever used twice.

A peer that holds more of our log than we do proves that we lost something: a restored backup, a
copied directory. Then our own events are pulled back first, and no command is taken meanwhile, so
that causality stays whole; but no longer than `RECOVER_MS`, for the peer may be gone again.
"""

from random import Random

from domain.dot import LogId
from gossip.frontier import Frontier
from node.ownlog import OwnLog
from node.ports import EpochRecord, Note
from node.telling import Fields

RECOVER_MS = 5000
WHY = "a peer holds more of this log than this node did"


class Epochs:
    """Mutable; not thread-safe."""

    __slots__ = ("_frontier", "_own", "_rng", "until_ms")

    def __init__(self, own: OwnLog, frontier: Frontier, rng: Random) -> None:
        self._own = own
        self._frontier = frontier
        self._rng = rng
        self.until_ms: int | None = None  # pulling back own events, no longer than this

    def boot(self, must_open: str) -> str:
        """Go on in the log that the journal left; returns why that cannot be, or ""."""
        log = self._frontier.get(self._own.log)
        if log is not None:
            if log.missing or log.forked:
                must_open = must_open or "own events are missing or forked"
            self._own.go_on_after(log.prefix, log.link)
        return must_open if self._own.epoch else must_open or "new log"

    def open(self, reason: str, wall_ms: int) -> tuple[EpochRecord, Note]:
        """A new log, at random: a clock could give the same one twice."""
        self.until_ms = None
        epoch = 0
        while not epoch or self._frontier.get(LogId(self._own.node, epoch)) is not None:
            epoch = self._rng.getrandbits(63)
        self._own.open(epoch)
        fields: Fields = {"log": str(self._own.log), "reason": reason}
        return EpochRecord(epoch, reason, wall_ms), Note("epoch_opened", "info", fields)

    def watch(self, peer: str, now_ms: int) -> Note | None:
        """Look whether this peer has just proved that we lost something; if so, pull it back."""
        log = self._frontier.get(self._own.log)
        if log is None or self.until_ms is not None:
            return None
        ahead = max(log.claimed, log.held.last)
        if ahead <= self._own.shown and not log.forked:
            return None
        self.until_ms = now_ms + RECOVER_MS
        fields: Fields = {"peer": peer, "log": str(log.id), "held": log.prefix, "claimed": ahead}
        return Note("own_log_ahead", "warning", fields)

    def pulled_back(self, now_ms: int) -> bool:
        """It is time to open a new epoch: everything is back, or it has taken too long."""
        if self.until_ms is None:
            return False
        log = self._frontier.get(self._own.log)
        return log is None or not log.missing or now_ms >= self.until_ms
