"""C12: nodes make progress, and do not waste packets.

- A live node that knows of missing events always has a timer set.
- Useless traffic ends. If a node is answered with entries again and again and stores none of them,
  it must tell its peers so often enough, and they must stop (`useless_max`), at any time, also
  under faults. This counts answers, because the question says whether the asker can store anything.
  It does not count pushes, because they may come from a peer that receives nothing from this node.
  A node knows that it cannot store entries only after a write has failed, so counting begins later
  (`useless_us`).
- Every request is answered (`answer_us`): at the end of the run no op has been in flight for
  longer. In a run without faults no op is answered only because its time was over. If nodes do not
  sync by themselves (`syncs`), this holds for acks of level `written` only.
- Once no node changes any more, rounds find nothing. Packets that are sent later than `calm_us`
  after the last change are questions (Syn) or the answer that both sides are equal; a digest, a
  delta or a rumor would be repeated for ever. From then on the rates of packets, bytes and rounds
  must be within those of idle nodes.
- Before that the number of packets per event is bounded (`packets_per_event`).

A rule is judged if its limit is set in `Thresholds`; the figures are reported in any case.
"""

from bisect import bisect_right
from operator import attrgetter
from typing import ClassVar

from lab.checkers.context import CheckContext
from lab.checkers.verdict import CheckerRule, Figures, Findings, Verdict, Wants
from lab.trace.kinds import Boot, Final, Got, Handed, Info, Invoke, Sent, Totals, Unwritten, Written
from lab.trace.trace import Event

RULE = CheckerRule(
    "C12",
    "progress and traffic",
    "Whoever lacks something has a timer that will ask for it, and whoever lacks nothing is calm.",
)
WAKE_MS_MAX = 60_000  # a timer further away than this is none
IDLE = frozenset({"Syn", "Same"})  # what is sent where nothing is new

_NEVER = 1 << 62

_seq = attrgetter("seq")
_t_us = attrgetter("t_us")


