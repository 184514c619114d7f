"""A verdict is the result of one checker on one run. This module also has the protocols that
checkers implement.

`pass`: the promise held as far as the trace shows. `fail`: it was broken, and the witness events
show where. `unknown`: the run could not show it, because no op was acknowledged, no node was up at
the end, or there is no calibration. Unknown never counts as pass.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Literal, Protocol

from msgspec import Struct

from lab.trace.trace import Event

Outcome = Literal["pass", "fail", "unknown"]
Figures = dict[str, int | float]
See = Callable[[Event], None]
Wants = dict[type, See]  # by class of `event.data`


class CheckerRule(Struct, frozen=True):
    """A promise. `required`: if the verdict is unknown, so is that of the whole run."""

    id: str
    name: str
    promise: str  # one sentence
    required: bool = True


class Verdict(Struct, frozen=True):
    rule: str  # its id
    outcome: Outcome
    reason: str  # one line
    witnesses: tuple[int, ...] = ()  # `seq` of the events that show it
    figures: Figures = {}


class Checker(Protocol):
    """Judges one run. It gets the events that it wants, in order, and is asked once at the end."""

    rule: ClassVar[CheckerRule]

    def wants(self) -> Wants: ...

    def verdict(self) -> Verdict: ...


class PairChecker(Protocol):
    """Judges two runs that should have been the same."""

    rule: ClassVar[CheckerRule]

    def compare(self, one: Iterable[Event], other: Iterable[Event]) -> Verdict: ...


class Findings:
    """The violations of one run. The first is reported, the others are counted."""

    def __init__(self, rule: CheckerRule) -> None:
        self.rule = rule
        self.count = 0
        self._first: tuple[str, tuple[int, ...]] = ("", ())

    def add(self, reason: str, *witnesses: int | None) -> None:
        if not self.count:
            self._first = (reason, tuple([one for one in witnesses if one is not None]))
        self.count += 1

    def verdict(self, figures: Figures, passed: str, unknown: str = "") -> Verdict:
        """Fail if there is any finding, else unknown if there is a reason for it, else pass."""
        if self.count:
            reason, witnesses = self._first
            figures = figures | {"violations": self.count}
            return Verdict(self.rule.id, "fail", reason, witnesses, figures)
        if unknown:
            return Verdict(self.rule.id, "unknown", unknown, (), figures)
        return Verdict(self.rule.id, "pass", passed, (), figures)


def overall(verdicts: Sequence[Verdict], rules: Iterable[CheckerRule]) -> Outcome:
    """Fail if anything fails, unknown if anything that is required is unknown, else pass."""
    required = {rule.id for rule in rules if rule.required}
    if any(one.outcome == "fail" for one in verdicts):
        return "fail"
    if not verdicts or any(one.outcome == "unknown" and one.rule in required for one in verdicts):
        return "unknown"
    return "pass"
