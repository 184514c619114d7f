"""Columns: the events of a trace as arrays of numbers, the form in which pages get them.

    columns = Columns(["n1", "n2"])
    columns.add(event)          any number of them, in order
    columns.take()              a dict for JSON: all rows since the last `take`

One item of each array is one row, and a row is one event that a diagram draws:

    nodes   names of nodes; grows. kinds: names of kinds; fixed. texts: grows
    refs    [ref, author, text, what, stamp_ms, counter] of each event of the chat; grows
    t, seq  time in us and position in the trace, each as the difference from the row before
    lane    index into nodes, -1: the run itself       peer    the same, for packets
    cause   the row that led to this one, or -1        kind    index into kinds
    ref     index into refs, or -1                     text    index into texts, or -1
    bytes   of a packet that is sent, else 0

Two kinds are not those of traces: `recovered` (a start has this event from its disk, and the node
did not show it before) and `lost` (the node showed it, and its start has it no more). So the rows
`visible`, `recovered` and `lost` alone say what a node shows. A fault that names some nodes has one
row for each of them, and as many rows when it ends, whose causes are the former.

A packet's rows are `send`, and `recv` or `drop`, whose cause is the former. Where packets are not
known, as in what is observed live, the cause of `handed` is the row in which its sender showed it.

Texts of users pass `display_safe`: one line, nothing hidden, no reordering.

`nodes`, `refs` and `texts` of a chunk hold only what is new; a reader appends them.
"""

import re
from collections.abc import Iterable
from typing import Any

from lab.terminal.display import display_safe
from lab.trace.kinds import (
    KINDS,
    Boot,
    Crash,
    Dropped,
    Facts,
    Fail,
    Faulted,
    Final,
    Fired,
    Got,
    Handed,
    Healed,
    Info,
    Invoke,
    Life,
    Note,
    Ok,
    Out,
    PacketIn,
    Phase,
    PolicyIn,
    Quiet,
    Run,
    Sent,
    StartRefused,
    State,
    SubmitIn,
    TickIn,
    Totals,
    Unwritten,
    UnwrittenIn,
    Visible,
    Written,
    WrittenIn,
)
from lab.trace.trace import Event

KIND_NAMES = (*KINDS, "recovered", "lost")
TEXT_MAX = 400  # columns of a terminal; what is longer is cut
_LONG = re.compile(r"\b\d+\.\d{4,}\b")  # numbers that were drawn, with all their digits
_USUAL = re.compile(r"\bhow(?: kill\b| )|, (?:disk same|flips 0|sectors 0)\b")
_KIND = {name: index for index, name in enumerate(KIND_NAMES)}
_NUMBERS = ("t", "seq", "lane", "kind", "cause", "peer", "ref", "text", "bytes")
# What a diagram leaves out: the run itself, and what only a replay of the core feeds on.
_UNDRAWN = frozenset(
    {Run, Totals, Life, TickIn, PacketIn, SubmitIn, PolicyIn, WrittenIn, UnwrittenIn, Out}
)


