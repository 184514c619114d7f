"""C1: no acknowledged event is lost.

An acknowledged event must be in the log of every live node at the end. If it is not, there are
three cases:

- *permitted loss*: every disk that had to hold it was destroyed, replaced or damaged, or it was
  acknowledged as `written` only and the power failed. Permitted losses are counted and reported.
- *out of reach*: no live node shows it, but it is on the disk of a node that is down, or on its way
  to a disk.
- *loss*: everything else. An acknowledgement that was not true when it was given counts as a loss,
  too: `durable` before the node was told of a sync, `replicated:k` before the event was durable on
  k other disks. If those disks lose it later, that is their loss; what was never synced on a disk
  was never held there.
"""

from typing import ClassVar

from lab.checkers.context import CheckContext
from lab.checkers.disk_model import GONE, UNSYNCED
from lab.checkers.verdict import CheckerRule, Findings, Verdict, Wants
from lab.trace.kinds import Ok
from lab.trace.trace import Event

RULE = CheckerRule(
    "C1",
    "no acknowledged loss",
    "What was acknowledged is held by every live node at the end, unless every disk bound to hold "
    "it was destroyed.",
)


class AckedLoss:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._disks = case.disks
        self._found = Findings(RULE)
        self._permitted = 0
        self._unreachable = 0

    def wants(self) -> Wants:
        return {Ok: self._on_ok}

    def _on_ok(self, event: Event) -> None:
        """Was the promise true when it was given?"""
        data = event.data
        assert type(data) is Ok
        if not data.ref or self._history.lean:
            return
        disk = self._disks.disk(event.node)
        number = disk.number_of.get(data.ref)
        if number is None:
            self._found.add(f"{data.ref} was acknowledged and never handed to a journal", event.seq)
            return
        level, _, copies = data.level.partition(":")
        reached = disk.written if level == "written" else disk.durable
        if number > reached:
            self._found.add(f"{data.ref} was acknowledged as {level} before it was", event.seq)
        elif level == "replicated":
            held = self._held_elsewhere(event.node, data.ref)
            if held < int(copies or 1):
                reason = f"{data.ref} was acknowledged as {data.level}, durable on {held} others"
                self._found.add(reason, event.seq)

    def _held_elsewhere(self, home: str, ref: str) -> int:
        """Other disks on which it was durable by now. What they lost unsynced they never held."""
        return sum(ref in disk.synced for node, disk in self._disks.of.items() if node != home)

    def verdict(self) -> Verdict:
        history = self._history
        unknown = history.nothing()
        if not unknown and not history.acked:
            unknown = "nothing was acknowledged"
        if not unknown and "end" not in history.phases:
            unknown = "the trace ends before the run did"
        if not unknown:
            unknown = self._judge_end()
        figures: dict[str, int | float] = {
            "acked": len(history.acked),
            "permitted_loss": self._permitted,
            "unreachable": self._unreachable,
        }
        passed = f"{len(history.acked)} acknowledged events, none lost"
        if self._permitted:
            passed = f"{passed} but {self._permitted} with the disks that held them"
        return self._found.verdict(figures, passed, unknown)

    def _judge_end(self) -> str:
        history = self._history
        held = {node: set(history.arrivals(node)) for node in history.finals}
        somewhere = set().union(*held.values())
        unknown = ""
        for node, holds in held.items():
            for ref in history.acked:  # in their order: the same run has the same witness
                if ref in holds or ref not in somewhere:
                    continue
                if not history.settled:
                    unknown = "nodes were given no time to agree"
                    continue
                acked, final = history.acked[ref].seq, history.finals[node].seq
                self._found.add(f"{ref} was acknowledged, and {node} has not got it", acked, final)
        for ref in history.acked:
            if ref not in somewhere:
                unknown = self._lost(ref) or unknown
        return unknown

    def _lost(self, ref: str) -> str:
        """Nobody who lives holds it. Returns why nothing can be said, or ""."""
        acked = self._history.acked[ref]
        if self._history.lean:
            if any(disk.past for disk in self._disks.of.values()):
                return "a lean trace does not tell what was on the disks"
            self._found.add(f"{ref} was acknowledged, and nobody holds it", acked.seq)
            return ""
        data = acked.data
        assert type(data) is Ok
        home_may = GONE | {UNSYNCED} if data.level == "written" else GONE
        held_down = False
        for node, disk in self._disks.of.items():
            if ref in disk.number_of:
                if node in self._history.finals and disk.number_of[ref] <= disk.durable:
                    final = self._history.finals[node].seq
                    self._found.add(f"{ref} is in {node}'s journal and not shown", acked.seq, final)
                    return ""
                held_down = True
                continue
            loss = disk.losses.get(ref)
            if loss is None:
                continue
            if not loss.excuse or (node == acked.node and loss.excuse not in home_may):
                reason = f"{ref} was acknowledged ({data.level}) by {acked.node}; {node} lost it"
                self._found.add(reason, acked.seq, loss.boot)
                return ""
        home = self._disks.disk(acked.node)
        if ref not in home.losses and ref not in home.number_of:
            self._found.add(f"{ref} was acknowledged, and never was on a disk", acked.seq)
        elif held_down:
            self._unreachable += 1
        else:
            self._permitted += 1
        return ""
