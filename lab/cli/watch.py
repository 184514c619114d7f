"""The command `chatlab watch`: shows the states of a cluster's nodes and their changes, live."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import Json, Settings, emit, hear_ctrl_c, seconds, settings_of
from lab.cli.pages import Opens, Port, need_pages, serve, trace_of
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.observe.node_states import NodeState
    from lab.observe.watcher import ClusterChange
    from lab.terminal.tables import Paint

EVERY_S = 0.5
EVERY_MIN_S = 0.05
CLEAR = "\x1b[H\x1b[2J"


def watch(
    context: typer.Context,
    every: Annotated[
        float, typer.Option("--every", metavar="S", help="Look again after S seconds.")
    ] = EVERY_S,
    json: Json = False,
    replay: Annotated[
        Path | None,
        typer.Option("--replay", metavar="TRACE", help="Show a recorded run from its trace file."),
    ] = None,
    web: Annotated[bool, typer.Option("--web", help="Show it as a page in a browser.")] = False,
    port: Port = 0,
    opens: Opens = False,
) -> None:
    """Show who is up and holds what, live, until q or Ctrl-C. Piped: a line for each change.

    It only looks on: nodes are asked for their status, and for nothing else.
    """
    settings = settings_of(context)
    every = max(seconds(every, "--every"), EVERY_MIN_S)
    hear_ctrl_c()
    if web:
        _page(settings, replay, every, port=port, opens=opens)
        return
    if replay is not None:
        _recorded(settings, replay, every)
        return
    from lab.cluster.cluster import Cluster
    from lab.observe.watcher import looks

    live = sys.stdout.isatty() and not json
    view = _Table(settings.paint) if live else _Lines(json)
    try:
        for at_ms, states in looks(Cluster(settings.place()), every):
            view.show(at_ms, states)
    except KeyboardInterrupt:
        pass  # that is how one stops looking


def _recorded(settings: Settings, file: Path, every_s: float) -> None:
    _need_a_screen()
    from lab.watch.app import RecordedSource, WatchApp

    source = RecordedSource(trace_of(file))
    WatchApp(source, every_s=every_s, recorded=True, colour=settings.paint.on).run(mouse=False)


def _page(settings: Settings, file: Path | None, every_s: float, *, port: int, opens: bool) -> None:
    need_pages()
    from lab.cluster.cluster import Cluster
    from lab.observe.live_source import LiveSource
    from lab.web.watch_page import RECORDED_ROWS_MAX, Recorded, WatchPage

    if file is not None:
        events = trace_of(file).events
        page = WatchPage(Recorded(events), port=port, rows_max=RECORDED_ROWS_MAX)
        serve(page.server, opens, page.feed)
        return
    with LiveSource(Cluster(settings.place()), every_s) as source:
        page = WatchPage(source, port=port)
        serve(page.server, opens, page.feed)


def _has_screen() -> bool:
    """Whether there is a terminal that can show one. (textual draws on stderr.)"""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return os.environ.get("TERM", "dumb") != "dumb" and all(one.isatty() for one in streams)


def _need_a_screen() -> None:
    if not _has_screen():
        raise Problem("--replay shows a screen: it needs a terminal that is not dumb", Exit.USAGE)
    if find_spec("textual") is None:
        text = (
            "a screen needs textual: install the extra, pip install 'chatlab[observe]' "
            "(scripts/bootstrap does); without it, lines: chatlab watch | cat"
        )
        raise Problem(text, Exit.USAGE)


class _Lines:
    """One line for each change. Mutable."""

    def __init__(self, json: bool) -> None:
        from lab.observe.watcher import Changes

        self._json = json
        self._changes = Changes()

    def show(self, at_ms: int, states: "Sequence[NodeState]") -> None:
        for change in self._changes.of(at_ms, states):
            if self._json:
                emit(_record(change))
            else:
                print(line_of(change), flush=True)


class _Table:
    """The table, on a terminal that is cleared for each look."""

    def __init__(self, paint: "Paint") -> None:
        self._paint = paint

    def show(self, at_ms: int, states: "Sequence[NodeState]") -> None:
        from lab.terminal.tables import width_max_of

        text = screen(at_ms, states, self._paint, width_max_of(sys.stdout))
        clear = CLEAR if os.environ.get("TERM") != "dumb" else ""
        sys.stdout.write(f"{clear}{text}\n")
        sys.stdout.flush()


def screen(at_ms: int, states: "Sequence[NodeState]", paint: "Paint", width_max: int | None) -> str:
    from lab.cli.node_table import events_text, faults_text, peers_text
    from lab.observe.watcher import agreement
    from lab.terminal.formats import utc_text
    from lab.terminal.tables import duration, table

    rows = [
        [
            one.node,
            one.state,
            duration(one.uptime_ms) if one.uptime_ms is not None else "-",
            str(one.restarts),
            events_text(one),
            one.root[:8] or "-",
            peers_text(one),
            _settled(one),
            one.exit or faults_text(one),
        ]
        for one in states
    ]
    head = ["NODE", "STATE", "UPTIME", "RESTARTS", "EVENTS", "ROOT", "PEERS", "", "NOTE"]
    told = f"{utc_text(at_ms)}  {agreement(states)}; Ctrl-C ends"
    return f"{table(head, rows, paint, width_max)}\n{paint(told, 'dim')}"


def line_of(change: "ClusterChange") -> str:
    from lab.cli.node_table import events_text, faults_text, peers_text
    from lab.terminal.display import display_safe
    from lab.terminal.formats import utc_text

    one = change.state
    parts = [utc_text(change.at_ms), one.node, one.state]
    if one.root:
        parts += [f"events {events_text(one)}", f"root {one.root[:8]}", f"peers {peers_text(one)}"]
    parts += [f"restarts {one.restarts}"] if one.restarts else []
    parts += [_settled(one)] if one.stable else []
    parts += [one.exit] if one.exit else []
    parts += [faults_text(one)] if one.faults else []
    return "  ".join(display_safe(part) for part in parts)


def _record(change: "ClusterChange") -> dict[str, object]:
    import msgspec

    return {"at_ms": change.at_ms, **msgspec.to_builtins(change.state)}


def _settled(one: "NodeState") -> str:
    return "looks stable" if one.stable else ""
