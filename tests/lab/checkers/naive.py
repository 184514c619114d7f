"""Reference implementations: each checker again, as plainly as can be and as slow as it likes.

They share no code with lab.checkers. Each is a function of a list of events and answers "pass",
"fail" or "unknown". State is never carried along: whatever was so at some moment is replayed from
the first event. Here are the common questions, and C1 to C5.
"""

from itertools import pairwise
from typing import Any

from msgspec import Struct

from lab.trace import kinds

Answer = str
Gone = ("destroyed", "older", "damaged")


def verdict(*, fails: bool, unknown: bool) -> Answer:
    return "fail" if fails else "unknown" if unknown else "pass"


def of(events: list[Any], kind: type, node: str = "") -> list[Any]:
    return [e for e in events if type(e.data) is kind and (not node or e.node == node)]


def finals(events: list[Any]) -> dict[str, Any]:
    return {e.node: e for e in of(events, kinds.Final)}


def phases(events: list[Any]) -> dict[str, Any]:
    return {e.data.name: e for e in of(events, kinds.Phase)}


def nothing(events: list[Any]) -> bool:
    return not of(events, kinds.Invoke) or not finals(events)


def settled(events: list[Any]) -> bool:
    return {"liveness", "end"} <= phases(events).keys()


def names(events: list[Any]) -> list[str]:
    return [e.node for e in events if e.node]


def dot(ref: str) -> str:
    return ref.split("#", maxsplit=1)[0]


def origin(ref: str) -> str:
    return ref.split(".", maxsplit=1)[0]


def is_ref(name: str) -> bool:
    return not name.startswith("epoch ")


def unique(events: list[Any]) -> list[Any]:
    """The first of each op."""
    return [e for e in events if e.data.op not in [b.data.op for b in events[: events.index(e)]]]


def invokes(events: list[Any]) -> dict[int, Any]:
    return {e.data.op: e for e in reversed(of(events, kinds.Invoke))}


def answers(events: list[Any]) -> list[Any]:
    return [e for e in events if type(e.data) in (kinds.Ok, kinds.Fail, kinds.Info)]


def acked(events: list[Any]) -> dict[str, Any]:
    """The first ok of each ref, but for second answers to one op."""
    oks = [e for e in first_answers(events) if type(e.data) is kinds.Ok and e.data.ref]
    return {e.data.ref: e for e in reversed(oks)}


def first_answers(events: list[Any]) -> list[Any]:
    found: dict[int, Any] = {}
    for e in answers(events):
        found.setdefault(e.data.op, e)
    return list(found.values())


def made(events: list[Any]) -> dict[str, Any]:
    local = [e for e in of(events, kinds.Handed) if e.data.via == "local"]
    return {e.data.ref: e for e in reversed(local)}


WHATS = {"post": "posted", "join": "joined", "leave": "left"}


def owners(events: list[Any]) -> dict[int, str]:
    """What each op made first, as the records say that are the first to speak of an event."""
    firsts = {e.data.ref: e for e in reversed(of(events, kinds.Handed))}
    mine = [e for e in firsts.values() if e.data.via == "local" and e.data.op is not None]
    return {e.data.op: e.data.ref for e in sorted(mine, key=lambda e: -e.seq)}


def maker(events: list[Any], ref: str) -> int | None:
    """The op that asked for this event."""
    first = next((e for e in of(events, kinds.Handed) if e.data.ref == ref), None)
    return first.data.op if first is not None and first.data.via == "local" else None


def asks_for(invoke: Any, handed: Any) -> bool:
    facts, asked = handed.data.facts, invoke.data
    same = invoke.node == handed.node and facts.author == asked.author
    return bool(same and facts.what == WHATS.get(asked.action))


def existing(events: list[Any]) -> list[str]:
    """Every ref that was ever shown, recovered or held at the end, in that order."""
    found: list[str] = []
    for e in events:
        if type(e.data) is kinds.Visible:
            found.append(e.data.ref)
        if type(e.data) is kinds.Boot:
            found += [name for name in e.data.recovered if is_ref(name)]
        if type(e.data) is kinds.Final:
            found += e.data.arrivals
    return list(dict.fromkeys(found))


def view(events: list[Any], node: str) -> list[str]:
    """What this node shows after these events."""
    shown: list[str] = []
    for e in events:
        if e.node == node and type(e.data) is kinds.Boot:
            shown = list(e.data.arrivals)
        if e.node == node and type(e.data) is kinds.Visible:
            shown.append(e.data.ref)
    return shown


# --- disks ----------------------------------------------------------------------------------------


class Journal(Struct):
    records: list[str]
    written: int = 0
    durable: int = 0
    floor: int = 0
    up: bool = False
    sure: int = 0  # of the recovered: durable before, whatever this life knows
    damaged: bool = False
    flipped: bool = False  # at any time
    tried: bool = False  # a start failed meanwhile
    pasts: list[list[str]] = []


