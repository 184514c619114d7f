"""Reference implementations, see `naive`: C7, and what C8 and C16 need too."""

from typing import Any

from lab.trace import kinds
from tests.lab.checkers.naive import Answer, dot, finals, journal, of, origin, verdict
from tests.lab.checkers.naive_logs import life, log_of, seq_of


def facts(events: list[Any]) -> dict[str, kinds.Facts]:
    return {e.data.ref: e.data.facts for e in reversed(of(events, kinds.Handed))}


def causes(events: list[Any], ref: str) -> list[str]:
    before = [] if seq_of(ref) == 1 else [f"{log_of(ref)}:{seq_of(ref) - 1}"]
    return [*facts(events)[ref].parents, *before]


def behind(events: list[Any], ref: str) -> list[str]:
    """The events that its causes were at its author's node. A fork has several of one dot."""
    first = next(e for e in of(events, kinds.Handed) if e.data.ref == ref)
    if first.data.via != "local":
        return []
    upto = events[: events.index(first) + 1]
    found: list[str] = []
    for cause in causes(upto, ref):
        refs = [one for one in facts(upto) if dot(one) == cause]
        mine = journal(upto, first.node).records
        found += refs if len(refs) == 1 else [one for one in refs if one in mine]
    return found


def skewed(events: list[Any]) -> set[tuple[str, str]]:
    shown = {(e.node, e.data.ref) for e in of(events, kinds.Visible) if e.data.skewed}
    return shown | {(e.node, ref) for e in of(events, kinds.Boot) for ref in e.data.skewed}


def unnamed(events: list[Any], at: int) -> bool:
    """This own event, and none before it, names the newest stranger that its node has shown."""
    e = events[at]
    if e.data.ref in [one.data.ref for one in of(events[:at], kinds.Handed)]:
        return False
    newest = must_name(events, at)
    return bool(newest) and not any(covers(e.data.facts.parents, one) for one in newest)


def must_name(events: list[Any], at: int) -> list[str]:
    """The dot that the next own event of this node has to name; none, or one."""
    newest: list[str] = []
    named: list[tuple[int, tuple[str, ...]]] = []
    for one in life(events, at):
        d = one.data
        heard = facts(events[: one.seq])

        def covered(name: str) -> bool:
            return any(covers(parents, name) for _, parents in named)  # noqa: B023

        if type(d) is kinds.Boot:
            known = [ref for ref in d.arrivals if ref in heard]
            own = [ref for ref in known if origin(ref) == one.node]
            named = [(0, heard[ref].parents) for ref in own]
            newest = [dot(r) for r in known if r not in own and not covered(r)][-1:]
        elif type(d) is kinds.Handed and d.via == "local" and d.ref not in heard:
            newest = []
            named.append((d.number, d.facts.parents))
        elif type(d) is kinds.Unwritten:
            gone = [parent for number, ps in named if number > d.kept for parent in ps]
            named = [pair for pair in named if pair[0] <= d.kept]
            lost = [one_ for one_ in gone if origin(one_) != one.node and not covered(one_)]
            newest = newest or lost[-1:]
        elif type(d) is kinds.Visible and d.ref in heard:
            if origin(d.ref) != one.node:
                newest = newest if covered(d.ref) else [dot(d.ref)]
            elif d.via == "recovery":
                named.append((0, heard[d.ref].parents))
                newest = [name for name in newest if not covered(name)]
    return newest


def covers(parents: tuple[str, ...], ref: str) -> bool:
    return any(log_of(one) == log_of(ref) and seq_of(one) >= seq_of(ref) for one in parents)


def first(events: list[Any], ref: str) -> Any:
    return next(e.data for e in of(events, kinds.Handed) if e.data.ref == ref)


def stamped_ms(events: list[Any], ref: str) -> int:
    return int(first(events, ref).facts.stamp_ms)


def clock_ms(events: list[Any], ref: str) -> int:
    """Of the node that made it, then."""
    return int(first(events, ref).wall_ms)


def c7(events: list[Any]) -> Answer:
    known = facts(events)
    fails = any(
        unnamed(events, at)
        for at, e in enumerate(events)
        if type(e.data) is kinds.Handed and e.data.via == "local"
    )
    excused = skewed(events)
    for e in finals(events).values():
        order = list(e.data.causal)
        for at, ref in enumerate(order):
            for cause in behind(events, ref) if ref in known else []:
                above = cause in order and order.index(cause) > at
                far = above and stamped_ms(events, cause) > clock_ms(events, ref) + 86_400_000
                fails |= above and not far and (origin(ref), cause) not in excused
        held = [dot(ref) for ref in e.data.arrivals if ref in known]
        gaps = [
            cause
            for ref in e.data.arrivals
            if ref in known
            for cause in causes(events, ref)
            if cause not in held
        ]
        fails |= bool(gaps) != bool(e.data.holes)
    shown = [
        e
        for e in of(events, kinds.Visible)
        if e.data.ref in [one.data.ref for one in of(events[: e.seq], kinds.Handed)]
    ]
    return verdict(fails=fails, unknown=not shown)
