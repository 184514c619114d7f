"""C13: how failure detection performs. It gives figures, and one optional rule.

Detection time: from the end of a life to the first suspicion by each other node. False suspicions:
those of a node that runs; partitions cause them, and they are no violation. The rule applies if
`Thresholds.unsuspected_us` is set: a node that has run without faults for that long is suspected by
no other.
"""

from typing import ClassVar

from lab.checkers.context import CheckContext
from lab.checkers.verdict import CheckerRule, Figures, Findings, Verdict, Wants
from lab.trace.kinds import Boot, Crash, Note, Paused, Resumed, Stopped
from lab.trace.trace import Event

RULE = CheckerRule(
    "C13",
    "presence",
    "How soon the dead are suspected and how often the living are; judged only within a bound.",
    required=False,
)


class PresenceFigures:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._limit_us = case.limits.unsuspected_us
        self._found = Findings(RULE)
        self._suspects: dict[str, dict[str, Event]] = {}  # by observer, by peer: since
        self._gone: dict[str, int] = {}  # down or standing still, since
        self._back: dict[str, int] = {}
        self._delays: list[int] = []
        self._returns: list[int] = []
        self._false = 0

    def wants(self) -> Wants:
        return {
            Note: self._on_note,
            Boot: self._on_boot,
            Resumed: self._on_back,
            Crash: self._on_gone,
            Stopped: self._on_gone,
            Paused: self._on_gone,
        }

    def _on_gone(self, event: Event) -> None:
        self._gone.setdefault(event.node, event.t_us)

    def _on_back(self, event: Event) -> None:
        if event.node in self._gone:
            del self._gone[event.node]
            self._back[event.node] = event.t_us

    def _on_boot(self, event: Event) -> None:
        self._suspects[event.node] = {}
        self._on_back(event)

    def _on_note(self, event: Event) -> None:
        data = event.data
        assert type(data) is Note
        if not data.event.startswith("peer_"):
            return
        peer = str(data.fields.get("peer", ""))
        suspects = self._suspects.setdefault(event.node, {})
        if data.event == "peer_alive":
            since = suspects.pop(peer, None)
            if since is not None and peer in self._back:
                self._returns.append(event.t_us - max(self._back[peer], since.t_us))
        elif peer not in suspects:
            suspects[peer] = event
            if peer in self._gone:
                self._delays.append(event.t_us - self._gone[peer])
            elif peer in self._history.views:
                self._false += 1

    def verdict(self) -> Verdict:
        history = self._history
        at_end = 0
        heal = history.phases.get("heal")
        end = history.phases.get("end")
        for observer, suspects in self._suspects.items():
            for peer, since in suspects.items():
                if observer in history.finals and peer in history.finals:
                    at_end += 1
                    if heal is None or end is None or not self._limit_us:
                        continue
                    peace_us = end.t_us - max(since.t_us, heal.t_us, self._back.get(peer, 0))
                    if peace_us > self._limit_us:
                        reason = f"{observer} still suspects {peer}, {peace_us / 1e6:.1f} s on"
                        self._found.add(reason, since.seq)
        hours = (end.t_us if end else 0) / 3.6e9 * len(history.nodes)
        figures: Figures = {
            "found_out": len(self._delays),
            "false_suspicions": self._false,
            "suspected_at_end": at_end,
        }
        if hours:
            figures["false_per_node_hour"] = self._false / hours
        if self._delays:
            figures["found_out_us_mean"] = sum(self._delays) / len(self._delays)
            figures["found_out_us_max"] = max(self._delays)
        if self._returns:
            figures["cleared_us_max"] = max(self._returns)
        unknown = "" if history.views else "no node ever started"
        passed = f"{len(self._delays)} ends found out, {self._false} false suspicions"
        return self._found.verdict(figures, passed, unknown)
