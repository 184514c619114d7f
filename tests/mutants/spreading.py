"""Mutants of gossip: what is told to whom, and when."""

from collections import deque
from collections.abc import Iterable

from msgspec.structs import replace

from domain.dot import Dot, LogId
from domain.seqset import SEQ_MAX, SeqSet
from gossip import engine as engines
from gossip.admission import Learnt
from gossip.engine import Engine
from gossip.entry import Entry
from gossip.frontier import Added, Frontier
from gossip.log import Log
from gossip.packets import Line, Run, Same, Syn, SynAck
from gossip.reconcile import Lack
from gossip.reconcile.vector import Vector
from gossip.rumor import Rumors
from tests.mutants.planting import Bed, Swaps, standing

BED = Bed()
planted = BED.planted

# --- what is held -------------------------------------------------------------------------------


@planted(
    "no-dedup",
    "An entry that is held already is taken in again.",
    "gossip.frontier.Frontier.data_if_held, .add",
    "C4 C14",
    "lossy",
    "everything-twice",
)
def no_dedup() -> Swaps:
    original = Frontier.add

    def add(self: Frontier, entry: Entry, **how: bool) -> Added:
        added = original(self, entry, **how)
        return Added.NEW if added is Added.KNOWN else added

    def data_if_held(self: Frontier, log: LogId, seq: int) -> None:
        return None

    return [(Frontier, "add", add), (Frontier, "data_if_held", data_if_held)]


@planted(
    "bounded-dedup",
    "Only the last eight entries are remembered as known.",
    "gossip.frontier.Frontier.data_if_held, .add",
    "C4 C14",
    "repeats",
    "everything-twice",
)
def bounded_dedup() -> Swaps:
    original_add, original_held = Frontier.add, Frontier.data_if_held
    recent: dict[int, deque[Dot]] = {}

    def add(self: Frontier, entry: Entry, **how: bool) -> Added:
        cache = recent.setdefault(id(self), deque(maxlen=8))
        added = original_add(self, entry, **how)
        known = entry.dot in cache
        cache.append(entry.dot)
        return Added.NEW if added is Added.KNOWN and not known else added

    def data_if_held(self: Frontier, log: LogId, seq: int) -> bytes | None:
        cache = recent.get(id(self), ())
        return original_held(self, log, seq) if Dot(log.origin, log.epoch, seq) in cache else None

    return [(Frontier, "add", add), (Frontier, "data_if_held", data_if_held)]


@planted(
    "dedup-by-text",
    "An event of another node with a text that is known already is taken for a repetition.",
    "gossip.engine.Engine._learn",
    "C6 C1",
    "same-words",
)
def dedup_by_text() -> Swaps:
    original = Engine._learn

    def learn(
        self: Engine[object], peer: str, runs: list[Run], **how: bool
    ) -> "list[Learnt[object]]":
        known: set[str] = self.__dict__.setdefault("_mutant_texts", set())
        news = []
        for one in original(self, peer, runs, **how):
            text = getattr(one.value, "text", str(one.entry.dot))
            if text not in known:
                known.add(text)
                news.append(one)
        return news

    return [(Engine, "_learn", learn)]


@planted(
    "claimed-as-held",
    "Positions that are known to exist, and missing, are told to others as held.",
    "gossip.frontier.Frontier.next_line",
    "C6 C1",
    "lossy",
)
def claimed_as_held() -> Swaps:
    original = Frontier.next_line

    def line(
        self: Frontier, log: Log, named_max: int = 4096, ranges_max: int | None = None
    ) -> Line:
        told = original(self, log, named_max, ranges_max)
        if told.tags or not told.ranges:
            return told
        last = log.held.last
        # Kept as the true one is: `next_lines` says it again without asking.
        log.last_line = Line(told.origin, told.epoch, last, self.tag_at(log.id, last), [])
        return log.last_line

    return [(Frontier, "next_line", line)]


# --- digests ------------------------------------------------------------------------------------


@planted(
    "off-by-one-prefix",
    "The first entry after the other side's prefix is never sent.",
    "gossip.reconcile.vector.Vector._lack",
    "C6 C1",
    "lossy",
)
def off_by_one_prefix() -> Swaps:
    original = Vector._lack

    def lack(self: Vector, frontier: Frontier, log: Log, line: Line | None) -> Lack:
        found = original(self, frontier, log, line)
        if line is None or not line.prefix:
            return found
        ranges = [
            (first + (first == line.prefix + 1), last)
            for first, last in found.ranges
            if last > line.prefix + 1
        ]
        return Lack(found.log, ranges, found.tagged, sum(b - a + 1 for a, b in ranges))

    return [(Vector, "_lack", lack)]