class Columns:
    """Builds the rows of one run, in chunks. Mutable.

    Memory grows with the refs, the texts and the rows (one number each, for causes).
    """

    def __init__(self, nodes: Iterable[str] = ()) -> None:
        self._lanes: dict[str, int] = {"": -1}
        self._refs: dict[str, int] = {}
        self._texts: dict[str, int] = {}
        self._facts: list[list[Any]] = []
        self._row_of: dict[int, int] = {}  # by seq: the first row of an event
        self._shown: dict[str, dict[str, int]] = {}  # by node: what it shows, in order, and the row
        self._faults: dict[int, list[tuple[int, int]]] = {}  # by number: rows, with their lanes
        self._chunk: dict[str, list[Any]] = {}
        self._last_t = self._last_seq = 0
        self.length = 0
        self._begin_chunk()
        for node in nodes:
            self._lane(node)

    def _begin_chunk(self) -> None:
        self._chunk = {name: [] for name in ("nodes", "refs", "texts", *_NUMBERS)}

    def take(self) -> dict[str, Any]:
        """The rows since the last call, with `kinds`; see the module."""
        chunk, self._chunk = self._chunk, {}
        self._begin_chunk()
        return {"kinds": list(KIND_NAMES), **chunk}

    def add(self, event: Event) -> None:
        """Append the rows of an event. Most have one, some none; a fault or a start has several."""
        data = event.data
        if type(data) is Run:
            for node in data.nodes:
                self._lane(node)
        if type(data) in _UNDRAWN:
            return
        self._row_of[event.seq] = self.length
        if type(data) is Faulted:
            self._fault(event, data)
        elif type(data) is Healed:
            for row, lane in self._faults.pop(data.fault, [(-1, -1)]):
                self._row(event, lane=lane, cause=row)
        else:
            ref = getattr(data, "ref", "")
            if type(data) is Handed:
                self._meet(ref, data.facts)
            self._row(event, ref=ref, text=said(event), cause=self._sender(event))
        if type(data) is Visible:
            self._shown.setdefault(event.node, {})[data.ref] = self.length - 1
        elif type(data) is Boot:
            self._boot(event, data)

    def add_all(self, events: Iterable[Event]) -> "Columns":
        for event in events:
            self.add(event)
        return self

    def row(self, seq: int) -> int:
        """The first row of an event, or -1 if it has none."""
        return self._row_of.get(seq, -1)

    # --- rows of one event ----------------------------------------------------------------------

    def _fault(self, event: Event, data: Faulted) -> None:
        lanes = [self._lane(node) for node in data.nodes] or [-1]
        if len(lanes) > 1 and len(lanes) == len(self._lanes) - 1:
            lanes = [-1]  # all nodes: it is of the run
        rows = self._faults.setdefault(data.fault, [])
        for lane in lanes:
            rows.append((self.length, lane))
            self._row(event, lane=lane, text=said(event))

    def _sender(self, event: Event) -> int | None:
        """Without packets, as in what is observed live: where the sender showed what came here."""
        data = event.data
        if event.cause is not None or type(data) is not Handed:
            return None
        return self._shown.get(data.sender, {}).get(data.ref)

    def _boot(self, event: Event, data: Boot) -> None:
        """What the node shows from here on, as differences to what it showed before."""
        boot = self.length - 1
        before = self._shown.get(event.node, {})
        after: dict[str, int] = {}
        for ref in data.arrivals:
            after[ref] = before.get(ref, self.length)
            if ref not in before:
                self._row(event, kind="recovered", ref=ref, cause=boot)
        for ref in before:
            if ref not in after:
                self._row(event, kind="lost", ref=ref, cause=boot)
        self._shown[event.node] = after

    def _row(
        self,
        event: Event,
        *,
        lane: int | None = None,
        kind: str = "",
        cause: int | None = None,
        ref: str = "",
        text: str = "",
    ) -> None:
        if cause is None:
            cause = -1 if event.cause is None else self._row_of.get(event.cause, -1)
        put = self._chunk
        put["t"].append(event.t_us - self._last_t)
        put["seq"].append(event.seq - self._last_seq)
        put["lane"].append(self._lane(event.node) if lane is None else lane)
        put["kind"].append(_KIND[kind or event.kind])
        put["cause"].append(cause)
        put["peer"].append(-1 if event.peer is None else self._lane(event.peer))
        put["ref"].append(self._ref(ref) if ref else -1)
        put["text"].append(self._text(text) if text else -1)
        put["bytes"].append(event.bytes or 0 if type(event.data) is Sent else 0)
        self._last_t, self._last_seq = event.t_us, event.seq
        self.length += 1

    # --- what rows point to ---------------------------------------------------------------------

    def _lane(self, node: str) -> int:
        if node not in self._lanes:
            self._lanes[node] = len(self._lanes) - 1
            self._chunk["nodes"].append(node)
        return self._lanes[node]

    def _text(self, text: str) -> int:
        if text not in self._texts:
            self._texts[text] = len(self._texts)
            self._chunk["texts"].append(display_safe(text, TEXT_MAX))
        return self._texts[text]

    def _ref(self, ref: str) -> int:
        if ref not in self._refs:
            self._refs[ref] = len(self._refs)
            self._chunk["refs"].append([ref, "", "", "unknown", 0, 0])
        return self._refs[ref]

    def _meet(self, ref: str, facts: Facts) -> None:
        """Tell who said what, at the first row that is about it."""
        if ref not in self._refs:
            self._refs[ref] = len(self._refs)
            author, text = (display_safe(one, TEXT_MAX) for one in (facts.author, facts.text))
            stamp = (facts.stamp_ms, facts.stamp_counter)
            self._chunk["refs"].append([ref, author, text, facts.what, *stamp])


def in_short(detail: str) -> str:
    """The detail of a fault, without what is usual and with three digits of drawn numbers."""
    return _USUAL.sub("", _LONG.sub(_shorter, detail)).removeprefix(", ")


def _shorter(number: re.Match[str]) -> str:
    return f"{float(number[0]):.3g}"


def said(event: Event) -> str:
    """What the text of a row says beside its kind, its node and its message; mostly repeated."""
    data = event.data
    text = ""
    if isinstance(data, Sent | Got):
        text = data.body
    elif isinstance(data, Handed | Visible):
        text = data.via
    elif type(data) is Written:
        text = f"{data.written} written, {data.durable} durable"
    elif type(data) is Invoke:
        ack = f", {data.ack}" if data.ack else ""
        text = f"{data.author}: {data.action} {data.text}".rstrip() + ack
    elif type(data) is Ok:
        text = data.level or f"{len(data.seen)} events shown"
    else:
        text = _said_of_trouble(event)
    return text


def _said_of_trouble(event: Event) -> str:
    data = event.data
    if type(data) is Dropped:
        return data.why
    if isinstance(data, Fail | Info):
        return f"{data.code}: {data.reason}" if data.reason else data.code
    if isinstance(data, Faulted | Fired):
        return f"{data.what} {in_short(data.detail)}".rstrip()
    if type(data) is Crash:
        return f"{data.how} {data.site}".rstrip()
    if isinstance(data, StartRefused):
        return data.reason
    if type(data) is Unwritten:
        return f"{data.code}: {data.reason}"
    if type(data) is Boot:
        return f"life {event.inc}, disk {data.disk}, {len(data.arrivals)} events"
    if type(data) is Phase:
        return data.name
    if type(data) is Note:
        return f"{data.level} {data.event}"
    if type(data) is Quiet:
        return f"{data.quiet_ms} ms"
    if isinstance(data, State | Final):
        return f"root {data.root[:8]}, missing {data.missing}"
    return ""
