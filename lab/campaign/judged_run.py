"""A judged run is one plan, executed by the simulator and judged by the checkers. This module
connects the two.

    source = opened("lossy")               or a scenario's YAML file, or a plan's JSON file
    judged = run_judged(source, seed=7)
    judged.outcome, judged.verdicts, judged.token

An exception out of the simulator, the journal or a checker is a failure of the laboratory itself.
It becomes a verdict of the rule LAB, so that it can be replayed and shrunk like any other failure.
"""

import traceback
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lab.campaign.replay_token import ReplayToken, Source, token_of
from lab.checkers import RULES, CheckerRule, Judge, Outcome, Sample, Thresholds, Verdict, overall
from lab.plan.draw import draw
from lab.plan.faults import Plan, plan_from_json
from lab.plan.scenario import ScenarioError, load, named, names
from lab.sim.branch import Branch
from lab.sim.reach_hooks import ReachHooks
from lab.sim.world import World
from lab.trace.file import TraceError
from lab.trace.kinds import Detail
from lab.trace.kinds import Run as TracedRun
from lab.trace.trace import Observer, Trace

LAB = CheckerRule("LAB", "the laboratory", "Neither the simulator nor a checker fails.")
ALL_RULES = {**RULES, LAB.id: LAB}
IDLE_BYTES = 128  # of a question or its answer, with what is said of members
USELESS_MAX = 15  # answers with entries in a row, of which a node takes nothing ...
USELESS_US = 1_000_000  # ... from so long after the first of them on
ANSWER_US = 2_000_000  # beyond the time that a client gives
PLAN_BYTES_MAX = 16 * 1024 * 1024


class Run(Protocol):
    """The result of a run, in the simulator or on real processes."""

    @property
    def plan(self) -> Plan: ...

    @property
    def trace(self) -> Trace: ...

    @property
    def core_failures(self) -> tuple[str, ...]: ...


class JudgedRun(Struct, frozen=True):
    """A run and its verdicts."""

    source: Source
    seed: int
    plan: Plan
    trace: Trace
    verdicts: tuple[Verdict, ...]
    outcome: Outcome
    failures: tuple[str, ...]  # tracebacks out of cores, or of the laboratory
    sample: Sample | None = None

    @property
    def token(self) -> ReplayToken:
        return token_of(self.source, self.seed, self.trace.hash)

    @property
    def failed(self) -> Verdict | None:
        """The first verdict that fails."""
        return next((one for one in self.verdicts if one.outcome == "fail"), None)

    @property
    def simulated_us(self) -> int:
        return self.trace.events[-1].t_us if len(self.trace) else 0


def opened(text: str) -> Source:
    """A scenario by its name or its YAML file, or a plan by its JSON file. Raises ScenarioError."""
    path = Path(text)
    if path.suffix == ".json" or (path.is_file() and path.suffix not in (".yaml", ".yml")):
        return _plan_in(path)
    if path.suffix in (".yaml", ".yml") or "/" in text:
        return load(path)
    if text not in names():
        told = ", ".join(names())
        raise ScenarioError(f"no scenario {text[:40]!r}: there are {told}, or give a file")
    return named(text)


