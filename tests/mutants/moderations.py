"""Mutants of moderation: what may be said is decided where it is said, once."""

import unicodedata

from msgspec.structs import replace

from domain.commands import PostMessage
from domain.events import Event, MessagePosted
from domain.moderation import Moderator, Policy, moderator
from domain.verdict import Censored, Clean, Verdict
from gossip.admission import Learnt
from gossip.entry import Entry, hash_of
from node.core import emitter
from node.core.emitter import Emitter
from node.core.replica import Replica
from tests.mutants.planting import Bed, Swaps, standing

BED = Bed()
planted = BED.planted

# --- moderation ---------------------------------------------------------------------------------


@planted(
    "moderation-skipped",
    "No text is judged: every verdict is clean.",
    "domain.moderation.moderator.Moderator.judge",
    "C9",
    "calm",
)
def moderation_skipped() -> Swaps:
    return [(Moderator, "judge", lambda self, text: Clean())]


@planted(
    "normalised",
    "A text is normalised on its way into the event, once more than its author did.",
    "node.core.emitter.Emitter.emit",
    "C9",
    "odd-texts",
)
def normalised() -> Swaps:
    original = Emitter.emit

    def emit(self: Emitter, command: object, known: object, wall_ms: int) -> object:
        if type(command) is PostMessage:
            text = unicodedata.normalize("NFKC", command.text)
            command = PostMessage(command.author, text)
        return original(self, command, known, wall_ms)  # type: ignore[arg-type]

    return [(Emitter, "emit", emit)]


@planted(
    "censored-in-part",
    "Of what a rule forbids the last letter stays: judged again, it is no fixed point.",
    "domain.moderation.moderator.cover",
    "C9",
    "calm",
)
def censored_in_part() -> Swaps:
    original = moderator.cover

    def cover(text: str, seen: object) -> str:
        whole = original(text, seen)  # type: ignore[arg-type]
        kept = whole.rfind("*")
        return whole[:kept] + text[kept] + whole[kept + 1 :] if kept >= 0 else whole

    return [(moderator, "cover", cover)]


@planted(
    "rules-unnamed",
    "A censored event does not name the rules that censored it.",
    "node.core.emitter.decide",
    "C9",
    "calm",
)
def rules_unnamed() -> Swaps:
    original = standing(emitter, "decide")

    def decide(*given: object) -> object:
        event = original(*given)
        return replace(event, censored_by=()) if type(event) is MessagePosted else event

    return [(emitter, "decide", decide)]


@planted(
    "moderated-on-receive",
    "What comes from other nodes is censored by the receiver's own rules before it is kept.",
    "node.core.replica.Replica._take_in",
    "C9 C3 C6",
    "stricter-node",
)
def moderated_on_receive() -> Swaps:
    original = Replica._take_in

    def take_in(self: Replica, learnt: "Learnt[Event]", via: object, sender: str) -> None:
        event = learnt.value
        if type(event) is MessagePosted:
            verdict: Verdict = self._emitter._moderator.judge(event.text)
            if type(verdict) is Censored:
                changed = replace(event, text=verdict.text)
                data = self._codec.encode(changed, learnt.entry.prev)
                entry = Entry(event.dot, learnt.entry.prev, hash_of(data), data)
                learnt = Learnt(entry, changed, learnt.rival)
        original(self, learnt, via, sender)  # type: ignore[arg-type]

    return [(Replica, "_take_in", take_in)]


@planted(
    "rejected-on-receive",
    "What the receiver's own rules reject is never shown there.",
    "node.core.replica.Replica._take_in",
    "C6 C1",
    "stricter-node",
)
def rejected_on_receive() -> Swaps:
    original = Replica._take_in

    def take_in(self: Replica, learnt: "Learnt[Event]", via: object, sender: str) -> None:
        event = learnt.value
        judge = self._emitter._moderator.judge
        if type(event) is MessagePosted and type(judge(event.text)) is not Clean:
            return
        original(self, learnt, via, sender)  # type: ignore[arg-type]

    return [(Replica, "_take_in", take_in)]


@planted(
    "rules-rewrite-log",
    "New rules are applied to what is in the log already, and that is what peers are given.",
    "node.core.replica.Replica.set_policy",
    "C3 C9 C6",
    "stricter-node",
)
def rules_rewrite_log() -> Swaps:
    original = Replica.set_policy

    def set_policy(self: Replica, policy: Policy) -> None:
        original(self, policy)
        store = self.frontier.store
        for log in self.frontier:
            for seq, _, data in list(self.frontier.tagged(log)):
                decoded = self._codec.decode(data)
                event = decoded.event
                if type(event) is MessagePosted:
                    verdict = self._emitter._moderator.judge(event.text)
                    if type(verdict) is Censored:
                        changed = replace(event, text=verdict.text)
                        new = self._codec.encode(changed, decoded.prev)
                        store.put(Entry(event.dot, decoded.prev, hash_of(new), new))
                        assert seq == event.dot.seq

    return [(Replica, "set_policy", set_policy)]