class Lost(Struct):
    name: str
    excuse: str
    boot: Any


def journal(events: list[Any], node: str) -> Journal:
    """What is on this node's disk after these events."""
    j = Journal([])
    for e in events:
        d = e.data
        if e.node != node:
            continue
        if type(d) in (kinds.Handed, kinds.Epoch):
            j.records = (j.records + [""] * d.number)[: max(d.number - 1, 0)]
            j.records.append(d.ref if type(d) is kinds.Handed else f"epoch {d.log}")
        elif type(d) is kinds.Written:
            j.written, j.durable = d.written, max(d.durable, j.sure)
        elif type(d) is kinds.Unwritten:
            j.records = j.records[: d.kept]
        elif type(d) is kinds.Fired and d.what in ("flip", "stale", "misdirected", "end_lost"):
            j.damaged = j.flipped = True
        elif type(d) is kinds.Stopped:
            j.pasts.append(j.records)
            j.written, j.durable = d.written, max(d.durable, j.sure)
            j.floor, j.up = d.written, False
            j.tried = False
        elif type(d) is kinds.StartRefused:
            j.tried = True
        elif type(d) is kinds.Crash:
            power = d.how in ("power", "storage") or d.site.endswith(", power")
            if j.up:
                j.pasts.append(j.records)
                j.written, j.durable, j.up = d.written, max(d.durable, j.sure), False
                j.floor = j.durable if power else d.written
                j.tried = False
            else:
                j.tried = True
                j.floor = min(j.floor, j.durable) if power else j.floor
        elif type(d) is kinds.Boot:
            if j.up:
                j.pasts.append(j.records)
            j.damaged = j.flipped if d.disk == "older" else j.damaged and d.disk == "same"
            same = j.records[: j.durable] == list(d.recovered)[: j.durable]
            j.sure = j.durable if same else 0
            j.records, j.up = list(d.recovered), True
            j.written = len(d.recovered)
            j.durable = max(j.written - d.unsynced, j.sure)
    return j


def was_durable(events: list[Any], node: str, ref: str) -> bool:
    """At some moment this node's disk held it for good."""
    for at, e in enumerate(events, start=1):
        if e.node == node and type(e.data) in DISK_SAYS:
            j = journal(events[:at], node)
            if ref in j.records[: j.durable]:
                return True
    return False


DISK_SAYS = (kinds.Written, kinds.Stopped, kinds.Crash, kinds.Boot)


def losses(events: list[Any], node: str) -> list[Lost]:
    found: list[Lost] = []
    for e in of(events, kinds.Boot, node):
        before = journal(events[: events.index(e)], node)
        floor = before.written if before.up else before.floor
        for at, name in enumerate(before.records):
            if not name or name in e.data.recovered:
                continue
            excuse = ""
            if e.data.disk == "empty":
                excuse = "destroyed"
            elif e.data.disk == "older":
                excuse = "older"
            elif at + 1 > floor:
                excuse = "unsynced"
            elif before.damaged:
                excuse = "damaged"
            found.append(Lost(name, excuse, e))
    return found


def number(j: Journal, name: str) -> int | None:
    found = [at + 1 for at, one in enumerate(j.records) if one == name]
    return found[-1] if found else None


# --- C1 to C5 -------------------------------------------------------------------------------------


def c1(events: list[Any]) -> Answer:
    fails = unknown = False
    nodes = sorted(set(names(events)))
    for e in of(events, kinds.Ok):
        if not e.data.ref:
            continue
        upto = events[: events.index(e)]
        j = journal(upto, e.node)
        at = number(j, e.data.ref)
        level = e.data.level.split(":")[0]
        fails |= at is None or at > (j.written if level == "written" else j.durable)
        if level == "replicated":
            elsewhere = [was_durable(upto, node, e.data.ref) for node in nodes if node != e.node]
            fails |= sum(elsewhere) < int(e.data.level.split(":")[1])
    if nothing(events) or not acked(events) or "end" not in phases(events):
        return verdict(fails=fails, unknown=True)
    held = {node: e.data.arrivals for node, e in finals(events).items()}
    for ref, ok in acked(events).items():
        have = [node for node in held if ref in held[node]]
        if have and len(have) < len(held):
            fails |= settled(events)
            unknown |= not settled(events)
        if have:
            continue
        on = {node: number(journal(events, node), ref) for node in nodes}
        for node in nodes:
            gone = [lost for lost in losses(events, node) if lost.name == ref]
            place = on[node]
            if place is not None:
                fails |= node in held and place <= journal(events, node).durable
            elif gone:
                allowed = Gone if ok.data.level != "written" else (*Gone, "unsynced")
                why = gone[-1].excuse
                last = [one.excuse for one in gone if one.excuse != "unsynced"]
                if why == "unsynced" and last and last[-1] in Gone:
                    why = last[-1]  # what was synced went then; this copy came back from peers
                fails |= not why
                fails |= node == ok.node and why not in allowed
        at_home = [lost for lost in losses(events, ok.node) if lost.name == ref]
        fails |= not at_home and on.get(ok.node) is None
    return verdict(fails=fails, unknown=unknown)


