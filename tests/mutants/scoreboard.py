"""The scoreboard: how often each planted bug (*mutant*) is caught, and which checker sees it first.

A mutant replaces one function of the real modules while its `apply()` is entered, and nothing is
left of it afterwards. This proves that checkers have power.

    rows = scoreboard(CATALOGUE, seeds=100)      one row for each mutant and bench, and the controls
    for row in rows:
        print(row.mutant, row.caught, row.runs, row.first)

Rules
- A *look* is one run under a seed, or one batch of runs; it has caught the mutant if a checker
  fails, and the checker whose witness comes first in the trace is the one that saw it first.
- The rate of detection p comes with its Wilson interval. What is stored as a *floor* is the lower
  end; `at_least` of the first `looks` must catch, which a sound checker misses once in 1000 times.
- The sound core is a row like the others, on the same seeds, and must never be caught.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from math import comb, sqrt
from multiprocessing import get_context
from time import monotonic
from typing import Literal

from msgspec import Struct

from lab.campaign.judged_run import run_judged
from lab.campaign.orphans import end_with_parent
from lab.campaign.replay_token import PLANTED, Source
from lab.plan.draw import draw
from lab.plan.faults import Plan
from lab.plan.scenario import named, names

Kind = Literal["runs", "batches", "observed", "hashed"]
CHUNK = 8  # looks that a worker does at a time
BATCH_RUNS = 30
BATCH_SEEDS_FROM = 1_000_000  # the seeds of batches are none of the calibration's
TRIED_MAX = 5  # looks that are run once more for a token
SURE = 0.001  # how often a sound checker may miss its floor


class MutantsError(ValueError):
    """There is nothing to score. The text is one clear line."""


class Look(Struct, frozen=True):
    """What one look showed. `rules` failed; `first` of them saw it first."""

    seed: int
    rules: tuple[str, ...] = ()
    first: str = ""
    reason: str = ""

    @property
    def caught(self) -> bool:
        return bool(self.rules)


class Bench(Struct, frozen=True):
    """Where mutants are looked for. `look` may run anywhere, and depends on the seed alone, and on
    the kind of fault that is left out of the plan: "", or one that `ablation.kinds_of` names.
    """

    name: str
    about: str
    look: Callable[[int, str], Look]
    kind: Kind = "runs"
    directed: bool = False  # an explicit plan, made so that the mutant shows
    plans_of: Callable[[int], Plan] | None = None  # None: faults cannot be left out one by one


class Mutant(Struct, frozen=True):
    id: str
    wrong: str  # one sentence
    where: str  # what it replaces
    expected: tuple[str, ...]  # rules, any of which may catch it
    benches: tuple[str, ...]  # by name
    apply: Callable[[], AbstractContextManager[None]]
    blind: str = ""  # why no checker can see it yet


class Catalogue(Struct, frozen=True):
    mutants: dict[str, Mutant]
    benches: dict[str, Bench]


class Floor(Struct, frozen=True):
    """What a mutant's detection must not fall below on a bench."""

    rate: float
    looks: int
    at_least: int


class Row(Struct, frozen=True):
    """A mutant on a bench; `mutant` is "" for the sound core."""

    mutant: str
    bench: str
    directed: bool
    looks: tuple[Look, ...]
    seconds: float

    @property
    def runs(self) -> int:
        return len(self.looks)

    @property
    def caught(self) -> int:
        return sum(look.caught for look in self.looks)

    @property
    def rate(self) -> float:
        return self.caught / self.runs if self.runs else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.caught, self.runs)

    @property
    def first(self) -> dict[str, int]:
        """How often each checker was the first to see it; the most frequent first."""
        return dict(Counter(look.first for look in self.looks if look.caught).most_common())

    @property
    def failing(self) -> dict[str, int]:
        """How often each checker failed at all."""
        return dict(Counter(rule for look in self.looks for rule in look.rules).most_common())

    @property
    def seeds_to_detection(self) -> list[int]:
        """From one detection to the next: how many looks it took, sorted."""
        gaps, since = [], 0
        for look in self.looks:
            since += 1
            if look.caught:
                gaps.append(since)
                since = 0
        return sorted(gaps)


# --- numbers --------------------------------------------------------------------------------------


