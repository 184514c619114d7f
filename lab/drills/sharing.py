"""Drill of three bounded resources of gossip: `Places`, `Rumors`, and runs in packets.

`Places` limits the logs of each origin; `Rumors` chooses the entries to push within a budget of
bytes; `runs_of` and `split` cut entries into packets. Each is compared with plain lists: random
logs of configured and unknown origins, pushes with feedback, entries of random sizes. One drill of
twenty fills `Places` up to each limit. Left out: the packets on the wire.
"""

from itertools import pairwise
from random import Random

from domain.dot import Dot, LogId
from gossip.delta import ENTRY_OVERHEAD_BYTES, RUN_OVERHEAD_BYTES, runs_of, split
from gossip.entry import Entry
from gossip.packets import ENTRIES_MAX, Run
from gossip.places import EACH_MIN, EACH_SHARED, ORIGINS_MAX, STRANGE, STRANGE_LOGS_MAX, Places
from gossip.rumor import Rumors
from lab.drills.beside import holds, same
from lab.drills.chains import chain

CONFIGURED = ("n1", "n2", "n3")
STEPS = 30


def sharing(rng: Random) -> None:
    _places(rng)
    _rumors(rng)
    _runs(rng)
    if rng.random() < 0.05:
        _many(rng)


# --- places ---------------------------------------------------------------------------------------


class Taken:
    """The model of `Places`: logs with a place, those written now, and refused entries."""

    def __init__(self) -> None:
        self.logs: list[LogId] = []
        self.vouched: list[LogId] = []
        self.written: dict[str, int] = {}
        self.full: dict[str, int] = {}

    def writes(self, log: LogId) -> bool:
        return self.written.get(log.origin) == log.epoch

    def take(self, log: LogId) -> None:
        self.logs.append(log)
        vouched = sum(one.origin == log.origin for one in self.vouched)
        if log.origin in CONFIGURED and self.writes(log) and vouched < _each(len(CONFIGURED)):
            self.vouched.append(log)


