"""Sentences: one event of a trace as one sentence, with short names for messages.

A `SentenceWriter` takes the events of a story in order. It remembers what each node's journal
holds, so that it can say which records a crash lost. A sentence about a message that is not part of
the story is "".
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from lab.checkers.disk_model import HARM
from lab.plan.faults import Kill, Op, Pause, Plan, Timed
from lab.plan.plan_text import DISKS, SITES, fault_text, lasting, op_text
from lab.terminal.display import display_safe
from lab.trace.kinds import (
    Boot,
    Copied,
    Crash,
    Dropped,
    Epoch,
    Fail,
    Faulted,
    Final,
    Fired,
    Handed,
    Healed,
    Info,
    Invoke,
    Ok,
    Paused,
    Phase,
    Resumed,
    Sent,
    StartRefused,
    Stopped,
    Unwritten,
    Visible,
    Written,
)
from lab.trace.trace import Event, dot_of, log_opened

_DOT = re.compile(r"\b[\w-]+\.[0-9a-f]+:\d+(?:#[0-9a-f]+)?")
_HOW = {
    "kill": "is killed (kill -9)",
    "power": "loses power",
    "storage": "ends, for its disk failed",
    "damage": "ends a life, for its journal cannot be read",
    "core": "crashes in its core, which is a bug",
}
_LOUD = frozenset({"disk_errors", "disk_full", "short_writes", "astray", *HARM})


class Cast:
    """The short names of events (m1, m2, ...), and which op made which event."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.names: dict[str, str] = {}  # by ref
        self.home: dict[str, str] = {}  # node, by ref
        self.op_of: dict[str, int] = {}
        self.ref_of: dict[int, str] = {}
        self._by_dot: dict[str, str] = {}
        ops: dict[int, int] = {}  # by the seq of the invoke
        posts = 0
        for event in events:
            data = event.data
            if type(data) is Invoke:
                ops[event.seq] = data.op
            elif type(data) is Handed and data.ref not in self.names:
                facts = data.facts
                if facts.what == "posted":
                    posts += 1
                    self.names[data.ref] = f"m{posts}"
                else:
                    verb = "joining" if facts.what == "joined" else "leaving"
                    self.names[data.ref] = f"{display_safe(facts.author)}'s {verb}"
                self._by_dot.setdefault(dot_of(data.ref), self.names[data.ref])
                self.home[data.ref] = event.node if data.via == "local" else ""
                if event.cause in ops:
                    self._made(data.ref, ops[event.cause])
            elif type(data) is Ok and data.ref:
                self._made(data.ref, data.op)

    def _made(self, ref: str, op: int) -> None:
        self.op_of[ref] = op
        self.ref_of[op] = ref

    def name(self, ref: str) -> str:
        return self.names.get(ref) or self._by_dot.get(dot_of(ref), ref)

    def named(self, text: str) -> str:
        """A text with names instead of refs and dots."""
        return _DOT.sub(lambda found: self.name(found[0]), text)