def wilson(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The interval in which the true rate lies, with 95 % for z = 1.96."""
    if not of:
        return 0.0, 1.0
    rate = hits / of
    middle = rate + z * z / (2 * of)
    spread = z * sqrt(rate * (1 - rate) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    low = max(0.0, (middle - spread) / scale) if hits else 0.0
    return low, min(1.0, (middle + spread) / scale)


def floor_of(row: Row, looks_max: int = 40) -> Floor | None:
    """The floor that this row supports; None if it is too rarely caught to have one."""
    rate = row.interval[0]
    for looks in range(1, looks_max + 1):
        if (1 - rate) ** looks <= SURE:
            return Floor(round(rate, 4), looks, _surely(rate, looks))
    return None


def _surely(rate: float, looks: int) -> int:
    """The largest k with P(fewer than k of so many are caught) at most SURE; at least 1."""
    below, k = (1 - rate) ** looks, 1
    while k < looks:
        below += comb(looks, k) * rate**k * (1 - rate) ** (looks - k)
        if below > SURE:
            break
        k += 1
    return k


HEADINGS = ["MUTANT", "BENCH", "CAUGHT", "RATE", "SEEN FIRST BY"]


def cells(row: Row) -> list[str]:
    """A row as people read it, under HEADINGS."""
    low, high = row.interval
    return [
        row.mutant or "(the sound core)",
        row.bench,
        f"{row.caught} of {row.runs}",
        f"{low:.0%} to {high:.0%}",
        ", ".join(row.first) or "nobody",
    ]


def record(row: Row) -> dict[str, object]:
    """A row as programs read it."""
    return {
        "mutant": row.mutant,
        "bench": row.bench,
        "directed": row.directed,
        "looks": row.runs,
        "caught": row.caught,
        "interval": row.interval,
        "first": row.first,
        "failing": row.failing,
        "looks_to_detection": row.seeds_to_detection,
        "example": next((look.reason for look in row.looks if look.caught), ""),
    }


# --- a run of one's own ---------------------------------------------------------------------------


def token_for(catalogue: Catalogue, row: Row) -> str:
    """MUTANT+TOKEN of a run in which this bug is seen, for `lab replay`; "" if there is none.

    A bench looks in its own ways, at many runs at once, too: so what is caught there is run once
    more, as a replay will.
    """
    plans_of = catalogue.benches[row.bench].plans_of
    if plans_of is None or not row.mutant:
        return ""
    for seen in [one for one in row.looks if one.caught][:TRIED_MAX]:
        plan = plans_of(seen.seed)
        with catalogue.mutants[row.mutant].apply():
            judged = run_judged(_source_of(plan), plan.seed)
        if judged.outcome == "fail":
            return f"{row.mutant}{PLANTED}{judged.token}"
    return ""


def _source_of(plan: Plan) -> Source:
    """The scenario that the plan was drawn from, whose token is short; or else the plan."""
    if plan.scenario in names() and draw(named(plan.scenario), plan.seed) == plan:
        return named(plan.scenario)
    return plan


# --- looking --------------------------------------------------------------------------------------


Task = tuple[str, str, Sequence[int], str]  # mutant ("": none), bench, seeds, kind left out


def looked_at(
    catalogue: Catalogue, tasks: Sequence[Task], workers: int = 2
) -> Iterator[tuple[list[Look], float]]:
    """What each task showed, and the seconds that it took; in the order of the tasks.

    Worker processes know the catalogue of this folder only, so any other needs `workers=1`.
    """
    if workers <= 1:
        for task in tasks:
            yield _look(catalogue, *task)
    elif tasks:
        spawn = get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=spawn, initializer=end_with_parent) as pool:
            yield from pool.map(_look_in_worker, tasks)


def _look_in_worker(task: Task) -> tuple[list[Look], float]:
    from tests.mutants.catalogue import CATALOGUE  # lazy: it imports this module

    return _look(CATALOGUE, *task)


def _look(
    catalogue: Catalogue, mutant: str, bench: str, seeds: Sequence[int], without: str
) -> tuple[list[Look], float]:
    began = monotonic()
    with catalogue.mutants[mutant].apply() if mutant else nullcontext():
        looks = [catalogue.benches[bench].look(seed, without) for seed in seeds]
    return looks, monotonic() - began


Pair = tuple[str, str]  # mutant, bench
Progress = Callable[[int, int], None]  # looks done, of how many


def pairs_of(catalogue: Catalogue, ids: Sequence[str] = ()) -> list[Pair]:
    """Every mutant on each of its benches; unknown ids are a MutantsError."""
    for one in ids:
        if one not in catalogue.mutants:
            raise MutantsError(f"no mutant {one[:40]!r}: `chatlab lab mutants --list` names them")
    chosen = [catalogue.mutants[one] for one in ids] or list(catalogue.mutants.values())
    return [(mutant.id, bench) for mutant in chosen for bench in mutant.benches]


def thrifty(catalogue: Catalogue, looks: int) -> Callable[[Pair], int]:
    """So many looks, and a tenth of that where one look is many runs or two processes."""

    def seeds(pair: Pair) -> int:
        dear = catalogue.benches[pair[1]].kind != "runs"
        return max(looks // 10, 1) if dear else looks

    return seeds


def scoreboard(
    catalogue: Catalogue,
    ids: Sequence[str] = (),
    *,
    seeds: int | Callable[[Pair], int] = 20,
    first_seed: int = 0,
    workers: int = 2,
    controls: bool = True,
    progress: Progress | None = None,
) -> list[Row]:
    """Rows of controls first, then of mutants in the order of the catalogue."""
    pairs = pairs_of(catalogue, ids)
    counts = {pair: seeds if isinstance(seeds, int) else seeds(pair) for pair in pairs}
    if controls:
        wanted: dict[str, int] = {}
        for (_, bench), count in counts.items():
            wanted[bench] = max(count, wanted.get(bench, 0))
        counts = {("", bench): count for bench, count in wanted.items()} | counts
    tasks = list(_tasks(counts, first_seed))
    of = sum(counts.values())
    done = 0
    found: dict[Pair, list[Look]] = {pair: [] for pair in counts}
    seconds = dict.fromkeys(counts, 0.0)
    for (mutant, bench, *_), (looks, took_s) in zip(
        tasks, looked_at(catalogue, tasks, workers), strict=True
    ):
        found[mutant, bench] += looks
        seconds[mutant, bench] += took_s
        done += len(looks)
        if progress is not None:
            progress(done, of)
    benches = catalogue.benches
    return [
        Row(mutant, bench, benches[bench].directed, tuple(looks), seconds[mutant, bench])
        for (mutant, bench), looks in found.items()
    ]


def _tasks(counts: dict[Pair, int], first_seed: int) -> Iterator[Task]:
    for (mutant, bench), count in counts.items():
        for at in range(0, count, CHUNK):
            yield mutant, bench, range(first_seed + at, first_seed + min(at + CHUNK, count)), ""
