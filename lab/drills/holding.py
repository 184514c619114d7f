"""Drill of `gossip.frontier.Frontier` and the deltas between two of them (anti-entropy).

The model is the set of entries by log and position; from it follow the ranges, tags, roots, forks
and missing entries. Two frontiers get random parts of the same logs, in order or shuffled, with
gaps, repeats and forks. Each answer must equal the model's; then summaries, folds and deltas go
back and forth until both roots are equal. Left out: packets on the wire and timers (`exchanging`).
"""

from collections.abc import Iterable
from random import Random

from domain.arrival import TAG_BYTES
from domain.dot import Dot, LogId
from gossip.delta import cut
from gossip.entry import GENESIS, PREV_BYTES, Entry, hash_of
from gossip.epoch_folds import LEGS, EpochFolds, FoldSummary
from gossip.frontier import Added, Frontier
from gossip.log import Log
from gossip.packets import Line, Run
from gossip.reconcile.vector import Vector
from gossip.store import MemoryStore
from lab.drills.beside import holds, same
from lab.drills.chains import chain, logs_of, root_of_all

RANGES_MAX = 16
EXCHANGES_MAX = 30


class Model:
    """Entries by log and position: the first one that came, then its rivals."""

    def __init__(self) -> None:
        self.logs: dict[LogId, dict[int, list[Entry]]] = {}
        self.claimed: dict[LogId, int] = {}

    @property
    def all(self) -> set[bytes]:
        return {one.data for log in self.logs.values() for many in log.values() for one in many}

    def add(self, entry: Entry) -> Added:
        here = self.logs.setdefault(entry.dot.log, {}).setdefault(entry.dot.seq, [])
        if any(one.data == entry.data for one in here):
            return Added.KNOWN
        here.append(entry)
        return Added.RIVAL if len(here) > 1 else Added.NEW

    def runs(self, log: LogId) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for seq in sorted(self.logs.get(log, {})):
            if found and found[-1][1] + 1 == seq:
                found[-1] = found[-1][0], seq
            else:
                found.append((seq, seq))
        return found

    def forked(self, log: LogId) -> bool:
        """Two entries at one position, or two neighbours that are no chain."""
        rows = self.logs[log]
        if any(len(many) > 1 for many in rows.values()):
            return True
        links = {seq: many[0].chain_hash for seq, many in rows.items()} | {0: GENESIS}
        return any(many[0].prev != links.get(seq - 1, many[0].prev) for seq, many in rows.items())

    def line(self, log: LogId) -> Line:
        """The line that describes a log that is neither forked nor disputed."""
        runs = self.runs(log)
        prefix = runs[0][1] if runs[0][0] == 1 else 0
        above = [one for one in runs if one[0] > 1]
        head = self.logs[log][prefix][0].tag if prefix else b""
        tags = [many[0].tag for seq, many in self.logs[log].items() if seq > prefix]
        total = sum(int.from_bytes(tag, "big") for tag in tags) % (1 << 8 * TAG_BYTES)
        vouched = total.to_bytes(TAG_BYTES, "big") if above else b""
        return Line(
            origin=log.origin,
            epoch=log.epoch,
            prefix=prefix,
            head=head,
            ranges=above,
            tags=b"",
            tags_first=1,
            tags_last=0,
            above=vouched,
        )


def holding(rng: Random) -> None:
    _parts(rng)
    _sides(rng)


