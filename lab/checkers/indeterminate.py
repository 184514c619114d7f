"""C2: an op with an unknown outcome is atomic, and an op that failed never happened.

`info` says that the outcome is unknown: the op's event must end in all live logs or in none. `fail`
says that the op definitely did not happen: its event must be in no log at any time. An op has one
answer.
"""

from typing import ClassVar

from lab.checkers.context import CheckContext
from lab.checkers.verdict import CheckerRule, Findings, Verdict, Wants
from lab.trace.kinds import Fail, Info
from lab.trace.trace import dot_of

RULE = CheckerRule(
    "C2",
    "atomic unknowns",
    "An event whose outcome is unknown ends in all live logs or in none, and one that failed is in "
    "no log at any time.",
)


class Indeterminate:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._found = Findings(RULE)

    def wants(self) -> Wants:
        return {}

    def verdict(self) -> Verdict:
        history = self._history
        for event in history.answered_twice:
            self._found.add("an op was answered twice", event.seq)
        held = {node: set(history.arrivals(node)) for node in history.finals}
        refs_of_dot: dict[str, str] | None = None
        failed = unknown = halves = 0
        for op, answer in history.answers.items():
            data = answer.data
            ref = history.ref_of.get(op, "")
            if type(data) is Fail:
                failed += 1
                if ref in history.exists:
                    reason = f"op {op} failed ({data.code}), and {ref} exists"
                    self._found.add(reason, answer.seq, history.exists[ref].seq)
            elif type(data) is Info:
                unknown += 1
                if not ref and data.dot:
                    if refs_of_dot is None:
                        refs_of_dot = {dot_of(one): one for one in history.exists}
                    ref = refs_of_dot.get(data.dot, "")
                lacking = [node for node, refs in held.items() if ref not in refs]
                if not ref or not lacking or len(lacking) == len(held):
                    continue
                if history.settled:
                    reason = f"op {op} ended unknown, and {lacking[0]} alone lacks {ref}"
                    if len(lacking) > 1:
                        reason = f"op {op} ended unknown: {len(lacking)} of {len(held)} lack {ref}"
                    self._found.add(reason, answer.seq, history.finals[lacking[0]].seq)
                else:
                    halves += 1
        figures: dict[str, int | float] = {"failed": failed, "unknown": unknown}
        nothing = history.nothing()
        if not nothing and halves:
            nothing = "nodes were given no time to agree"
        passed = f"{unknown} unknown ops are all or nothing, {failed} failed ones left no trace"
        return self._found.verdict(figures, passed, nothing)
