"""The page of the merged structured log, with the filter."""

from lab.view.cluster_view import ClusterView, LogLine
from lab.watch.look import Look
from lab.watch.screen_line import Line, Style, cell, row
from lab.watch.wording import moment

APART = ("at", "worker")  # fields of a live log that are shown in their own places
LEVEL_STYLES: dict[str, Style] = {"warning": "warn", "error": "bad", "critical": "bad"}


def log_page(view: ClusterView, look: Look, width: int, height: int) -> list[Line]:
    nodes = list(view.nodes)
    texts = [(one, _text(one)) for one in view.lines]
    wanted = [(one, text) for one, text in texts if look.wants_line(one, text, nodes)]
    shown = look.rows(wanted, height - 1)
    words = f"{len(wanted)} of the newest {len(texts)} lines; / filters by node, level, text"
    return [[cell(words, width, "dim")], *(_row(view, one, text, width) for one, text in shown)]


def _text(line: LogLine) -> str:
    fields = " ".join(f"{name}={value}" for name, value in line.fields.items() if name not in APART)
    return " ".join(filter(None, (line.event, str(line.fields.get("worker", "")), fields)))


def _row(view: ClusterView, line: LogLine, text: str, width: int) -> Line:
    style = LEVEL_STYLES.get(line.level, "")
    level = cell(line.level, 7, style or "dim")
    written = str(line.fields.get("at", ""))[11:24]  # as the node wrote it, if it is an ISO time
    time = cell(written or moment(view, line.t_us), 13, "dim")
    return row([time, cell(line.node or "-", 6), level, cell(text, width - 29, style)])