def _plan_in(path: Path) -> Plan:
    try:
        if path.stat().st_size > PLAN_BYTES_MAX:
            raise ScenarioError(f"{path}: too large for a plan")
        return plan_from_json(path.read_bytes())
    except OSError as error:
        raise ScenarioError(f"{path}: cannot read it: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise ScenarioError(f"{path} is no plan: {error}") from None


def plan_of(source: Source, seed: int) -> Plan:
    return source if isinstance(source, Plan) else draw(source, seed)


def run_judged(
    source: Source,
    seed: int = 0,
    *,
    limits: Thresholds | None = None,
    only: Collection[str] = (),
    detail: Detail = "normal",
    observers: Iterable[Observer] = (),
    watch: ReachHooks | None = None,
    branch: Branch | None = None,
) -> JudgedRun:
    """Run it in the simulator, judged by all checkers of one run, or by `only` these."""
    if isinstance(source, Plan):
        seed = source.seed
    plan = plan_of(source, seed)
    trace = Trace()
    try:
        world = World(plan, detail=detail, observers=observers, watch=watch, branch=branch)
        trace = world.trace
        result = world.run()
        limits = limits or calibrated(plan, limits_for(source))
        return judged(result, source, seed, limits=limits, only=only)
    except Exception as error:
        return _broken(source, seed, plan, trace, error)


def limits_for(source: Source) -> Thresholds:
    """Faults that a swarm drew may find no occasion. Those of a plan are meant to act."""
    return Thresholds(swarm=not isinstance(source, Plan))


def calibrated(plan: Plan, limits: Thresholds) -> Thresholds:
    """With what the sound core keeps within in the simulator, in the terms of its own knobs.

    C6: nodes agree within two of the longest waits of each kind after the last fault.
    C12: an idle node begins a round every `idle_round_ms`, answers one, and probes one dead peer
    every `dead_round_ms`; half as much again, for pauses are jittered and may just have begun to
    stretch. Rounds that still find something so long after the last change would do so for ever.
    """
    gossip = plan.gossip
    waits_ms = gossip.idle_round_ms + gossip.dead_round_ms + gossip.exchange_timeout_ms
    rounds_s = 1000 / gossip.idle_round_ms + 1000 / gossip.dead_round_ms
    packets_s = 1.5 * (rounds_s + 1000 / gossip.idle_round_ms)
    return replace(
        limits,
        bound_us=2000 * waits_ms,
        calm_us=1000 * waits_ms,
        idle_packets_s=packets_s,
        idle_bytes_s=packets_s * IDLE_BYTES,
        idle_rounds_s=1.5 * rounds_s,
        useless_max=USELESS_MAX,
        useless_us=USELESS_US,
        syncs=plan.durability != "none",
        answer_us=ANSWER_US + 1000 * max((op.timeout_ms for op in plan.ops), default=0),
    )


def judged(
    run: Run,
    source: Source,
    seed: int,
    *,
    limits: Thresholds | None = None,
    only: Collection[str] = (),
) -> JudgedRun:
    """Judge a finished run, from the simulator or from real processes."""
    judge = Judge(limits or limits_for(source), only)
    judge.see_all(run.trace)
    verdicts = tuple(judge.verdicts())
    outcome = overall(verdicts, RULES.values())
    failures = tuple(run.core_failures)
    return JudgedRun(
        source=source,
        seed=seed,
        plan=run.plan,
        trace=run.trace,
        verdicts=verdicts,
        outcome=outcome,
        failures=failures,
        sample=judge.sample(),
    )


class _Traced(Struct, frozen=True):
    """A run of which only the trace is left."""

    plan: Plan
    trace: Trace
    core_failures: tuple[str, ...] = ()


def judged_trace(trace: Trace) -> JudgedRun:
    """Judge a run whose trace was kept. Raises TraceError where it does not say what run it is.

    What was only observed has no scenario, and no verdicts: an observer does not see everything.
    """
    first = trace.events[0].data if trace.events else None
    if type(first) is not TracedRun:
        raise TraceError("the first event is not `run`: that is no whole trace")
    if not first.scenario:
        return _observed(trace, first.nodes)
    try:
        plan = plan_from_json(first.options.encode())
    except msgspec.MsgspecError as error:
        raise TraceError(f"the run was not made from a plan: {error}") from None
    source = _drawn_from(plan)
    limits = limits_for(source)
    if first.source == "sim":
        limits = calibrated(plan, limits)
    return judged(_Traced(plan, trace), source, plan.seed, limits=limits)


def _observed(trace: Trace, nodes: tuple[str, ...]) -> JudgedRun:
    plan = Plan("observed", 0, nodes, faults_us=trace.events[-1].t_us, liveness_us=0)
    return JudgedRun(
        source=plan,
        seed=0,
        plan=plan,
        trace=trace,
        verdicts=(),
        outcome="unknown",
        failures=(),
    )


def _drawn_from(plan: Plan) -> Source:
    """The scenario that this plan was drawn from, if it comes along, or else the plan."""
    if plan.scenario in names():
        scenario = named(plan.scenario)
        if draw(scenario, plan.seed) == plan:
            return scenario
    return plan


def blamed(judged: JudgedRun) -> tuple[str, str]:
    """Rule and reason of the first failure, or else of the first required rule that is unknown."""
    failed = judged.failed
    if failed is not None:
        return failed.rule, failed.reason
    for one in judged.verdicts:
        if one.outcome == "unknown" and ALL_RULES[one.rule].required:
            return one.rule, one.reason
    return "", ""


def _broken(source: Source, seed: int, plan: Plan, trace: Trace, error: Exception) -> JudgedRun:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
    verdict = Verdict(LAB.id, "fail", f"{what} ({where} {frame.name})")
    text = "".join(traceback.format_exception(error))
    return JudgedRun(
        source=source,
        seed=seed,
        plan=plan,
        trace=trace,
        verdicts=(verdict,),
        outcome="fail",
        failures=(text,),
    )
