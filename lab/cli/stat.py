"""The command `chatlab stat`: one line of figures for the whole cluster, every second."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import Json, emit, hear_ctrl_c, seconds, settings_of

if TYPE_CHECKING:
    from lab.observe.cluster_rates import ClusterFigures

EVERY_MIN_S = 0.1
ASK_S = (0.2, 1.0)  # how long a node may take to answer, at least and at most
HEAD_EVERY = 20  # lines, on a terminal
# Title and width of each column. A value that is wider pushes the others aside.
COLUMNS = (
    ("TIME", 8), ("UP", 5), ("EVENTS", 7), ("EV/S", 7), ("MISSING", 7), ("ROOTS", 5),
    ("RND/S", 6), ("IN/S", 5), ("OUT/S", 5), ("DUP/S", 6), ("RESTARTS", 8),
)  # fmt: skip


def stat(
    context: typer.Context,
    every: Annotated[
        float, typer.Option("--every", metavar="S", help="A line every S seconds.")
    ] = 1.0,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", help="End after N lines.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated, with one header.")] = False,
    json: Json = False,
) -> None:
    """Show figures of the whole cluster, one line a second, until Ctrl-C.

    The first line comes after the first interval. Nodes are asked for their status, and for
    nothing else.
    """
    from lab.client.panel import statuses_of
    from lab.observe.cluster_rates import ClusterRates
    from lab.observe.watcher import at_intervals
    from lab.terminal.errors import Exit, Problem

    if csv and json:
        raise Problem("--csv and --json are two forms of the same lines: choose one", Exit.USAGE)
    if count is not None and count < 1:
        raise Problem(f"--count must be 1 or more, not {count}", Exit.USAGE)
    every = max(seconds(every, "--every"), EVERY_MIN_S)
    nodes = list(settings_of(context).place().nodes.values())
    show = _csv() if csv else emit_figures if json else _lines(live=sys.stdout.isatty())
    rates, patience_s = ClusterRates(len(nodes)), min(max(0.8 * every, ASK_S[0]), ASK_S[1])
    hear_ctrl_c()
    left = count
    try:
        for at_ms, statuses in at_intervals(lambda: statuses_of(nodes, patience_s), every):
            figures = rates.look(at_ms, statuses)
            if figures is None:
                continue
            show(figures)
            left = left - 1 if left is not None else None
            if left == 0:
                return
    except KeyboardInterrupt:
        pass  # that is how one stops looking


Show = Callable[["ClusterFigures"], None]


def emit_figures(figures: "ClusterFigures") -> None:
    import msgspec

    emit(msgspec.to_builtins(figures))


def _csv() -> Show:
    from lab.observe.cluster_rates import ClusterFigures

    print(",".join(ClusterFigures.__struct_fields__), flush=True)

    def show(figures: ClusterFigures) -> None:
        values = (getattr(figures, name) for name in ClusterFigures.__struct_fields__)
        print(",".join("" if value is None else str(value) for value in values), flush=True)

    return show


def _lines(*, live: bool) -> Show:
    """Text; on a terminal the head comes again before it has scrolled away."""
    shown = 0

    def show(figures: "ClusterFigures") -> None:
        nonlocal shown
        if shown == 0 or (live and shown % HEAD_EVERY == 0):
            print(_row([title for title, _ in COLUMNS]))
        shown += 1
        print(_row(cells(figures)), flush=True)

    return show


def cells(figures: "ClusterFigures") -> list[str]:
    from lab.terminal.formats import short_count, utc_text

    return [
        utc_text(figures.at_ms)[11:19],
        f"{figures.up}/{figures.nodes}",
        "-" if figures.events is None else str(figures.events),
        f"{figures.events_per_s:.1f}",
        "-" if figures.missing is None else str(figures.missing),
        str(figures.roots),
        f"{figures.rounds_per_s:.1f}",
        short_count(figures.received_bytes_per_s),
        short_count(figures.sent_bytes_per_s),
        f"{figures.duplicates_per_s:.1f}",
        str(figures.restarts),
    ]


def _row(texts: list[str]) -> str:
    return " ".join(f"{text:>{width}}" for text, (_, width) in zip(texts, COLUMNS, strict=True))