class SentenceWriter:
    """Writes the sentences of one story. Mutable."""

    def __init__(
        self, cast: Cast, plan: Plan, refs: set[str], near: set[str], *, whole: bool
    ) -> None:
        self._cast = cast
        self._refs = refs
        self._near = near  # nodes whose journals and screens are described, besides the authors'
        self._whole = whole
        self._ops: dict[int, Op] = {op.id: op for op in plan.ops}
        self._faults: dict[int, Timed] = {timed.id: timed for timed in plan.faults}
        self._records: dict[str, list[str]] = {}  # by node: refs by number - 1
        self._safe: dict[str, tuple[int, int]] = {}  # by node: written, durable, as it was told
        self._gone: dict[str, list[str]] = {}  # by node: what a crash may have taken
        self._payload: dict[int, int] = {}  # entries of a packet, by the seq of its Sent
        self._tellers: dict[type, Callable[[Event, Any], str]] = {
            Invoke: self._invoke,
            Ok: self._ok,
            Fail: self._fail,
            Info: self._info,
            Handed: self._handed,
            Epoch: self._epoch,
            Written: self._written,
            Unwritten: self._unwritten,
            Visible: self._visible,
            Faulted: self._faulted,
            Healed: self._healed,
            Fired: self._fired,
            Crash: self._crash,
            Boot: self._boot,
            Stopped: lambda event, _: f"{event.node} stops in order, with all on disk",
            Paused: lambda event, _: f"{event.node} stands still",
            Resumed: lambda event, _: f"{event.node} goes on",
            StartRefused: lambda event, data: (
                f"{event.node} cannot start: {display_safe(data.reason)}"
            ),
            Phase: self._phase,
            Final: self._final,
            Sent: self._sent,
            Dropped: self._dropped,
            Copied: lambda _event, _data: "",
        }

    def tell(self, event: Event) -> str:
        """The sentence of this event, or "" if it has none."""
        found = self._tellers.get(type(event.data))
        return self._cast.named(found(event, event.data)) if found else ""

    def plainly(self, event: Event) -> str:
        """A plain sentence for an event that a checker names and that has none of its own."""
        data = event.data
        told = [
            f"{name} {display_safe(str(getattr(data, name)), 40)}"
            for name in data.__struct_fields__
        ]
        peer = f" and {event.peer}" if event.peer else ""
        return self._cast.named(
            f"{event.kind} of {event.node or 'the run'}{peer}: {', '.join(told)}"
        )

    # --- clients --------------------------------------------------------------------------------

    def _invoke(self, _: Event, data: Invoke) -> str:
        op = self._ops.get(data.op)
        name = self._cast.names.get(self._cast.ref_of.get(data.op, ""), "")
        return op_text(op, name) if op is not None else f"{data.author} asks for {data.action}"

    def _ok(self, event: Event, data: Ok) -> str:
        who = display_safe(data.session)
        if not data.ref:
            seen = [self._cast.name(ref) for ref in data.seen if ref in self._refs]
            more = len(data.seen) - len(seen)
            told = ", ".join(seen) or "nothing"
            return f"{event.node} shows {who}: {told}{f' and {more} others' if more else ''}"
        level, _, copies = data.level.partition(":")
        level = f"durable on {copies} other nodes too" if copies else level
        censored = f", censored by {', '.join(data.rules)}" if data.rules else ""
        return f"{event.node} promises {who}: {self._cast.name(data.ref)} is {level}{censored}"

    def _fail(self, event: Event, data: Fail) -> str:
        who = display_safe(data.session)
        if data.code == "down":
            return f"{event.node} is down: {who} is told that nobody listens"
        return f"{event.node} refuses {who}: {display_safe(data.reason)} ({data.code})"

    def _info(self, _: Event, data: Info) -> str:
        who = display_safe(data.session)
        name = self._cast.names.get(self._cast.ref_of.get(data.op, ""), "that")
        return f"{who} never learns what became of {name}: {display_safe(data.reason)}"

    # --- the log --------------------------------------------------------------------------------

    def _handed(self, event: Event, data: Handed) -> str:
        self._put(event.node, data.number, data.ref)
        if data.ref not in self._refs:
            return ""
        name = self._cast.name(data.ref)
        if data.via == "local":
            return f"{event.node} hands {name} to its journal, as record {data.number}"
        way = {"rumor": "as a rumor", "recovery": "back from a peer"}.get(
            data.via, "by anti-entropy"
        )
        return f"{event.node} hears of {name} from {data.sender or 'a peer'}, {way}"

    def _put(self, node: str, number: int, ref: str) -> None:
        records = self._records.setdefault(node, [])
        del records[max(number - 1, 0) :]
        records += [""] * (number - 1 - len(records))
        records.append(ref)

    def _epoch(self, event: Event, data: Epoch) -> str:
        self._put(event.node, data.number, "")
        if data.number == 1:
            return ""
        return f"{event.node} opens a new log of its own: {display_safe(data.reason)}"

    def _written(self, event: Event, data: Written) -> str:
        written, durable = self._safe.get(event.node, (0, 0))
        self._safe[event.node] = (data.written, data.durable)
        records = self._records.get(event.node, [])
        records = [ref if self._close(event.node, ref) else "" for ref in records]
        both = self._told_of(records[durable : data.durable])
        only = self._told_of(records[max(written, data.durable) : data.written])
        parts = [f"{both} as durable"] * bool(both) + [f"{only} as written, not synced yet"] * bool(
            only
        )
        return f"{event.node}'s journal reports {' and '.join(parts)}" if parts else ""

    def _told_of(self, refs: Iterable[str]) -> str:
        return ", ".join([self._cast.name(ref) for ref in refs if ref in self._refs])

    def _close(self, node: str, ref: str) -> bool:
        """Whether the story describes what happens to this event at this node."""
        return node in self._near or self._cast.home.get(ref) == node

    def _unwritten(self, event: Event, data: Unwritten) -> str:
        records = self._records.get(event.node, [])
        lost = self._told_of(records[data.kept :])
        del records[data.kept :]
        text = f"{event.node}'s journal fails ({display_safe(data.reason)}). It ends with record "
        return f"{text}{data.kept}{f', and {lost} is not in it' if lost else ''}"

    def _visible(self, event: Event, data: Visible) -> str:
        if data.ref not in self._refs or not self._close(event.node, data.ref):
            return ""
        return f"{event.node} shows {self._cast.name(data.ref)} to everybody"

    # --- what goes wrong ------------------------------------------------------------------------

    def _faulted(self, event: Event, data: Faulted) -> str:
        timed = self._faults.get(data.fault)
        if timed is None:
            return f"{data.what} begins: {data.detail}"
        if isinstance(timed.fault, Kill | Pause):
            return ""  # its effect has a sentence of its own
        lasts_us = timed.until_us - event.t_us
        text = fault_text(timed.fault)
        return f"{text} (for {lasting(lasts_us)})" if lasts_us > 1 else f"{text} (one packet)"

    def _healed(self, event: Event, data: Healed) -> str:
        timed = self._faults.get(data.fault)
        if timed is None or isinstance(timed.fault, Kill | Pause):
            return ""
        if event.t_us - timed.at_us <= 1:
            return ""
        return f"over: {fault_text(timed.fault)}"

    def _fired(self, event: Event, data: Fired) -> str:
        if data.what not in _LOUD:
            return ""
        words = {
            "disk_errors": "the disk of {} fails a call",
            "disk_full": "the disk of {} is full",
            "short_writes": "a write of {} takes only a part",
            "flip": "a bit flips on the disk of {}",
            "stale": "a sector on the disk of {} lacks what was written there",
            "end_lost": "the end of the journal of {} is lost",
            "astray": "the journal of {} is moved away",
            "misdirected": "a sector of the disk of {} went to another place",
        }
        detail = f" ({display_safe(data.detail)})" if data.detail else ""
        return words[data.what].format(event.node) + detail

    def _sent(self, event: Event, data: Sent) -> str:
        if data.entries:
            self._payload[event.seq] = data.entries
        return ""

    def _dropped(self, event: Event, data: Dropped) -> str:
        entries = self._payload.get(event.cause or -1, 0)
        if not entries:
            return ""
        what = "an event" if entries == 1 else f"{entries} events"
        why = f"{event.peer} is down" if data.why == "down" else data.why
        return f"a packet with {what} from {event.node} never comes to {event.peer}: {why}"

    # --- lives ----------------------------------------------------------------------------------

    def _crash(self, event: Event, data: Crash) -> str:
        site, _, power = data.site.partition(", ")
        how = _HOW.get(data.how, "ends")
        if data.how == "point":
            how = f"{'loses power' if power else 'dies'} {SITES.get(site, site)}"
        records = self._records.get(event.node, [])
        cut = power or data.how in ("power", "storage")
        floor = data.durable if cut else data.written
        self._safe.pop(event.node, None)
        self._gone[event.node] = records[:]
        text = f"{event.node} {how}"
        if data.how == "core":
            text = f"{text}: {display_safe(data.site, 120)}"
        taken = self._told_of(records[floor:])
        if not taken:
            return text
        done = "synced" if cut else "written"
        were = "was" if floor == 1 else "were"
        return f"{text}. Of its {len(records)} records {floor} {were} {done}: {taken} was not"

    def _boot(self, event: Event, data: Boot) -> str:
        before = self._gone.pop(event.node, None)
        if before is None:
            before = self._records.get(event.node)
        records = ["" if log_opened(name) else name for name in data.recovered]
        self._records[event.node] = records
        self._safe[event.node] = (len(records), len(records))
        if before is None:
            return f"{event.node} starts" if self._whole else ""
        disk = f", on {DISKS[data.disk]}" if data.disk in DISKS else ""
        text = f"{event.node} starts again{disk}"
        kept = self._told_of(records)
        lost = self._told_of([ref for ref in before if ref not in records])
        count = sum(bool(ref) for ref in records)
        kept = kept or (f"{count} other events" if count else "nothing")
        text = f"{text}. Its journal gives back {kept}"
        return f"{text}; gone: {lost}" if lost else text

    def _phase(self, _: Event, data: Phase) -> str:
        if data.name == "heal":
            return "the faults end: every link is whole, and every node starts"
        if data.name == "liveness":
            return f"nothing new is said; nodes have {lasting(data.bound_us)} to agree"
        return ""

    def _final(self, event: Event, data: Final) -> str:
        held = [ref for ref in data.arrivals if ref in self._refs]
        lacks = [self._cast.name(ref) for ref in self._refs if ref not in held]
        names = ", ".join(self._cast.name(ref) for ref in held) or "nothing"
        text = f"at the end {event.node} holds {names}"
        return f"{text}, and lacks {', '.join(sorted(lacks))}" if lacks else text
