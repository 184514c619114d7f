"""C17: the run exercised what its plan contains.

A run proves nothing if a planned fault never acted, if no op was acknowledged, or if no packet was
sent. The verdict of such a run is unknown, and never pass. The number of concurrent posts is
reported: a batch without any proves little.

If the faults are drawn at random (`Thresholds.swarm`), a fault may find no occasion in one run,
provided that others did. Then the batch is judged: over all its runs every fault must have acted.
"""

from collections.abc import Sequence
from typing import ClassVar

from lab.checkers.context import CheckContext
from lab.checkers.run_sample import Sample, silent_of
from lab.checkers.verdict import CheckerRule, Figures, Verdict, Wants
from lab.trace.kinds import Handed, Totals
from lab.trace.trace import Event

RULE = CheckerRule(
    "C17",
    "nontriviality",
    "Every fault that was planned acted on something, and something was said and travelled.",
)


class Nontrivial:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._swarm = case.limits.swarm
        self._made = 0
        self._concurrent = 0
        self._travelled = False

    def wants(self) -> Wants:
        return {Handed: self._on_handed}

    def _on_handed(self, event: Event) -> None:
        data = event.data
        assert type(data) is Handed
        if data.via != "local":
            self._travelled = True
            return
        # Own events on their way to the disk are not shown yet, and are no events of others either.
        view = self._history.views.get(event.node)
        strangers = sum(
            made.node != event.node and (view is None or ref not in view.refs)
            for ref, made in self._history.made.items()
        )
        self._concurrent += bool(strangers)
        self._made += 1

    def verdict(self) -> Verdict:
        history = self._history
        figures: Figures = {"posts": self._made, "concurrent": self._concurrent}
        unknown = history.nothing()
        silent: tuple[str, ...] = ()
        planned = 0
        if history.totals is not None:
            totals = history.totals.data
            assert type(totals) is Totals
            silent, planned = silent_of(totals), len(totals.enabled)
            figures["faults_fired"] = sum(totals.fired.values())
        elif not unknown:
            unknown = "the trace does not tell what the faults did"
        figures |= {"faults_planned": planned, "faults_silent": len(silent)}
        if not unknown and silent and (not self._swarm or len(silent) == planned):
            unknown = f"planned, and acted on nothing: {', '.join(silent)}"
        if not unknown and not history.acked:
            unknown = "nothing was acknowledged"
        if not unknown and len(history.nodes) > 1 and not self._travelled and not history.lean:
            unknown = "nothing travelled"
        if unknown:
            return Verdict(RULE.id, "unknown", unknown, (), figures)
        passed = f"{self._concurrent} of {self._made} posts were concurrent"
        passed = f"silent: {', '.join(silent)}; {passed}" if silent else f"all acted; {passed}"
        return Verdict(RULE.id, "pass", passed, (), figures)


class Coverage:
    """The same over a batch of runs under a swarm."""

    rule: ClassVar[CheckerRule] = RULE

    def judge(self, samples: Sequence[Sample]) -> Verdict:
        enabled = sorted({word for one in samples for word in one.enabled})
        acted = {word for one in samples for word in one.enabled if word not in one.silent}
        never = [word for word in enabled if word not in acted]
        figures: Figures = {"runs": len(samples), "faults": len(enabled)}
        for word in enabled:
            planned = [one for one in samples if word in one.enabled]
            figures[f"acted_{word}"] = sum(word not in one.silent for one in planned) / len(planned)
        if not samples or not sum(one.showings for one in samples):
            return Verdict(RULE.id, "unknown", "nothing was shown anywhere", (), figures)
        if never:
            reason = f"in no run of the batch acted: {', '.join(never)}"
            return Verdict(RULE.id, "unknown", reason, (), figures)
        return Verdict(RULE.id, "pass", f"all of {len(enabled)} faults acted", (), figures)
