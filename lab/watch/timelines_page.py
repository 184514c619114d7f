"""The page of timelines side by side: a row for each message, a gap where a node lacks it.

A column says how long after the first node this one showed the message. So a partition is a block
of gaps, and its end a block of long delays.
"""

from lab.view.cluster_view import ClusterView, Message, NodeView
from lab.watch.look import Look
from lab.watch.screen_line import Line, Piece, cell
from lab.watch.wording import lack_style, message_text, span

COLUMN = 8
TEXT_MIN, TEXT_MAX = 30, 100
GAP = "╌" * (COLUMN - 1)
LATE_US = 1_000_000


def timelines_page(view: ClusterView, look: Look, width: int, height: int) -> list[Line]:
    """Rows in the order in which messages came first to any node, the newest at the bottom."""
    nodes = look.nodes(view, (width - TEXT_MIN) // COLUMN)
    wide = min(TEXT_MAX, width - COLUMN * len(nodes))
    head: Line = [cell("MESSAGE, and how late it came; x: down", wide, "dim")]
    counts: Line = [cell("holds", wide, "dim")]
    lacks: Line = [cell("lacks", wide, "dim")]
    for node in nodes:
        chosen = node.name == look.selected
        mark = ">" if chosen else " " if node.up else "x"
        head.append(cell(f"{mark}{node.name}", COLUMN, "select" if chosen else "head"))
        counts.append(cell(f" {node.events}", COLUMN))
        count = view.lacks(node.name)
        lacks.append(cell(f" {count}", COLUMN, lack_style(count, view.known)))
    lines = [head, counts, lacks]
    wanted = [one for one in view.messages.values() if look.wants_message(one)]
    for message in look.rows(wanted, height - len(lines)):
        text = cell(message_text(message), wide - 1)
        lines.append([text, (" ", ""), *(_mark(view, message, node) for node in nodes)])
    return lines


def _mark(view: ClusterView, message: Message, node: NodeView) -> Piece:
    if message.dot not in node.held:
        return f" {GAP}", "bad"
    shown_us, first_us = node.held.get(message.dot), view.first_us.get(message.dot)
    if shown_us is None or first_us is None:  # it came before this observer
        return cell(" held", COLUMN, "dim")
    late_us = shown_us - first_us
    text = f"+{span(late_us)}" if late_us else "first"
    return cell(f" {text}", COLUMN, "warn" if late_us >= LATE_US else "" if node.up else "dim")