def c2(events: list[Any]) -> Answer:
    fails = len(answers(events)) != len(first_answers(events))
    unknown = nothing(events)
    held = {node: e.data.arrivals for node, e in finals(events).items()}
    exist = existing(events)
    for e in first_answers(events):
        ref = owners(events).get(e.data.op, "")
        if type(e.data) is kinds.Fail:
            fails |= ref in exist
        elif type(e.data) is kinds.Info:
            if not ref and e.data.dot:
                ref = next((one for one in reversed(exist) if dot(one) == e.data.dot), "")
            have = [node for node in held if ref in held[node]]
            if have and len(have) < len(held):
                fails |= settled(events)
                unknown |= not settled(events)
    return verdict(fails=fails, unknown=unknown)


def c3(events: list[Any]) -> Answer:
    fails = False
    handed = of(events, kinds.Handed)
    for e in handed:
        earlier = [one for one in handed if one.seq < e.seq and one.data.ref == e.data.ref]
        named = any(e.data.ref in one.data.recovered for one in of(events[: e.seq], kinds.Boot))
        if e.data.via != "local":
            fails |= not any(one.data.via == "local" for one in earlier)
            continue
        fails |= bool(earlier) or named or origin(e.data.ref) != e.node
        fails |= any(more_came_back(events, events.index(e)))
        if earlier or named or origin(e.data.ref) != e.node:
            continue
        upto = events[: events.index(e) + 1]
        asked = invokes(upto).get(e.data.op)
        fails |= asked is None or not asks_for(asked, e)
        fails |= owners(upto).get(e.data.op) != e.data.ref
    for e in of(events, kinds.Boot):
        known = [one.data.ref for one in handed if one.seq < e.seq]
        fails |= any(is_ref(name) and name not in known for name in e.data.recovered)
    for e in of(events, kinds.Ok):
        refs = owners(events[: e.seq + 1])
        fails |= bool(e.data.ref) and refs.get(e.data.op) != e.data.ref
    exist = existing(events)
    fails |= any(ref not in [one.data.ref for one in handed] for ref in exist)
    forks = {dot(a) for a in exist for b in exist if a != b and dot(a) == dot(b)}
    forks = {one for one in forks if not unexplained(events, one)}
    fails |= any(unexplained(events, dot(one)) for one in exist)
    copied = {origin(one) for one in forks}
    for e in finals(events).values():
        fails |= any(one not in copied for one in e.data.forked)
        for one in forks:
            both = [ref for ref in exist if dot(ref) == one]
            holds = all(ref in e.data.arrivals for ref in both)
            fails |= holds and origin(one) not in e.data.forked
    return verdict(fails=fails, unknown=nothing(events))


def more_came_back(events: list[Any], at: int) -> list[bool]:
    """Since its start, this node was given back some of the log in which this own event is."""
    e = events[at]
    mine = [one for one in events[:at] if one.node == e.node]
    boots = [place for place, one in enumerate(mine) if type(one.data) is kinds.Boot]
    mine = mine[boots[-1] :] if boots else mine
    log = dot(e.data.ref).rsplit(":", 1)[0]
    first = not any(one.data.ref == e.data.ref for one in of(events[:at], kinds.Handed))
    return [
        first and one.data.via == "recovery" and dot(one.data.ref).rsplit(":", 1)[0] == log
        for one in of(mine, kinds.Handed)
    ]


def unexplained(events: list[Any], name: str) -> bool:
    """This dot has several branches, and not each of them was lost to an older disk in time."""
    branches = [ref for ref in existing(events) if dot(ref) == name]
    posts = made(events)
    if len(branches) < 2:
        return False
    if any(ref not in posts for ref in branches):
        return True
    branches.sort(key=lambda ref: posts[ref].seq)
    for ref, following in pairwise(branches):
        upto = events[: posts[following].seq]
        nodes = {e.node for e in of(upto, kinds.Boot)}
        gone = [lost for node in nodes for lost in losses(upto, node) if lost.name == ref]
        if not any(lost.excuse == "older" for lost in gone):
            return True
    return False


def c4(events: list[Any]) -> Answer:
    fails = looked = False
    for at, e in enumerate(events):
        shown: list[list[str]] = []
        if type(e.data) in (kinds.Visible, kinds.Boot):
            shown = [view(events[: at + 1], e.node)]
        elif type(e.data) is kinds.Final:
            shown = [list(e.data.arrivals), list(e.data.causal)]
        elif type(e.data) is kinds.Ok:
            shown = [list(e.data.seen)]
        for refs in shown:
            looked |= bool(refs)
            fails |= any(refs.count(ref) > 1 for ref in refs)
    return verdict(fails=fails, unknown=not looked)
