"""Mutants of rounds and membership: who is called, and when; who is taken for gone."""

from typing import Any

from gossip.engine import Engine
from gossip.membership import Membership, State
from gossip.packets import Run
from gossip.pushing import Pushing
from gossip.reconcile import Lack
from gossip.rounds import Exchange, Rounds
from tests.mutants.planting import Bed, Swaps

BED = Bed()
planted = BED.planted

# --- who is told --------------------------------------------------------------------------------


@planted(
    "never-relay",
    "In anti-entropy a node sends its own entries and nobody else's.",
    "gossip.engine.Engine._delta",
    "C20 C1 C6",
    "through-one",
    "last-copy",
)
def never_relay() -> Swaps:
    original = Engine._delta

    def delta(
        self: Engine[object], peer: str, lacks: list[Lack], *more: Any, **asked: Any
    ) -> tuple[list[Run], bool]:
        own = [lack for lack in lacks if lack.log.id.origin == self.node]
        return original(self, peer, own, *more, **asked)

    return [(Engine, "_delta", delta)]


@planted(
    "never-push",
    "Own events are not pushed: they wait for the next round.",
    "gossip.pushing.Pushing.flush",
    "C20",
    "spread",
)
def never_push() -> Swaps:
    def flush(self: Pushing, *, awaits_receipts: bool) -> None:
        self.offered, self._receipt = [], False

    return [(Pushing, "flush", flush)]


@planted(
    "lost-leg-never-retried",
    "An exchange that is not answered stays open: that peer is never called again.",
    "gossip.rounds.Rounds.expire",
    "C20 C6 C1",
    "spread",
    "one-voice-lost",
)
def lost_leg_never_retried() -> Swaps:
    def expire(self: Rounds, now_ms: int) -> list[str]:
        for peer, exchange in list(self._open.items()):
            if exchange.sent_ms <= now_ms:
                self._open[peer] = Exchange(exchange.token, 10**12, exchange.said_lines)
        return []

    return [(Rounds, "expire", expire)]


@planted(
    "dead-not-probed",
    "A peer that was declared dead is never called again: after a partition both sides wait.",
    "gossip.rounds.Rounds.take_due",
    "C6 C1 C2",
    "partition",
    "long-partition",
)
def dead_not_probed() -> Swaps:
    original = Rounds.take_due

    def due(self: Rounds, now_ms: int) -> list[str]:
        self._dead_next_ms = now_ms + 10**9
        return original(self, now_ms)

    return [(Rounds, "take_due", due)]


@planted(
    "stale-peers",
    "The list of peers to call is made once, when only one was known: nobody else is called.",
    "gossip.rounds.Rounds._pick",
    "C20 C6",
    "through-one",
)
def stale_peers() -> Swaps:
    def pick(self: Rounds, now_ms: int) -> str | None:
        if not self._order:
            self._order = self._members.names(State.ALIVE, State.SUSPECT)[:1]
        for name in self._order:
            member = self._members.get(name)
            if member is not None and self._worth(member, now_ms):
                return name
        return None

    return [(Rounds, "_pick", pick)]


@planted(
    "pairs-repeat",
    "All nodes draw the same numbers: pairs call each other again and again, others rarely.",
    "gossip.rounds.Rounds._pick",
    "C20",
    "through-one",
)
def pairs_repeat() -> Swaps:
    original = Rounds._pick

    def pick(self: Rounds, now_ms: int) -> str | None:
        names = sorted([self._members.node, *self._members.names(State.ALIVE, State.SUSPECT)])
        at = names.index(self._members.node)
        name = names[min(at ^ 1, len(names) - 1)]  # n1 with n2, n3 with n4
        member = self._members.get(name)
        if self._rng.random() < 0.1 or member is None:
            return original(self, now_ms)
        return name if self._worth(member, now_ms) else None

    return [(Rounds, "_pick", pick)]


@planted(
    "news-no-hurry",
    "News does not make rounds come faster again: repair goes at the idle pace.",
    "gossip.rounds.Rounds.news",
    "C20",
    "through-one",
)
def news_no_hurry() -> Swaps:
    def news(self: Rounds, now_ms: int) -> None:
        self.calm = False

    return [(Rounds, "news", news)]


@planted(
    "rounds-never-calm",
    "Rounds stay fast though all agree, and whoever has just agreed is called again.",
    "gossip.rounds.Rounds.agreed",
    "C12 C20",
    "idle",
)
def rounds_never_calm() -> Swaps:
    def agreed(self: Rounds, peer: str, root: bytes, now_ms: int, *, hurry: bool = False) -> None:
        self._roots[peer] = root

    return [(Rounds, "agreed", agreed)]


@planted(
    "timer-forgotten",
    "The engine never asks to be woken: it acts when something comes, and only then.",
    "gossip.engine.Engine.wake_at_ms",
    "C12 C6 C1",
    "lossy",
)
def timer_forgotten() -> Swaps:
    return [(Engine, "wake_at_ms", property(lambda self: 10**12))]


# --- membership ---------------------------------------------------------------------------------


@planted(
    "once-suspect-always",
    "A peer that was suspected is not taken for alive again when it is heard from.",
    "gossip.membership.Membership.heard",
    "C13",
    "comes-back",
)
def once_suspect_always() -> Swaps:
    def heard(self: Membership, name: str, incarnation: int, now_ms: int) -> None:
        member = self._members.get(name)
        if member is not None:
            member.heard_ms, member.misses = now_ms, 0
            member.incarnation = max(member.incarnation, incarnation)

    return [(Membership, "heard", heard)]


@planted(
    "nobody-suspected",
    "A peer that does not answer is never suspected.",
    "gossip.membership.Membership.missed",
    "C13",
    "gone-for-long",
)
def nobody_suspected() -> Swaps:
    def missed(self: Membership, name: str, now_ms: int) -> None:
        self._members[name].misses += 1

    return [(Membership, "missed", missed)]
