"""C7: the causal order shows causes before effects, and a timeline says what is missing.

chatlab does not hold events back: an effect may be shown before its cause arrives, and then the
timeline reports the cause as missing. So such showings are only counted. These are violations:

- each such showing, if the strategy claims causal delivery (`Thresholds.causal`);
- in the causal order, an event above one of its parents. Exempt are parents with a stamp so far in
  the future that the child's node did not follow it, or goes back behind it (C16). A parent is
  named by its dot. If that is forked, the parent is the branch in the journal of the child's node
  at that time: the other branch may be younger than the child, and then rightly stands below it;
- a timeline that reports holes and has none, or the reverse;
- an event that does not name as a parent the newest event of another node that its node had shown,
  unless an earlier own event named it, or a later one of its log. A cause that is not named would
  not be reported as missing. An own event whose write failed has named nothing; a restart must not
  forget what was named.
"""

from typing import ClassVar

from lab.checkers.context import CheckContext
from lab.checkers.verdict import CheckerRule, Findings, Verdict, Wants
from lab.trace.kinds import Boot, Final, Handed, Unwritten, Visible
from lab.trace.trace import Event, dot_of, origin_of

RULE = CheckerRule(
    "C7",
    "causes first",
    "No answer stands above its question in the causal order, and what is missing is known.",
)


class _Names:
    """The parents that the own events of one node have named. Mutable."""

    def __init__(self) -> None:
        self._own: list[tuple[int, tuple[str, ...]]] = []  # of this life: record, parents
        self._last: dict[str, int] = {}  # by log: the last seq that is named

    def add(self, number: int, parents: tuple[str, ...]) -> None:
        self._own.append((number, parents))
        for parent in parents:
            log, _, seq = parent.rpartition(":")
            self._last[log] = max(self._last.get(log, 0), int(seq))

    def cover(self, log: str, seq: int) -> bool:
        """Itself, or a later one of its log, which is a chain."""
        return self._last.get(log, 0) >= seq

    def take_back(self, kept: int) -> list[str]:
        """Own events after this record never came to be; returns what they alone have named."""
        own, self._own, self._last = self._own, [], {}
        for number, parents in own:
            if number <= kept:
                self.add(number, parents)
        return [
            parent
            for number, parents in own
            for parent in parents
            if number > kept and not self.cover(*_place(parent))
        ]


