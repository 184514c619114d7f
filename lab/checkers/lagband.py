"""C20: over a batch of runs, events spread no later and cost no more than they used to.

Repair that works but slowly is seen by no checker of one run: a node that never relays still
converges, for somebody else asks. So the mean lag over a batch, from posting to each other node,
must stay within m + 1.15 (hi - m), where m and hi are the mean and the largest batch mean of a
calibration of the sound core at the same options. The same goes for packets and bytes per event.

    band = calibrate(batches)                 100 batches of 30 samples, say
    LagBand().judge(samples, band)            another batch; unknown without a band
"""

from collections.abc import Sequence

from msgspec import Struct

from lab.checkers.meter import Sample
from lab.checkers.verdict import Figures, Rule, Verdict

RULE = Rule(
    "C20",
    "lag band",
    "Over a batch, the mean lag and cost of an event stay within what the sound core shows.",
)
RUNS_MIN = 30  # in a batch
BATCHES_MIN = 100  # in a calibration
MARGIN = 1.15
NAMES = ("lag_us", "packets", "bytes")  # per event and other node


class Span(Struct, frozen=True):
    mean: float
    highest: float  # of the means of batches

    @property
    def limit(self) -> float:
        return self.mean + MARGIN * (self.highest - self.mean)


class Band(Struct, frozen=True):
    batches: int
    runs: int  # in each batch
    lag_us: Span
    packets: Span
    bytes: Span


def means_of(samples: Sequence[Sample]) -> dict[str, float] | None:
    """Of a batch; None where nothing was shown anywhere."""
    showings = sum(one.showings for one in samples)
    if not showings:
        return None
    return {name: sum(getattr(one, name) for one in samples) / showings for name in NAMES}


def calibrate(batches: Sequence[Sequence[Sample]]) -> Band | None:
    """What the sound core shows. None if these batches are too few, too small or empty."""
    sizes = {len(batch) for batch in batches}
    if len(batches) < BATCHES_MIN or len(sizes) != 1 or min(sizes) < RUNS_MIN:
        return None
    means = [means for batch in batches if (means := means_of(batch)) is not None]
    if len(means) < len(batches):
        return None
    spans = {}
    for name in NAMES:
        values = [one[name] for one in means]
        spans[name] = Span(sum(values) / len(values), max(values))
    return Band(len(batches), min(sizes), **spans)


class LagBand:
    rule = RULE

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
        for name in NAMES:
            span: Span = getattr(band, name)
            figures[f"{name}_limit"] = span.limit
            if means[name] > span.limit:
                reason = f"mean {name} {means[name]:.0f}, at most {span.limit:.0f} expected"
                return Verdict(RULE.id, "fail", reason, (), figures)
        reason = f"mean lag {means['lag_us'] / 1000:.1f} ms over {len(samples)} runs"
        return Verdict(RULE.id, "pass", reason, (), figures)
