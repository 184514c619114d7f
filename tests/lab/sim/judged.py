"""What is wrong with a run: what the checkers say of it, and exceptions out of its cores."""

from lab.campaign.judged_run import calibrated
from lab.checkers import Thresholds, judge
from lab.sim.world import Result


def wrong(result: Result) -> list[str]:
    """Nothing, in a sound run. Faults that found no occasion are no failure."""
    verdicts = judge(result.trace, calibrated(result.plan, Thresholds(swarm=True)))
    told = [f"{one.rule}: {one.reason}" for one in verdicts if one.outcome == "fail"]
    return [*result.core_failures, *told]