class Causality:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._disks = case.disks
        self._claimed = case.limits.causal
        self._stamp_far_ms = case.limits.stamp_far_ms
        self._found = Findings(RULE)
        self._dots: dict[str, str] = {}  # by ref
        self._parents: dict[str, tuple[str, ...]] = {}  # by ref: dots
        self._causes: dict[str, tuple[str, ...]] = {}  # the same, and the one before in its log
        self._branches: dict[str, list[str]] = {}  # by dot: refs; several where it is forked
        self._behind: dict[str, list[str]] = {}  # by ref: its causes, as its author's node had them
        self._places: dict[str, tuple[str, str, int]] = {}  # by ref: origin, log, seq
        self._shown: dict[str, set[str]] = {}  # by node: dots
        self._newest: dict[str, tuple[str, int]] = {}  # by node: of others, not named yet: log, seq
        self._named: dict[str, _Names] = {}  # by node
        self._showings = 0
        self._early = 0

    def wants(self) -> Wants:
        return {
            Handed: self._on_handed,
            Unwritten: self._on_unwritten,
            Visible: self._on_visible,
            Boot: self._on_boot,
        }

    def _on_handed(self, event: Event) -> None:
        data = event.data
        assert type(data) is Handed
        if data.ref not in self._dots:
            dot = self._dots[data.ref] = dot_of(data.ref)
            log, _, number = dot.rpartition(":")
            seq, causes = int(number), data.facts.parents
            self._parents[data.ref] = causes
            if seq > 1:
                causes = (*causes, f"{log}:{seq - 1}")
            self._causes[data.ref] = causes
            self._places[data.ref] = (origin_of(data.ref), log, seq)
            self._branches.setdefault(dot, []).append(data.ref)
            if data.via == "local":
                self._behind[data.ref] = self._held(event.node, causes)
                self._on_own(event, data)
        elif data.via == "recovery" and data.ref in self._places:
            self._on_recovered(event.node, data)

    def _held(self, node: str, dots: tuple[str, ...]) -> list[str]:
        """Which events these dots mean to this node: of a fork, the branches in its journal."""
        places = self._disks.disk(node).number_of
        found: list[str] = []
        for dot in dots:
            refs = self._branches.get(dot, ())
            found += refs if len(refs) == 1 else [ref for ref in refs if ref in places]
        return found

    def _on_own(self, event: Event, data: Handed) -> None:
        names = self._names(event.node)
        names.add(data.number, data.facts.parents)
        newest = self._newest.pop(event.node, None)
        if newest is not None and not names.cover(*newest):
            reason = f"{data.ref} does not name {newest[0]}:{newest[1]}, which its node had shown"
            self._found.add(reason, event.seq)

    def _on_recovered(self, node: str, data: Handed) -> None:
        """An own one of old, which may have named it. Its node shows it in the same turn in which
        it gives the next own event to its journal, and the trace tells of that first."""
        names = self._names(node)
        names.add(data.number, self._parents[data.ref])
        newest = self._newest.get(node)
        if newest is not None and names.cover(*newest):
            del self._newest[node]

    def _names(self, node: str) -> _Names:
        found = self._named.get(node)
        if found is None:
            found = self._named[node] = _Names()
        return found

    def _on_unwritten(self, event: Event) -> None:
        data = event.data
        assert type(data) is Unwritten
        unnamed = self._names(event.node).take_back(data.kept)
        strangers = [one for one in unnamed if origin_of(one) != event.node]
        if strangers:
            self._newest.setdefault(event.node, _place(strangers[-1]))

    def _on_visible(self, event: Event) -> None:
        data = event.data
        assert type(data) is Visible
        ref, node = data.ref, event.node
        dot = self._dots.get(ref)
        if dot is None:
            return  # its content is not in the trace: a lean trace, or a phantom
        shown = self._shown.get(node)
        if shown is None:
            shown = self._shown[node] = set()
        self._showings += 1
        if not shown.issuperset(self._causes[ref]):
            self._early += 1
            if self._claimed:
                missing = next(one for one in self._causes[ref] if one not in shown)
                self._found.add(f"{node} shows {ref} before {missing}", event.seq)
        shown.add(dot)
        origin, log, seq = self._places[ref]
        if origin != node and not self._names(node).cover(log, seq):
            self._newest[node] = (log, seq)

    def _on_boot(self, event: Event) -> None:
        data, node = event.data, event.node
        assert type(data) is Boot
        self._shown[node] = {dot_of(ref) for ref in data.arrivals}
        self._newest.pop(node, None)
        names = self._named[node] = _Names()
        known = [ref for ref in data.arrivals if ref in self._places]
        for ref in known:
            if origin_of(ref) == node:
                names.add(0, self._parents[ref])
        for ref in known:
            origin, log, seq = self._places[ref]
            if origin != node and not names.cover(log, seq):
                self._newest[node] = (log, seq)

    # --- the end --------------------------------------------------------------------------------

    def verdict(self) -> Verdict:
        if not self._history.lean:
            for node, event in self._history.finals.items():
                self._judge_holes(node, event)
        for order, event in self._history.causal_orders().items():
            self._judge_order(order, event)
        figures: dict[str, int | float] = {"showings": self._showings, "early": self._early}
        if self._showings:
            figures["early_share"] = self._early / self._showings
        passed = f"{self._early} of {self._showings} showings came before a cause"
        unknown = "" if self._showings else "nothing was shown of which the causes are known"
        return self._found.verdict(figures, passed, unknown)

    def _judge_order(self, order: tuple[str, ...], event: Event) -> None:
        skewed = self._history.skewed
        place = {ref: at for at, ref in reversed(list(enumerate(order)))}
        for at, ref in enumerate(order):
            for cause in self._behind.get(ref, ()):
                if place.get(cause, -1) <= at or (origin_of(ref), cause) in skewed:
                    continue
                if not self._is_far(ref, cause):
                    reason = f"{event.node} shows {ref} above its cause {dot_of(cause)}"
                    self._found.add(reason, event.seq)
                    return

    def _is_far(self, ref: str, cause: str) -> bool:
        """Whether the cause was stamped more than a day after the clock that made the effect."""
        effect, before = (
            self._history.first_handed[ref].data,
            self._history.first_handed[cause].data,
        )
        assert type(effect) is Handed and type(before) is Handed
        return before.facts.stamp_ms > effect.wall_ms + self._stamp_far_ms

    def _judge_holes(self, node: str, event: Event) -> None:
        data = event.data
        assert type(data) is Final
        held = {self._dots[ref] for ref in data.arrivals if ref in self._dots}
        gap = ""
        for ref in data.arrivals:
            for cause in self._causes.get(ref, ()):
                if cause not in held:
                    gap = cause
        if bool(gap) != bool(data.holes):
            what = f"lacks {gap} and shows no hole" if gap else "shows a hole and lacks nothing"
            self._found.add(f"{node} {what}", event.seq)


def _place(dot: str) -> tuple[str, int]:
    log, _, seq = dot.rpartition(":")
    return log, int(seq)
