"""C14: what fails is restarted, alone and within its restart budget, and this is logged.

- An exception out of the core is a violation, even if a restart follows.
- A node whose life ended starts again before the run ends. It may refuse to start only if its disk
  was damaged or failed.
- A node that is up at the end works. It may be read-only only if its storage failed for good in
  this life, which a failed sync reports (`final`). A write that found no room is no excuse, because
  every fault has ended: the node must have retried it by then.
- Lives are numbered: each start on a disk has a higher number than those before it. A replaced disk
  has its own numbering.
- A worker that crashed runs again, or has given up, and is not restarted more often than its budget
  allows. That no event is lost by that is checked by C1 and C5.
"""

from collections import deque
from typing import ClassVar

from lab.checkers.context import CheckContext
from lab.checkers.disk_model import HARM
from lab.checkers.verdict import CheckerRule, Figures, Findings, Verdict, Wants
from lab.trace.kinds import Boot, Crash, Final, Note, Unwritten
from lab.trace.trace import Event

RULE = CheckerRule(
    "C14",
    "supervision",
    "What crashes is started again within its budget, or gives up aloud; the core never crashes.",
)
_DISK = HARM | {"astray", "disk_errors", "disk_full", "short_writes", "disk_older"}


class Supervision:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._limits = case.limits
        self._found = Findings(RULE)
        self._crashed: dict[tuple[str, str], Event] = {}  # workers that wait for a restart
        self._restarts: dict[tuple[str, str], deque[int]] = {}
        self._gave_up: set[str] = set()
        self._restarted = 0
        self._failed: set[str] = set()  # nodes: their storage, for good, in this life
        self._lives: dict[str, Event] = {}  # by node: the start with the highest number, of a disk

    def wants(self) -> Wants:
        return {
            Crash: self._on_crash,
            Note: self._on_note,
            Boot: self._on_boot,
            Unwritten: self._on_unwritten,
        }

    def _on_unwritten(self, event: Event) -> None:
        assert type(event.data) is Unwritten
        if event.data.final:
            self._failed.add(event.node)

    def _on_crash(self, event: Event) -> None:
        assert type(event.data) is Crash
        if event.data.how == "core":
            self._found.add(f"{event.node}'s core failed: {event.data.site}", event.seq)

    def _on_boot(self, event: Event) -> None:
        data = event.data
        assert type(data) is Boot
        last = self._lives.get(event.node)
        if last is not None and data.disk == "same" and event.inc <= last.inc:
            reason = f"{event.node}'s life {event.inc} begins after its life {last.inc}"
            self._found.add(reason, event.seq, last.seq)
        else:
            self._lives[event.node] = event
        for key in [key for key in self._crashed if key[0] == event.node]:
            del self._crashed[key]
        self._gave_up.discard(event.node)
        self._failed.discard(event.node)

    def _on_note(self, event: Event) -> None:
        data = event.data
        assert type(data) is Note
        if not data.event.startswith(("worker_", "core_", "node_gave_up")):
            return
        worker = str(data.fields.get("worker", "core" if data.event.startswith("core_") else ""))
        key = (event.node, worker)
        if data.event in ("worker_crashed", "core_crashed"):
            self._crashed[key] = event
            if data.event == "core_crashed":
                self._found.add(f"{event.node}'s core failed", event.seq)
        elif data.event in ("worker_restarted", "core_restarts"):
            self._crashed.pop(key, None)
            self._restart(event, key)
        elif data.event in ("worker_gave_up", "node_gave_up"):
            self._crashed.pop(key, None)
            self._gave_up.add(event.node)

    def _restart(self, event: Event, key: tuple[str, str]) -> None:
        self._restarted += 1
        recent = self._restarts.setdefault(key, deque())
        recent.append(event.t_us)
        while recent[0] <= event.t_us - self._limits.restarts_us:
            recent.popleft()
        if len(recent) > self._limits.restarts_max:
            reason = f"{key[1]} of {key[0]} was restarted {len(recent)} times within its window"
            self._found.add(reason, event.seq)

    def verdict(self) -> Verdict:
        history = self._history
        refused = 0
        for node, final in history.finals.items():
            self._judge_health(node, final)
        if history.settled and history.finals:
            ends = {event.node: event for event in history.ends}
            for node in history.nodes:
                if node in history.finals or node in self._gave_up:
                    continue
                if node in history.refused:
                    refused += 1
                    self._judge_refusal(node)
                elif node in history.views or node in ends:
                    self._found.add(
                        f"{node} never came back",
                        ends[node].seq if node in ends else history.grown[node].seq,
                    )
            for (node, worker), event in self._crashed.items():
                if node in history.finals:
                    self._found.add(f"{worker} of {node} crashed and stays down", event.seq)
        figures: Figures = {
            "lives": len(history.boots),
            "restarted_workers": self._restarted,
            "refused": refused,
        }
        unknown = "" if history.finals else "no node lived to the end"
        return self._found.verdict(figures, f"{len(history.boots)} lives, all came back", unknown)

    def _judge_health(self, node: str, final: Event) -> None:
        assert type(final.data) is Final
        health = final.data.health
        if health != "running" and (health != "read_only" or node not in self._failed):
            self._found.add(f"{node} is {health or 'in no state'} at the end", final.seq)

    def _judge_refusal(self, node: str) -> None:
        """A directory may be refused where something happened to it."""
        history = self._history
        boots = [event.data for event in history.boots if event.node == node]
        harmed = any(
            event.node == node and getattr(event.data, "what", "") in _DISK
            for event in history.fired
        )
        copied = any(type(boot) is Boot and boot.disk == "older" for boot in boots)
        if not harmed and not copied:
            refusal = history.refused[node]
            reason = getattr(refusal.data, "reason", "")
            self._found.add(f"{node} refuses an unharmed disk: {reason}", refusal.seq)
