"""The page of latency: how late messages come, and how long acknowledgements take."""

from collections.abc import Sequence

from lab.view.cluster_view import ClusterView
from lab.watch.look import Look
from lab.watch.screen_line import Line, Piece, cell, spark
from lab.watch.wording import median, span

HEAD = "spread: from the first node to the last; lag: after the first; ack: of a request"


def latency_page(view: ClusterView, look: Look, width: int, height: int) -> list[Line]:
    everywhere = _axis(cell("  all", 9), "spread", view.spreads_us, width)
    lines: list[Line] = [[cell(HEAD, width, "dim")], everywhere, []]
    asked = any(node.latencies_us for node in view.nodes.values())  # by clients of a recorded run
    for node in look.nodes(view, (height - len(lines)) // 3):
        lines.append(_axis(look.name_cell(node.name, 9), "lag", node.lags_us, width))
        if asked:
            lines.append(_axis(cell("", 9), "ack", node.latencies_us, width))
        lines.append([])
    return lines


def _axis(name: Piece, what: str, samples: Sequence[int], width: int) -> Line:
    """The newest sample at the right; the highest of those shown is a full character."""
    values = list(samples)
    if not values:
        return [name, (" ", ""), cell(what, 7), ("no sample", "dim")]
    text = f"median {span(median(values)):>6}  most {span(max(values)):>6} "
    line: Line = [name, (" ", ""), cell(what, 7), (text, ""), ("│", "dim")]
    return [*line, (spark(values, width - len(text) - 19), "note"), ("│", "dim")]
