"""One real run: from a scenario and a seed to a trace of real processes. See `lab.real`."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from lab.plan.draw import draw
from lab.plan.faults import Plan
from lab.plan.scenario import Scenario
from lab.real.driver import Driver
from lab.real.feasibility import possible
from lab.real.round_settings import RoundSettings
from lab.real.trace_merge import merge
from lab.real.visit import Visit
from lab.sim.conformance import Conformance
from lab.sim.network import Ledger
from lab.terminal.errors import Exit, Problem
from lab.trace.kinds import Detail, Final
from lab.trace.trace import Observer, Trace
from node.recording.format import read_recording


class RealError(Problem):
    """No trace can be made of the run: a recording is missing or ends too early."""

    def __init__(self, text: str) -> None:
        super().__init__(text, Exit.FAILED)


class RealResult(Struct, frozen=True):
    """The result of a run: as `lab.sim.world.Result`, and what only real processes have."""

    plan: Plan  # what was done
    trace: Trace
    ledger: Ledger
    acts: int  # turns of all nodes
    core_failures: tuple[str, ...]
    not_possible: tuple[str, ...]  # faults of the plan that were left out, and why
    adapted: tuple[str, ...]  # what was done in another way than in the simulator
    conformance: Conformance
    put_off: int  # events whose time had to be changed, so that causes come first
    findings: tuple[str, ...]  # of a visit
    folder: Path | None  # with the cluster and its recordings, if it was kept

    @property
    def deliveries(self) -> int:
        return self.ledger.delivered


def run_real(
    scenario: Scenario,
    seed: int,
    *,
    detail: Detail = "full",
    observers: Iterable[Observer] = (),
    scale: float = 1.0,
    folder: Path | None = None,
) -> RealResult:
    """Run it. Raises Problem if the nodes cannot start, or no trace can be made of the run."""
    plan = draw(scenario, seed)
    return run_plan_real(plan, detail=detail, observers=observers, scale=scale, folder=folder)


def run_plan_real(
    plan: Plan,
    *,
    detail: Detail = "full",
    observers: Iterable[Observer] = (),
    scale: float = 1.0,
    folder: Path | None = None,
    setting: RoundSettings | None = None,
) -> RealResult:
    """`folder`: an empty one, which is kept; None: one that is removed afterwards.

    `scale`: the phase of faults takes so many times as long as planned. `setting`: with a visit
    there (`lab.real.visit`).
    """
    assert detail != "lean", "a real run is small"
    can = possible(plan, scale)
    where = folder or Path(tempfile.mkdtemp(prefix="chatlab-", dir="/tmp"))
    try:
        visit = Visit(can.plan, where, setting) if setting is not None else None
        if setting is not None:
            setting.make_keys(plan.nodes, where)
        seen = Driver(can.plan, where, visit).run()
        recordings = [read_recording(path) for path in seen.recordings]
        for recording in recordings:
            if not recording.complete:
                raise RealError(f"{recording.path}: {recording.why}")
        merged = merge(can.plan, seen, recordings, detail, tuple(observers))
    finally:
        if folder is None:
            shutil.rmtree(where, ignore_errors=True)
    failures = [
        f"{one.node}, life {one.inc}, turn {one.turn}: {one.got}"
        for one in merged.conformance.found
        if one.detail.endswith("an exception")
    ]
    failures += _belied(merged.trace, seen.roots)
    return RealResult(
        plan=can.plan,
        trace=merged.trace,
        ledger=merged.ledger,
        acts=merged.conformance.turns,
        core_failures=tuple(failures),
        not_possible=can.refused,
        adapted=can.adapted,
        conformance=merged.conformance,
        put_off=merged.put_off,
        findings=tuple(visit.findings) if visit is not None else (),
        folder=folder,
    )


def _belied(trace: Trace, roots: dict[str, str]) -> list[str]:
    """Nodes that said something else of themselves at the end than their replay does."""
    told = {one.node: one.data.root for one in trace if type(one.data) is Final}
    return [
        f"{node} said that its root is {root}, its replay says {told[node]}"
        for node, root in roots.items()
        if root and node in told and told[node] != root
    ]
