"""C20: over a batch of runs, events spread as fast, as cheaply and in the same ways as in the
calibration.

No checker of one run notices repair that works but is slow: if a node never relays, the others
still converge, because they ask. So C20 compares batches. The mean lag of a batch, from a post to
its showing at each other node, must stay within m + 1.15 (hi - m), where m and hi are the mean and
the largest batch mean of a calibration of the correct core with the same options. The same limit
holds for packets per event, bytes per event, and the share of showings that came by repair.

Lag alone is a weak measure if faults differ from run to run: in a swarm its limit is about twice
its mean, and a core that relays nothing stays below it in most batches. The origin of packets is a
better measure: the share of showings that came from another node than the event's origin must not
fall below m - 1.15 (m - lo), lo being the smallest batch mean. A share that is nearly zero in the
calibration has no such limit.

    band = calibrate(batches)                 100 batches of 30 samples, say
    LagBand().judge(samples, band)            another batch; unknown without a band
"""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct

from lab.checkers.run_sample import Sample
from lab.checkers.verdict import CheckerRule, Figures, Verdict

RULE = CheckerRule(
    "C20",
    "lag band",
    "Over a batch, the mean lag and cost of an event stay within what the sound core shows, and so "
    "do the ways in which it comes.",
)
RUNS_MIN = 30  # in a batch
BATCHES_MIN = 100  # in a calibration
MARGIN = 1.15
AT_MOST = ("lag_us", "packets", "bytes", "repaired")  # per event and other node
AT_LEAST = ("relayed",)


class LagSpan(Struct, frozen=True):
    mean: float
    highest: float  # of the means of batches
    lowest: float = 0.0

    @property
    def limit(self) -> float:
        return self.mean + MARGIN * (self.highest - self.mean)

    @property
    def floor(self) -> float:
        return self.mean - MARGIN * (self.mean - self.lowest)


class Band(Struct, frozen=True):
    batches: int
    runs: int  # in each batch
    lag_us: LagSpan
    packets: LagSpan
    bytes: LagSpan
    relayed: LagSpan | None = None  # None: not calibrated
    repaired: LagSpan | None = None


def means_of(samples: Sequence[Sample]) -> dict[str, float] | None:
    """Of a batch, as far as it tells; None where nothing was shown anywhere."""
    showings = sum(one.showings for one in samples)
    if not showings:
        return None
    means: dict[str, float] = {}
    for name in (*AT_MOST, *AT_LEAST):
        values = [getattr(one, name) for one in samples]
        if min(values) >= 0:
            means[name] = sum(values) / showings
    return means


def calibrate(batches: Sequence[Sequence[Sample]]) -> Band | None:
    """The band of these batches. None if they are too few, too small or empty."""
    sizes = {len(batch) for batch in batches}
    if len(batches) < BATCHES_MIN or len(sizes) != 1 or min(sizes) < RUNS_MIN:
        return None
    means = [means for batch in batches if (means := means_of(batch)) is not None]
    if len(means) < len(batches):
        return None
    spans = {}
    for name in [one for one in means[0] if all(one in batch for batch in means)]:
        values = [one[name] for one in means]
        spans[name] = LagSpan(sum(values) / len(values), max(values), min(values))
    return Band(len(batches), min(sizes), **spans)


class LagBand:
    rule: ClassVar[CheckerRule] = RULE

    def judge(self, samples: Sequence[Sample], band: Band | None) -> Verdict:
        means = means_of(samples)
        if means is None:
            return Verdict(RULE.id, "unknown", "nothing was shown anywhere")
        figures: Figures = {"runs": len(samples)}
        for name, value in means.items():
            figures[name] = value
        if band is None:
            return Verdict(RULE.id, "unknown", "no band was calibrated", (), figures)
        runs_min = max(RUNS_MIN, band.runs)
        if len(samples) < runs_min:
            reason = f"{len(samples)} runs are too few, {runs_min} are needed"
            return Verdict(RULE.id, "unknown", reason, (), figures)
        for name, value in means.items():
            span: LagSpan | None = getattr(band, name)
            if span is None:
                continue
            reason = ""
            if name in AT_LEAST:
                figures[f"{name}_floor"] = span.floor
                if value < span.floor:
                    reason = f"mean {name} {told(value)}, at least {told(span.floor)} expected"
            else:
                figures[f"{name}_limit"] = span.limit
                if value > span.limit:
                    reason = f"mean {name} {told(value)}, at most {told(span.limit)} expected"
            if reason:
                return Verdict(RULE.id, "fail", reason, (), figures)
        reason = f"mean lag {means['lag_us'] / 1000:.1f} ms over {len(samples)} runs"
        return Verdict(RULE.id, "pass", reason, (), figures)


def told(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