def _parts(rng: Random) -> None:
    """A log with many gaps is described in parts: all of it, in as few turns as possible."""
    frontier, most = Frontier(MemoryStore(), RANGES_MAX, ("n1",)), rng.randint(1, 4)
    trunk = chain(Dot("n2", 1, 1), 30)
    chosen = [one for one in trunk if rng.random() < 0.5] or trunk[:1]
    rng.shuffle(chosen)
    for one in chosen:
        frontier.add(one)
    log = frontier.get(LogId("n2", 1))
    assert log is not None
    above, links = log.held.above_prefix(), {one.dot.seq: one for one in chosen}
    turns = max(1, -(-len(above) // most))
    for turn in range(turns, 3 * turns):
        begin = turn % turns * most
        ranges = above[begin : begin + most]
        following = above[begin + most : begin + most + 1]
        part = log.part(turn, most)
        same("its ranges", part.ranges, ranges)
        edges = ranges[0][0] if begin else 1, following[0][0] - 1 if following else 0
        same("all of what it tells", (part.first, part.last), edges)
        same("what vouches", log.above_of(ranges) or b"", part.above)
        holds("something vouches", len(part.above) == (TAG_BYTES if ranges else 0))
    for first, last in above:
        other = [links[seq].tag for seq in range(first, last + 1)]
        same("each by itself", log.above_of([(first, last)]), _vouched(other))
        if last > first:
            same("not a part of it", log.above_of([(first, last - 1)]), None)


def _vouched(tags: list[bytes]) -> bytes:
    total = sum(int.from_bytes(one, "big") for one in tags)
    return total.to_bytes(40, "big")[-TAG_BYTES:]


def _sides(rng: Random) -> None:
    forks = rng.choice((0, 0, 1, 2))
    made: list[Entry] = []
    for origin in ("n1", "n2", "n3")[: rng.randint(1, 3)]:
        logs = rng.choice((1, 2, 9, 40) if origin == "n2" else (1, 2))
        made += logs_of(rng, origin, logs, 2 if logs > 2 else 9, forks)
    sides = [_filled(rng, made, rng.choice((0.2, 0.6, 0.9, 1.0))) for _ in range(2)]
    for frontier, model in sides:
        _look(rng, frontier, model)
    if not forks:
        _compare(sides)
    _until_equal(sides, forks)
    for frontier, model in sides[:1]:
        _look(rng, frontier, model, disputed=bool(forks))
    same("both hold", sides[0][1].all, sides[1][1].all)


def _filled(rng: Random, made: list[Entry], share: float) -> tuple[Frontier, Model]:
    frontier, model = Frontier(MemoryStore(), RANGES_MAX, ("n1", "n2")), Model()
    chosen = [one for one in made if rng.random() < share]
    if rng.random() < 0.5:
        rng.shuffle(chosen)
    for one in [*chosen, *rng.sample(chosen, min(len(chosen), 3))]:
        same(f"adding {one.dot}", frontier.add(one), model.add(one))
    return frontier, model


def _look(rng: Random, frontier: Frontier, model: Model, *, disputed: bool = False) -> None:
    held = model.all
    same("count", frontier.count, len(held))
    same("root", frontier.root, root_of_all(held))
    forked = sorted({log.origin for log in model.logs if model.forked(log)})
    same("forked", frontier.forked, forked)
    same(
        "origins",
        [origin for origin, _ in frontier.by_origin],
        sorted({log.origin for log in model.logs}),
    )
    places = [(log, seq) for log, rows in model.logs.items() for seq, m in rows.items() if m[1:]]
    same("forks at", frontier.dots_of_forks(),
         sorted(Dot(log.origin, log.epoch, seq) for log, seq in places))  # fmt: skip
    for log_id in rng.sample(sorted(model.logs), min(len(model.logs), 3)):
        log = frontier.get(log_id)
        assert log is not None
        _look_at_log(frontier, model, log, model.logs[log_id], disputed=disputed)
    some = [
        one.data for _, rows in list(model.logs.items())[:2] for m in rows.values() for one in m
    ]
    gone = [Entry(Dot("x", 1, 1), GENESIS, hash_of(data), data) for data in some[:3]]
    same("root without", frontier.root_without(gone), root_of_all(held - set(some[:3])))


def _look_at_log(
    frontier: Frontier, model: Model, log: Log, rows: dict[int, list[Entry]], *, disputed: bool
) -> None:
    same("in all", log.count, sum(map(len, rows.values())))
    tagged = sorted((seq, one.tag, one.data) for seq, many in rows.items() for one in many)
    same("tagged", list(frontier.tagged(log)), tagged)
    middle = max(rows) // 2 + 1
    same("tagged from", list(frontier.tagged(log, middle)), [r for r in tagged if r[0] >= middle])
    for seq in range(max(rows) + 2):
        data = frontier.data_if_held(log.id, seq)
        same("data", data is not None, seq in rows)
        if data is not None:
            holds("one of them", data in [one.data for one in rows[seq]])
            link = hash_of(data)
            same("tag", frontier.tag_at(log.id, seq), link[:TAG_BYTES])
            same("link", frontier.chain_hash_at(log.id, seq), link[:PREV_BYTES])
    if not model.forked(log.id) and not disputed:
        same("line", frontier.next_line(log), model.line(log.id))
        above = [one for one in model.runs(log.id) if one[0] > 1]
        same("vouched", log.above_of(above), model.line(log.id).above or bytes(TAG_BYTES))
        same("no such ranges", log.above_of([(max(rows) + 2, max(rows) + 3)]), None)
        known = max(*rows, model.claimed.get(log.id, 0))
        same("missing", log.missing, known - len(rows))


def _compare(sides: list[tuple[Frontier, Model]]) -> None:
    """Without folds and forks, the missing and the claimed entries are known exactly."""
    (ours, model), (theirs, their_model) = sides
    lines = Vector().next_lines(theirs)
    same("lines", lines, [their_model.line(log) for log in sorted(their_model.logs)])
    Vector().hear(ours, lines)
    lacks = Vector().next_lacks(ours, lines)
    for log, rows in their_model.logs.items():
        last = max(rows)
        if last > max(model.logs.get(log, {0: []})):
            model.claimed[log] = last
    found = {
        lack.log.id: [seq for a, b in lack.ranges for seq in range(a, b + 1)] for lack in lacks
    }
    wanted = {
        log: lacking
        for log, rows in model.logs.items()
        if (lacking := sorted(set(rows) - set(their_model.logs.get(log, {}))))
    }
    same("lacking", found, wanted)
    same("how many", [one.count for one in lacks], [len(found[one.log.id]) for one in lacks])
    missing = sum(
        max(*model.logs.get(log, {0: []}), model.claimed.get(log, 0)) - len(model.logs.get(log, {}))
        for log in {*model.logs, *model.claimed}
    )
    same("missing in all", ours.missing, missing)


def _until_equal(sides: list[tuple[Frontier, Model]], forks: int) -> None:
    """Summaries, folds and deltas go back and forth until both roots are equal."""
    foldings = [EpochFolds(Vector()), EpochFolds(Vector())]
    for turn in range(EXCHANGES_MAX):
        if sides[0][0].root == sides[1][0].root:
            break
        at = turn % 2
        said = foldings[at].next_summary(sides[at][0])
        _answer(sides, foldings, at, said, forks, LEGS + 2)
    for frontier, _ in sides:
        frontier.settled()
    for frontier, model in sides:
        same(f"equal after {EXCHANGES_MAX} exchanges", sides[0][0].root, frontier.root)
        model.claimed = {}


def _answer(
    sides: list[tuple[Frontier, Model]],
    foldings: list[EpochFolds],
    asker: int,
    said: FoldSummary,
    forks: int,
    legs: int,
) -> None:
    """Send the asker what its summary lacks; then describe to it what is held here."""
    (frontier, model), (theirs, their_model) = sides[1 - asker], sides[asker]
    folding = foldings[1 - asker]
    folding.hear(frontier, said)
    compared = folding.next_comparison(frontier, said)
    runs, _ = cut(compared.lacks, frontier, 1 << 18)
    taken = list(_entries(runs))
    holds("what is sent is held", {one.data for one in taken} <= model.all)
    for one in taken:
        added = their_model.add(one)
        same("sent", theirs.add(one), added)
        if not forks:
            same("nothing is sent in vain", added, Added.NEW)
    differing = compared.differing if legs else []
    if legs == LEGS + 2:
        ours = folding.next_summary(frontier, differing)
    else:
        ours = folding.unfold(frontier, differing)
    if legs == LEGS + 2 or ours.folds:
        _answer(sides, foldings, 1 - asker, ours, forks, legs - 1)


def _entries(runs: Iterable[Run]) -> Iterable[Entry]:
    for run in runs:
        for seq, data in enumerate(run.data, run.first):
            yield Entry(Dot(run.origin, run.epoch, seq), data[:PREV_BYTES], hash_of(data), data)
