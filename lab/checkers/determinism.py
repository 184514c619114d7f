"""C19: the same token gives the same run.

In another process, with another PYTHONHASHSEED, on another day: the trace is the same byte for
byte. The first event that is not is the witness.
"""

from collections.abc import Iterable
from typing import ClassVar

from lab.checkers.trace_diff import compare
from lab.checkers.verdict import CheckerRule, Verdict
from lab.trace.trace import Event

RULE = CheckerRule("C19", "determinism", "What a run was made from decides every event of it.")


class Determinism:
    rule: ClassVar[CheckerRule] = RULE

    def compare(self, one: Iterable[Event], other: Iterable[Event]) -> Verdict:
        return compare(RULE, one, other, "both runs are the same")
