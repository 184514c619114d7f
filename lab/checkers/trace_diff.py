"""Comparison of two traces that must be equal. The verdict names the first event that differs."""

from collections.abc import Iterable

from lab.checkers.verdict import CheckerRule, Verdict
from lab.trace.kinds import Run
from lab.trace.trace import Event, encoded


def compare(
    rule: CheckerRule, one: Iterable[Event], other: Iterable[Event], passed: str
) -> Verdict:
    """Unknown where they were not made from the same: then they prove nothing."""
    first, second = list(one), list(other)
    if not first or not second:
        return Verdict(rule.id, "unknown", "there is nothing to compare")
    for run in (first[0].data, second[0].data):
        if type(run) is not Run:
            return Verdict(rule.id, "unknown", "a trace does not say what it was made from")
    if first[0].data != second[0].data:
        return Verdict(rule.id, "unknown", "these runs were not made from the same")
    figures: dict[str, int | float] = {"events": len(first)}
    if encoded(first) == encoded(second):
        return Verdict(rule.id, "pass", passed, (), figures)
    for mine, yours in zip(first, second, strict=False):
        if encoded((mine,)) != encoded((yours,)):
            reason = f"they part at event {mine.seq}: {mine.kind} of {mine.node or 'the run'}"
            if (yours.kind, yours.node) != (mine.kind, mine.node):
                reason = f"{reason}, or {yours.kind} of {yours.node or 'the run'}"
            return Verdict(rule.id, "fail", reason, (mine.seq,), figures)
    shorter, longer = sorted((first, second), key=len)
    reason = f"one ends after {len(shorter)} events, the other goes on to {len(longer)}"
    return Verdict(rule.id, "fail", reason, (shorter[-1].seq,), figures)