def _each(configured: int) -> int:
    return max(EACH_SHARED // configured, EACH_MIN)


def _places(rng: Random) -> None:
    places, model = Places(CONFIGURED), Taken()
    same("each", places.each, _each(len(CONFIGURED)))
    for _ in range(STEPS):
        log = LogId(rng.choice((*CONFIGURED, "x1", "x2")), rng.randint(1, 4))
        match rng.randrange(4):
            case 0:
                where = LogId(log.origin, rng.choice((0, log.epoch)))
                places.write(where)
                if where.epoch and where.origin in CONFIGURED:
                    model.written[where.origin] = where.epoch
            case 1:
                places.refuse(log.origin, log.epoch)
                whose = log.origin if log.origin in CONFIGURED else STRANGE
                new = [] if whose in model.full else [whose]
                model.full[whose] = model.full.get(whose, 0) + log.epoch
                same("news", places.take_news(), new)
            case _:
                if log not in model.logs:
                    holds("room", places.room(log))
                    places.take(log)
                    model.take(log)
        same("len", len(places), len(model.logs))
        same("origins", places.origins, len({one.origin for one in model.logs}))
        same("refused", (places.refused, places.full), (sum(model.full.values()), model.full))
        rank = 2 if log.origin not in CONFIGURED else 0 if model.writes(log) else 1
        same("rank", (places.rank(log), places.writes(log)), (rank, model.writes(log)))
        written = [LogId(origin, epoch) for origin, epoch in model.written.items()]
        same("all written", places.all_written(), written)
        same("written", places.written(log.origin).epoch, model.written.get(log.origin, 0))


def _many(rng: Random) -> None:
    """There is room up to each limit, and none beyond it."""
    places = Places(CONFIGURED)
    each = places.each
    for epoch in range(1, each + 1):
        holds("room for what is told", places.room(LogId("n2", epoch)))
        places.take(LogId("n2", epoch))
    holds("no room for one more", not places.room(LogId("n2", each + 1)))
    places.write(LogId("n2", each + 1))
    holds("but for what it writes", places.room(LogId("n2", each + 1)))
    places.take(LogId("n2", each + 1))
    holds("and for others", places.room(LogId("n3", 1)))
    strangers = ORIGINS_MAX - len(CONFIGURED)
    for at in range(strangers):
        places.take(LogId(f"x{at}", 1))
    holds("no further stranger", not places.room(LogId("y", 1)))
    known = LogId(f"x{rng.randrange(strangers)}", 2)
    holds("a known one", places.room(known))
    for epoch in range(STRANGE_LOGS_MAX - strangers):
        places.take(LogId("x0", 2 + epoch))
    holds("no further log", not places.room(LogId("x1", 99)))


# --- rumors ---------------------------------------------------------------------------------------


class Told:
    def __init__(self, run: Run, size: int) -> None:
        self.run, self.size = run, size
        self.told = self.useless = 0


def _rumors(rng: Random) -> None:
    k = rng.randint(1, 3)
    rumors = Rumors(k)
    hot: list[Told] = []
    pushes: dict[int, list[Told]] = {}
    cooled = 0
    for step in range(STEPS):
        match rng.randrange(3):
            case 0:
                runs = [_run(rng, step, at) for at in range(rng.randint(1, 3))]
                rumors.learn(runs)
                hot += [Told(run, _cost(run)) for run in runs]
            case 1:
                budget = rng.choice((10, 200, 10_000))
                told: list[Told] = []
                for one in sorted(hot, key=lambda one: one.told):
                    if told and sum(each.size for each in [*told, one]) > budget:
                        break
                    told.append(one)
                for one in told:
                    one.told += 1
                pushes[step] = told
                same("told", rumors.tell(step, budget), [one.run for one in told])
            case _:
                token = rng.choice([*pushes, 10_000])
                useful = [rng.random() < 0.4 for _ in pushes.get(token, ())]
                rumors.feedback(token, useful)
                for one, news in zip(pushes.pop(token, ()), useful, strict=True):
                    one.useless = 0 if news else one.useless + 1
                cooled += sum(one.useless >= k for one in hot)
                hot = [one for one in hot if one.useless < k]
        same("hot", (len(rumors), rumors.cooled, rumors.dropped), (len(hot), cooled, 0))


def _run(rng: Random, step: int, at: int) -> Run:
    return Run("n2", step + 1, at + 1, [rng.randbytes(rng.choice((5, 90)))])


def _cost(run: Run) -> int:
    beyond = max(0, len(run.origin.encode()) - 32)
    entries = sum(len(data) + ENTRY_OVERHEAD_BYTES for data in run.data)
    return RUN_OVERHEAD_BYTES + beyond + entries


# --- runs -----------------------------------------------------------------------------------------


def _runs(rng: Random) -> None:
    made: list[Entry] = []
    for origin in rng.sample(("n1", "n2", "é" * 30), rng.randint(1, 3)):
        made += chain(Dot(origin, rng.randint(1, 9), rng.randint(1, 50)), rng.randint(1, 12))
    if rng.random() < 0.5:
        del made[rng.randrange(len(made))]
    budget = rng.choice((1, 150, 400, 100_000))
    packets = runs_of(made, budget)
    flat = [entry for runs in packets for run in runs for entry in _named(run)]
    same("entries in order", flat, [(one.dot, one.data) for one in made])
    for runs in packets:
        for one, other in pairwise(runs):
            follows = (other.origin, other.epoch, other.first) == (
                one.origin, one.epoch, one.first + len(one.data),
            )  # fmt: skip
            holds("runs that follow are one", not follows)
        single = sum(len(run.data) for run in runs) == 1
        entries = [(run.origin, data) for run in runs for data in run.data]
        most = sum(_cost(Run(origin, 1, 1, [data])) for origin, data in entries)
        fits = sum(map(_cost, runs)) <= budget or single or most > budget
        holds("within the budget", fits)
    run = Run("n2", 3, rng.randint(1, 9), [rng.randbytes(rng.randint(1, 60)) for _ in range(9)])
    if rng.random() < 0.05:
        run = Run("n2", 3, 1, [b""] * (ENTRIES_MAX + 5))
    parts = split(run, budget)
    same("all of it", [e for part, _ in parts for e in _named(part)], _named(run))
    same("what each costs", [size for _, size in parts], [_cost(part) for part, _ in parts])
    for part, size in parts:
        fits = size <= budget and len(part.data) <= ENTRIES_MAX
        holds("a part fits", fits or len(part.data) == 1)
    for (one, size), (other, _) in pairwise(parts):
        more = size + len(other.data[0]) + ENTRY_OVERHEAD_BYTES
        full = more > budget or len(one.data) == ENTRIES_MAX
        holds("no part is cut too early", full)


def _named(run: Run) -> list[tuple[Dot, bytes]]:
    return [(Dot(run.origin, run.epoch, seq), data) for seq, data in enumerate(run.data, run.first)]
