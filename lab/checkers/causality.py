"""C7: causes and effects.

chatlab does not hold events back: an effect may be shown before its cause, and the timeline says
what is missing. So out-of-order showings are counted and broken rules are these:

- where a strategy claims causal delivery (`Limits.causal`), each of them is one;
- in the causal order no event stands above one of its parents, unless the parent's stamp was so
  far in the future that its child's author did not follow it;
- a timeline says that it has holes exactly if it has;
- an event names as a parent the newest stranger that its node showed since its last own event, for
  what is not named cannot be missed.
"""

from lab.checkers.case import Case
from lab.checkers.verdict import Findings, Rule, Verdict, Wants
from lab.kinds import Boot, Final, Handed, Visible
from lab.trace import Event, dot_of, origin_of

RULE = Rule(
    "C7",
    "causes first",
    "No answer stands above its question in the causal order, and what is missing is known.",
)
_NOTHING: tuple[int, tuple[str, ...]] = (-1, ())


class Causality:
    rule = RULE

    def __init__(self, case: Case) -> None:
        self._history = case.history
        self._claimed = case.limits.causal
        self._found = Findings(RULE)
        self._dots: dict[str, str] = {}  # by ref
        self._causes: dict[str, tuple[str, ...]] = {}  # by ref: dots
        self._places: dict[str, tuple[str, str, int]] = {}  # by ref: origin, log, seq
        self._shown: dict[str, set[str]] = {}  # by node: dots
        self._newest: dict[str, tuple[str, int]] = {}  # by node: of others, not named yet: log, seq
        self._named: dict[str, tuple[int, tuple[str, ...]]] = {}  # by node: when, and what
        self._showings = 0
        self._early = 0
        self._forgotten = 0

    def wants(self) -> Wants:
        return {Handed: self._on_handed, Visible: self._on_visible, Boot: self._on_boot}

    def _on_handed(self, event: Event) -> None:
        data = event.data
        assert type(data) is Handed
        if data.ref not in self._dots:
            dot = self._dots[data.ref] = dot_of(data.ref)
            log, _, number = dot.rpartition(":")
            seq, causes = int(number), data.facts.parents
            if seq > 1:
                causes = (*causes, f"{log}:{seq - 1}")
            self._causes[data.ref] = causes
            self._places[data.ref] = (origin_of(data.ref), log, seq)
            if data.via == "local":
                self._on_own(event, data)

    def _on_own(self, event: Event, data: Handed) -> None:
        parents = data.facts.parents
        at_us, named = self._named.get(event.node, (-1, ()))
        # Own events of one turn are told before what the turn shows.
        self._named[event.node] = (event.t_us, parents + named if at_us == event.t_us else parents)
        newest = self._newest.pop(event.node, None)
        if newest is not None and not _names(parents, *newest):
            reason = f"{data.ref} does not name {newest[0]}:{newest[1]}, which its node had shown"
            self._found.add(reason, event.seq)

    def _on_visible(self, event: Event) -> None:
        data = event.data
        assert type(data) is Visible
        ref, node = data.ref, event.node
        dot = self._dots.get(ref)
        if dot is None:
            return  # nobody told what it says: a lean trace, or a phantom
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
        if origin != node:
            if not _names(self._named.get(node, _NOTHING)[1], log, seq):
                self._newest[node] = (log, seq)
        elif data.via == "recovery":
            # An own one of old, in a log that is closed, may have named it. The next own event does
            # not name that one either: what it knew is forgotten, which is counted.
            self._forgotten += self._newest.pop(node, None) is not None

    def _on_boot(self, event: Event) -> None:
        assert type(event.data) is Boot
        self._newest.pop(event.node, None)
        self._named.pop(event.node, None)
        self._shown[event.node] = {dot_of(ref) for ref in event.data.arrivals}

    # --- the end --------------------------------------------------------------------------------

    def verdict(self) -> Verdict:
        orders: dict[tuple[str, ...], Event] = {}
        for node, event in self._history.finals.items():
            assert type(event.data) is Final
            orders.setdefault(event.data.causal, event)
            if not self._history.lean:
                self._judge_holes(node, event)
        for order, event in orders.items():
            self._judge_order(order, event)
        figures: dict[str, int | float] = {"showings": self._showings, "early": self._early}
        figures["forgotten_parents"] = self._forgotten
        if self._showings:
            figures["early_share"] = self._early / self._showings
        passed = f"{self._early} of {self._showings} showings came before a cause"
        unknown = "" if self._showings else "nothing was shown of which the causes are known"
        return self._found.verdict(figures, passed, unknown)

    def _judge_order(self, order: tuple[str, ...], event: Event) -> None:
        dots = self._dots
        skewed = {(node, dot_of(ref)) for node, ref in self._history.skewed}
        known = [ref for ref in order if ref in dots]
        place = {dots[ref]: at for at, ref in reversed(list(enumerate(known)))}
        for at, ref in enumerate(known):
            for cause in self._causes[ref]:
                if place.get(cause, -1) > at and (origin_of(ref), cause) not in skewed:
                    self._found.add(f"{event.node} shows {ref} above its cause {cause}", event.seq)
                    return

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


def _names(parents: tuple[str, ...], log: str, seq: int) -> bool:
    """Itself, or a later one of its log, which is a chain."""
    for parent in parents:
        named, _, number = parent.rpartition(":")
        if named == log and int(number) >= seq:
            return True
    return False
