"""C3: no phantom and no fork.

Each event in any log was posted by exactly one op, at the node that its dot names, and says what
was asked for. One dot has one content, at all nodes and at all times. A fork is *declared* where an
older copy of its origin's disk was put back: then it is legitimate, it is counted, and every node
that holds both branches must say that its origin is forked. Nobody is accused of a fork that is
not there.
"""

from lab.checkers.case import Case
from lab.checkers.verdict import Findings, Rule, Verdict, Wants
from lab.kinds import Boot, Final, Handed, Ok
from lab.trace import Event, dot_of, origin_of

RULE = Rule(
    "C3",
    "no phantom, no fork",
    "Every event comes from exactly one op, and one dot names one content everywhere and always.",
)


class Phantoms:
    rule = RULE

    def __init__(self, case: Case) -> None:
        self._history = case.history
        self._found = Findings(RULE)
        self._known: set[str] = set()  # refs that were handed out where they were posted
        self._copied: set[str] = set()  # nodes that went on from an older copy of their disk

    def wants(self) -> Wants:
        return {Handed: self._on_handed, Boot: self._on_boot, Ok: self._on_ok}

    def _on_handed(self, event: Event) -> None:
        data = event.data
        assert type(data) is Handed
        ref = data.ref
        if data.via != "local":
            if ref not in self._known:
                self._known.add(ref)  # once is enough
                self._found.add(f"{ref} came to {event.node}, and nobody posted it", event.seq)
            return
        if ref in self._known:
            self._found.add(f"{ref} was posted twice", event.seq, self._history.made[ref].seq)
            return
        self._known.add(ref)
        if origin_of(ref) != event.node:
            self._found.add(f"{ref} was posted at {event.node}", event.seq)
            return
        if ref not in self._history.makers.op_of:
            self._found.add(f"{ref} was posted at {event.node}, and nobody asked for it", event.seq)

    def _on_boot(self, event: Event) -> None:
        data = event.data
        assert type(data) is Boot
        if data.disk == "older":
            self._copied.add(event.node)
        if self._history.lean:
            return
        for name in data.recovered:
            if name not in self._known and not name.startswith("epoch "):
                self._known.add(name)
                self._found.add(
                    f"{name} is in {event.node}'s journal, and nobody posted it", event.seq
                )

    def _on_ok(self, event: Event) -> None:
        data = event.data
        assert type(data) is Ok
        if not data.ref or self._history.lean:
            return
        made = self._history.makers.ref_of.get(data.op)
        if made != data.ref:
            reason = f"op {data.op} was told {data.ref}, and made {made or 'nothing'}"
            self._found.add(reason, event.seq)

    # --- the whole ------------------------------------------------------------------------------

    def verdict(self) -> Verdict:
        history = self._history
        exists = history.exists
        if not history.lean:
            for ref, event in exists.items():
                if ref not in self._known:
                    self._found.add(
                        f"{ref} is shown by {event.node}, and nobody posted it", event.seq
                    )
        forked = self._forks()
        self._judge_flags(forked)
        figures: dict[str, int | float] = {"events": len(exists), "declared_forks": len(forked)}
        passed = f"{len(exists)} events, each posted once"
        if forked:
            passed = f"{passed}; {len(forked)} forks after an older disk was put back"
        return self._found.verdict(figures, passed, history.nothing())

    def _forks(self) -> dict[str, list[str]]:
        """Declared ones: the refs of each dot that has several."""
        exists = self._history.exists
        dots = {dot_of(ref) for ref in exists}
        if len(dots) == len(exists):
            return {}
        refs: dict[str, list[str]] = {}
        for ref in exists:
            refs.setdefault(dot_of(ref), []).append(ref)
        forks = {dot: both for dot, both in refs.items() if len(both) > 1}
        for dot, both in list(forks.items()):
            if origin_of(dot) not in self._copied:
                where = [exists[ref].seq for ref in both]
                self._found.add(f"{dot} names {len(both)} different events", *where)
                del forks[dot]
        return forks

    def _judge_flags(self, forks: dict[str, list[str]]) -> None:
        """Who holds both branches says so, and nobody else is accused."""
        for node, event in self._history.finals.items():
            data = event.data
            assert type(data) is Final
            for origin in data.forked:
                if origin not in self._copied:
                    self._found.add(f"{node} says that {origin} forked its log", event.seq)
            if forks:
                holds = set(self._history.arrivals(node))
                for dot, both in forks.items():
                    if holds.issuperset(both) and origin_of(dot) not in data.forked:
                        self._found.add(f"{node} holds both {dot} and says nothing", event.seq)
