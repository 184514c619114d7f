"""Real rounds: seeds executed on real processes, a few seconds each, and judged.

    seen = look(scenario_of((), 3), seed=3)
    seen.outcome, seen.rule, seen.reason

A round is the plan of a scenario and a seed, with its phase of faults shortened, and a visit once
the nodes agree (`lab.real.visit`). It fails if the visit or a checker reports something, if the
replay of a node differs from its recording, or if no trace can be made of the run. Times differ
from run to run, and so may the outcome of a defect that is a race.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.campaign.explore import ExploreResult, RoundResult
from lab.campaign.judged_run import blamed, calibrated, judged, limits_for
from lab.checkers import Outcome
from lab.plan.draw import draw
from lab.plan.scenario import Scenario, named
from lab.real.round_settings import setting_of
from lab.real.run import RealResult, run_plan_real
from lab.terminal.errors import Problem

SCENARIOS = ("lossy", "partition", "crash-storm", "churn")
SCALE = 0.15  # of the phase of faults
IN_USE = "is in use by another process"
RULE = "REAL"  # what is no checker's


def scenario_of(given: Sequence[Scenario], seed: int) -> Scenario:
    """The scenario of a seed: one of those given, or else of those whose faults can be applied
    here.
    """
    if given:
        return given[seed % len(given)]
    return named(SCENARIOS[seed % len(SCENARIOS)])


def explore_rounds(
    found: ExploreResult, on_progress: Callable[[ExploreResult], None] = lambda _: None
) -> None:
    """Run the rounds after the seeds, one by one: each has several processes. Ctrl-C ends it."""
    options = found.options
    try:
        for seed in range(options.first, options.first + options.real):
            if found.ended != "seeds":
                return
            found.take_round(look(scenario_of(options.real_scenarios, seed), seed))
            on_progress(found)
            if options.first_failure and found.failures_count:
                found.ended = "failure"
    except KeyboardInterrupt:
        found.ended = "interrupted"


def look(scenario: Scenario, seed: int, folder: Path | None = None) -> RoundResult:
    """`folder`: an empty one, which is kept; None: one that is removed afterwards."""
    seen = _looked(scenario, seed, folder)
    if folder is None and IN_USE in seen.reason:  # by another process on this machine
        return _looked(scenario, seed, None)
    return seen


def _looked(scenario: Scenario, seed: int, folder: Path | None) -> RoundResult:
    began_s = time.monotonic()
    rule = reason = ""
    try:
        plan = draw(scenario, seed)
        setting = setting_of(plan.nodes, seed)
        result = run_plan_real(plan, scale=SCALE, folder=folder, setting=setting)
        rule, reason = _wrong(result, scenario, seed)
    except Problem as error:
        rule, reason = RULE, f"{error}"
    except Exception as error:
        rule, reason = RULE, f"{type(error).__name__}: {error}"
    outcome: Outcome = "fail" if rule else "pass"
    took_s = round(time.monotonic() - began_s, 1)
    return RoundResult(
        scenario=scenario.name,
        seed=seed,
        outcome=outcome,
        rule=rule,
        reason=" ".join(reason.split()),
        took_s=took_s,
    )


def _wrong(result: RealResult, scenario: Scenario, seed: int) -> tuple[str, str]:
    """Rule and reason of what is wrong; empty if nothing is."""
    if result.findings:
        return RULE, "; ".join(result.findings)
    limits = calibrated(result.plan, limits_for(scenario))
    done = judged(result, scenario, seed, limits=limits)
    if done.outcome == "fail":
        return blamed(done)
    conformance = result.conformance
    if conformance.differences or conformance.incomplete:
        return RULE, f"conformance: {conformance.text()}"
    return "", ""
