"""Real simulated traces with faults, for the exports to be tried on."""

from functools import cache

from lab.plan.scenario import named
from lab.sim.world import run
from lab.trace.trace import Event, Trace

RUNS = [
    ("all", 3),
    ("all", 5),
    ("calm", 1),
    ("churn", 5),
    ("crash-storm", 4),
    ("crash-storm", 6),
    ("lossy", 6),
    ("lossy", 13),
    ("partition", 6),
    ("power-cuts", 7),
]


@cache
def trace_of(scenario: str, seed: int) -> Trace:
    return run(named(scenario), seed).trace


def events(scenario: str, seed: int) -> list[Event]:
    return trace_of(scenario, seed).events
