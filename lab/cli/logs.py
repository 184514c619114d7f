"""The command `chatlab logs`: prints the structured logs of all nodes and of the launcher, merged
by time.
"""

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import Json, SomeNodes, hear_ctrl_c, nodes_of, settings_of
from lab.client.location import ClusterLocation
from lab.terminal.errors import Exit, Problem
from lab.terminal.tables import Paint

if TYPE_CHECKING:
    from lab.observe.log_tail import LogLine, Tail

POLL_S = 0.1
LEVEL_COLOURS = {"warning": "yellow", "error": "red", "debug": "dim"}


def logs(
    context: typer.Context,
    nodes: SomeNodes = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is written.")
    ] = False,
    level: Annotated[
        str, typer.Option(metavar="LEVEL", help="Least level: debug, info, warning, error.")
    ] = "info",
    grep: Annotated[
        str | None, typer.Option(metavar="RE", help="Only lines that match as they are written.")
    ] = None,
    json: Json = False,
) -> None:
    """Show what the nodes logged, oldest first."""
    from lab.observe.log_tail import LEVELS, history

    settings = settings_of(context)
    place = settings.place()
    names = nodes_of(place, nodes)
    if level not in LEVELS:
        raise Problem(f"--level is {', '.join(LEVELS)}, not {level!r}", Exit.USAGE)
    try:
        pattern = re.compile(grep) if grep is not None else None
    except re.error as error:
        raise Problem(f"--grep {grep!r} is no regular expression: {error}", Exit.USAGE) from None
    view = LogView(
        place=place, names=names, level=level, pattern=pattern, json=json, paint=settings.paint
    )
    if follow:
        hear_ctrl_c()
    view.show(history(view.tails()))
    if follow:
        view.follow()


class LogView:
    """Which lines are shown, and how. `follow` goes on where the given tails are."""

    def __init__(
        self,
        place: ClusterLocation,
        names: list[str],
        level: str,
        pattern: re.Pattern[str] | None,
        json: bool,
        paint: Paint,
    ) -> None:
        self.place = place
        self.names = names
        self.least = level
        self.pattern = pattern
        self.json = json
        self.paint = paint
        self.order = {name: index for index, name in enumerate(place.nodes)}
        self._tails: list[Tail] = []

    def tails(self, at_end: bool = False) -> "list[Tail]":
        """Open the logs: of the nodes, and the launcher's, which tells of exits."""
        from lab.observe.log_tail import Tail

        files = [(name, Path(self.place.nodes[name].log_file)) for name in self.names]
        files.append(("", self.place.launcher_log))
        self._tails = [Tail(path, name, at_end) for name, path in files]
        return self._tails

    def show(self, lines: "Iterable[LogLine]") -> None:
        for line in lines:
            if self._wanted(line):
                _print(line, self.json, self.paint, self.order)

    def follow(self, goes_on: Callable[[], bool] = lambda: True) -> None:
        """What is written from now on, for as long as the caller wants it to go on."""
        from lab.observe.log_tail import news

        while True:
            last = not goes_on()
            self.show(news(self._tails))
            if last:
                return
            time.sleep(POLL_S)

    def _wanted(self, line: "LogLine") -> bool:
        from lab.observe.log_tail import LEVELS

        if line.node not in self.names or LEVELS.get(line.level, 20) < LEVELS[self.least]:
            return False
        if self.pattern is None:
            return True
        return self.pattern.search(line.raw.decode("utf-8", "replace")) is not None


def _print(line: "LogLine", json: bool, paint: Paint, order: dict[str, int]) -> None:
    if json:
        from lab.terminal.display import json_line

        head = {"ts": line.ts, "level": line.level, "event": line.event, "node": line.node}
        print(json_line(head | {"worker": line.worker} | line.fields), flush=True)
    else:
        print(line_text(line, paint, order), flush=True)


def line_text(line: "LogLine", paint: Paint, order: dict[str, int]) -> str:
    from lab.terminal.display import display_safe

    fields = " ".join(f"{key}={_value(value)}" for key, value in line.fields.items())
    clock = line.ts[11:24] if len(line.ts) >= 24 else line.ts
    node = paint.of_node(f"{display_safe(line.node):>4}", order.get(line.node, 0))
    level = paint(f"{display_safe(line.level):<7}", LEVEL_COLOURS.get(line.level))
    event = paint(display_safe(line.event), "bold")
    rest = display_safe(f"{line.worker} {fields}".rstrip())
    return f"{display_safe(clock)} {node} {level} {event} {paint(rest, 'dim')}"


def _value(value: object) -> str:
    import json

    if isinstance(value, str) and value and " " not in value:
        return value
    return json.dumps(value, ensure_ascii=True)
