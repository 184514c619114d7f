"""Ablation: what leaving out a kind of fault leaves, and when a mutant needs one."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.plan.faults import Fault, Kill, Loss, Pause, Plan, Point, numbered
from tests.mutants.ablation import Row, Seen, ablated, cells, kinds_of, needs, record, without
from tests.mutants.scoreboard import Bench, Catalogue, Look, Mutant

FAULTS: tuple[Fault, ...] = (
    Loss(0.1),
    Kill("n1"),
    Kill("n1", "power", "empty", 2),
    Point("n1", "after_write", 0.5, 1, 100, power=True),
    Kill("n2", disk="older"),
)


def plan_of(*faults: Fault) -> Plan:
    timed = numbered((1, 2, fault) for fault in faults)
    return Plan("test", 1, ("n1", "n2"), 1000, 1000, faults=timed)


PLAN = plan_of(*FAULTS)


def left(kind: str) -> list[object]:
    return [timed.fault for timed in without(PLAN, kind).faults]


def test_the_kinds_of_a_plan_are_its_faults_and_what_kills_also_do() -> None:
    assert kinds_of(PLAN) == ["disk_empty", "disk_older", "flip", "kill", "loss", "point", "power"]
    assert all(kind not in kinds_of(without(PLAN, kind)) for kind in kinds_of(PLAN))
    assert without(PLAN, "") == PLAN == without(PLAN, "pause")


def test_what_is_left_out_is_that_kind_only() -> None:
    assert left("loss") == list(FAULTS[1:])
    assert left("kill") == [FAULTS[0], FAULTS[3]]
    assert left("power") == [
        *FAULTS[:2],
        Kill("n1", "kill", "empty", 2),
        Point("n1", "after_write", 0.5, 1, 100),
        FAULTS[4],
    ]
    assert left("flip")[2] == Kill("n1", "power", "empty")
    assert left("disk_empty")[2] == Kill("n1", "power", flips=2)
    assert left("disk_older")[4] == Kill("n2")


# --- a mutant that is seen where a plan has some kinds --------------------------------------------


def bench(name: str, *faults: Fault, seen_with: tuple[str, ...]) -> Bench:
    plan = plan_of(*faults)

    def look(seed: int, kind: str) -> Look:
        there = set(kinds_of(without(plan, kind)))
        seen = bool(APPLIED) and there.issuperset(seen_with)
        senseless = name == "held" and "pause" not in there  # it accuses everybody
        return Look(seed, ("C1",), "C1", "x") if seen or senseless else Look(seed)

    return Bench(name, "", look, plans_of=lambda _: plan)


APPLIED: list[str] = []


def mutant(name: str, *benches: str) -> Mutant:
    @contextmanager
    def apply() -> Iterator[None]:
        APPLIED.append(name)
        yield
        APPLIED.pop()

    return Mutant(name, "It is wrong.", "nowhere", ("C1",), benches, apply)


LOSS, PAUSE = Loss(0.1), Pause("n1")
CATALOGUE = Catalogue(
    {
        "needy": mutant("needy", "lossy"),
        "either": mutant("either", "lossy", "paused"),
        "sure": mutant("sure", "always"),
        "unseen": mutant("unseen", "never"),
        "unsuspected": mutant("unsuspected", "held"),
        "dear": mutant("dear", "batched"),
    },
    {
        "lossy": bench("lossy", LOSS, PAUSE, seen_with=("loss",)),
        "paused": bench("paused", PAUSE, seen_with=("pause",)),
        "always": bench("always", LOSS, seen_with=()),
        "held": bench("held", LOSS, PAUSE, seen_with=("pause",)),
        "never": bench("never", LOSS, seen_with=("kill",)),
        "batched": Bench("batched", "", lambda seed, _: Look(seed), kind="batches"),
    },
)


def test_a_mutant_needs_what_it_is_seen_nowhere_without() -> None:
    told: list[tuple[int, int]] = []
    rows = ablated(CATALOGUE, looks=6, workers=1, progress=lambda done, of: told.append((done, of)))
    by_name = {row.mutant: row for row in rows}
    assert list(by_name) == ["needy", "either", "sure", "unsuspected"]
    assert by_name["unsuspected"].without == {"loss": Seen(6, 6), "pause": Seen(0, 6)}
    assert by_name["needy"].invisible_without == ["loss"]
    assert by_name["needy"].without == {"loss": Seen(0, 6), "pause": Seen(6, 6)}
    assert by_name["either"].invisible_without == []
    assert by_name["either"].without == {"loss": Seen(6, 12), "pause": Seen(6, 12)}
    assert by_name["sure"].invisible_without == []
    assert needs(rows) == {"loss": ["needy"], "pause": ["unsuspected"]}
    assert told[-1] == (14, 14) == (len(told), len(told))


def test_what_may_be_chance_is_no_need() -> None:
    assert Row("m", ("b",), Seen(1, 6), {"loss": Seen(0, 6)}).invisible_without == []
    assert Row("m", ("b",), Seen(3, 6), {"loss": Seen(0, 6)}).invisible_without == ["loss"]


def test_a_row_is_told() -> None:
    row = Row("m", ("b",), Seen(20, 20), {"loss": Seen(0, 20), "kill": Seen(5, 20)})
    assert cells(row) == ["m", "20 of 20", "loss", "kill (5 of 20)"]
    assert record(row)["rarer_without"] == ["kill"]
    assert record(row)["without"] == {"loss": 0, "kill": 5}
