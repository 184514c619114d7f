"""The page of people: who is present, as each node sees it, and what moderation did where."""

from lab.view.cluster_view import ClusterView
from lab.watch.look import Look
from lab.watch.screen_line import Line, Piece, cell, grid

COLUMN = 7  # at least, of a node
PRESENCE: dict[str, Piece] = {
    "": ("-", "dim"),
    "joined": ("here", "good"),
    "posted": ("here", "good"),
    "left": ("left", ""),
}


def people_page(view: ClusterView, look: Look, width: int, height: int) -> list[Line]:
    nodes = look.nodes(view, width // COLUMN - 2)
    authors = sorted({name for node in nodes for name in node.presence})
    authors = [name for name in authors if look.query.lower() in name.lower()]
    hits = _moderation(view, width)
    rows = [[("PRESENT AT", "dim"), *(look.name_piece(node.name) for node in nodes)]]
    for author in look.rows(authors, max(1, height - 3 - len(hits))):
        presence = [PRESENCE[node.presence.get(author, "")] for node in nodes]
        rows.append([(author, ""), *((f"  {text}", style) for text, style in presence)])
    words = "MODERATION: posts changed or refused, by node and rule"
    return [*grid(rows, width), [], [cell(words, width, "dim")], *hits]


def _moderation(view: ClusterView, width: int) -> list[Line]:
    hits: list[list[Piece]] = [
        [(name, ""), (f"{count:>5}", ""), (rule, "")]
        for name, node in view.nodes.items()
        for rule, count in [*sorted(node.rules.items()), ("refused", node.refused)]
        if count
    ]
    return grid(hits, width) if hits else [[("no hit", "dim")]]
