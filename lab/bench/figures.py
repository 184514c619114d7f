"""Figures: what a bench measured, over its repetitions, beside the goal."""

from collections.abc import Sequence
from statistics import median

from msgspec import Struct


class Figure(Struct, frozen=True):
    """One measured quantity over its repetitions. `goal` is a bound in the same unit, or None."""

    bench: str
    name: str
    unit: str
    median: float
    min: float
    max: float
    count: int
    goal: float | None = None
    at_most: bool = True  # whether the goal bounds it from above, or from below

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.median <= self.goal if self.at_most else self.median >= self.goal


def figure(
    bench: str,
    name: str,
    unit: str,
    values: Sequence[float],
    *,
    goal: float | None = None,
    at_most: bool = True,
) -> Figure:
    assert values, name
    middle, least, most = median(values), min(values), max(values)
    return Figure(bench, name, unit, middle, least, most, len(values), goal, at_most)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
