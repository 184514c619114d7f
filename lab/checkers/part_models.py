"""C21: each part of the core behaves like a plain model of it.

Every run of the simulator drills some parts (`lab.drills`): it gives the part and its model the
same random steps, including invalid input. The model keeps everything and computes each result from
scratch. The trace has an event only where the two differ.
"""

from typing import ClassVar

from lab.checkers.context import CheckContext
from lab.checkers.verdict import CheckerRule, Findings, Verdict, Wants
from lab.trace.kinds import Differs
from lab.trace.trace import Event

RULE = CheckerRule(
    "C21",
    "parts",
    "Each part of the core does by itself what a plain model of it does.",
    required=False,
)


class PartModels:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._found = Findings(RULE)

    def wants(self) -> Wants:
        return {Differs: self._on_differs}

    def _on_differs(self, event: Event) -> None:
        data = event.data
        assert type(data) is Differs
        self._found.add(f"{data.part}: {data.reason}", event.seq)

    def verdict(self) -> Verdict:
        history = self._history
        drilled = history.run is not None and history.run.source == "sim" and history.settled
        unknown = "" if drilled else "parts are drilled in the simulator, at the end of a run"
        return self._found.verdict({}, "no part that was drilled differs from its model", unknown)
