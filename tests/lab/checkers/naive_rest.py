"""Reference implementations, see `naive`: the other checkers, and the figures of some."""

from typing import Any

from lab.checkers import Thresholds
from lab.trace import kinds
from tests.lab.checkers.naive import (
    Answer,
    acked,
    finals,
    invokes,
    made,
    maker,
    nothing,
    of,
    phases,
    settled,
    verdict,
    view,
)


def last_change(events: list[Any], node: str) -> int | None:
    changes = [e.t_us for e in events if e.node == node and grows(e)]
    return changes[-1] if changes else None


def grows(e: Any) -> bool:
    return type(e.data) in (kinds.Boot, kinds.Visible)


def c6(events: list[Any], limits: Thresholds | None = None) -> Answer:
    limits = limits or Thresholds()
    ends = finals(events)
    if nothing(events) or len(ends) < 2 or not settled(events):
        return "unknown"
    (_, first), *others = ends.items()
    fails = False
    for _, other in others:
        a, b = first.data, other.data
        same = set(a.arrivals) == set(b.arrivals)
        fails |= not same or a.root != b.root
        fails |= (a.timeline, a.presence) != (b.timeline, b.presence)
    live = phases(events)["liveness"]
    bound_us, since = live.data.bound_us, live
    if limits.bound_us:
        bound_us, since = limits.bound_us, phases(events).get("heal", live)
    late = [at - since.t_us for node in ends if (at := last_change(events, node)) is not None]
    fails |= bool(bound_us) and max([0, *late]) > bound_us
    return verdict(fails=fails, unknown=not bound_us)


def c9(events: list[Any]) -> Answer:
    fails = False
    handed = of(events, kinds.Handed)
    for a in handed:
        for b in handed:
            if a.data.ref == b.data.ref and handed.index(a) < handed.index(b):
                first = next(one for one in handed if one.data.ref == b.data.ref)
                fails |= first.bytes != b.bytes or first.data.facts != b.data.facts
    asked = invokes(events)
    decisions: list[tuple[str, str | None, tuple[str, ...]]] = []
    for e in events:
        d = e.data
        if type(d) is kinds.Ok and d.ref in made(events[: e.seq]):
            facts = made(events)[d.ref].data.facts
            fails |= d.text != facts.text or d.rules != facts.censored_by
        refused = type(d) is kinds.Fail and d.code == "moderation"
        if refused and d.op in invokes(events[: e.seq]):
            decisions.append((asked[d.op].data.text, None, ()))
        if type(d) is not kinds.Handed or d.via != "local" or d.facts.what != "posted":
            continue
        if any(one.data.ref == d.ref for one in handed[: handed.index(e)]):
            continue
        op = maker(events, d.ref)
        if op not in invokes(events[: e.seq]):
            continue
        text, facts = asked[op].data.text, d.facts
        fails |= not facts.censored_by and facts.text != text
        decisions.append((text, facts.text, facts.censored_by))
        fails |= not starred(text, facts.text)
        fails |= "zonk" in text.casefold().split()
    for text, emitted, _ in decisions:
        words = text.split(" ")
        plain = all(len(w) > 1 and w.isascii() and w.isalpha() and w.islower() for w in words)
        fails |= plain and not {"darn", "zonk"} & set(words) and emitted != text
    for at, (text, emitted, by) in enumerate(decisions):
        for before in decisions[:at]:
            fails |= before[0] == text and first_of(decisions, text) != (emitted, by)
            fails |= bool(before[2]) and before[1] == text and emitted != text
    return verdict(fails=fails, unknown=not handed)


def starred(text: str, emitted: str) -> bool:
    """Only stars came in, each for one character, and no letter of a plain `darn` is left."""
    if len(text) != len(emitted):
        return False
    ends = [0]  # of words
    for word in text.split():
        begin = text.index(word, ends[-1])
        ends.append(begin + len(word))
        if word.casefold() == "darn" and emitted[begin : ends[-1]] != "*" * len(word):
            return False
    return all(emitted[at] in (text[at], "*") for at in range(len(text)))


def first_of(
    decisions: list[tuple[str, str | None, tuple[str, ...]]], text: str
) -> tuple[str | None, tuple[str, ...]]:
    return next((emitted, by) for one, emitted, by in decisions if one == text)