@planted(
    "off-by-one-range",
    "A range above the prefix is taken to end one position later than it does.",
    "gossip.reconcile.vector.Vector._lack",
    "C6 C1 C20",
    "spread",
    "two-gaps",
)
def off_by_one_range() -> Swaps:
    original = Vector._lack

    def lack(self: Vector, frontier: Frontier, log: Log, line: Line | None) -> Lack:
        if line is not None and line.ranges:
            held = SeqSet(line.ranges)
            longer = [(a, min(b + 1, SEQ_MAX)) for a, b in held.ranges()]
            ranges = list(SeqSet(longer).ranges())
            line = Line(line.origin, line.epoch, line.prefix, line.head, ranges, line.tags)
        return original(self, frontier, log, line)

    return [(Vector, "_lack", lack)]


@planted(
    "counts-not-ids",
    "Roots are made of the number of entries: two different sets of one size look equal.",
    "gossip.frontier.Frontier.root",
    "C6 C1",
    "lossy",
    "equal-counts",
)
def counts_not_ids() -> Swaps:
    def root(self: Frontier) -> bytes:
        return self.count.to_bytes(16, "big")

    return [(Frontier, "root", property(root))]


@planted(
    "always-the-same",
    "Whoever is called answers that the roots are the same.",
    "gossip.engine.Engine._on_syn",
    "C6 C1",
    "lossy",
)
def always_the_same() -> Swaps:
    def on_syn(self: Engine[object], peer: str, number: int, body: Syn) -> list[object]:
        self._hear_opinions(body)
        stored = self.receipts.stored_of(peer) if body.receipt else []
        self._mail.send([peer], Same(number, body.root, stored, []))
        return []

    return [(Engine, "_on_syn", on_syn)]


@planted(
    "answers-dropped",
    "Entries in an answer to a call are thrown away: only what callers send is taken in.",
    "gossip.engine.Engine._on_syn_ack",
    "C20",
    "catching-up",
)
def answers_dropped() -> Swaps:
    original = Engine._on_syn_ack

    def on_syn_ack(self: Engine[object], peer: str, body: SynAck) -> object:
        return original(self, peer, replace(body, runs=[], more=False))

    return [(Engine, "_on_syn_ack", on_syn_ack)]


# --- shares -------------------------------------------------------------------------------------


@planted(
    "backlog-first",
    "The log with the most lacking entries goes first, and whole: quiet voices starve behind it.",
    "gossip.delta.cut (as gossip.engine sees it)",
    "C20",
    "starving",
)
def backlog_first() -> Swaps:
    original = standing(engines, "cut")

    def cut(lacks: Iterable[Lack], frontier: Frontier, budget_bytes: int) -> tuple[list[Run], bool]:
        runs: list[Run] = []
        largest_first = sorted(lacks, key=lambda lack: -lack.count)
        for at, lack in enumerate(largest_first):
            some, more = original([lack], frontier, budget_bytes)
            runs += some
            budget_bytes -= sum(len(data) + 80 for run in some for data in run.data)
            if more or budget_bytes <= 0:
                return runs, more or at + 1 < len(largest_first)
        return runs, False

    return [(engines, "cut", cut)]


@planted(
    "rumors-never-cool",
    "A rumor is told for ever, however often it was no news.",
    "gossip.rumor.Rumors.feedback",
    "C12 C20",
    "rumor-storm",
)
def rumors_never_cool() -> Swaps:
    def feedback(self: Rumors, number: int, useful: list[bool]) -> None:
        self._pushes.pop(number, None)

    return [(Rumors, "feedback", feedback)]


@planted(
    "rumors-die-young",
    "A rumor is told once, and then forgotten.",
    "gossip.rumor.Rumors.tell",
    "C20",
    "rumors",
)
def rumors_die_young() -> Swaps:
    original = Rumors.tell

    def tell(self: Rumors, number: int, budget_bytes: int) -> list[Run]:
        told = original(self, number, budget_bytes)
        self._hot = []
        return told

    return [(Rumors, "tell", tell)]
