"""C4: no event is shown twice.

At any time the events that a node shows are distinct: in its arrivals, in its causal order, and in
each reply to a read. The check counts occurrences; it does not only compare sets.
"""

from collections.abc import Sequence
from typing import ClassVar

from lab.checkers.context import CheckContext
from lab.checkers.verdict import CheckerRule, Findings, Verdict, Wants
from lab.trace.kinds import Boot, Final, Ok, Visible
from lab.trace.trace import Event

RULE = CheckerRule("C4", "no duplicates", "No projection shows an event twice, at any time.")


class Duplicates:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._found = Findings(RULE)
        self._looked = 0
        self._told: dict[str, int] = {}  # repetitions in a node's view that are reported already

    def wants(self) -> Wants:
        return {
            Visible: self._on_visible,
            Boot: self._on_boot,
            Ok: self._on_ok,
            Final: self._on_final,
        }

    def _on_visible(self, event: Event) -> None:
        self._looked += 1
        view = self._history.views[event.node]
        if len(view.order) != len(view.refs):
            self._repeated(event, len(view.order) - len(view.refs))

    def _repeated(self, event: Event, repetitions: int) -> None:
        assert type(event.data) is Visible
        if repetitions > self._told.get(event.node, 0):
            self._found.add(f"{event.data.ref} is shown twice by {event.node}", event.seq)
            self._told[event.node] = repetitions

    def _on_boot(self, event: Event) -> None:
        assert type(event.data) is Boot
        self._look(event, event.data.arrivals, "after its start")
        view = self._history.views[event.node]
        self._told[event.node] = len(view.order) - len(view.refs)

    def _on_ok(self, event: Event) -> None:
        assert type(event.data) is Ok
        if event.data.seen:
            self._look(event, event.data.seen, "to a reader")

    def _on_final(self, event: Event) -> None:
        assert type(event.data) is Final
        self._look(event, event.data.arrivals, "at the end")
        self._look(event, event.data.causal, "at the end, in causal order")

    def _look(self, event: Event, refs: Sequence[str], when: str) -> None:
        self._looked += len(refs)
        if len(set(refs)) != len(refs):
            first = next(ref for at, ref in enumerate(refs) if ref in refs[:at])
            self._found.add(f"{first} is shown twice by {event.node} {when}", event.seq)

    def verdict(self) -> Verdict:
        unknown = "" if self._looked else "nothing was ever shown"
        figures: dict[str, int | float] = {"looked_at": self._looked}
        return self._found.verdict(figures, "nothing was shown twice", unknown)
