"""Looking: how a bench turns a seed into a look. What benches there are stands in `benches`."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lab.checkers import BATCH, PAIR, Band, Judge, Thresholds, Verdict
from lab.plan.draw import draw
from lab.plan.faults import Plan
from lab.plan.scenario import FaultRanges, Scenario, WorkloadRanges, named
from lab.sim.world import World
from lab.trace.file import read_lines
from tests.mutants.ablation import without
from tests.mutants.planting import applied
from tests.mutants.scoreboard import BATCH_RUNS, BATCH_SEEDS_FROM, Bench, Look

BANDS = Path(__file__).parent / "bands.json"
LAB = "LAB"  # as in lab.campaign.judged_run: the laboratory itself failed
LAST = 2**62  # later than every event of a trace
Plans = Callable[[int], Plan]
Drive = Callable[[World], None]


class Held(Struct, frozen=True):
    """A figure that no verdict judges, and that a bench holds to what the sound core shows."""

    rule: str
    figure: str
    at_least: float = 0.0
    at_most: float = float("inf")


# --- looks --------------------------------------------------------------------------------------


def looked(seed: int, verdicts: Sequence[Verdict]) -> Look:
    """Of the verdicts that count as failures the one that could be given first is the first."""
    if not verdicts:
        return Look(seed)
    first = min(verdicts, key=lambda one: max(one.witnesses, default=LAST))
    return Look(seed, tuple([one.rule for one in verdicts]), first.rule, first.reason)


def failures(
    judging: Judge, held: Sequence[Held] = (), unknowns: Sequence[str] = ()
) -> list[Verdict]:
    found = []
    for verdict in judging.verdicts():
        if verdict.outcome == "fail" or (verdict.outcome == "unknown" and verdict.rule in unknowns):
            found.append(verdict)
            continue
        for one in held:
            value = verdict.figures.get(one.figure)
            if one.rule != verdict.rule or value is None or one.at_least <= value <= one.at_most:
                continue
            reason = f"{one.figure} is {value:g}, the sound core's is never"
            found.append(Verdict(one.rule, "fail", reason, (), verdict.figures))
    return found


def runs(
    name: str,
    about: str,
    plans_of: Plans,
    *,
    limits: Thresholds | None = None,
    held: Sequence[Held] = (),
    unknowns: Sequence[str] = (),
    drive: Drive | None = None,
    directed: bool = False,
) -> Bench:
    def look(seed: int, kind: str) -> Look:
        judging = Judge(limits)
        try:
            world = World(without(plans_of(seed), kind))
            if drive is not None:
                drive(world)
            judging.see_all(world.run().trace)
            return looked(seed, failures(judging, held, unknowns))
        except Exception as error:
            return Look(seed, (LAB,), LAB, f"{type(error).__name__}: {error}"[:200])

    return Bench(name, about, look, directed=directed, plans_of=plans_of)


def batches(name: str, about: str, plans_of: Plans) -> Bench:
    """One look is a batch of runs, against the band of the sound core. Runs are judged, too."""

    def look(seed: int, kind: str) -> Look:
        first = BATCH_SEEDS_FROM + seed * BATCH_RUNS
        samples, found = [], []
        for one in range(first, first + BATCH_RUNS):
            judging = Judge()
            try:
                judging.see_all(World(without(plans_of(one), kind)).run().trace)
            except Exception as error:
                return Look(seed, (LAB,), LAB, f"{type(error).__name__}: {error}"[:200])
            samples.append(judging.sample())
            found += failures(judging)
        verdict = BATCH["C20"].judge(samples, bands().get(name))
        if verdict.outcome == "fail":
            found.append(verdict)
        rules = dict.fromkeys([one.rule for one in found])
        if not rules:
            return Look(seed)
        return Look(seed, tuple(rules), next(iter(rules)), found[0].reason)

    return Bench(name, about, look, kind="batches")


def observed(seed: int, kind: str) -> Look:
    plan = without(draw(named("all"), seed), kind)
    seen: list[object] = []
    one = World(plan).run().trace
    other = World(plan, observers=[seen.append]).run().trace
    verdict = PAIR["C15"].compare(one, other)
    return looked(seed, [verdict] if verdict.outcome == "fail" else [])


def bands() -> dict[str, Band]:
    """The calibrations that are stored; `tests.mutants.calibrating` makes them."""
    if not BANDS.exists():
        return {}
    return msgspec.json.decode(BANDS.read_bytes(), type=dict[str, Band])


# --- two processes ------------------------------------------------------------------------------

_CHILD = """
import sys
from contextlib import nullcontext
from pathlib import Path
from lab.plan.scenario import named
from lab.sim.world import run
from lab.trace.file import write_lines
from tests.mutants.catalogue import CATALOGUE
mutant, seed, path = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
with CATALOGUE.mutants[mutant].apply() if mutant else nullcontext():
    trace = run(named("all"), seed).trace
path.write_bytes(b"".join(write_lines(trace)))
"""


def hashed(seed: int, kind: str) -> Look:
    """The same run in two processes, with different hashes of text."""
    assert not kind, "children draw their plans for themselves"
    with tempfile.TemporaryDirectory() as folder:
        traces = []
        for salt in ("1", "2"):
            path = Path(folder) / salt
            run_in_child(applied(), seed, path, salt)
            traces.append(read_lines(path.read_bytes().splitlines(keepends=True)))
    verdict = PAIR["C19"].compare(*traces)
    return looked(seed, [verdict] if verdict.outcome == "fail" else [])


def run_in_child(mutant: str, seed: int, path: Path, salt: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": salt, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _CHILD, mutant, str(seed), str(path)]
    subprocess.run(command, env=environment, check=True, timeout=60)


# --- scenarios ----------------------------------------------------------------------------------


def swarm(scenario: Scenario) -> Plans:
    return lambda seed: draw(scenario, seed)


def stock(name: str, **more: object) -> Bench:
    scenario = named(name)
    return runs(name, scenario.about, swarm(scenario), **more)  # type: ignore[arg-type]


def varied(base: str, name: str, about: str, **changes: object) -> Bench:
    """One that comes along, with something changed: faults by name, or whatever else it has."""
    return runs(name, about, swarm(variant(base, name, about, **changes)))


def variant(base: str, name: str, about: str, **changes: object) -> Scenario:
    scenario = named(base)
    names = set(FaultRanges.__struct_fields__) - {"latency"}  # this word is the links' own latency
    faults = replace(scenario.faults, **{k: v for k, v in changes.items() if k in names})
    workload = replace(
        scenario.workload,
        **{k: v for k, v in changes.items() if k in WorkloadRanges.__struct_fields__},
    )
    rest = {k: v for k, v in changes.items() if k in Scenario.__struct_fields__}
    rest = {"faults": faults, "workload": workload, **rest}
    return replace(scenario, name=name, about=about, **rest)
