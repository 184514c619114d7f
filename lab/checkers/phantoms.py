"""C3: no event is invented, and no fork is unexplained.

Each event in any log was posted by exactly one op, at the node that its dot names, with the kind
and the author that were asked for. One dot has one content, at all nodes and at all times.

A fork is *declared* if an older copy of its origin's disk explains it: the copy lacked the one
branch, and the other was written later, by a node that could not know the first. A declared fork is
counted and permitted, and every node that holds both branches must report that its origin is
forked. No node may report a fork that does not exist. A node that peers give back more of its open
log than it had knows that its disk is older, and must write nothing more to that log.
"""

from itertools import pairwise
from typing import ClassVar

from lab.checkers.context import CheckContext
from lab.checkers.disk_model import OLDER
from lab.checkers.verdict import CheckerRule, Findings, Verdict, Wants
from lab.trace.kinds import Boot, Final, Handed, Invoke, Ok
from lab.trace.trace import Event, dot_of, log_opened, origin_of

RULE = CheckerRule(
    "C3",
    "no phantom, no fork",
    "Every event comes from exactly one op, and one dot names one content everywhere and always.",
)


_WHATS = {"post": "posted", "join": "joined", "leave": "left"}


class Phantoms:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._disks = case.disks
        self._found = Findings(RULE)
        self._known: set[str] = set()  # refs that were handed out where they were posted
        self._copied: set[str] = set()  # nodes that went on from an older copy of their disk
        self._fell: dict[str, int] = {}  # by ref: the boot from an older disk that lacked it
        self._back: dict[str, dict[str, int]] = {}  # by node: logs of which more came back, seq

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
            if data.via == "recovery":
                self._back.setdefault(event.node, {})[_log_of(ref)] = event.seq
            return
        if ref in self._known:
            self._found.add(f"{ref} was posted twice", event.seq, self._history.made[ref].seq)
            return
        self._known.add(ref)
        if origin_of(ref) != event.node:
            self._found.add(f"{ref} was posted at {event.node}", event.seq)
            return
        self._judge_maker(event, data)
        since = self._back.get(event.node, {}).get(_log_of(ref))
        if since is not None:
            reason = f"{event.node} posts {ref}, though more of that log came back to it"
            self._found.add(reason, event.seq, since)

    def _judge_maker(self, event: Event, data: Handed) -> None:
        """Exactly one op asked this node for such an event."""
        history, ref = self._history, data.ref
        invoke = None if data.op is None else history.invokes.get(data.op)
        if data.op is None or invoke is None or invoke.node != event.node:
            self._found.add(f"{ref} was posted at {event.node}, and nobody asked for it", event.seq)
            return
        asked, facts = invoke.data, data.facts
        assert type(asked) is Invoke
        if (facts.what, facts.author) != (_WHATS.get(asked.action), asked.author):
            reason = f"{ref} is not what op {data.op} asked for"
            self._found.add(reason, event.seq, invoke.seq)
        first = history.ref_of[data.op]
        if first != ref:
            reason = f"op {data.op} made {first}, and then {ref}"
            self._found.add(reason, event.seq, history.made[first].seq)

    def _on_boot(self, event: Event) -> None:
        data = event.data
        assert type(data) is Boot
        self._back.pop(event.node, None)
        if data.disk == "older":
            self._copied.add(event.node)
        if self._history.lean:
            return
        reopening = self._disks.disk(event.node).reopening
        assert reopening is not None
        for name, loss in reopening.lost.items():
            if loss.excuse == OLDER:
                self._fell.setdefault(name, event.seq)
        for name in data.recovered:
            if name not in self._known and not log_opened(name):
                self._known.add(name)
                self._found.add(
                    f"{name} is in {event.node}'s journal, and nobody posted it", event.seq
                )

    def _on_ok(self, event: Event) -> None:
        data = event.data
        assert type(data) is Ok
        if not data.ref or self._history.lean:
            return
        made = self._history.ref_of.get(data.op)
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
            if not self._explained(both):
                where = [exists[ref].seq for ref in both]
                self._found.add(f"{dot} names {len(both)} different events", *where)
                del forks[dot]
        return forks

    def _explained(self, both: list[str]) -> bool:
        """Every branch but the last was lost to an older disk before the next one was posted."""
        if self._history.lean:
            return origin_of(both[0]) in self._copied
        made = self._history.made
        if not all(ref in made for ref in both):
            return False
        posted = sorted(both, key=lambda ref: made[ref].seq)
        return all(
            ref in self._fell and self._fell[ref] < made[following].seq
            for ref, following in pairwise(posted)
        )

    def _judge_flags(self, forks: dict[str, list[str]]) -> None:
        """Who holds both branches says so, and nobody else is accused."""
        origins = {origin_of(dot) for dot in forks}
        for node, event in self._history.finals.items():
            data = event.data
            assert type(data) is Final
            for origin in data.forked:
                if origin not in origins:
                    self._found.add(f"{node} says that {origin} forked its log", event.seq)
            if forks:
                holds = set(self._history.arrivals(node))
                for dot, both in forks.items():
                    if holds.issuperset(both) and origin_of(dot) not in data.forked:
                        self._found.add(f"{node} holds both {dot} and says nothing", event.seq)


def _log_of(ref: str) -> str:
    return dot_of(ref).rpartition(":")[0]
