"""C8: the session guarantees of Terry et al. 1994 hold for sessions that use one node only.

Read your writes: a read shows the session's own acknowledged events. Monotonic reads: a read shows
everything that the read before it showed. Monotonic writes: the events of a session are shown in
the session's order. Writes follow reads: where an event and events that its session read before
it are shown, they are in that order.

A *sticky* session uses one node only. All four guarantees hold for it, across restarts too, because
an acknowledged event is as safe as the node's durability says. Events that a disk lost with an
excuse are exempt. A *roaming* session has no guarantees; its violations are counted.
"""

from typing import ClassVar

from lab.checkers.context import CheckContext
from lab.checkers.verdict import CheckerRule, Findings, Verdict, Wants
from lab.trace.kinds import Boot, Invoke, Ok
from lab.trace.trace import Event

RULE = CheckerRule(
    "C8",
    "session guarantees",
    "A session that stays at one node reads its writes, never sees less than before, and finds its "
    "events in its order.",
)


class _Session:
    """Mutable."""

    def __init__(self) -> None:
        self.nodes: set[str] = set()
        self.written: dict[str, int] = {}  # own acknowledged refs, by the seq of the answer
        self.read: frozenset[str] = frozenset()  # what the last read showed
        self.wrote: list[tuple[str, frozenset[str]]] = []  # own refs, and what had been read


class SessionGuarantees:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._disks = case.disks
        self._found = Findings(RULE)
        self._sessions: dict[str, _Session] = {}
        self._surprised = {"own": 0, "less": 0}
        self._reads = 0

    def wants(self) -> Wants:
        return {Invoke: self._on_invoke, Ok: self._on_ok, Boot: self._on_boot}

    def _on_invoke(self, event: Event) -> None:
        assert type(event.data) is Invoke
        name = event.data.session
        session = self._sessions.get(name)
        if session is None:
            session = self._sessions[name] = _Session()
        session.nodes.add(event.node)

    def _on_ok(self, event: Event) -> None:
        data = event.data
        assert type(data) is Ok
        session = self._sessions.get(data.session)
        invoke = self._history.invokes.get(data.op)
        if session is None or invoke is None:
            return
        if data.ref:
            session.written[data.ref] = event.seq
            session.wrote.append((data.ref, session.read))
        assert type(invoke.data) is Invoke
        if invoke.data.action == "read":
            self._on_read(event, session, frozenset(data.seen))

    def _on_read(self, event: Event, session: _Session, seen: frozenset[str]) -> None:
        self._reads += 1
        sticky = len(session.nodes) == 1
        own = session.written.keys() - seen
        less = session.read - seen
        if sticky:
            name = event.data.session if type(event.data) is Ok else ""
            for ref in sorted(own):
                reason = f"{name} at {event.node} does not read its own {ref}"
                self._found.add(reason, event.seq, session.written[ref])
            if less:
                reason = f"{name} at {event.node} no longer reads {min(less)}"
                self._found.add(reason, event.seq)
        else:
            self._surprised["own"] += bool(own)
            self._surprised["less"] += bool(less)
        for ref in own:
            del session.written[ref]  # told
        session.read = seen

    def _on_boot(self, event: Event) -> None:
        """What the disk lost with an excuse is owed to nobody any more."""
        data = event.data
        assert type(data) is Boot
        disk = self._disks.disk(event.node)
        lost = {ref for ref, loss in disk.losses.items() if loss.excuse}
        if self._history.lean:  # which does not tell what was written
            lost = set(self._history.exists)
        lost -= set(data.arrivals)
        if not lost:
            return
        for session in self._sessions.values():
            if event.node in session.nodes:
                for ref in session.written.keys() & lost:
                    del session.written[ref]
                session.read -= lost
                session.wrote = []  # the clock that ordered them may be gone as well

    # --- orders ---------------------------------------------------------------------------------

    def verdict(self) -> Verdict:
        for order, event in self._history.causal_orders().items():
            place = {ref: at for at, ref in enumerate(order)}
            for name, session in self._sessions.items():
                if len(session.nodes) == 1:
                    self._judge_order(name, session, place, event)
        sticky = sum(len(one.nodes) == 1 for one in self._sessions.values())
        figures: dict[str, int | float] = {
            "sessions": len(self._sessions),
            "sticky": sticky,
            "reads": self._reads,
            "roaming_own_missing": self._surprised["own"],
            "roaming_went_back": self._surprised["less"],
        }
        passed = (
            f"{sticky} of {len(self._sessions)} sessions stayed at a node and were not surprised"
        )
        unknown = "" if self._sessions else "nobody asked anything"
        return self._found.verdict(figures, passed, unknown)

    def _judge_order(
        self, name: str, session: _Session, place: dict[str, int], event: Event
    ) -> None:
        before = -1
        (home,) = session.nodes
        skewed = self._history.skewed
        for ref, read in session.wrote:
            at = place.get(ref)
            if at is None:
                continue
            if at < before:
                self._found.add(
                    f"{event.node} shows {ref} above what {name} said before",
                    event.seq,
                    session.written.get(ref),
                )
                return
            before = at
            if any(place.get(one, -1) > at for one in read if (home, one) not in skewed):
                reason = f"{event.node} shows {ref} above what {name} had read"
                self._found.add(reason, event.seq, session.written.get(ref))
                return
