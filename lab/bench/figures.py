"""`Figure`: one measured quantity over its repetitions, with its goal and its bare baseline.

Also the statistics on lists of values that benches use: ratios and quantiles.
"""

from collections.abc import Sequence
from statistics import median
from typing import Any

import msgspec
from msgspec import Struct

Curve = tuple[tuple[float, float], ...]


class Bare(Struct, frozen=True):
    """The bare baseline of a figure, measured in the same run and in the same unit."""

    name: str
    values: tuple[float, ...]


class Figure(Struct, frozen=True):
    """One measured quantity over its repetitions. `goal` is a bound in the same unit, or None."""

    bench: str  # its name, set by `__main__`
    name: str
    unit: str
    median: float
    min: float
    max: float
    count: int
    goal: float | None = None
    at_most: bool = True  # whether the goal bounds it from above, or from below
    bare: float | None = None  # the median of the bare baseline
    bare_name: str = ""
    note: str = ""  # what a reader must know to read it right
    curve: Curve = ()  # pairs (x, y) for a plot; y in `unit`, x in `x_name`
    x_name: str = ""

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.median <= self.goal if self.at_most else self.median >= self.goal

    @property
    def ratio(self) -> float | None:
        """The median divided by that of the bare baseline."""
        return self.median / self.bare if self.bare else None

    def as_json(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self) | {"ratio": self.ratio, "met": self.met}


def figure(
    name: str,
    unit: str,
    values: Sequence[float],
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    bare: Bare | None = None,
    note: str = "",
    curve: Sequence[tuple[float, float]] = (),
    x_name: str = "",
) -> Figure:
    """`at_most` or `at_least` is the goal, if there is one."""
    assert values, name
    return Figure(
        bench="",
        name=name,
        unit=unit,
        median=median(values),
        min=min(values),
        max=max(values),
        count=len(values),
        goal=at_least if at_most is None else at_most,
        at_most=at_least is None,
        bare=median(bare.values) if bare else None,
        bare_name=bare.name if bare else "",
        note=note,
        curve=tuple(curve),
        x_name=x_name,
    )


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """The ratios of values that were measured in turn."""
    return [one / other for one, other in zip(above, below, strict=True)]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def quantiles(values: Sequence[float], share: float, parts: int = 5) -> list[float]:
    """The quantile of each of `parts` interleaved parts of the values, for a span."""
    parts = min(parts, len(values))
    return [quantile(values[part::parts], share) for part in range(parts)]
