"""The run history collects the facts of a run that several checkers need, so that each is computed
once.

It judges nothing. It takes each event before the checkers do, so its contents include the event
that a checker is looking at.
"""

from lab.checkers.verdict import Wants
from lab.trace.kinds import (
    Boot,
    Crash,
    Fail,
    Faulted,
    Final,
    Fired,
    Handed,
    Info,
    Invoke,
    Ok,
    Phase,
    Run,
    Sent,
    StartRefused,
    Stopped,
    Totals,
    Visible,
)
from lab.trace.trace import Event, log_opened


class NodeHistory:
    """What one life of a node shows: refs in the order of arrival. Mutable."""

    __slots__ = ("boot", "order", "refs")

    def __init__(self, boot: Event | None, order: tuple[str, ...] = ()) -> None:
        self.boot = boot
        self.order = list(order)
        self.refs = set(order)


class RunHistory:
    """Mutable."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.phases: dict[str, Event] = {}
        self.invokes: dict[int, Event] = {}  # by op
        self.answers: dict[int, Event] = {}  # by op: the first
        self.answered_twice: list[Event] = []
        self.acked: dict[str, Event] = {}  # by ref
        self.made: dict[str, Event] = {}  # by ref: handed out where it was posted
        self.first_handed: dict[str, Event] = {}  # by ref, wherever
        self.exists: dict[str, Event] = {}  # by ref: where it was first shown or recovered
        self.op_of: dict[str, int] = {}  # by ref: the op that asked for it
        self.ref_of: dict[int, str] = {}  # by op: what it made first
        self.views: dict[str, NodeHistory] = {}  # by node: its life now, or its last one
        self.up: set[str] = set()
        self.boots: list[Event] = []
        self.ends: list[Event] = []  # crash, stop
        self.refused: dict[str, Event] = {}  # by node: its last failed start
        self.finals: dict[str, Event] = {}
        self.faults: list[Event] = []
        self.fired: list[Event] = []
        self.totals: Event | None = None
        self.sent: list[Event] = []
        self.skewed: set[tuple[str, str]] = set()  # node, ref: its stamp was not followed there
        self.grown: dict[str, Event] = {}  # by node: the last event that added to its view

    def wants(self) -> Wants:
        return {
            Run: self._on_run,
            Phase: self._on_phase,
            Faulted: self.faults.append,
            Fired: self.fired.append,
            Totals: self._on_totals,
            Invoke: self._on_invoke,
            Ok: self._on_answer,
            Fail: self._on_answer,
            Info: self._on_answer,
            Handed: self._on_handed,
            Visible: self._on_visible,
            Boot: self._on_boot,
            StartRefused: self._on_refused,
            Crash: self._on_end,
            Stopped: self._on_end,
            Final: self._on_final,
            Sent: self.sent.append,
        }

    # --- what it says of the whole --------------------------------------------------------------

    @property
    def nodes(self) -> tuple[str, ...]:
        if self.run is not None:
            return self.run.nodes
        return tuple(sorted(self.views))

    @property
    def lean(self) -> bool:
        return self.run is not None and self.run.detail == "lean"

    @property
    def settled(self) -> bool:
        """The run came to its end, with a time in which nodes could agree."""
        return "liveness" in self.phases and "end" in self.phases

    def nothing(self) -> str:
        """Why this run shows nothing at all; "" if it does."""
        if not self.invokes:
            return "nothing was asked of any node"
        if not self.finals:
            return "no node lived to the end"
        return ""

    def arrivals(self, node: str) -> tuple[str, ...]:
        """The refs that this node holds at the end, in the order of arrival."""
        data = self.finals[node].data
        assert type(data) is Final
        if self.lean:
            return tuple(self.views[node].order) if node in self.views else ()
        return data.arrivals

    def causal_orders(self) -> dict[tuple[str, ...], Event]:
        """The different causal orders at the end, each with the first Final that shows it."""
        orders: dict[tuple[str, ...], Event] = {}
        for event in self.finals.values():
            assert type(event.data) is Final
            orders.setdefault(event.data.causal, event)
        return orders

    # --- seeing ---------------------------------------------------------------------------------

    def _on_run(self, event: Event) -> None:
        assert type(event.data) is Run
        self.run = event.data

    def _on_phase(self, event: Event) -> None:
        assert type(event.data) is Phase
        self.phases[event.data.name] = event

    def _on_totals(self, event: Event) -> None:
        self.totals = event

    def _on_invoke(self, event: Event) -> None:
        assert type(event.data) is Invoke
        if event.data.op not in self.invokes:
            self.invokes[event.data.op] = event

    def _on_answer(self, event: Event) -> None:
        data = event.data
        assert type(data) is Ok or type(data) is Fail or type(data) is Info
        if data.op in self.answers:
            self.answered_twice.append(event)
            return
        self.answers[data.op] = event
        if type(data) is Ok and data.ref:
            self.acked.setdefault(data.ref, event)

    def _on_handed(self, event: Event) -> None:
        data = event.data
        assert type(data) is Handed
        ref = data.ref
        if ref not in self.first_handed:
            self.first_handed[ref] = event
            if data.via == "local":
                self.made[ref] = event
                if data.op is not None:
                    self.op_of[ref] = data.op
                    self.ref_of.setdefault(data.op, ref)
        elif data.via == "local":
            self.made.setdefault(ref, event)

    def _on_visible(self, event: Event) -> None:
        data = event.data
        assert type(data) is Visible
        ref = data.ref
        view = self.views.get(event.node)
        if view is None:
            view = self.views[event.node] = NodeHistory(None)
        view.order.append(ref)
        view.refs.add(ref)
        self.grown[event.node] = event
        if data.skewed:
            self.skewed.add((event.node, ref))
        if ref not in self.exists:
            self.exists[ref] = event

    def _on_boot(self, event: Event) -> None:
        data = event.data
        assert type(data) is Boot
        self.boots.append(event)
        self.up.add(event.node)
        self.refused.pop(event.node, None)
        self.views[event.node] = NodeHistory(event, data.arrivals)
        self.grown[event.node] = event
        for name in data.skewed:
            self.skewed.add((event.node, name))
        for name in data.recovered:
            if name not in self.exists and not log_opened(name):
                self.exists[name] = event

    def _on_refused(self, event: Event) -> None:
        self.refused[event.node] = event

    def _on_end(self, event: Event) -> None:
        self.ends.append(event)
        self.up.discard(event.node)

    def _on_final(self, event: Event) -> None:
        data = event.data
        assert type(data) is Final
        self.finals[event.node] = event
        for ref in data.arrivals:
            if ref not in self.exists:
                self.exists[ref] = event