def c10(events: list[Any]) -> Answer:
    fails = False
    refolded = 0
    ends = list(finals(events).values())
    for e in ends:
        d = e.data
        if d.timeline_again:
            refolded += 1
            fails |= not d.timeline == d.timeline_again == d.timeline_back
            fails |= not d.presence == d.presence_again == d.presence_back
            fails |= d.timeline_half != d.timeline_half_again
            fails |= d.presence_half != d.presence_half_again
        fails |= view(events, e.node) != list(d.arrivals)
    orders = [list(e.data.causal) for e in ends]
    for e in ends:  # the first of each order speaks for it
        if orders.index(list(e.data.causal)) == ends.index(e):
            fails |= sorted(e.data.causal) != sorted(e.data.arrivals)
    reads = [list(e.data.seen) for e in of(events, kinds.Ok)]
    for order in orders[1:] + (reads if orders else []):
        fails |= not fits(order, orders[0]) and order != orders[0]
    return verdict(fails=fails, unknown=nothing(events) or not refolded)


def fits(order: list[str], other: list[str]) -> bool:
    """No two that both have stand the other way round."""
    at = {ref: place for place, ref in enumerate(other)}
    both = [ref for ref in order if ref in at]
    return not any(at[a] > at[b] for i, a in enumerate(both) for j, b in enumerate(both) if i < j)


def c12(events: list[Any], limits: Thresholds | None = None) -> Answer:
    limits = limits or Thresholds()
    fails = any(e.data.missing and e.data.wake_ms > 60_000 for e in finals(events).values())
    if limits.useless_max:
        nodes = {e.node for e in of(events, kinds.Got)}
        fails |= any(limits.useless_max < n for node in nodes for n in useless(events, node))
    if limits.answer_us:
        fails |= unanswered(events, limits)
    ends = finals(events)
    if nothing(events) or not settled(events):
        return verdict(fails=fails, unknown=nothing(events))
    changes = [at for at, e in enumerate(events) if e.node in ends and grows(e)]
    live = next(at for at, e in enumerate(events) if e == phases(events)["liveness"])
    last = events[max([live, *changes])]
    healed = phases(events).get("heal", phases(events)["liveness"])
    from_us = max(last.t_us, healed.t_us) + limits.calm_us
    late = [e for e in of(events, kinds.Sent) if e.t_us > from_us]
    fails |= bool(limits.calm_us) and any(e.data.body not in ("Syn", "Same") for e in late)
    idle_us = phases(events)["end"].t_us - from_us
    if idle_us >= limits.idle_us_min:
        for count, most in (
            (len(late), limits.idle_packets_s),
            (sum(e.bytes or 0 for e in late), limits.idle_bytes_s),
            (len([e for e in late if e.data.body == "Syn"]), limits.idle_rounds_s),
        ):
            fails |= bool(most) and count / (idle_us / 1e6 * len(ends)) > most
    return verdict(fails=fails, unknown=False)


def unanswered(events: list[Any], limits: Thresholds) -> bool:
    """An op is in flight at the end for longer than that, or overdue where no fault was planned."""
    sound = any(not e.data.enabled for e in of(events, kinds.Totals)[-1:])
    for at, e in enumerate(events):
        if type(e.data) is not kinds.Info or e.data.op not in invokes(events[:at]):
            continue
        waited_us = e.t_us - invokes(events)[e.data.op].t_us
        if e.data.code == "end" and waited_us > limits.answer_us:
            return True
        due = limits.syncs or invokes(events)[e.data.op].data.ack == "written"
        if e.data.code == "ack_timeout" and sound and due:
            return True
    return False


def useless(events: list[Any], node: str) -> list[int]:
    """How many packets with entries this node was given in a row, at each of them."""
    counts: list[int] = []
    now = owed = 0
    first: int | None = None  # record from elsewhere that is not written
    for at, e in enumerate(events):
        d = e.data
        if e.node != node:
            continue
        if type(d) is kinds.Boot:
            now, owed, first = 0, 0, None
        elif type(d) is kinds.Handed and d.via != "local":
            first = d.number if first is None else first
            now, owed = 0, owed + now
        elif type(d) is kinds.Written and first is not None and first <= d.written:
            now, owed, first = 0, 0, None
        elif type(d) is kinds.Unwritten and first is not None and first > d.kept:
            now, owed, first = now + owed, 0, None
        elif type(d) is kinds.Got and loaded(events, e.cause, at):
            now += 1
            counts.append(now)
    return counts


