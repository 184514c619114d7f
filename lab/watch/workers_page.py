"""The page of workers and queues: what is supervised in each node, restarts, and how full it is."""

from lab.view.cluster_view import ClusterView, NodeView, Queue, Worker
from lab.watch.look import Look
from lab.watch.screen_line import Line, Piece, Style, bar, cell, row
from lab.watch.wording import health_style, size, starts


def workers_page(view: ClusterView, look: Look, width: int, height: int) -> list[Line]:
    nodes = look.nodes(view, height // 2 - 2)
    names = list(dict.fromkeys(name for node in nodes for name in _workers(node)))
    column = min(16, max(6, (width - 27) // max(1, len(names)) - 1))
    heads = [("  NODE", 9), ("STATE", 10), ("STARTS", 6), *((name, column) for name in names)]
    lines: list[Line] = [row([cell(text, wide, "dim") for text, wide in heads])]
    for node in nodes:
        first = [
            look.name_cell(node.name, 9),
            cell(node.health, 10, health_style(node.health)),
            cell(f"{starts(node):>4}", 6),
        ]
        workers = [_worker_cell(_workers(node).get(name), column) for name in names]
        lines.append(row([*first, *workers]))
    if not names:
        lines.append([("workers are known of live nodes only: a trace has none", "dim")])
    lines += [[], [cell("QUEUES, fullest first: the selected node, then the others", width, "dim")]]
    return lines + _queues(view, look, width)


def _workers(node: NodeView) -> dict[str, Worker]:
    return node.poll.workers if node.poll is not None else {}


def _worker_cell(worker: Worker | None, width: int) -> Piece:
    """`ok`, `ok 2/3`: restarted twice, three restarts left."""
    if worker is None:
        return cell("-", width, "dim")
    fine = worker.state == "running"
    counts = f" {worker.restarts}/{worker.budget}" if worker.restarts else ""
    style: Style = "bad" if not fine else "warn" if worker.restarts else "good"
    return cell(f"{'ok' if fine else worker.state}{counts}", width, style)


def _queues(view: ClusterView, look: Look, width: int) -> list[Line]:
    rows = [
        (node.name != look.selected, -_share(queue), node.name, name, queue)
        for node in view.nodes.values()
        if node.poll is not None
        for name, queue in node.poll.queues.items()
    ]
    rows.sort(key=lambda one: one[:4])
    if not rows:
        return [[("no reading of queues", "dim")]]
    return [_queue_row(node, name, queue, width) for _, _, node, name, queue in rows]


def _share(queue: Queue) -> float:
    return queue.used / queue.room if queue.room else 0.0


def _queue_row(node: str, name: str, queue: Queue, width: int) -> Line:
    share = _share(queue)
    style: Style = "good" if share < 0.5 else "warn" if share < 0.9 else "bad"
    long = max(12, min(60, width - 56))
    counts = f"{size(queue.used)} of {size(queue.room)}" if queue.room else size(queue.used)
    percent = f"{share:>4.0%}" if queue.room else "   -"
    filled = (f"{percent} {bar(queue.used, queue.room, long) if queue.room else ' ' * long}", style)
    return row([cell(f"  {node}", 9), cell(name, 22), filled, cell(counts, 14)])
