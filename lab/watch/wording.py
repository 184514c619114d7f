"""Short texts for what a view holds: moments, spans, sizes, messages, states."""

import time
from collections.abc import Sequence

from lab.view.cluster_view import ClusterView, Message, NodeView
from lab.view.columns import in_short
from lab.watch.screen_line import Line, Style, cell

HEALTH_STYLES: dict[str, Style] = {
    "running": "good",
    "starting": "warn",
    "recovering": "warn",
    "paused": "warn",
    "silent": "warn",
    "stopping": "warn",
    "degraded": "warn",
    "backoff": "warn",
}  # all others are bad, but for "unknown"


def moment(view: ClusterView, t_us: int) -> str:
    """UTC time of day of a live cluster; seconds from the start of a simulated run."""
    if not view.began_us:
        return f"{t_us / 1e6:.3f} s"
    wall_ms = (view.began_us + t_us) // 1000
    return f"{time.strftime('%H:%M:%S', time.gmtime(wall_ms // 1000))}.{wall_ms % 1000:03d}Z"


def span(t_us: float) -> str:
    """A length of time in at most six characters; clocks that disagree give none."""
    t_us = max(0, t_us)
    for limit_us, unit_us, unit in ((1e3, 1, "us"), (1e6, 1e3, "ms"), (6e7, 1e6, "s")):
        if t_us < limit_us:
            value = t_us / unit_us
            return f"{value:.1f} {unit}" if value < 9.95 and unit != "us" else f"{value:.0f} {unit}"
    minutes = t_us / 6e7
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.0f} h"


def size(count: float) -> str:
    """Bytes or events, short: 999, 1.2k, 34k, 5.6M."""
    for unit in ("", "k", "M", "G"):
        if count < 999.5 or unit == "G":
            break
        count /= 1000
    return f"{count:.1f}{unit}" if unit and count < 10 else f"{count:.0f}{unit}"


def health_style(health: str) -> Style:
    return HEALTH_STYLES.get(health, "dim" if health == "unknown" else "bad")


def short_dot(dot: str) -> str:
    """n1.3133528cfc434cdb:1 -> n1.3133:1"""
    log, _, seq = dot.rpartition(":")
    origin, _, epoch = log.rpartition(".")
    return f"{origin}.{epoch[:4]}:{seq}"


def message_text(message: Message) -> str:
    if message.what == "posted":
        return f"{message.author}: {message.text}"
    if message.what == "unknown":
        return short_dot(message.dot)
    return f"{message.author} {message.what}"


def lack_style(lacks: int, whole: int) -> Style:
    """Heat: nothing, little (up to a tenth), much."""
    return "good" if lacks == 0 else "warn" if lacks * 10 <= whole else "bad"


def faults_of(view: ClusterView, node: NodeView) -> str:
    """The faults in effect that name this node, and those that it reports of its links."""
    named = [one.what for one in view.faults.values() if node.name in one.nodes]
    links = node.poll.links if node.poll is not None else {}
    named += [f"to {peer}: {link.fault}" for peer, link in links.items() if link.fault]
    return ", ".join(dict.fromkeys(named))


def fault_lines(view: ClusterView, width: int, count: int) -> list[Line]:
    """Faults in effect, the newest first; how many more there are."""
    faults = sorted(view.faults.values(), key=lambda one: -one.from_us)
    if not faults:
        return [[("no fault in effect", "dim")]]
    lines: list[Line] = []
    for one in faults[: count if len(faults) <= count else count - 1]:
        line = f"{one.what} of {' '.join(one.nodes)} for {span(view.t_us - one.from_us)}"
        detail = _detail(in_short(one.detail))
        lines.append([("fault ", "warn"), cell(f"{line}{': ' * bool(detail)}{detail}", width - 6)])
    if len(faults) > len(lines):
        lines.append([(f"and {len(faults) - len(lines)} more faults", "warn")])
    return lines


def _detail(text: str) -> str:
    """Many links (`halves: n1>n2 n2>n1 n3>n1`) are counted: the page of links shows which."""
    what, _, links = text.rpartition(": ")
    count = len(links.split())
    return f"{what or 'of'}, {count} links" if links.count(">") == count > 2 else text


def median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0
