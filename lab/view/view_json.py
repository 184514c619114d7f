"""A `ClusterView` as a value for JSON, in words: what a page shows of it beside the diagram.

Everything is bounded, whatever the view holds. Texts have passed `display_safe`: no character in
them is invisible or turns the line around. Still they are to be shown as text.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from lab.terminal.display import display_safe
from lab.terminal.formats import counted, utc_text
from lab.view.cluster_view import ClusterView, LogLine, NodeView, Poll

LINES = 200  # of the merged log, the newest
TEXT_MAX = 300  # characters
NAMES_MAX = 8  # participants, rules, links, workers, queues and faults that are named
FIELDS_MAX = 50  # of a line
BARS = 8  # of lags, the newest
WALL_US = 10**14  # moments from here on are of a clock that counts from 1970

Fact = tuple[str, str, bool]  # name, text, whether it is bad


def view_json(view: ClusterView, lines: int = LINES, origin_us: int = 0) -> dict[str, Any]:
    """`t_us` is since `origin_us`; `nodes` in the order in which they became known."""
    newest = list(view.lines)[-lines:] if lines else []
    return {
        "t_us": max(view.t_us - origin_us, 0),
        "summary": _text(summary(view)),
        "nodes": [_node(view, node) for node in view.nodes.values()],
        "lines": [line_json(line) for line in newest],
    }


def line_json(line: LogLine) -> list[str]:
    """Time, node, level, event, fields."""
    some = islice(line.fields.items(), FIELDS_MAX)
    fields = "  ".join(f"{_text(name)}={_text(value)}" for name, value in some)
    named = (_text(name) for name in (line.node, line.level, line.event))
    return [moment_text(line.t_us), *named, fields[: 2 * TEXT_MAX]]


def moment_text(t_us: int) -> str:
    """UTC time of day, where the clock of the observer is that of the host; seconds of a run."""
    return f"{t_us / 1e6:.3f} s" if t_us < WALL_US else utc_text(t_us // 1000)[11:]


def summary(view: ClusterView) -> str:
    if not view.nodes:
        return "waiting for the first answer"
    up = sum(node.up for node in view.nodes.values())
    parts = [f"{up} of {counted(len(view.nodes), 'node')} up", counted(view.known, "message")]
    if behind := [name for name in view.nodes if view.lacks(name)]:
        parts.append(f"some lacking at {_names(behind)}")
    if view.converged:
        parts.append("all that are up hold the same")
    if view.faults:
        parts.append(f"faults: {_names(dict.fromkeys(one.what for one in view.faults.values()))}")
    return "; ".join(parts)


def _node(view: ClusterView, node: NodeView) -> dict[str, Any]:
    facts = [*_own(view, node), *(_polled(node.poll) if node.poll else ()), *_clients(node)]
    return {
        "name": node.name,
        "health": node.health,
        "up": node.up,
        "lacks": view.lacks(node.name),
        "facts": [[name, _text(text), bad] for name, text, bad in facts if text],
    }


def _own(view: ClusterView, node: NodeView) -> Iterable[Fact]:
    lacks, since = view.lacks(node.name), node.quiet_since_us
    quiet = f"{max(view.t_us - since, 0) / 1e6:.1f} s" if since is not None else ""
    yield "lacks", f"{lacks} of {node.events + lacks}" if lacks else "nothing known", lacks > 0
    yield "shows", f"{node.events}{f', root {node.root[:8]}' if node.root else ''}", False
    yield "quiet", f"{quiet}{', looks stable' if quiet and node.stable else ''}", False
    yield "ended", "" if node.up else node.exit, True
    yield "starts", str(node.starts) if node.starts > 1 else "", False
    yield "packets", f"{node.sent} sent, {node.lost} lost" if node.sent else "", False


def _polled(poll: Poll) -> Iterable[Fact]:
    links, workers = poll.links, poll.workers
    if links:
        synced = sum(one.in_sync for one in links.values())
        yield "links", f"{synced} of {len(links)} in sync", False
    ill = {name: one.fault or one.state for name, one in links.items()}
    yield "", _names(f"{name} {what}" for name, what in ill.items() if what != "alive"), True
    if workers:
        halted = {name: one.state for name, one in workers.items() if one.state != "running"}
        yield "workers", f"{len(workers) - len(halted)} of {len(workers)} run", False
        yield "", _names(f"{name} {state}" for name, state in halted.items()), True
        used = {name: one for name, one in poll.queues.items() if one.used}
        full = (f"{name} {one.used:,}" + _share(one.used, one.room) for name, one in used.items())
        yield "queues", _names(full) or "empty", False
    yield "unseen", f"{poll.feed_unread:,} arrivals" if poll.feed_unread else "", True


def _share(used: int, room: int) -> str:
    return f" ({100 * used / room:.0f} %)" if room else ""


def _clients(node: NodeView) -> Iterable[Fact]:
    rules = [f"{name} {count}" for name, count in node.rules.items()]
    rules += [f"{node.refused} refused"] if node.refused else []
    present = (name for name in reversed(node.presence) if node.presence[name] != "left")
    yield "moderated", _names(rules), False
    yield "lag", _bars(list(node.lags_us)[-BARS:]), False
    yield "present", _names(present), False


def _bars(values_us: list[int]) -> str:
    """A bar for each, and the newest as a number."""
    most = max(values_us, default=0) or 1
    bars = "".join("▁▂▃▄▅▆▇█"[min(7, max(0, 8 * value // most))] for value in values_us)
    newest = values_us[-1] / 1000 if values_us else 0
    return f"{bars} {_span(newest)}" if values_us else ""


def _span(ms: float) -> str:
    return f"{ms:.1f} ms" if ms < 1000 else f"{ms / 1000:,.1f} s"


def _names(names: Iterable[str]) -> str:
    shown = list(islice(names, NAMES_MAX + 1))
    return ", ".join(name[:TEXT_MAX] for name in shown[:NAMES_MAX]) + (
        ", …" if len(shown) > NAMES_MAX else ""
    )


def _text(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return display_safe(text[: TEXT_MAX + 1], TEXT_MAX)
