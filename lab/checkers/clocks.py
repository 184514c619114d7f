"""C16: whatever the clocks of the machines show, stamps never contradict causality.

- A node's own stamps rise: within a life, and above those that a restart recovers from the disk.
- An event's stamp is larger than its parents' stamps, unless a parent's was too far in the future
  for the node to follow it.
- Both rules exempt stamps that are more than a day ahead of the node's clock when it stamps
  (`Thresholds.stamp_far_ms`): only a wrong clock makes them, and a node continues below them.
- No stamp is ahead of every clock so far. Clocks are known at records and starts; between them the
  check allows for the clock faults of the plan.
- A stamp of another node is marked as skewed, and not followed, exactly if it is too far ahead of
  the receiver's clock (`Thresholds.stamp_ahead_ms`).
- The causal order follows the stamps, and not the times of arrival.

The verdicts of C1 to C10 show whether these promises hold under clock faults, too.
"""

from typing import ClassVar

import msgspec
from msgspec import Struct

from lab.checkers.context import CheckContext
from lab.checkers.verdict import CheckerRule, Figures, Findings, Verdict, Wants
from lab.trace.kinds import Boot, Handed, Run, Visible
from lab.trace.trace import Event, dot_of

RULE = CheckerRule(
    "C16",
    "clock independence",
    "Stamps rise with causality and never run ahead of all clocks; they alone give the order.",
)
_Stamp = tuple[int, int]


class _What(Struct, frozen=True):
    what: str = ""
    by_ms: int = 0
    ppm: int = 0


class _Timed(Struct, frozen=True):
    fault: _What = _What()


class _Options(Struct, frozen=True):
    """The part of a run's options that matters here."""

    faults: tuple[_Timed, ...] = ()


class Clocks:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._slack_ms = case.limits.stamp_slack_ms
        self._stamp_far_ms = case.limits.stamp_far_ms
        self._stamp_ahead_ms = case.limits.stamp_ahead_ms
        self._ppm = 0
        self._found = Findings(RULE)
        self._stamps: dict[str, _Stamp] = {}  # by ref
        self._refs: dict[str, str] = {}  # by dot; "": a fork, so the branch is not known
        self._last: dict[str, _Stamp] = {}  # own, by node
        self._received: dict[str, dict[str, int]] = {}  # by node and ref: its clock then
        self._back: set[str] = set()  # own, given back by others: too far ahead, perhaps
        self._ahead_us: int | None = None  # the clock furthest ahead, against true time
        self._own = 0

    def wants(self) -> Wants:
        return {
            Run: self._on_run,
            Handed: self._on_handed,
            Visible: self._on_visible,
            Boot: self._on_boot,
        }

    def _on_run(self, event: Event) -> None:
        assert type(event.data) is Run
        try:
            options = msgspec.json.decode(event.data.options, type=_Options)
        except msgspec.MsgspecError:
            return  # of a form that tells nothing of clocks
        for timed in options.faults:
            self._slack_ms += abs(timed.fault.by_ms)
            self._ppm += abs(timed.fault.ppm)

    def _on_handed(self, event: Event) -> None:
        data = event.data
        assert type(data) is Handed
        ahead_us = data.wall_ms * 1000 - event.t_us
        if self._ahead_us is None or ahead_us > self._ahead_us:
            self._ahead_us = ahead_us
        if data.via != "local":
            received = self._received.get(event.node)
            if received is None:
                received = self._received[event.node] = {}
            received[data.ref] = data.wall_ms
            if data.via == "recovery":
                self._back.add(data.ref)
        if data.ref in self._stamps:
            return
        facts = data.facts
        stamp = self._stamps[data.ref] = (facts.stamp_ms, facts.stamp_counter)
        dot = dot_of(data.ref)
        self._refs[dot] = "" if dot in self._refs else data.ref
        if data.via == "local":
            self._own += 1
            self._judge(event, data, stamp)

    def _judge(self, event: Event, data: Handed, stamp: _Stamp) -> None:
        node = event.node
        last = self._last.get(node)
        far_ms = data.wall_ms + self._stamp_far_ms
        if last is not None and stamp <= last and last[0] <= far_ms:
            self._found.add(f"{data.ref} is not stamped after {node}'s last event", event.seq)
        self._last[node] = stamp
        for dot in data.facts.parents:
            ref = self._refs.get(dot)
            if not ref or self._is_skewed(node, ref):
                continue
            if stamp <= self._stamps[ref] and self._stamps[ref][0] <= far_ms:
                self._found.add(
                    f"{data.ref} is not stamped after its parent {dot}",
                    event.seq,
                    self._history.first_handed[ref].seq,
                )
        assert self._ahead_us is not None
        drifted_ms = event.t_us * self._ppm // 1_000_000_000
        bound_ms = (event.t_us + self._ahead_us) // 1000 + self._slack_ms + drifted_ms
        if stamp[0] > bound_ms:
            reason = f"{data.ref} is stamped {stamp[0] - bound_ms} ms ahead of every clock"
            self._found.add(reason, event.seq)

    def _is_skewed(self, node: str, ref: str) -> bool:
        """Also one that becomes visible in this turn, which is told after what is handed out."""
        if (node, ref) in self._history.skewed:
            return True
        wall_ms = self._received.get(node, {}).get(ref)
        return wall_ms is not None and self._stamps[ref][0] - wall_ms > self._stamp_ahead_ms

    def _on_visible(self, event: Event) -> None:
        data = event.data
        assert type(data) is Visible
        wall_ms = self._received.get(event.node, {}).get(data.ref)
        if wall_ms is None or data.via == "local":
            return
        ahead_ms = self._stamps[data.ref][0] - wall_ms
        if data.skewed != (ahead_ms > self._stamp_ahead_ms):
            what = "does not follow" if data.skewed else "follows"
            reason = f"{event.node} {what} the stamp of {data.ref}, {ahead_ms} ms ahead of it"
            self._found.add(reason, event.seq)

    def _on_boot(self, event: Event) -> None:
        data = event.data
        assert type(data) is Boot
        if data.wall_ms:
            ahead_us = data.wall_ms * 1000 - event.t_us
            if self._ahead_us is None or ahead_us > self._ahead_us:
                self._ahead_us = ahead_us
        # No node knows any more what was taken back or lost.
        own = [
            self._stamps[name]
            for name in data.recovered
            if name in self._stamps and name.startswith(event.node + ".") and name not in self._back
        ]
        self._last.pop(event.node, None)
        if own:
            self._last[event.node] = max(own)

    def verdict(self) -> Verdict:
        for order, event in self._history.causal_orders().items():
            stamps = [self._stamps[ref] for ref in order if ref in self._stamps]
            if stamps != sorted(stamps):
                self._found.add(f"{event.node}'s causal order is not that of stamps", event.seq)
        figures: Figures = {"own_events": self._own}
        unknown = "" if self._own else "no event was ever stamped"
        return self._found.verdict(figures, f"{self._own} stamps follow causality", unknown)
