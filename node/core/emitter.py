"""The emitter: turns a participant's command into an own event, or into a refusal. Pure.

It moderates, decides, encodes the event once and chains it to the one before. Events of other nodes
are never judged here; their stamps move the clock, and their dots become the parents of the next
own event. The dot of an emitted event is used, unless `take_back` is called for the newest one.
"""

from collections.abc import Iterable
from typing import final

from msgspec import Struct

from domain.arrival import Arrival, Via
from domain.clock import HybridClock, Stamp
from domain.commands import Command, PostMessage
from domain.decider import Context, Known, Refused, check_command, decide
from domain.dot import Dot
from domain.events import Event
from domain.moderation import Moderator, Policy
from domain.verdict import Censored, Clean, Rejected, Verdict, rules_of
from gossip.entry import Entry, hash_of
from node.core.heads import Heads
from node.core.interface import Denied
from node.core.own_log import OwnLog
from node.core.ports import EventCodec, EventRecord

NAMES_MAX = 4096  # authors whose names have been judged, and are not judged again


@final
class Emitted(Struct, frozen=True, gc=False):
    """An own event that nobody has seen yet."""

    record: EventRecord
    arrival: Arrival
    entry: Entry
    rules: tuple[str, ...]  # those that censored its text


class Emitter:
    """Mutable; not thread-safe."""

    def __init__(self, node: str, codec: EventCodec, moderator: Moderator) -> None:
        self._codec = codec
        self._moderator = moderator
        self._names: dict[str, Verdict] = {}  # of the last authors: a judge says the same again
        self._clock = HybridClock()
        self._heads = Heads()
        self.others = Stamp(0, 0)  # the largest that was followed since the checkpoints
        self.own = OwnLog(node)

    def set_policy(self, policy: Policy) -> None:
        self._moderator = Moderator(policy)
        self._names.clear()

    def _judged(self, author: str) -> Verdict:
        verdict = self._names.get(author)
        if verdict is None:
            if len(self._names) >= NAMES_MAX:
                self._names.clear()
            verdict = self._names[author] = self._moderator.judge(author)
        return verdict

    def emit(self, command: Command, known: Known, wall_ms: int) -> Emitted | Denied:
        """The own event that this command asks for; its dot is taken from here on."""
        verdict: Verdict = Clean()
        name: Verdict = Clean()
        if check_command(command) is None:
            name = self._judged(command.author)
            if type(command) is PostMessage and type(name) is Clean:
                verdict = self._moderator.judge(command.text)
        stamp = self._clock.tick(wall_ms)
        context = Context(self.own.next_dot, stamp, self._heads.parents(self.own.log))
        event = decide(command, verdict, known, context, name)
        if type(event) is Refused:
            if type(name) is not Clean:
                return Denied("moderation", event.reason, rules_of(name.hits))
            if type(verdict) is Rejected:
                return Denied("moderation", event.reason, rules_of(verdict.hits))
            return Denied("domain", event.reason, ())
        prev = self.own.chain_hash
        data = self._codec.encode(event, prev)
        entry = Entry(event.dot, prev, hash_of(data), data)
        self.own.append(entry)
        self._heads.named(event.parents)
        record = EventRecord(data, wall_ms, "local", "")
        rules = rules_of(verdict.hits) if type(verdict) is Censored else ()
        return Emitted(record, Arrival(event, entry.tag, wall_ms, "local"), entry, rules)

    def take_back(self, entry: Entry, event: Event) -> None:
        """The newest own event never came to be: what it named as parents is news again."""
        if entry.dot.log == self.own.log:  # else that log is closed already, and stays shorter
            self.own.take_back(entry)
        for parent in event.parents:
            self._heads.see(parent)

    def arrival(self, event: Event, entry: Entry, received_at_ms: int, via: Via) -> Arrival:
        """An event that came from elsewhere, or from the journal; it moves the clock."""
        if via == "local":
            self._clock.restore(event.stamp)
            return Arrival(event, entry.tag, received_at_ms, via)
        skewed = not self._clock.observe(event.stamp, received_at_ms)
        if not skewed and event.stamp > self.others:
            self.others = event.stamp
        return Arrival(event, entry.tag, received_at_ms, via, skewed)

    @property
    def last_stamp(self) -> Stamp:
        """The largest stamp given out or followed."""
        return self._clock.last

    def is_far_ahead(self, wall_ms: int) -> bool:
        return self._clock.is_far_ahead(wall_ms)

    def set_back(self, stamp: Stamp) -> None:
        """The own clock was wrong: go on above this, the largest stamp that is not far ahead."""
        self._clock.set_back(stamp)

    def see(self, event: Event) -> None:
        """This event is visible here: the next own one may name it as a parent."""
        self._heads.meet(event, self.own.node)

    def recall(self, stamp: Stamp, heads: Iterable[Dot]) -> None:
        """Restore at once: the largest stamp so far, and the heads as they were last seen."""
        self._clock.restore(stamp)
        self._heads = Heads()
        for dot in heads:
            self._heads.see(dot)
