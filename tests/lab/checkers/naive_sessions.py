"""Reference implementations, see `naive`: C8."""

from typing import Any

from lab.trace import kinds
from tests.lab.checkers.naive import Answer, finals, invokes, losses, of, verdict
from tests.lab.checkers.naive_causes import skewed


def c8(events: list[Any]) -> Answer:
    asked = invokes(events)
    sessions = {e.data.session for e in of(events, kinds.Invoke)}
    gone: dict[int, list[str]] = {}
    for e in of(events, kinds.Boot):
        last = {one.name: one.excuse for one in losses(events[: e.seq + 1], e.node)}
        gone[e.seq] = [name for name in last if last[name] and name not in e.data.arrivals]
    fails = any(session_broken(events, name, asked, gone) for name in sessions)
    return verdict(fails=fails, unknown=not sessions)


def session_broken(
    events: list[Any], name: str, asked: dict[int, Any], gone: dict[int, list[str]]
) -> bool:
    owed: list[str] = []  # own events
    read: list[str] = []
    wrote: list[tuple[str, list[str]]] = []
    broken = False
    for at, e in enumerate(events):
        if type(e.data) is not kinds.Boot and type(e.data) is not kinds.Ok:
            continue
        so_far = [i for i in of(events[: at + 1], kinds.Invoke) if i.data.session == name]
        nodes = {i.node for i in so_far}
        if type(e.data) is kinds.Boot and e.node in nodes and gone[e.seq]:
            owed = [ref for ref in owed if ref not in gone[e.seq]]
            read = [ref for ref in read if ref not in gone[e.seq]]
            wrote = []
        known = [i.data.op for i in of(events[:at], kinds.Invoke)]
        if type(e.data) is not kinds.Ok or e.data.session != name or e.data.op not in known:
            continue
        if not so_far:
            continue
        if e.data.ref:
            owed.append(e.data.ref)
            wrote.append((e.data.ref, read))
        if asked[e.data.op].data.action == "read":
            if len(nodes) == 1:
                broken |= any(ref not in e.data.seen for ref in owed + read)
            owed = [ref for ref in owed if ref in e.data.seen]
            read = list(e.data.seen)
    nodes = {i.node for i in of(events, kinds.Invoke) if i.data.session == name}
    if len(nodes) == 1:
        for e in finals(events).values():
            broken |= order_broken(events, min(nodes), wrote, list(e.data.causal))
    return broken


def order_broken(
    events: list[Any], home: str, wrote: list[tuple[str, list[str]]], order: list[str]
) -> bool:
    at = {ref: place for place, ref in enumerate(order)}
    ahead = skewed(events)
    for later, (ref, read) in enumerate(wrote):
        if ref not in at:
            continue
        if any(own in at and at[own] > at[ref] for own, _ in wrote[:later]):
            return True
        stamped = [one for one in read if (home, one) not in ahead]
        if any(one in at and at[one] > at[ref] for one in stamped):
            return True
    return False
