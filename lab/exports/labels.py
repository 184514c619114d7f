"""A trace event as a label of a few words on one line, for diagrams."""

from collections.abc import Callable
from typing import Any

from lab.terminal.display import display_safe
from lab.trace.kinds import (
    KINDS,
    Boot,
    Faulted,
    Final,
    Got,
    Handed,
    Healed,
    Invoke,
    Life,
    Ok,
    Out,
    PacketIn,
    Phase,
    PolicyIn,
    Run,
    Sent,
    SubmitIn,
    TickIn,
    Totals,
    UnwrittenIn,
    Visible,
    WrittenIn,
)
from lab.trace.trace import Event

WIDTH_MAX = 160

# What a diagram leaves out: the run itself, sums at its end, and what conformance replay feeds on.
UNTOLD = frozenset(
    {Run, Totals, Life, TickIn, PacketIn, SubmitIn, PolicyIn, WrittenIn, UnwrittenIn, Out}
)


def told(event: Event) -> str:
    words = _WORDS.get(event.kind)
    text = words(event, event.data) if words is not None else _plain(event)
    return display_safe(text, WIDTH_MAX)


def packet_name(event: Event) -> str:
    """n1/2/17: sender, incarnation, number."""
    return "/".join(str(part) for part in event.msg_id or ())


def _plain(event: Event) -> str:
    """The kind, and the fields that say something."""
    data = event.data
    said = [(name, getattr(data, name)) for name in data.__struct_fields__]
    fields = [f"{name} {_short(value)}" for name, value in said if value not in ("", (), {}, None)]
    if event.kind in ("drop", "copy"):
        fields.append(f"{packet_name(event)} to {event.peer}")
    return f"{event.kind}: {', '.join(fields)}" if fields else event.kind


def _short(value: object) -> str:
    if isinstance(value, tuple):
        return f"({len(value)})" if len(value) > 3 else " ".join(str(one) for one in value)
    if isinstance(value, dict):
        return " ".join(f"{name}={one}" for name, one in value.items())
    return str(value)


def _invoke(_: Event, data: Invoke) -> str:
    asked = f" {data.text!r}" if data.text else ""
    ack = f", {data.ack}" if data.ack else ""
    return f"op {data.op}, {data.session}: {data.author} wants to {data.action}{asked}{ack}"


def _ok(_: Event, data: Ok) -> str:
    what = f"{data.ref} {data.level}" if data.ref else f"sees {len(data.seen)}"
    return f"op {data.op} ok: {what}"


def _handed(_: Event, data: Handed) -> str:
    sender = f" from {data.sender}" if data.sender else ""
    return f"record {data.number}: {data.ref}, {data.via}{sender}"


def _visible(_: Event, data: Visible) -> str:
    return f"visible {data.index}: {data.ref}, {data.via}"


def _sent(event: Event, data: Sent) -> str:
    held = f", {data.entries} entries" if data.entries else ""
    return f"send {data.body} {packet_name(event)} to {event.peer}, {event.bytes} B{held}"


def _got(event: Event, data: Got) -> str:
    return f"recv {data.body} {packet_name(event)} from {event.peer}"


def _boot(event: Event, data: Boot) -> str:
    why = f", new epoch: {data.must_open_epoch}" if data.must_open_epoch else ""
    seen = len(data.arrivals)
    return f"boot, life {event.inc}: {data.disk} disk, {seen} events, log {data.log}{why}"


def _final(_: Event, data: Final) -> str:
    return f"final: root {data.root[:8]}, {len(data.arrivals)} events, missing {data.missing}"


def _faulted(_: Event, data: Faulted) -> str:
    return f"fault {data.fault} begins: {data.what} {' '.join(data.nodes)}, {data.detail}"


def _healed(_: Event, data: Healed) -> str:
    return f"fault {data.fault} ends"


def _phase(_: Event, data: Phase) -> str:
    return f"phase {data.name}"


_WORDS: dict[str, Callable[[Event, Any], str]] = {
    "invoke": _invoke,
    "ok": _ok,
    "handed": _handed,
    "visible": _visible,
    "send": _sent,
    "recv": _got,
    "boot": _boot,
    "final": _final,
    "fault": _faulted,
    "healed": _healed,
    "phase": _phase,
}
assert _WORDS.keys() <= KINDS.keys()
