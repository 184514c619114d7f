"""A `ClusterView` as a value for JSON: what pages get, and what `--json` prints.

Everything is bounded: lists have a count beside them, and long texts are cut. Times are
microseconds, as in the view; latencies and quiet periods too. Texts have passed `display_safe`: no
character in them is invisible or turns the line around. Still they are to be shown as text.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import msgspec

from lab.terminal.display import display_safe
from lab.terminal.formats import utc_text
from lab.view.cluster_view import ClusterView, LogLine, NodeView

LINES = 200  # of the merged log, the newest
TEXT_MAX = 300  # characters
NAMES_MAX = 50  # participants, rules, links, workers, queues and fields of a line
FAULTS_MAX = 100
DELAYS = 40  # of latencies and lags, the newest
WALL_US = 10**14  # moments from here on are of a clock that counts from 1970


def view_json(view: ClusterView, lines: int = LINES, origin_us: int = 0) -> dict[str, Any]:
    """The view, with times since `origin_us`; `nodes` in the order in which they became known."""
    newest = list(view.lines)[-lines:] if lines else []
    faults = [
        {
            "what": one.what,
            "nodes": one.nodes,
            "detail": _text(one.detail),
            "since_us": one.from_us - origin_us,
        }
        for one in list(view.faults.values())[-FAULTS_MAX:]
    ]
    return {
        "t_us": max(view.t_us - origin_us, 0),
        "source": view.source,
        "scenario": view.scenario,
        "phase": view.phase,
        "events": view.known,
        "converged": view.converged,
        "nodes": [_node(view, node) for node in view.nodes.values()],
        "faults": faults,
        "lines": [line_json(line) for line in newest],
    }


def line_json(line: LogLine) -> list[Any]:
    """[time as text, node, level, event, fields as text]"""
    fields = "  ".join(f"{name}={_text(value)}" for name, value in _some(line.fields).items())
    named = (_text(name) for name in (line.node, line.level, line.event))
    return [moment_text(line.t_us), *named, fields[: 2 * TEXT_MAX]]


def moment_text(t_us: int) -> str:
    """UTC time of day, where the clock of the observer is that of the host; seconds of a run."""
    return f"{t_us / 1e6:.3f} s" if t_us < WALL_US else utc_text(t_us // 1000)[11:]


def _node(view: ClusterView, node: NodeView) -> dict[str, Any]:
    poll = node.poll
    since = node.quiet_since_us
    return {
        "name": node.name,
        "health": node.health,
        "up": node.up,
        "life": node.life,
        "starts": node.life or node.restarts + node.up,
        "exit": _text(node.exit),
        "events": node.events,
        "lacks": view.lacks(node.name),
        "root": node.root[:16],
        "stable": node.stable,
        "quiet_us": max(view.t_us - since, 0) if since is not None else None,
        "participants": len(node.presence),
        "presence": _some(node.presence, newest=True),
        "rules": _some(node.rules),
        "refused": node.refused,
        "latencies_us": list(node.latencies_us)[-DELAYS:],
        "lags_us": list(node.lags_us)[-DELAYS:],
        "sent": node.sent,
        "lost": node.lost,
        "sent_bytes": node.sent_bytes,
        "received_bytes": node.received_bytes,
        "pid": poll.pid if poll else None,
        "uptime_ms": poll.uptime_ms if poll else None,
        "missing": poll.missing if poll else None,
        "workers": msgspec.to_builtins(_some(poll.workers)) if poll else {},
        "links": msgspec.to_builtins(_some(poll.links)) if poll else {},
        "queues": msgspec.to_builtins(_some(poll.queues)) if poll else {},
    }


def _some(values: Mapping[str, Any], newest: bool = False) -> dict[str, Any]:
    names: Iterable[str] = reversed(list(values)) if newest else values
    return {_text(name): values[name] for name in islice(names, NAMES_MAX)}


def _text(value: object) -> str:
    return display_safe(value if isinstance(value, str) else str(value), TEXT_MAX)
