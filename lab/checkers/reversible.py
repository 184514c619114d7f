"""C10: projections depend on their arrivals alone, and rewinding restores an earlier state.

A projection that is recomputed from the arrivals equals the node's own, and so does one whose last
half is rewound and applied again. With that half rewound it equals the projection of the first
half. The arrivals that a node holds at the end are those that it showed, in that order. Nodes that
received the same events in different orders show the same causal order, and no reply to a read
contradicted it.
"""

from typing import ClassVar

from lab.checkers.context import CheckContext
from lab.checkers.verdict import CheckerRule, Findings, Verdict, Wants
from lab.trace.kinds import Final, Ok
from lab.trace.trace import Event

RULE = CheckerRule(
    "C10",
    "reversible projections",
    "A projection is a fold of the arrivals: folded anew, rewound, or in another order of arrival, "
    "it is the same.",
)


class Reversible:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._found = Findings(RULE)
        self._reads: list[Event] = []
        self._refolded = 0

    def wants(self) -> Wants:
        return {Ok: self._on_ok}

    def _on_ok(self, event: Event) -> None:
        assert type(event.data) is Ok
        if event.data.seen:
            self._reads.append(event)

    def verdict(self) -> Verdict:
        history = self._history
        for node, event in history.finals.items():
            data = event.data
            assert type(data) is Final
            self._judge_fold(event, data)
            if history.lean:
                continue
            view = history.views.get(node)
            if tuple(view.order if view else ()) != data.arrivals:
                self._found.add(f"{node} holds another history than it showed", event.seq)
        orders = {} if history.lean else history.causal_orders()
        for event in orders.values():
            assert type(event.data) is Final
            if sorted(event.data.causal) != sorted(event.data.arrivals):
                self._found.add(f"{event.node}'s causal order is not of its arrivals", event.seq)
        places = [({ref: at for at, ref in enumerate(order)}, one) for order, one in orders.items()]
        if places:
            self._judge_orders(places)
        figures: dict[str, int | float] = {"refolded": self._refolded, "reads": len(self._reads)}
        unknown = history.nothing()
        if not unknown and not self._refolded and not history.lean:
            unknown = "no projection was folded anew"
        passed = f"{self._refolded} nodes folded anew, {len(self._reads)} reads in one order"
        return self._found.verdict(figures, passed, unknown)

    def _judge_fold(self, event: Event, data: Final) -> None:
        if not data.timeline_again:
            return
        self._refolded += 1
        timeline = {data.timeline, data.timeline_again, data.timeline_back}
        presence = {data.presence, data.presence_again, data.presence_back}
        for name, prints in (("timeline", timeline), ("presence", presence)):
            if len(prints) > 1:
                self._found.add(f"{event.node}'s {name} is no fold of its arrivals", event.seq)
        halves = (
            ("timeline", data.timeline_half, data.timeline_half_again),
            ("presence", data.presence_half, data.presence_half_again),
        )
        for name, undone, again in halves:
            if undone != again:
                reason = f"{event.node}'s {name}, half of it undone, is not the other half folded"
                self._found.add(reason, event.seq)

    def _judge_orders(self, places: list[tuple[dict[str, int], Event]]) -> None:
        (first, final), *others = places
        for order, event in others:
            if not _rises(list(order), first):
                self._found.add(
                    f"{event.node} and {final.node} show one history in two orders",
                    event.seq,
                    final.seq,
                )
        for read in self._reads:
            assert type(read.data) is Ok
            if not _rises(read.data.seen, first):
                self._found.add(
                    f"a reader at {read.node} was shown another order than {final.node} shows",
                    read.seq,
                    final.seq,
                )


def _rises(order: list[str] | tuple[str, ...], places: dict[str, int]) -> bool:
    """What both have stands in the same order in both. Repetitions are C4's."""
    at = [places[ref] for ref in order if ref in places]
    return at == sorted(at)
