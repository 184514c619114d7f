"""The page of nodes: who is up, holds and lacks what; faults in effect; the newest messages.

Also the page of one node, that Enter opens.
"""

from lab.view.cluster_view import ClusterView, Message, NodeView
from lab.watch.log_page import log_page
from lab.watch.look import Look
from lab.watch.screen_line import Line, Piece, bar, cell, grid, row, spark
from lab.watch.wording import (
    fault_lines,
    faults_of,
    health_style,
    lack_style,
    message_text,
    moment,
    short_dot,
    size,
    span,
)

HEAT = 6  # columns of the bar of what is lacking
SPARK = 17
ROOT = 8  # digits
BOTH_MIN = 20  # rows for messages and the log, on a large screen
HOLDS, LACKS = "●", "·"
HEADS = ("  NODE", "STATE", "HOLDS", "LACKS", "ROOT", "QUIET", "STARTS", "LAG, OR ITS END")


def nodes_page(view: ClusterView, look: Look, width: int, height: int) -> list[Line]:
    rows: list[list[Piece]] = [[(head, "dim") for head in HEADS]]
    rows += [_node_row(view, node, look) for node in look.nodes(view, height // 2)]
    lines = grid(rows, width)
    lines += [[], *fault_lines(view, width, max(1, (height - len(lines)) // 3)), []]
    rest = height - len(lines)
    if rest < BOTH_MIN:
        return lines + _messages(view, look, width, rest)
    lines += _messages(view, look, width, rest * 2 // 3)
    return [*lines, [], *log_page(view, look, width, height - len(lines) - 1)]


def _node_row(view: ClusterView, node: NodeView, look: Look) -> list[Piece]:
    lacks, whole = view.lacks(node.name), view.known
    quiet = "-" if node.quiet_since_us is None else span(view.t_us - node.quiet_since_us)
    end: Piece = (node.exit or faults_of(view, node), "bad")
    return [
        look.name_piece(node.name),
        (f"{node.health:9}", health_style(node.health)),
        (f"{size(node.events):>5}", ""),
        (f"{size(lacks):>4} {bar(lacks, whole, HEAT)}", lack_style(lacks, whole)),
        (f"{node.root[:ROOT]:{ROOT}}", ""),
        (f"{quiet:>6}", ""),
        (f"{node.starts:>4}", ""),
        (spark(list(node.lags_us), SPARK), "note") if node.up else end,
    ]


def _messages(view: ClusterView, look: Look, width: int, height: int) -> list[Line]:
    """Who holds what: the newest messages, with one sign for each node."""
    names = list(view.nodes)[: max(1, width // 4)]
    signs = max(len(names), 16)
    wanted = [one for one in view.messages.values() if look.wants_message(one)]
    title = f"HELD BY {names[0]} TO {names[-1]}" if names else ""
    lines: list[Line] = [row([cell(title, signs, "dim"), cell("MESSAGE", 12, "dim")])]
    for message in look.rows(wanted, height - 1):
        marks = [_mark(view, message, name) for name in names]
        pad = " " * (signs - len(names) + 1)
        dot = cell(short_dot(message.dot), 12, "dim")
        text = cell(message_text(message), width - signs - 14)
        lines.append([*marks, (pad, ""), *row([dot, text])])
    return lines


def _mark(view: ClusterView, message: Message, name: str) -> Piece:
    return (HOLDS, "good") if message.dot in view.nodes[name].held else (LACKS, "bad")


def node_page(view: ClusterView, look: Look, width: int, height: int) -> list[Line]:
    """All that is known of the selected node."""
    node = view.nodes.get(look.selected)
    if node is None:
        return [[("no node is selected", "dim")]]
    poll = node.poll
    facts: list[tuple[str, str]] = [
        ("state", node.health),
        ("holds", f"{node.events} messages, lacks {view.lacks(node.name)}"),
        ("root", node.root or "-"),
        ("starts", f"{node.starts}; the last life ended: {node.exit or '-'}"),
        ("faults", faults_of(view, node) or "none"),
    ]
    if poll is None:
        sent = f"{node.sent} sent, {node.lost} of them lost; "
        sent += f"{size(node.sent_bytes)}B out, {size(node.received_bytes)}B in"
        facts.append(("packets", sent))
    else:
        stable = "looks stable to itself" if poll.stable else "not stable"
        facts += [
            ("process", f"pid {poll.pid or '-'}, up {span((poll.uptime_ms or 0) * 1000)}"),
            (
                "asked",
                f"{moment(view, poll.t_us)}; {stable}",
            ),
        ]
        if poll.feed_unread:
            facts.append(("unseen", f"{poll.feed_unread:,} arrivals, that came too fast"))
    lines: list[Line] = [[cell(f"Node {node.name}", width, "head")], []]
    lines += [[cell(name, 10, "dim"), cell(text, width - 10)] for name, text in facts]
    if poll is not None and poll.counters:
        lines += [[], *_counters(poll.counters, width, height - len(lines) - 1)]
    return lines


def _counters(counters: dict[str, int], width: int, height: int) -> list[Line]:
    """In columns, by name; those that are 0 last."""
    names = sorted(counters, key=lambda name: (counters[name] == 0, name))
    columns = max(1, width // 40)
    deep = max(0, min(height, -(-len(names) // columns)))
    wide = width // columns - 1
    texts = [f"{size(counters[name]):>5} {name}" for name in names[: columns * deep]]
    return [row([cell(text, wide) for text in texts[index::deep]]) for index in range(deep)]
