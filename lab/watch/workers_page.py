"""The page of workers and queues: what is supervised in each node, restarts, and how full it is."""

from lab.view.cluster_view import ClusterView, NodeView, Queue, Worker
from lab.watch.look import Look
from lab.watch.screen_line import Line, Piece, Style, bar, cell, grid
from lab.watch.wording import health_style, size


def workers_page(view: ClusterView, look: Look, width: int, height: int) -> list[Line]:
    nodes = look.nodes(view, height // 2 - 2)
    names = list(dict.fromkeys(name for node in nodes for name in _workers(node)))
    rows: list[list[Piece]] = [[(text, "dim") for text in ("  NODE", "STATE", "STARTS", *names)]]
    for node in nodes:
        state: Piece = (node.health, health_style(node.health))
        workers = [_worker_piece(_workers(node).get(name)) for name in names]
        rows.append([look.name_piece(node.name), state, (f"{node.starts:>4}", ""), *workers])
    lines = grid(rows, width)
    if not names:
        lines.append([("workers are known of live nodes only: a trace has none", "dim")])
    lines += [[], [cell("QUEUES, fullest first: the selected node, then the others", width, "dim")]]
    return lines + _queues(view, look, width)


def _workers(node: NodeView) -> dict[str, Worker]:
    return node.poll.workers if node.poll is not None else {}


def _worker_piece(worker: Worker | None) -> Piece:
    """`ok`, `ok 2/3`: restarted twice, three restarts left."""
    if worker is None:
        return "-", "dim"
    fine = worker.state == "running"
    counts = f" {worker.restarts}/{worker.budget}" if worker.restarts else ""
    style: Style = "bad" if not fine else "warn" if worker.restarts else "good"
    return f"{'ok' if fine else worker.state}{counts}", style


def _queues(view: ClusterView, look: Look, width: int) -> list[Line]:
    readings = [
        (node.name != look.selected, not queue.room, -_share(queue), node.name, name, queue)
        for node in view.nodes.values()
        if node.poll is not None
        for name, queue in node.poll.queues.items()
    ]
    if not readings:
        return [[("no reading of queues", "dim")]]
    readings.sort(key=lambda one: one[:-1])
    bars = max(12, min(60, width - 50))
    return grid([_queue_row(*one[3:], bars) for one in readings], width)


def _share(queue: Queue) -> float:
    return queue.used / queue.room if queue.room else 0.0


def _queue_row(node: str, name: str, queue: Queue, bars: int) -> list[Piece]:
    if not queue.room:
        return [(f"  {node}", ""), (name, ""), ("", ""), ("", ""), (size(queue.used), "")]
    share = _share(queue)
    style: Style = "good" if share < 0.5 else "warn" if share < 0.9 else "bad"
    filled: Piece = (bar(queue.used, queue.room, bars), style)
    counts = f"{size(queue.used)} of {size(queue.room)}"
    return [(f"  {node}", ""), (name, ""), (f"{share:>4.0%}", style), filled, (counts, "")]
