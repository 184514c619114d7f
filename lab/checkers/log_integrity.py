"""C5: a log only grows, and a journal keeps the promises that its node makes.

- Within a life records are numbered without gaps, and `written` and `durable` never decrease.
  Events become visible in the order of their records, and only once the record is as safe as the
  node's durability promises. No other node receives an event before that.
- Own events count 1, 2, ... in the open log. A log is opened once, by a record that precedes its
  first event in the journal.
- Across a crash: every record below the floor (`lab.checkers.disk_model`) comes back, no record is
  invented or moved, and if bits were flipped the journal reports that records are missing. Records
  that damage removed may come back at their old place, if the disk was damaged again.
- A journal of another node is refused, as long as damage has left a name in it that can be read.
"""

from collections import deque
from typing import ClassVar

from lab.checkers.context import CheckContext
from lab.checkers.disk_model import DAMAGED, Reopening, numbered
from lab.checkers.verdict import CheckerRule, Findings, Verdict, Wants
from lab.trace.kinds import Boot, Epoch, Handed, Unwritten, Visible, Written
from lab.trace.trace import Event, dot_of, log_opened, origin_of

RULE = CheckerRule(
    "C5",
    "monotone log",
    "A log grows only at its end, and after a crash what was synced is a prefix of what is found, "
    "which is a prefix of what was handed out.",
)
# A reason for a new epoch, as nodes word it.
IDENTITY_LOST = "the identity file is lost"


class _Life:
    """Of one node. Mutable."""

    def __init__(self) -> None:
        self.always = True
        self.handed = self.written = self.durable = 0
        self.shown = 0  # arrivals
        self.log = ""
        self.epochs: dict[str, int] = {}  # logs that records open: the number of the record
        self.own: dict[str, int] = {}  # the last seq by log
        self.pending: deque[tuple[int, str]] = deque()  # handed out and not visible

    @property
    def safe(self) -> int:
        """Records up to here are as safe as the node promises."""
        return self.durable if self.always else self.written


