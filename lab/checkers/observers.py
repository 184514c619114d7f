"""C15: observers change nothing.

The same run with and without observers must leave the same trace, byte for byte.
"""

from collections.abc import Iterable
from typing import ClassVar

from lab.checkers.trace_diff import compare
from lab.checkers.verdict import CheckerRule, Verdict
from lab.trace.trace import Event

RULE = CheckerRule("C15", "read-only observers", "A run with observers is the run without them.")


class Observers:
    rule: ClassVar[CheckerRule] = RULE

    def compare(self, one: Iterable[Event], other: Iterable[Event]) -> Verdict:
        return compare(RULE, one, other, "observed or not, the run is the same")
