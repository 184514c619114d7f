"""C6: live nodes converge within a time bound.

At the end all live nodes hold the same events, and their roots and the fingerprints of their
projections are equal exactly where the sets of events are equal. They must agree, and stay in
agreement, within a bound. It is either calibrated (`Thresholds.bound_us`) and counts from the last
fault, or it is declared by the trace and counts from the last post. Without either the verdict is
unknown. In the simulator the bound is computed from the settings of gossip
(`lab.campaign.judged_run.calibrated`); it is at least 1.3 times the largest `healed_us` of 3,000
runs of the correct core. Convergence that is slow but within the bound is judged by C20.
"""

from typing import ClassVar

from lab.checkers.context import CheckContext
from lab.checkers.verdict import CheckerRule, Findings, Verdict, Wants
from lab.trace.kinds import Final, Phase
from lab.trace.trace import Event

RULE = CheckerRule(
    "C6",
    "convergence",
    "Once nothing goes wrong any more, all live nodes hold the same events within the bound.",
)


class Convergence:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._bound_us = case.limits.bound_us
        self._found = Findings(RULE)

    def wants(self) -> Wants:
        return {}

    def verdict(self) -> Verdict:
        history = self._history
        figures: dict[str, int | float] = {"live": len(history.finals)}
        unknown = history.nothing()
        if not unknown and len(history.finals) < 2:
            unknown = "only one node lived to the end"
        if not unknown and not history.settled:
            unknown = "nodes were given no time to agree"
        passed = ""
        if not unknown:
            self._judge_sets()
            late_us = figures["agreed_us"] = self._late_us("liveness")
            healed_us = figures["healed_us"] = self._late_us("heal")
            bound_us = self._bound_us or self._declared_us()
            if self._bound_us:
                late_us = healed_us
            passed = f"{len(history.finals)} nodes agree after {late_us / 1e6:.1f} s of peace"
            if not bound_us:
                unknown = "no bound was calibrated or declared"
            elif late_us > bound_us:
                last = max(event.seq for event in self._last_changes())
                reason = f"agreement came after {late_us / 1e6:.1f} s, {bound_us / 1e6:.1f} allowed"
                self._found.add(reason, last)
        return self._found.verdict(figures, passed, unknown)

    def _judge_sets(self) -> None:
        history = self._history
        (first, event), *others = history.finals.items()
        data = event.data
        assert type(data) is Final
        held = set(history.arrivals(first))
        for node, final in others:
            other = final.data
            assert type(other) is Final
            theirs = set(history.arrivals(node))
            if theirs != held:
                lacking = sorted(held - theirs)
                who, ref = (node, lacking[0]) if lacking else (first, min(theirs - held))
                self._found.add(f"at the end {who} lacks {ref}", event.seq, final.seq)
            elif other.root != data.root:
                reason = f"{first} and {node} hold the same and have different roots"
                self._found.add(reason, event.seq, final.seq)
            elif (other.timeline, other.presence) != (data.timeline, data.presence):
                reason = f"{first} and {node} hold the same and show different things"
                self._found.add(reason, event.seq, final.seq)
            if other.root == data.root and theirs != held:
                reason = f"{first} and {node} hold different events under one root"
                self._found.add(reason, event.seq, final.seq)

    def _last_changes(self) -> list[Event]:
        grown = self._history.grown
        return [grown[node] for node in self._history.finals if node in grown]

    def _late_us(self, phase: str) -> int:
        """From the beginning of this phase to the last change of any live node."""
        phases = self._history.phases
        since = phases.get(phase, phases["liveness"]).t_us
        return max([event.t_us - since for event in self._last_changes()] + [0])

    def _declared_us(self) -> int:
        phase = self._history.phases["liveness"].data
        assert type(phase) is Phase
        return phase.bound_us
