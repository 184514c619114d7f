"""What the person looks at: page, selected node, filter, moment. It holds no events."""

from collections.abc import Sequence
from typing import TypeVar

from lab.view.cluster_view import ClusterView, LogLine, Message, NodeView
from lab.watch.screen_line import Piece, cell

T = TypeVar("T")

LEVELS = ("debug", "info", "warning", "error", "critical")


class Look:
    """Mutable; the keys change it, the pages read it."""

    def __init__(self, file_option: str = "") -> None:
        self.page = 0  # index into `pages.PAGES`
        self.overlay = ""  # help, commands, node; "": none
        self.selected = ""  # a node
        self.query = ""  # the filter, as typed
        self.scroll = 0  # rows back from the newest
        self.at_us: int | None = None  # a moment in the past; None: now
        self.playing = False  # a recorded run goes on by itself
        self.recorded = False
        self.file_option = file_option  # "-f FILE " for commands to copy; "": the file is implied

    def select(self, nodes: Sequence[str], step: int) -> None:
        """Move the selection; it stays on a node that exists."""
        if nodes:
            index = nodes.index(self.selected) if self.selected in nodes else 0
            self.selected = nodes[min(max(index + step, 0), len(nodes) - 1)]

    def nodes(self, view: ClusterView, count: int) -> list[NodeView]:
        """As many as fit (at least one), with the selected one among them."""
        names = list(view.nodes)
        count = max(1, count)
        index = names.index(self.selected) if self.selected in names else 0
        first = min(max(0, index - count + 1), max(0, len(names) - count))
        return [view.nodes[name] for name in names[first : first + count]]

    def name_piece(self, name: str) -> Piece:
        return (f"> {name}", "select") if name == self.selected else (f"  {name}", "")

    def name_cell(self, name: str, width: int) -> Piece:
        text, style = self.name_piece(name)
        return cell(text, width, style)

    def rows(self, items: Sequence[T], count: int) -> Sequence[T]:
        """The newest items that fit, or as many further back as the person has scrolled."""
        end = len(items) - min(self.scroll, max(0, len(items) - count))
        return items[max(0, end - max(0, count)) : end]

    def wants_line(self, line: LogLine, text: str, nodes: Sequence[str]) -> bool:
        """Whether the filter lets a log line through. A word that is a node's name keeps that
        node, one that is a level keeps it and what is worse; any other must occur in the text.
        """
        words = self.query.lower().split()
        names = [word for word in words if word in nodes]
        if names and line.node not in names:
            return False
        least = [LEVELS.index(word) for word in words if word in LEVELS]
        if least and _rank(line.level) < max(least):
            return False
        rest = [word for word in words if word not in nodes and word not in LEVELS]
        return all(word in text.lower() for word in rest)

    def wants_message(self, message: Message) -> bool:
        if not self.query:
            return True
        text = f"{message.author}: {message.text} {message.dot}".lower()
        return all(word in text for word in self.query.lower().split())


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else LEVELS.index("info")