class LogIntegrity:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._disks = case.disks
        self._found = Findings(RULE)
        self._lives: dict[str, _Life] = {}
        self._opened: dict[str, tuple[int, int]] = {}  # by log: number of the record, seq
        self._left: set[str] = set()  # refs that left their origin rightly
        self._reopened = 0

    def wants(self) -> Wants:
        return {
            Handed: self._on_handed,
            Epoch: self._on_epoch,
            Written: self._on_written,
            Unwritten: self._on_unwritten,
            Visible: self._on_visible,
            Boot: self._on_boot,
        }

    def _life(self, node: str) -> _Life:
        found = self._lives.get(node)
        if found is None:
            found = self._lives[node] = _Life()
        return found

    # --- within a life --------------------------------------------------------------------------

    def _on_handed(self, event: Event) -> None:
        data = event.data
        assert type(data) is Handed
        life = self._life(event.node)
        if data.number != life.handed + 1:
            self._found.add(f"{event.node}'s record {data.number} follows {life.handed}", event.seq)
        life.handed = data.number
        ref = data.ref
        life.pending.append((data.number, ref))
        if data.via == "local":
            self._on_own(event, life, ref)
        else:
            if ref not in self._left:
                self._on_left(event, ref)
            if data.via == "recovery":
                log, _, seq = dot_of(ref).rpartition(":")
                life.own[log] = max(life.own.get(log, 0), int(seq))

    def _on_own(self, event: Event, life: _Life, ref: str) -> None:
        log, _, seq = dot_of(ref).rpartition(":")
        expected = life.own.get(log, 0) + 1
        if life.log and log != life.log:
            self._found.add(f"{ref} is not in the open log, {life.log}", event.seq)
        elif int(seq) != expected:
            self._found.add(f"{ref} should have been number {expected} of its log", event.seq)
        elif life.log and log not in life.epochs:
            self._found.add(f"no record opened the log of {ref}", event.seq)
        life.own[log] = int(seq)

    def _on_left(self, event: Event, ref: str) -> None:
        """An event is heard of away from its origin for the first time."""
        self._left.add(ref)
        home = origin_of(ref)
        disk = self._disks.disk(home)
        number = disk.number_of.get(ref)
        if number is None or ref in disk.losses:
            return  # lost meanwhile, or a phantom: other checkers report it
        if number > (disk.durable if self._life(home).always else disk.written):
            reason = f"{ref} left {home} before it was as safe as promised"
            self._found.add(reason, event.seq, self._history.first_handed[ref].seq)

    def _on_epoch(self, event: Event) -> None:
        data = event.data
        assert type(data) is Epoch
        life = self._life(event.node)
        if data.number != life.handed + 1:
            self._found.add(f"{event.node}'s record {data.number} follows {life.handed}", event.seq)
        if data.log in self._opened:
            self._found.add(f"log {data.log} is opened twice", event.seq, self._opened[data.log][1])
        self._opened[data.log] = (data.number, event.seq)
        life.handed = data.number
        life.log = data.log
        life.epochs[data.log] = data.number

    def _on_written(self, event: Event) -> None:
        data = event.data
        assert type(data) is Written
        life = self._life(event.node)
        if not data.durable <= data.written <= life.handed:
            reason = f"{event.node}: {data.durable} durable of {data.written} written of "
            self._found.add(f"{reason}{life.handed} handed out", event.seq)
        if data.written < life.written or data.durable < life.durable:
            self._found.add(f"{event.node}'s journal went back", event.seq)
        life.written, life.durable = data.written, data.durable

    def _on_unwritten(self, event: Event) -> None:
        data = event.data
        assert type(data) is Unwritten
        life = self._life(event.node)
        # After a failed sync it is unknown whether the written part is on the disk.
        if data.kept < (life.durable if data.final else life.written):
            self._found.add(f"{event.node}'s journal takes back what was safe", event.seq)
        life.handed = min(life.handed, data.kept)
        while life.pending and life.pending[-1][0] > data.kept:
            ref = life.pending.pop()[1]
            made = self._history.made.get(ref)
            if made is not None and made.node == event.node and made.inc == event.inc:
                log, _, seq = dot_of(ref).rpartition(":")
                life.own[log] = int(seq) - 1
        life.epochs = {log: at for log, at in life.epochs.items() if at <= data.kept}
        if life.log in self._opened and self._opened[life.log][0] > data.kept:
            del self._opened[life.log]  # it is handed out again

    def _on_visible(self, event: Event) -> None:
        data = event.data
        assert type(data) is Visible
        life = self._life(event.node)
        life.shown += 1
        if data.index != life.shown:
            reason = f"{event.node}'s arrival {data.index} follows {life.shown - 1}"
            self._found.add(reason, event.seq)
            life.shown = data.index
        if self._history.lean:
            return
        if not life.pending or life.pending[0][1] != data.ref:
            self._found.add(
                f"{event.node} shows {data.ref} out of the order of its records", event.seq
            )
            life.pending = deque([one for one in life.pending if one[1] != data.ref])
            return
        number = life.pending.popleft()[0]
        if number > life.safe:
            self._found.add(
                f"{event.node} shows {data.ref} before it is as safe as promised", event.seq
            )

    # --- across lives ---------------------------------------------------------------------------

    def _on_boot(self, event: Event) -> None:
        data = event.data
        assert type(data) is Boot
        life = self._lives[event.node] = _Life()
        life.always = data.durability == "always"
        life.log = data.log
        life.handed = life.written = len(data.recovered)
        life.durable = life.written - data.unsynced
        life.shown = len(data.arrivals)
        for name, number in numbered(data.recovered).items():
            if opened := log_opened(name):
                life.epochs[opened] = number
            elif origin_of(name) == event.node:
                log, _, seq = dot_of(name).rpartition(":")
                life.own[log] = max(life.own.get(log, 0), int(seq))
        if self._history.lean:
            return
        self._reopened += 1
        reopening = self._disks.disk(event.node).reopening
        assert reopening is not None
        self._judge(reopening)
        shown = [name for name in data.recovered if not log_opened(name)]
        if set(shown) != set(data.arrivals) and not data.quarantined and not reopening.damaged:
            self._found.add(f"{event.node} does not show what its journal gave", event.seq)

    def _judge(self, reopening: Reopening) -> None:
        event, before = reopening.event, reopening.before
        data, node = event.data, event.node
        assert type(data) is Boot
        if data.disk == "other":
            if not _nameless(data):
                self._found.add(f"{node} opened the journal of another node", event.seq)
            return
        for name, loss in reopening.lost.items():
            if not loss.excuse:
                self._found.add(f"{name} was safe, and {node}'s journal lost it", event.seq)
                return
        found = data.recovered
        if data.disk in ("empty", "new"):
            if found:
                self._found.add(f"{node}'s journal gives {found[0]} from an empty disk", event.seq)
            return
        # A start that failed may have repaired damage without an event in the trace.
        told = data.quarantined or data.holes or data.torn_bytes or reopening.tried
        if data.disk == "older":
            pasts = self._disks.disk(node).past
            if any(tuple(past[: len(found)]) == found for past in pasts):
                return
            if not reopening.damaged or not any(_is_part(found, past) for past in pasts):
                self._found.add(f"{node}'s journal gives what no older copy held", event.seq)
            elif not told:
                self._found.add(f"{node}'s journal has a hole and does not say so", event.seq)
            return
        if not _is_part(found, reopening.stood):
            self._found.add(f"{node}'s journal gives records that were not there", event.seq)
        if any(loss.excuse == DAMAGED for loss in reopening.lost.values()) and not told:
            self._found.add(f"{node}'s journal lost records and does not say so", event.seq)
        if not data.quarantined and not reopening.damaged and found != tuple(before[: len(found)]):
            self._found.add(f"{node}'s journal has a hole and does not say so", event.seq)

    def verdict(self) -> Verdict:
        unknown = "" if self._lives else "no node ever started"
        figures: dict[str, int | float] = {"starts": self._reopened}
        passed = f"{self._reopened} starts found what they should"
        return self._found.verdict(figures, passed, unknown)


def _is_part(found: tuple[str, ...], before: list[str]) -> bool:
    """Everything found was there, in that order."""
    there = iter(before)
    return all(any(name == one for one in there) for name in found)


def _nameless(boot: Boot) -> bool:
    """Nothing that can be read says whose journal this is. So nobody can refuse it: it counts as
    an own one that was damaged: own events go to a new log.
    """
    return boot.holes > 0 and IDENTITY_LOST in boot.must_open_epoch