def loaded(events: list[Any], cause: int | None, at: int) -> bool:
    """What was sent by then under this number carries entries."""
    sent = [e for e in of(events[:at], kinds.Sent) if e.seq == cause]
    return bool(sent) and sent[0].data.entries > 0


def c14(events: list[Any]) -> Answer:
    fails = any(e.data.how == "core" for e in of(events, kinds.Crash))
    run = of(events, kinds.Run)[0].data
    for e in of(events, kinds.Boot):
        earlier = of(events[: e.seq], kinds.Boot, e.node)
        fresh = max([one.seq for one in earlier if one.data.disk != "same"], default=0)
        counts = [one.inc for one in earlier if one.seq >= fresh]
        fails |= e.data.disk == "same" and bool(counts) and e.inc <= max(counts)
    ends = finals(events)
    for node, e in ends.items():
        last = [one.seq for one in of(events, kinds.Boot, node)][-1:]
        failed = [
            one
            for one in of(events, kinds.Unwritten, node)
            if one.seq > max(last, default=-1) and one.data.final
        ]
        fails |= e.data.health not in (("running", "read_only") if failed else ("running",))
    if settled(events) and ends:
        fails |= any(
            node not in ends and any(type(e.data) in LIFE for e in events if e.node == node)
            for node in run.nodes
        )
        for node in ends:
            last_boot = max([e.seq for e in of(events, kinds.Boot, node)], default=-1)
            notes = [e.data for e in of(events, kinds.Note, node) if e.seq > last_boot]
            workers = {n.fields.get("worker", "") for n in notes if n.event.startswith("worker_")}
            for worker in workers:
                mine = [n.event for n in notes if n.fields.get("worker", "") == worker]
                mine = [one for one in mine if one in ("worker_crashed", "worker_restarted")]
                fails |= bool(mine) and mine[-1] == "worker_crashed"
    for e in of(events, kinds.Note):
        if e.data.event == "worker_restarted":
            near = [
                one
                for one in of(events[: e.seq + 1], kinds.Note, e.node)
                if one.data.event == "worker_restarted"
                and one.t_us > e.t_us - 60_000_000
                and one.data.fields.get("worker", "") == e.data.fields.get("worker", "")
            ]
            fails |= len(near) > 5
    return verdict(fails=fails, unknown=not ends)


LIFE = (kinds.Boot, kinds.Visible, kinds.Crash, kinds.Stopped)


def c17(events: list[Any]) -> Answer:
    totals = of(events, kinds.Totals)
    unknown = nothing(events) or not totals or not acked(events)
    unknown |= all(e.data.via == "local" for e in of(events, kinds.Handed))
    if totals:
        fired = totals[-1].data.fired
        unknown |= any(not fired.get(word, 0) for word in totals[-1].data.enabled)
    return verdict(fails=False, unknown=unknown)


def life(events: list[Any], e: Any) -> int:
    return len(of(events[: e.seq], kinds.Boot, e.node))


def disks(events: list[Any], e: Any) -> int:
    boots = of(events[: e.seq], kinds.Boot, e.node)
    return len([one for one in boots if one.data.disk != "same"])


