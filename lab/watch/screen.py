"""The whole screen as lines: two of head, the page, the scrubber, the keys."""

from collections.abc import Callable

from lab.terminal.display import display_safe, width_of
from lab.view.cluster_view import ClusterView
from lab.watch.latency_page import latency_page
from lab.watch.links_page import links_page
from lab.watch.log_page import log_page
from lab.watch.look import Look
from lab.watch.nodes_page import node_page, nodes_page
from lab.watch.overlays import commands_page, help_page
from lab.watch.people_page import people_page
from lab.watch.screen_line import Line, Style, cell
from lab.watch.timelines_page import timelines_page
from lab.watch.wording import moment, size, span
from lab.watch.workers_page import workers_page

Page = Callable[[ClusterView, Look, int, int], list[Line]]

PAGES: tuple[tuple[str, Page], ...] = (
    ("Nodes", nodes_page),
    ("Timelines", timelines_page),
    ("Links", links_page),
    ("Workers", workers_page),
    ("People", people_page),
    ("Latency", latency_page),
    ("Log", log_page),
)
OVERLAYS: dict[str, Page] = {"help": help_page, "commands": commands_page, "node": node_page}
HEAD_LINES = 2
FOOT_LINES = 2
KEYS = "1-7 page  ↑↓ node  ←→ time  Space live  / filter  c commands  ? help  q quit"
KEYS_RECORDED = "1-7 page  ↑↓ node  ←→ time  Space play  / filter  Enter node  ? help  q quit"


def head_lines(view: ClusterView, look: Look, width: int) -> list[Line]:
    title = f"{view.scenario} seed {view.seed}" if view.scenario else "chatlab watch"
    up = sum(node.up for node in view.nodes.values())
    counts = f"{up} of {len(view.nodes)} up  {view.known} messages"
    left = display_safe("  ".join([*filter(None, (title, view.phase)), counts, ""]))
    first: Line = [cell(left, min(width_of(left), width), "head")]
    state, style = agreement(view)
    first.append(cell(state, width - width_of(left), style))
    tabs: Line = []
    for index, (name, _) in enumerate(PAGES):
        here = index == look.page and not look.overlay
        text = f"[{index + 1} {name}]" if here else f" {index + 1} {name} "
        tabs.append((text, "select" if here else ""))
    return [first, tabs]


def agreement(view: ClusterView) -> tuple[str, Style]:
    """Whether those who are up show the same; else how many lack how much."""
    up = [node for node in view.nodes.values() if node.up]
    if not view.nodes:
        return "nothing is known yet", "dim"
    if not up:
        return "nobody is up", "bad"
    behind = [lacks for node in up if (lacks := view.lacks(node.name))]
    if not behind:
        return "all up hold the same", "good"
    return f"{len(behind)} lack up to {size(max(behind))}", "warn"


def page_lines(view: ClusterView, look: Look, width: int, height: int) -> list[Line]:
    page = OVERLAYS[look.overlay] if look.overlay else PAGES[look.page][1]
    return page(view, look, width, height)[:height]


def foot_lines(
    view: ClusterView, look: Look, first_us: int, last_us: int, width: int
) -> list[Line]:
    """The scrubber over what is kept, from `first_us` to `last_us`; and the keys."""
    t_us = view.t_us
    state = "PLAYING" if look.playing else f"BACK {span(last_us - t_us)}"
    if look.at_us is None:
        state = "END" if look.recorded else "LIVE"
    style: Style = "good" if look.at_us is None else "warn"
    text = f" {moment(view, t_us)} "
    if look.recorded:
        text += f"of {moment(view, last_us)} "
    long = max(4, width - len(text) - 13)
    share = (t_us - first_us) / (last_us - first_us) if last_us > first_us else 1.0
    at = round(min(max(share, 0.0), 1.0) * (long - 1))
    scrubber: Line = [cell(state, 12, style), ("━" * at, "note"), ("●", "head")]
    scrubber += [("─" * (long - 1 - at), "dim"), (text, "")]
    keys = KEYS_RECORDED if look.recorded else KEYS
    if look.query:
        keys = f"filter: {look.query}    / changes it, Esc clears it"
    return [scrubber, [cell(keys, width, "warn" if look.query else "dim")]]
