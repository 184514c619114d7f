"""Output of timelines and presence lists, as text and as JSON.

`timeline --order causal` prints on stdout only what is the same on every node that holds the same
events, so converged nodes print the same bytes. What only this node knows (how much is missing,
which events came late, which stamps are skewed) goes to stderr. The orders `arrival` and `author`
show local facts.
"""

import sys
import time
from typing import cast

from domain.events import MessagePosted, ParticipantJoined, ParticipantLeft, UnknownEvent
from lab.cli.common import emit, hear_ctrl_c, hint
from lab.client.client import Client
from lab.client.location import NodeLocation
from lab.client.timeline_reader import Follower, TimelineReader, read_timeline
from lab.terminal.display import display_safe
from lab.terminal.event_line import item_text
from lab.terminal.formats import counted, dot_text, log_text, utc_text
from lab.terminal.tables import Paint, duration, table, width_max_of
from node.control.messages import Order, PresencePage, TimelineItem

AHEAD_MS = 1000  # two clocks of one machine, read one after the other, may differ by as much
COUNT_ONLY = 1 << 40  # an offset behind every event: the page says how many there are


def show_timeline(
    at: NodeLocation,
    order: str,
    last: int | None,
    as_of_ms: int | None,
    follow: bool,
    json: bool,
    paint: Paint,
) -> None:
    kind = cast(Order, order)
    if follow:
        hear_ctrl_c()
    follower = Follower(at) if follow else None  # subscribed before the snapshot is taken
    if follower is not None and not at.control:
        hint(f"the feed of {display_safe(at.name)} from now on; the past needs --control")
        _follow(follower, None, (), json, paint)
        return
    with Client.at(at) as client:
        reading = read_timeline(client, kind, last, as_of_ms)
        then = reading
        if as_of_ms is not None and last is not None:
            then = read_timeline(client, "arrival", None, as_of_ms, reading.arrivals, COUNT_ONLY)
    for item in reading.items:
        _print(item, order, json, paint)
    if not json and as_of_ms is None:
        _print_summary(at.name, reading)
    elif not json:
        _print_past(at.name, reading, then.total, as_of_ms or 0)
    if follower is not None:
        newest = max((_key(item) for item in reading.items), default=())
        _follow(follower, reading.arrivals, newest, json, paint)


def _follow(
    follower: Follower, seen: int | None, newest: tuple[object, ...], json: bool, paint: Paint
) -> None:
    was_reachable = True
    try:
        for item in follower.after(seen):
            if item is None:
                if follower.missed:
                    hint(f"{follower.missed} arrivals were missed; reading them needs --control")
                    follower.missed = 0
                if follower.reachable != was_reachable:
                    was_reachable = follower.reachable
                    hint("the node is back" if was_reachable else "the node went away; waiting")
                continue
            late = _key(item) < newest
            newest = max(newest, _key(item))
            _print(item, "arrival" if late else "causal", json, paint, late)
    finally:
        follower.close()


def _key(item: TimelineItem) -> tuple[object, ...]:
    stamp, dot = item.event.stamp, item.event.dot
    return (stamp.ms, stamp.counter, dot.origin, dot.epoch, dot.seq)


def _print(item: TimelineItem, order: str, json: bool, paint: Paint, late: bool = False) -> None:
    if json:
        emit(item_json(item))
    else:
        print(item_text(item, order, paint) + (paint("  (late)", "yellow") if late else ""))
        sys.stdout.flush()


def item_json(item: TimelineItem) -> dict[str, object]:
    """The stable keys of docs/cli.md, and some more."""
    event = item.event
    return {
        "dot": event.dot,
        "author": event.author,
        "text": event.text if type(event) is MessagePosted else None,
        "kind": _kind(item),
        "hlc": {"ms": event.stamp.ms, "counter": event.stamp.counter},
        "received_at_ms": item.received_at_ms,
        "via": item.via,
        "parents": event.parents,
        "censored_by": list(event.censored_by) if type(event) is MessagePosted else [],
        "skewed": item.skewed,
    }


def _kind(item: TimelineItem) -> str:
    kinds = {
        MessagePosted: "posted",
        ParticipantJoined: "joined",
        ParticipantLeft: "left",
        UnknownEvent: "unknown",
    }
    return kinds[type(item.event)]


def _print_past(node: str, reading: TimelineReader, held: int, as_of_ms: int) -> None:
    """Of a past view: what the node held then, and nothing of what it knows now."""
    sys.stdout.flush()
    parts = [f"{display_safe(node)} held {counted(held, 'event')} at {utc_text(as_of_ms)}"]
    later = sum(item.received_at_ms > as_of_ms for item in reading.items)
    if later:
        parts.append(f"{later} of these came while its clock showed a later time")
    if as_of_ms > time.time() * 1000 + AHEAD_MS:
        parts.append("that lies ahead of this machine's clock")
    parts.append(f"it holds {counted(reading.arrivals, 'event')} now")
    hint("; ".join(parts))


def _print_summary(node: str, reading: TimelineReader) -> None:
    sys.stdout.flush()
    parts = [f"{display_safe(node)} holds {counted(reading.arrivals, 'event')}"]
    if reading.late:
        parts.append(f"{reading.late} came late and were put before others")
    if reading.holes:
        count = sum(last - first + 1 for _, _, first, last in reading.holes)
        spots = [
            f"{log_text(origin, epoch)}:{first}" + (f"-{last}" if last > first else "")
            for origin, epoch, first, last in reading.holes[:5]
        ]
        dots = " …" if len(reading.holes) > 5 else ""
        least = "at least " if reading.more_holes else ""
        parts.append(f"{least}{count} are known to be missing ({', '.join(spots)}{dots})")
    hint("; ".join(parts) + "; other nodes may hold more")


def show_presence(page: PresencePage, paint: Paint) -> None:
    rows = [
        [
            display_safe(one.author, 40),
            "active" if one.active else "away",
            one.because,
            dot_text(one.dot),
            utc_text(one.since_ms),
            f"stamped {duration(one.ahead_ms)} ahead" if one.ahead_ms else "",
        ]
        for one in page.participants
    ]
    if not rows:
        hint("nobody has spoken or joined yet")
        return
    ahead = any(one.ahead_ms for one in page.participants)
    head = ["PARTICIPANT", "IS", "BECAUSE", "EVENT", "SINCE"]
    shown = [*head, "NOTE"] if ahead else head
    print(table(shown, [row[: len(shown)] for row in rows], paint, width_max_of(sys.stdout)))
    if ahead:
        hint(
            "stamps decide, and some lie ahead of the node's clock: what the same participants did "
            "since is in `chatlab timeline NODE --order arrival`"
        )
