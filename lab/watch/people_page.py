"""The page of people: who is present, as each node sees it, and what moderation did where."""

from lab.view.cluster_view import ClusterView
from lab.watch.look import Look
from lab.watch.screen_line import Line, Piece, Style, cell, row

NAME = 16
PRESENCE: dict[str, tuple[str, Style]] = {
    "joined": ("here", "good"),
    "posted": ("here", "good"),
    "left": ("left", ""),
}


def people_page(view: ClusterView, look: Look, width: int, height: int) -> list[Line]:
    nodes = look.nodes(view, (width - NAME) // 7)
    column = min(12, (width - NAME) // max(1, len(nodes)) - 1)
    authors = sorted({name for node in nodes for name in node.presence})
    authors = [name for name in authors if look.query.lower() in name.lower()]
    hits = _moderation(view, width)
    heads = [look.name_cell(node.name, column) for node in nodes]
    lines: list[Line] = [row([cell("PRESENT AT", NAME, "dim"), *heads])]
    for author in look.rows(authors, max(1, height - 3 - len(hits))):
        cells = [_presence_cell(node.presence.get(author), column) for node in nodes]
        lines.append(row([cell(author, NAME), *cells]))
    if not authors:
        lines.append([("nobody has said anything", "dim")])
    words = "MODERATION: posts changed or refused, by node and rule"
    return [*lines, [], [cell(words, width, "dim")], *hits]


def _presence_cell(last: str | None, width: int) -> Piece:
    text, style = PRESENCE.get(last or "", ("-", "dim"))
    return cell(text, width, style)


def _moderation(view: ClusterView, width: int) -> list[Line]:
    hits = [
        (node.name, rule, count)
        for node in view.nodes.values()
        for rule, count in [*sorted(node.rules.items()), ("refused", node.refused)]
        if count
    ]
    if not hits:
        return [[("no hit", "dim")]]
    return [
        row([cell(name, 9), cell(f"{count:>5}", 5), cell(rule, width - 16)])
        for name, rule, count in hits
    ]
