"""The page of links: a matrix from node to node, the faults in effect, and one node's links."""

import re

from lab.view.cluster_view import ClusterView, NodeView
from lab.watch.look import Look
from lab.watch.screen_line import Line, Piece, Style, cell, grid
from lab.watch.wording import fault_lines, size

LEGEND = "row to column:  = in sync  ~ differs  ? suspect  x dead  # fault  . not known"
PAIR = re.compile(r"(\S+)>(\S+)")  # how faults of a recorded run name a link
SIGNS: dict[str, tuple[str, Style]] = {"suspect": ("?", "warn"), "dead": ("x", "bad")}
HEADS = ("PEER", "STATE", "ROUNDS", "OUT", "IN", "DROPPED", "FAULT")


def links_page(view: ClusterView, look: Look, width: int, height: int) -> list[Line]:
    nodes = look.nodes(view, min((width - 9) // 6, height - 6))
    broken = broken_links(view)
    rows: list[list[Piece]] = [[("  FROM TO", "dim"), *((node.name, "head") for node in nodes)]]
    for node in nodes:
        links = [_link_piece(node, peer.name, broken) for peer in nodes]
        rows.append([look.name_piece(node.name), *links])
    lines = [[cell(LEGEND, width, "dim")], *grid(rows, width), []]
    lines += [*fault_lines(view, width, max(2, (height - len(lines)) // 2)), []]
    return lines + _links_of(view, look, width)


def broken_links(view: ClusterView) -> dict[tuple[str, str], str]:
    """The links that a fault in effect names: (from, to) -> what it is."""
    return {
        (left, right): fault.what
        for fault in view.faults.values()
        for left, right in PAIR.findall(fault.detail)
    }


def _link_piece(node: NodeView, peer: str, broken: dict[tuple[str, str], str]) -> Piece:
    if peer == node.name:
        return " " * 12, ""
    link = node.poll.links.get(peer) if node.poll is not None else None
    what = (link.fault if link is not None else "") or broken.get((node.name, peer), "")
    if what:
        return f"# {what}", "bad"
    if link is None:
        return ".", "dim"
    sign, style = SIGNS.get(link.state, ("=", "good") if link.in_sync else ("~", "warn"))
    return f"{sign} {link.state if link.state in SIGNS else size(link.sent_bytes) + 'B'}", style


def _links_of(view: ClusterView, look: Look, width: int) -> list[Line]:
    node = view.nodes.get(look.selected)
    if node is None:
        return []
    if node.poll is None or not node.poll.links:
        counts = f"{node.sent} packets sent, {node.lost} of them lost, {size(node.sent_bytes)}B out"
        return [[cell(f"{node.name}: {counts}, {size(node.received_bytes)}B in", width)]]
    rows: list[list[Piece]] = [[(text, "dim") for text in HEADS]]
    for peer, link in node.poll.links.items():
        figures = (link.rounds, link.sent_bytes, link.received_bytes, link.dropped)
        pieces: list[Piece] = [(f"{size(figure):>5}", "") for figure in figures]
        rows.append([(peer, ""), (link.state, ""), *pieces, (link.fault, "warn")])
    return [[cell(f"links of {node.name}", width, "dim")], *grid(rows, width)]
