"""Ablation: which kinds of faults are needed to find which planted bugs.

Each mutant is looked for again on its benches with one kind of fault left out of every plan, for
each kind that those plans have. What is then seen by nobody needs that kind: the catalogue of
faults earns its place by that, or does not.

    rows = ablated(CATALOGUE, looks=8)
    needs(rows)                         by kind: the mutants that are invisible without it

Rules
- Only benches of single runs are looked at, and of those only ones on which the mutant is seen when
  all is as it was. Faults that a bench puts in by a script, and not by its plan, stay.
- The sound core has the same plans under the same seeds. Where it is accused too, the bench makes
  no sense without that kind, and what is caught there counts as not seen.
- A mutant needs a kind if it is seen on none of its benches without it, and if that can hardly be
  chance: at the rate with all faults it would have been seen, but for one time in twenty.
- To leave out "power" makes of it a plain kill; to leave out "flip", "disk_empty" or "disk_older"
  leaves the disk as it was. To leave out "kill" leaves out all of them.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from lab.plan.faults import Kill, Plan, Point, Timed, word
from tests.mutants.scoreboard import Catalogue, Look, Progress, looked_at, pairs_of, wilson

CHANCE = 0.05
LOOKS = 8


class Seen(Struct, frozen=True):
    """How often a mutant was caught, over its benches."""

    caught: int
    looks: int


class Row(Struct, frozen=True):
    mutant: str
    benches: tuple[str, ...]
    whole: Seen  # with all faults
    without: dict[str, Seen]  # by kind: with all others

    @property
    def invisible_without(self) -> list[str]:
        """The kinds that it needs."""
        missed = (1 - self.whole.caught / self.whole.looks) ** self.whole.looks
        if missed > CHANCE:
            return []
        return [kind for kind, seen in self.without.items() if not seen.caught]

    @property
    def rarer_without(self) -> list[str]:
        """Kinds without which it is seen, and surely not as often: the 95 % intervals are apart."""
        low = wilson(self.whole.caught, self.whole.looks)[0]
        return [
            kind
            for kind, seen in self.without.items()
            if seen.caught and wilson(seen.caught, seen.looks)[1] < low
        ]


# --- plans ----------------------------------------------------------------------------------------


def kinds_of(plan: Plan) -> list[str]:
    """The kinds of faults in it, sorted."""
    return sorted({kind for timed in plan.faults for kind in _kinds(timed)})


def _kinds(timed: Timed) -> list[str]:
    fault = timed.fault
    kinds = [word(fault)]
    if type(fault) is Kill:
        kinds += ["power"] if fault.how == "power" else []
        kinds += [f"disk_{fault.disk}"] if fault.disk != "same" else []
        kinds += ["flip"] if fault.flips else []
    elif type(fault) is Point and fault.power:
        kinds.append("power")
    return kinds


def without(plan: Plan, kind: str) -> Plan:
    """The same plan and nothing of this kind; "" is the plan itself."""
    if not kind:
        return plan
    left = [_milder(timed, kind) for timed in plan.faults if word(timed.fault) != kind]
    return replace(plan, faults=tuple(left))


def _milder(timed: Timed, kind: str) -> Timed:
    fault = timed.fault
    if kind not in _kinds(timed):
        return timed
    if type(fault) is Point:
        return replace(timed, fault=replace(fault, power=False))
    assert type(fault) is Kill, fault
    if kind == "power":
        return replace(timed, fault=replace(fault, how="kill"))
    if kind == "flip":
        return replace(timed, fault=replace(fault, flips=0))
    return replace(timed, fault=replace(fault, disk="same"))


# --- looking --------------------------------------------------------------------------------------


def ablated(
    catalogue: Catalogue,
    ids: Sequence[str] = (),
    *,
    looks: int = LOOKS,
    workers: int = 2,
    progress: Progress | None = None,
) -> list[Row]:
    """In the order of the catalogue; mutants that no bench of single runs shows are left out."""
    seeds = range(looks)
    pairs = [pair for pair in pairs_of(catalogue, ids) if catalogue.benches[pair[1]].plans_of]
    whole = _looked(catalogue, [(*pair, "") for pair in pairs], seeds, workers, None)
    seen = [pair for pair in pairs if _caught(whole[*pair, ""])]
    wanted = [(*pair, kind) for pair in seen for kind in _kinds_on(catalogue, pair[1], seeds)]
    sound = [("", bench, kind) for _, bench, kind in wanted]
    bare = _looked(catalogue, list(dict.fromkeys([*sound, *wanted])), seeds, workers, progress)
    rows = []
    for mutant in dict.fromkeys(mutant for mutant, _ in seen):
        benches = tuple([bench for one, bench in seen if one == mutant])
        kinds = sorted({kind for one, _, kind in wanted if one == mutant})
        every = [whole[mutant, bench, ""] for bench in benches]
        rows.append(
            Row(
                mutant,
                benches,
                _sum(every),
                {
                    kind: _sum(
                        [
                            _told_apart(bare[mutant, bench, kind], bare["", bench, kind])
                            if (mutant, bench, kind) in bare
                            else whole[mutant, bench, ""]
                            for bench in benches
                        ]
                    )
                    for kind in kinds
                },
            )
        )
    return rows


Triple = tuple[str, str, str]  # mutant, bench, the kind that is left out


def _looked(
    catalogue: Catalogue,
    triples: Sequence[Triple],
    seeds: Sequence[int],
    workers: int,
    progress: Progress | None,
) -> dict[Triple, list[Look]]:
    found: dict[Triple, list[Look]] = {}
    tasks = [(mutant, bench, seeds, kind) for mutant, bench, kind in triples]
    for triple, (looks, _) in zip(triples, looked_at(catalogue, tasks, workers), strict=True):
        found[triple] = looks
        if progress is not None:
            progress(len(found), len(triples))
    return found


def _kinds_on(catalogue: Catalogue, bench: str, seeds: Sequence[int]) -> list[str]:
    plans_of: Callable[[int], Plan] | None = catalogue.benches[bench].plans_of
    assert plans_of is not None
    return sorted({kind for seed in seeds for kind in kinds_of(plans_of(seed))})


def _caught(looks: Sequence[Look]) -> int:
    return sum(look.caught for look in looks)


def _told_apart(looks: Sequence[Look], sound: Sequence[Look]) -> list[Look]:
    """What is caught where the sound core is accused as well is no detection."""
    return [
        Look(look.seed) if control.caught else look
        for look, control in zip(looks, sound, strict=True)
    ]


def _sum(of: Sequence[Sequence[Look]]) -> Seen:
    return Seen(sum(_caught(looks) for looks in of), sum(len(looks) for looks in of))


# --- what it says ---------------------------------------------------------------------------------

HEADINGS = ["MUTANT", "CAUGHT", "INVISIBLE WITHOUT", "RARER WITHOUT"]


def cells(row: Row) -> list[str]:
    """A row as people read it, under HEADINGS."""
    return [
        row.mutant,
        f"{row.whole.caught} of {row.whole.looks}",
        " ".join(row.invisible_without) or "-",
        " ".join(f"{kind} ({_told(row.without[kind])})" for kind in row.rarer_without) or "-",
    ]


def _told(seen: Seen) -> str:
    return f"{seen.caught} of {seen.looks}"


def needs(rows: Sequence[Row]) -> dict[str, list[str]]:
    """By kind of fault, sorted: the mutants that are invisible without it."""
    kinds = sorted({kind for row in rows for kind in row.without})
    return {kind: [row.mutant for row in rows if kind in row.invisible_without] for kind in kinds}


def record(row: Row) -> dict[str, object]:
    """A row as programs read it."""
    return {
        "mutant": row.mutant,
        "benches": row.benches,
        "caught": row.whole.caught,
        "looks": row.whole.looks,
        "without": {kind: seen.caught for kind, seen in row.without.items()},
        "invisible_without": row.invisible_without,
        "rarer_without": row.rarer_without,
    }
