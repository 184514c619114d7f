"""C12: progress, and what it costs.

No live node that knows of something missing sleeps without a timer. Once all agree, traffic falls
to the declared idle rate; before that no storm of packets goes on. The two rates are judged where
they are declared (`Limits`), and told in any case.
"""

from bisect import bisect_right
from operator import attrgetter
from typing import ClassVar

from lab.checkers.case import Case
from lab.checkers.verdict import Figures, Findings, Rule, Verdict, Wants
from lab.kinds import Final, Sent
from lab.trace import Event

RULE = Rule(
    "C12",
    "progress and traffic",
    "Whoever lacks something has a timer that will ask for it, and whoever lacks nothing is calm.",
)
WAKE_MS_MAX = 60_000  # a timer further away than this is none

_seq = attrgetter("seq")


class Progress:
    rule: ClassVar[Rule] = RULE

    def __init__(self, case: Case) -> None:
        self._history = case.history
        self._limits = case.limits
        self._found = Findings(RULE)

    def wants(self) -> Wants:
        return {}

    def verdict(self) -> Verdict:
        history = self._history
        for node, event in history.finals.items():
            data = event.data
            assert type(data) is Final
            if data.missing and data.wake_ms > WAKE_MS_MAX and len(history.nodes) > 1:
                self._found.add(
                    f"{node} lacks {data.missing} events and waits for nothing", event.seq
                )
        figures: Figures = {}
        unknown = history.nothing()
        if not unknown and history.settled and not history.lean:
            figures = self._traffic()
        passed = "nobody is stuck"
        if "idle_packets_s" in figures:
            passed = f"{passed}; {figures['idle_packets_s']:.1f} packets/s of a node once all agree"
        return self._found.verdict(figures, passed, unknown)

    def _traffic(self) -> Figures:
        history, limits = self._history, self._limits
        sent, live = history.sent, len(history.finals)
        calm = self._agreed()
        end_us = history.phases["end"].t_us
        split = bisect_right(sent, calm.seq, key=_seq)
        entries = 0
        for event in sent:
            assert type(event.data) is Sent
            entries += event.data.entries
        figures: Figures = {"packets": len(sent), "entries_sent": entries}
        if end_us - calm.t_us >= 1_000_000:
            seconds = (end_us - calm.t_us) / 1e6 * live
            rate = figures["idle_packets_s"] = (len(sent) - split) / seconds
            figures["idle_bytes_s"] = sum([one.bytes or 0 for one in sent[split:]]) / seconds
            if limits.idle_packets_s and rate > limits.idle_packets_s:
                reason = f"{rate:.1f} packets/s of a node, though all agree"
                self._found.add(f"{reason}; {limits.idle_packets_s:g} are declared", sent[-1].seq)
        if history.exists:
            each = split / len(history.exists) / len(history.nodes)
            figures["packets_per_event"] = each
            if limits.packets_per_event and each > limits.packets_per_event:
                reason = f"{each:.1f} packets for each event and node"
                declared = f"{limits.packets_per_event:g} are declared"
                self._found.add(f"{reason}; {declared}", sent[split - 1].seq)
        return figures

    def _agreed(self) -> Event:
        """The event after which nothing changed in any live node, in the phase of liveness."""
        history = self._history
        changes = [history.grown[node] for node in history.finals if node in history.grown]
        return max([history.phases["liveness"], *changes], key=_seq)