class Progress:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._limits = case.limits
        self._found = Findings(RULE)
        self._loads: set[int] = set()  # packets with entries, by the seq of their sending
        # By node: when packets with entries came, in us, since it took an entry; and those that
        # came before what it takes and has not written.
        self._useless: dict[str, list[int]] = {}
        self._owed: dict[str, list[int]] = {}
        self._useless_max = 0
        self._taking: dict[str, int] = {}  # by node: the first record not written, from elsewhere
        self._overdue: list[Event] = []  # ops that were answered by their time alone

    def wants(self) -> Wants:
        return {
            Sent: self._on_sent,
            Got: self._on_got,
            Handed: self._on_handed,
            Written: self._on_written,
            Unwritten: self._on_unwritten,
            Boot: self._on_boot,
            Info: self._on_info,
        }

    def _on_info(self, event: Event) -> None:
        """An answer that says nothing."""
        data = event.data
        assert type(data) is Info
        invoke = self._history.invokes.get(data.op)
        if not self._limits.answer_us or invoke is None:
            return
        if data.code == "ack_timeout":
            assert type(invoke.data) is Invoke
            if self._limits.syncs or invoke.data.ack == "written":
                self._overdue.append(event)
        elif data.code == "end" and event.t_us - invoke.t_us > self._limits.answer_us:
            reason = f"op {data.op} was not answered at {event.node}, which is up"
            self._found.add(reason, event.seq, invoke.seq)

    # --- what a node is given, and takes --------------------------------------------------------

    def _on_sent(self, event: Event) -> None:
        data = event.data
        assert type(data) is Sent
        if data.entries:
            self._loads.add(event.seq)

    def _on_got(self, event: Event) -> None:
        assert type(event.data) is Got
        if event.cause not in self._loads or event.data.body == "Push":
            return
        node = event.node
        limits, came = self._limits, self._useless.setdefault(node, [])
        came.append(event.t_us)
        if not limits.useless_us:
            useless = len(came)
        else:  # the sender has had time to learn that the node can store none
            useless = len(came) - bisect_right(came, came[0] + limits.useless_us)
        if useless > self._useless_max:
            self._useless_max = useless
            if limits.useless_max and useless > limits.useless_max:
                reason = f"{node} was sent entries {useless} times in a row, and took none"
                self._found.add(reason, event.seq)

    def _on_handed(self, event: Event) -> None:
        assert type(event.data) is Handed
        node = event.node
        if event.data.via != "local":
            self._taking.setdefault(node, event.data.number)
            # What it takes is of use, unless it cannot be written: then it never was.
            self._owed.setdefault(node, []).extend(self._useless.pop(node, ()))

    def _on_written(self, event: Event) -> None:
        assert type(event.data) is Written
        if self._taking.get(event.node, _NEVER) <= event.data.written:
            del self._taking[event.node]
            self._forget(event.node)

    def _on_unwritten(self, event: Event) -> None:
        assert type(event.data) is Unwritten
        node = event.node
        if self._taking.get(node, 0) > event.data.kept:
            del self._taking[node]
            self._useless[node] = self._owed.pop(node, []) + self._useless.get(node, [])

    def _on_boot(self, event: Event) -> None:
        self._forget(event.node)
        self._taking.pop(event.node, None)

    def _forget(self, node: str) -> None:
        self._useless.pop(node, None)
        self._owed.pop(node, None)

    # --- the end --------------------------------------------------------------------------------

    def verdict(self) -> Verdict:
        history = self._history
        totals = None if history.totals is None else history.totals.data
        if type(totals) is Totals and not totals.enabled:
            for event in self._overdue:
                reason = f"{event.node} kept no promise in time, though nothing went wrong"
                self._found.add(reason, event.seq)
        for node, event in history.finals.items():
            data = event.data
            assert type(data) is Final
            if data.missing and data.wake_ms > WAKE_MS_MAX and len(history.nodes) > 1:
                self._found.add(
                    f"{node} lacks {data.missing} events and waits for nothing", event.seq
                )
        figures: Figures = {"useless_max": self._useless_max}
        unknown = history.nothing()
        if not unknown and history.settled and not history.lean:
            figures |= self._traffic()
        passed = "nobody is stuck"
        if "idle_packets_s" in figures:
            passed = f"{passed}; {figures['idle_packets_s']:.1f} packets/s of a node once all agree"
        return self._found.verdict(figures, passed, unknown)

    def _traffic(self) -> Figures:
        history, limits = self._history, self._limits
        sent = history.sent
        last = self._agreed()
        split = bisect_right(sent, last.seq, key=_seq)
        entries = 0
        for event in sent:
            assert type(event.data) is Sent
            entries += event.data.entries
        figures: Figures = {"packets": len(sent), "entries_sent": entries}
        figures |= self._idle(sent, max(last.t_us, self._healed_us()) + limits.calm_us)
        if history.exists:
            each = split / len(history.exists) / len(history.nodes)
            figures["packets_per_event"] = each
            if limits.packets_per_event and each > limits.packets_per_event:
                reason = f"{each:.1f} packets for each event and node"
                declared = f"{limits.packets_per_event:g} are declared"
                self._found.add(f"{reason}; {declared}", sent[split - 1].seq)
        return figures

    def _idle(self, sent: list[Event], calm_us: int) -> Figures:
        """What is sent from this time on, when nothing changes any more."""
        limits = self._limits
        late = sent[bisect_right(sent, calm_us, key=_t_us) :]
        rounds = size = 0
        for event in late:
            assert type(event.data) is Sent
            body = event.data.body
            rounds += body == "Syn"
            size += event.bytes or 0
            if limits.calm_us and body not in IDLE:
                after_s = limits.calm_us / 1e6
                reason = f"{event.node} sends {event.peer} a {body}, though nothing has changed"
                self._found.add(f"{reason} for {after_s:.1f} s", event.seq)
        figures: Figures = {}
        idle_us = self._history.phases["end"].t_us - calm_us
        if idle_us < limits.idle_us_min:
            return figures
        share = idle_us / 1e6 * len(self._history.finals)
        for what, count, most in (
            ("packets", len(late), limits.idle_packets_s),
            ("bytes", size, limits.idle_bytes_s),
            ("rounds", rounds, limits.idle_rounds_s),
        ):
            rate = figures[f"idle_{what}_s"] = count / share
            if most and rate > most:
                reason = f"{rate:.1f} {what}/s of a node, though all agree"
                self._found.add(f"{reason}; {most:g} are declared", late[-1].seq)
        return figures

    def _healed_us(self) -> int:
        phases = self._history.phases
        return phases.get("heal", phases["liveness"]).t_us

    def _agreed(self) -> Event:
        """The event after which nothing changed in any live node, in the phase of liveness."""
        history = self._history
        changes = [history.grown[node] for node in history.finals if node in history.grown]
        return max([history.phases["liveness"], *changes], key=_seq)
