"""C15: whoever looks on changes nothing.

The same run with and without observers leaves the same trace, byte for byte.
"""

from collections.abc import Iterable
from typing import ClassVar

from lab.checkers.sameness import compare
from lab.checkers.verdict import Rule, Verdict
from lab.trace import Event

RULE = Rule("C15", "read-only observers", "A run with observers is the run without them.")


class Observers:
    rule: ClassVar[Rule] = RULE

    def compare(self, one: Iterable[Event], other: Iterable[Event]) -> Verdict:
        return compare(RULE, one, other, "observed or not, the run is the same")
