"""Checkers have power: each mutant is caught at least as often as its stored floor says.

The short form looks a few times at each mutant, and as often at the sound core; of those that only
a batch of runs shows it draws two, by the seed of pytest's random order. The long form
(CHATLAB_LONG=1) redoes the whole table, compares it with the floors, and writes
docs/evidence/mutants.md; with `--rewrite` it also stores the floors anew.
"""

import os
import random
from pathlib import Path
from random import Random

import msgspec
import pytest

from tests.mutants.ablating import EVIDENCE, stored
from tests.mutants.boarding import carried
from tests.mutants.catalogue import CATALOGUE
from tests.mutants.evidence import report
from tests.mutants.scoreboard import Floor, Row, floor_of, scoreboard, wilson

FLOORS = Path(__file__).parent / "floors.json"
LONG = os.environ.get("CHATLAB_LONG") == "1"
WORKERS = 2
LOOKS = {"runs": 60, "batches": 3, "observed": 5, "hashed": 4}  # of the long form
DIRECTED_LOOKS = 24
Pair = tuple[str, str]


def floors() -> dict[str, dict[str, Floor]]:
    """By mutant and bench."""
    if not FLOORS.exists():
        return {}
    return msgspec.json.decode(FLOORS.read_bytes(), type=dict[str, dict[str, Floor]])


def kind_of(bench: str) -> str:
    return CATALOGUE.benches[bench].kind


def cheapest(name: str, kept: dict[str, Floor]) -> str:
    """The bench on which the short form looks: the one that needs the fewest looks."""
    order = {bench: at for at, bench in enumerate(CATALOGUE.mutants[name].benches)}
    cost = {"runs": 3, "observed": 9, "hashed": 60, "batches": 120}

    def price(bench: str) -> tuple[int, int]:
        each = 1 if CATALOGUE.benches[bench].directed else cost[kind_of(bench)]
        return each * kept[bench].looks, order.get(bench, 9)

    return min(kept, key=price)


def alarms(rows: list[Row]) -> list[str]:
    return [
        f"{row.bench} under seed {look.seed}: {look.first}: {look.reason}"
        for row in rows
        if not row.mutant
        for look in row.looks
        if look.caught
    ]


@pytest.mark.skipif(LONG, reason="the long form does it all")
@pytest.mark.timeout(300)
def test_detection_does_not_fall_below_its_floor() -> None:
    kept = floors()
    chosen = {
        (name, bench): kept[name][bench].looks
        for name in CATALOGUE.mutants
        if kept.get(name)
        for bench in [cheapest(name, kept[name])]
    }
    dice = Random(random.getrandbits(32))  # pytest-randomly has seeded it, and tells with what
    for kind, count in (("hashed", 1), ("batches", 2)):  # pairs of processes, and 30 runs for each
        meant = [pair for pair in chosen if kind_of(pair[1]) == kind]
        dice.shuffle(meant)
        for pair in meant[count:]:
            del chosen[pair]
    ids = list(dict.fromkeys(name for name, _ in chosen))
    rows = scoreboard(CATALOGUE, ids, seeds=lambda pair: chosen.get(pair, 0), workers=WORKERS)
    assert not alarms(rows), "\n".join(alarms(rows))
    weak = []
    for row in rows:
        floor = kept[row.mutant][row.bench] if row.mutant and row.runs else None
        if floor is not None and row.caught < floor.at_least:
            weak.append(f"{row.mutant} on {row.bench}: {row.caught} of {row.runs}, {floor}")
    assert not weak, "\n".join(weak)


@pytest.mark.skipif(not LONG, reason="minutes; CHATLAB_LONG=1")
@pytest.mark.timeout(7200)
def test_the_whole_table(request: pytest.FixtureRequest) -> None:
    def looks(pair: Pair) -> int:
        bench = CATALOGUE.benches[pair[1]]
        return DIRECTED_LOOKS if bench.directed else LOOKS[bench.kind]

    rows = scoreboard(CATALOGUE, seeds=looks, workers=WORKERS)
    EVIDENCE.parent.mkdir(parents=True, exist_ok=True)
    before = EVIDENCE.read_text(encoding="utf-8") if EVIDENCE.exists() else ""
    EVIDENCE.write_text(carried(before, report(CATALOGUE, rows, stored())), encoding="utf-8")
    if request.config.getoption("rewrite"):
        store(rows)
    assert not alarms(rows), "\n".join(alarms(rows))
    fallen = []
    for name, kept in floors().items():
        for row in rows:
            if row.mutant == name and row.bench in kept:
                high = wilson(row.caught, row.runs, z=3.3)[1]
                if high < kept[row.bench].rate:
                    fallen.append(f"{name} on {row.bench}: {row.caught} of {row.runs}")
    assert not fallen, "\n".join(fallen)


def store(rows: list[Row]) -> None:
    """Batches and pairs of runs cost much: where every look caught it, one look must."""
    made: dict[str, dict[str, Floor]] = {}
    for row in rows:
        floor = floor_of(row) if row.mutant else None
        if row.mutant and kind_of(row.bench) != "runs":
            sure = row.caught == row.runs
            floor = Floor(round(row.interval[0], 4), 1, 1) if sure else None
        if floor is not None:
            made.setdefault(row.mutant, {})[row.bench] = floor
    FLOORS.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")
