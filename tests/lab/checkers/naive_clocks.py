"""Reference implementation, see `naive`: C16."""

from typing import Any

from lab.trace import kinds
from tests.lab.checkers.naive import Answer, dot, finals, is_ref, made, of, origin, verdict
from tests.lab.checkers.naive_causes import skewed


def c16(events: list[Any]) -> Answer:
    fails = False
    known: dict[str, tuple[int, int]] = {}
    slack_ms = 10
    for at, e in enumerate(events):
        d = e.data
        if type(d) is not kinds.Handed or d.ref in known:
            continue
        stamp = (d.facts.stamp_ms, d.facts.stamp_counter)
        known[d.ref] = stamp
        if d.via != "local":
            continue
        last = last_own(events[:at], e.node, known)
        far = (d.wall_ms + 86_400_000, 65_535)
        fails |= last is not None and stamp <= last <= far
        for parent in d.facts.parents:
            refs = [ref for ref in known if dot(ref) == parent]
            if len(refs) == 1 and not ahead(events[:at], e.node, refs[0], known):
                fails |= stamp <= known[refs[0]] <= far
        walls = [
            one.data.wall_ms * 1000 - one.t_us
            for one in events[: at + 1]
            if type(one.data) is kinds.Handed or (type(one.data) is kinds.Boot and one.data.wall_ms)
        ]
        fails |= stamp[0] > (e.t_us + max(walls)) // 1000 + slack_ms
    for e in of(events, kinds.Visible):
        handed = [one for one in of(events[: e.seq], kinds.Handed) if one.data.ref == e.data.ref]
        mine = [one for one in handed if one.node == e.node and one.data.via != "local"]
        if mine and e.data.via != "local":
            stamp_ms = handed[0].data.facts.stamp_ms
            fails |= e.data.skewed != (stamp_ms > mine[-1].data.wall_ms + 300_000)
    for e in finals(events).values():
        stamps = [known[ref] for ref in e.data.causal if ref in known]
        fails |= stamps != sorted(stamps)
    return verdict(fails=fails, unknown=not made(events) or not own_firsts(events))


def ahead(before: list[Any], node: str, ref: str, known: dict[str, tuple[int, int]]) -> bool:
    """Said to be skewed there; or received there, and about to be said so."""
    received = [
        one.data.wall_ms
        for one in of(before, kinds.Handed)
        if one.node == node and one.data.ref == ref and one.data.via != "local"
    ]
    far = bool(received) and known[ref][0] > received[-1] + 300_000
    return far or (node, ref) in skewed(before)


def own_firsts(events: list[Any]) -> list[Any]:
    """Events of which the first that is heard is that they were posted."""
    handed = of(events, kinds.Handed)
    firsts = {e.data.ref: e for e in reversed(handed)}
    return [e for e in firsts.values() if e.data.via == "local"]


def last_own(
    events: list[Any], node: str, known: dict[str, tuple[int, int]]
) -> tuple[int, int] | None:
    """The stamp that this node's next one must be above."""
    last: tuple[int, int] | None = None
    firsts = own_firsts(events)
    for at, e in enumerate(events):
        if e.node != node:
            continue
        if type(e.data) is kinds.Handed and e in firsts:
            last = known[e.data.ref]
        elif type(e.data) is kinds.Boot:
            own = [r for r in e.data.recovered if is_ref(r) and origin(r) == node]
            heard = [one.data.ref for one in of(events[:at], kinds.Handed)]
            back = [
                one.data.ref for one in of(events[:at], kinds.Handed) if one.data.via == "recovery"
            ]
            own = [ref for ref in own if ref not in back]
            last = max([known[ref] for ref in own if ref in heard], default=None)
    return last
