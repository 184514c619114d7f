"""Epochs: decides when this node must write in a new log, so that no dot is ever used twice. Pure.

A peer that holds more of our log than we do proves that we lost something: a restored backup, a
copied directory. Then our own events are pulled back first, and no command is taken meanwhile, so
that causality stays whole. But a claim is not a proof, and a hostile peer can make one at any time:

- All such waiting of one life together is no longer than `RECOVER_MS`.
- A peer that was asked twice since its claim and brought nothing of ours had nothing: the waiting
  ends, and its claims are forgotten as they come, until the next start.
- Each waiting ends in a new epoch. It was drawn in this life, so nobody else can hold anything of
  it: what is claimed of it is forgotten at once, whatever is left of the time. So claims open one
  epoch in a life, however soon each of them is settled.
- Entries of ours that we did not write, or a fork, are there and need no claim. They open an epoch
  at once when there is no time left to wait, or nothing to wait for, and `FORGED_MAX` in a life:
  whoever forges more finds us in a forked log, where nothing is lost by it.
"""

from random import Random

from domain.dot import LogId
from gossip.frontier import Frontier
from node.core.own_log import OwnLog
from node.core.ports import EpochRecord, Fields, Note

RECOVER_MS = 5000
WHY = "a peer holds more of this log than this node did"
REFUTED = "a peer claimed to hold more of this log and had nothing to show"
FORGED_MAX = 16  # epochs opened in one life because of what is there of the one before
ASKED_MAX = 2  # the first answer may be to a question from before the claim


class Epochs:
    """Mutable; not thread-safe."""

    def __init__(self, own: OwnLog, frontier: Frontier, rng: Random) -> None:
        self._own = own
        self._frontier = frontier
        self._rng = rng
        self.until_ms: int | None = None  # pulling back own events, no longer than this
        self.asking = ""  # the peer whose claim is looked into
        self._asked = 0  # exchanges with it, finished by the time of its claim or of its last entry
        self._had = 0  # entries of the own log at that time
        self._began_ms = 0
        self._left_ms = RECOVER_MS  # of all waiting in this life
        self._unbacked: set[str] = set()  # peers that had nothing to show
        self._drawn = LogId(own.node, 0)  # the last log that began because of all this
        self._forged = 0

    def boot(self, must_open: str) -> str:
        """Go on in the log that the journal left; returns why that cannot be, or ""."""
        log = self._frontier.get(self._own.log)
        if log is not None:
            if log.missing or log.forked:
                must_open = must_open or "own events are missing or forked"
            self._own.go_on_after(log.prefix, log.chain_hash)
        return must_open if self._own.epoch else must_open or "new log"

    def open(self, reason: str, wall_ms: int) -> tuple[EpochRecord, Note]:
        """A new log, at random: a clock could give the same one twice."""
        self.until_ms, self.asking = None, ""
        epoch = 0
        while not epoch or self._frontier.get(LogId(self._own.node, epoch)) is not None:
            epoch = self._rng.getrandbits(63)
        self._own.open(epoch)
        if reason in (WHY, REFUTED):
            self._drawn = self._own.log
        fields: Fields = {"log": str(self._own.log), "reason": reason}
        return EpochRecord(epoch, reason, wall_ms), Note("epoch_opened", "info", fields)

    def watch(self, peer: str, finished: int, now_ms: int) -> Note | None:
        """Look whether this peer has just said that we lost something; if so, pull it back.

        `finished`: exchanges with this peer that we began and it answered.
        """
        log = self._frontier.get(self._own.log)
        if log is None:
            return None
        if self.until_ms is not None:
            self._look(peer, finished, now_ms)
            return None
        ahead = max(log.claimed, log.held.last)
        if ahead <= self._own.shown and not log.forked:
            return None
        backed = log.forked or log.held.last > self._own.shown
        drawn = log.id == self._drawn
        if not backed and (drawn or peer in self._unbacked or not self._left_ms):
            self._frontier.disclaim(log)
            return None
        if drawn:
            if self._forged >= FORGED_MAX:
                return None
            self._forged += 1
        self.asking, self._asked, self._had = peer, finished, log.count
        self._began_ms, self.until_ms = now_ms, now_ms if drawn else now_ms + self._left_ms
        fields: Fields = {"peer": peer, "log": str(log.id), "held": log.prefix, "claimed": ahead}
        return Note("own_log_ahead", "warning", fields)

    def _look(self, peer: str, finished: int, now_ms: int) -> None:
        """Whether the peer that we ask brings what it claimed."""
        log = self._frontier.get(self._own.log)
        if peer != self.asking or log is None:
            return
        if log.count > self._had:
            self._asked, self._had = finished, log.count
        elif finished >= self._asked + ASKED_MAX:
            self.until_ms = now_ms

    def pulled_back(self, now_ms: int) -> str:
        """Why it is time to open a new epoch, or "": all is back, or no more will come."""
        if self.until_ms is None:
            return ""
        log = self._frontier.get(self._own.log)
        whole = log is None or not log.missing
        if not whole and now_ms < self.until_ms:
            return ""
        self._left_ms = max(self._left_ms - (now_ms - self._began_ms), 0)
        if log is None or whole or log.held.last > self._own.shown:
            return WHY
        self._frontier.disclaim(log)
        self._unbacked.add(self.asking)
        return REFUTED