def c18(events: list[Any]) -> Answer:
    fails = False
    sent = of(events, kinds.Sent)
    in_flight = 0
    for e in sent:
        d = e.data
        fails |= d.digest + d.payload + d.framing != (e.bytes or 0) or d.framing < 0
        same = [one for one in sent if one.seq < e.seq and one.node == e.node]
        same = [one for one in same if one.msg_id is not None and one.msg_id == e.msg_id]
        same = [one for one in same if disks(events, one) == disks(events, e)]
        fails |= any(one.peer == e.peer for one in same)
        fails |= e.msg_id is not None and (e.msg_id[0] != e.node or e.msg_id[1] < e.inc)
        fails |= bool(same) and (same[0].data != d or life(events, same[0]) != life(events, e))
        copies = [one for one in of(events, kinds.Copied) if one.cause == e.seq]
        ends = [
            one
            for one in [*of(events, kinds.Got), *of(events, kinds.Dropped)]
            if one.cause == e.seq
        ]
        fails |= len(ends) > 1 + len(copies)
        in_flight += 1 + len(copies) - len(ends)
    for e in [*of(events, kinds.Got), *of(events, kinds.Dropped), *of(events, kinds.Copied)]:
        source = [one for one in sent if one.seq == e.cause]
        fails |= not source
        if source and type(e.data) is kinds.Got:
            fails |= source[0].peer != e.node or source[0].node != e.peer
            fails |= source[0].bytes != e.bytes or source[0].msg_id != e.msg_id
    totals = of(events, kinds.Totals)
    if not totals:
        return verdict(fails=fails, unknown=True)
    counts = totals[-1].data.counts
    mine = {
        "sent": len(sent),
        "copied": len(of(events, kinds.Copied)),
        "delivered": len(of(events, kinds.Got)),
        "bytes": sum(e.bytes or 0 for e in sent),
        "digest_bytes": sum(e.data.digest for e in sent),
        "payload_bytes": sum(e.data.payload for e in sent),
        "framing_bytes": sum(e.data.framing for e in sent),
        "in_flight": in_flight,
    }
    drops = of(events, kinds.Dropped)
    for why in {e.data.why for e in drops}:
        mine[f"dropped_{why}"] = len([e for e in drops if e.data.why == why])
    fails |= any(counts.get(name, 0) != count for name, count in mine.items())
    fails |= any(
        name.startswith("dropped_") and count and name not in mine for name, count in counts.items()
    )
    return verdict(fails=fails, unknown=not counts.get("sent", 0))


# --- figures --------------------------------------------------------------------------------------


def lags(events: list[Any]) -> tuple[int, int, int, int]:
    """C20: the sum of the times from posting to the first showing elsewhere, and how many; of how
    many the record came from another than their origin, and how many were repaired.
    """
    total = count = relayed = repaired = 0
    for at, e in enumerate(events):
        if type(e.data) is not kinds.Visible:
            continue
        posts = made(events[:at])
        if e.data.ref not in posts or posts[e.data.ref].node == e.node:
            continue
        mine = [one for one in events[:at] if one.node == e.node]
        seen = [one for one in of(mine, kinds.Visible) if one.data.ref == e.data.ref]
        seen = [one for one in seen if e.data.ref in made(events[: one.seq])]
        back = [one for one in of(mine, kinds.Boot) if e.data.ref in one.data.arrivals]
        if not seen and not back:
            total += e.t_us - posts[e.data.ref].t_us
            count += 1
            home = posts[e.data.ref].node
            came = [one for one in of(mine, kinds.Handed) if one.data.via != "local"]
            came = [one for one in came if one.data.ref == e.data.ref]
            relayed += bool(came) and came[-1].data.sender != home
            repaired += e.data.via == "anti-entropy"
    return total, count, relayed, repaired


def quiet_times(events: list[Any]) -> tuple[int, int, int]:
    """C11, millisecond by millisecond: claimed, stable, and both. Times must be whole ms."""
    end = phases(events).get("end")
    end_us = end.t_us if end is not None else 0
    claimed = stable = both = 0
    nodes = {e.node for e in events if grows(e) or type(e.data) is kinds.Quiet}
    for node in nodes:
        claims = [(e.data.from_us, e.data.to_us) for e in of(events, kinds.Quiet, node)]
        for t in range(0, events[-1].t_us, 1000):
            so_far = [e for e in events if e.t_us <= t]
            lives = [e for e in so_far if e.node == node and type(e.data) in LIFE[:1] + LIFE[2:]]
            up = bool(lives) and type(lives[-1].data) is kinds.Boot
            shows = set(view(so_far, node))
            oks = {e.data.ref for e in of(so_far, kinds.Ok) if e.data.ref}
            holds = up and oks <= shows
            quiet = any(begin <= t < to for begin, to in claims)
            open_end = t >= end_us
            claimed += 1000 * quiet
            stable += 1000 * (holds and not open_end)
            both += 1000 * (holds and quiet and not open_end)
    return claimed, stable, both
