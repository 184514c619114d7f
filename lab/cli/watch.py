"""The command `chatlab watch`: a cluster, or a recorded run, on a screen; or a line per change."""

import os
import shlex
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

    from lab.observe.live_source import LiveSource
    from lab.observe.node_states import NodeState
    from lab.observe.watcher import ClusterChange
    from lab.watch.app import Source

EVERY_S = 0.5
EVERY_MIN_S = 0.05


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
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Also write what is seen, as a trace file."),
    ] = None,
    web: Annotated[bool, typer.Option("--web", help="Show it as a page in a browser.")] = False,
    port: Port = 0,
    opens: Opens = False,
) -> None:
    """Show who is up and holds what, live, until q or Ctrl-C. Piped: a line for each change.

    It only looks on: it reads and subscribes, and changes nothing. The key ? explains the others.
    """
    settings = settings_of(context)
    every = max(seconds(every, "--every"), EVERY_MIN_S)
    screen = _has_screen() and not json
    if replay is not None and save is not None:
        raise Problem("--save is for a running cluster: --replay shows what is saved", Exit.USAGE)
    if (replay is not None or save is not None) and not screen and not web:
        option = "--replay" if replay is not None else "--save"
        raise Problem(f"{option} goes with a screen or --web: this is no terminal", Exit.USAGE)
    if (port or opens) and not web:
        raise Problem("--port and --open go with --web", Exit.USAGE)
    if web and json:
        raise Problem("--json is for lines: it does not go with --web", Exit.USAGE)
    hear_ctrl_c()
    if web:
        _page(settings, replay, every, save, port=port, opens=opens)
    elif not screen:
        _lines(settings, every, json)
    elif replay is not None:
        _recorded(settings, replay)
    else:
        with _live(settings, every, save) as source:
            _run(settings, source)


def _has_screen() -> bool:
    """Whether there is a terminal that can show one: input, output, and where textual draws."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return os.environ.get("TERM", "dumb") != "dumb" and all(one.isatty() for one in streams)


def _live(settings: Settings, every_s: float, save: Path | None) -> "LiveSource":
    from lab.cluster.cluster import Cluster
    from lab.observe.live_source import LiveSource

    source = LiveSource(Cluster(settings.place()), every_s)
    if save is not None:
        source.record(save)
    return source


def _page(
    settings: Settings,
    file: Path | None,
    every_s: float,
    save: Path | None,
    *,
    port: int,
    opens: bool,
) -> None:
    need_pages()
    from lab.web.watch_page import RECORDED_ROWS_MAX, Recorded, WatchPage

    if file is not None:
        events = trace_of(file).events
        page = WatchPage(Recorded(events), port=port, rows_max=RECORDED_ROWS_MAX)
        serve(page.server, opens, page.feed)
        return
    with _live(settings, every_s, save) as source:
        page = WatchPage(source, port=port)
        serve(page.server, opens, page.feed)


def _recorded(settings: Settings, file: Path) -> None:
    from lab.watch.recorded_source import RecordedSource

    _run(settings, RecordedSource(trace_of(file)), recorded=True)


def _run(settings: Settings, source: "Source", *, recorded: bool = False) -> None:
    """The screen, until the person ends it. What goes wrong in the source is raised."""
    if find_spec("textual") is None:
        text = (
            "the screen needs textual: install the extra with `pip install 'chatlab[observe]'` "
            "(scripts/bootstrap does); `chatlab watch | cat` shows lines without it"
        )
        raise Problem(text, Exit.USAGE)
    from lab.watch.app import WatchApp

    option = f"-f {shlex.quote(str(settings.file))} " if settings.file is not None else ""
    app = WatchApp(source, recorded=recorded, colour=settings.paint.on, file_option=option)
    failed = app.run(mouse=False)  # so that the terminal's own way to copy text works
    if failed is not None:
        raise failed
    if app.return_code:
        raise typer.Exit(app.return_code)


def _lines(settings: Settings, every_s: float, json: bool) -> None:
    from lab.cluster.cluster import Cluster
    from lab.observe.watcher import looks

    view = _Lines(json)
    try:
        for at_ms, states in looks(Cluster(settings.place()), every_s):
            view.show(at_ms, states)
    except KeyboardInterrupt:
        pass  # that is how one stops looking


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
