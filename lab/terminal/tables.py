"""Tables and colours for terminals. Piped output has no colours; text is cut only if a terminal is
too narrow.

Every cell passes `display_safe`, so a caller cannot forget it. A colour is given by name, and it is
applied only by a `Paint` that is on.
"""

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from lab.terminal.display import cut, display_safe, width_of

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
OF_STDOUT = 0  # the width of the terminal that stdout is, if it is one
INDENT = "    "  # of what does not fit into a row
COLUMN_MIN = 3  # no column is cut to less
NODE_COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "red")
STATE_COLOURS = {
    "running": "green",
    "alive": "green",
    "recovering": "yellow",
    "starting": "yellow",
    "backoff": "yellow",
    "suspect": "yellow",
    "paused": "yellow",
    "degraded": "yellow",
    "read_only": "red",
    "failed": "red",
    "dead": "red",
    "killed": "red",
}


class Paint:
    """Colours a text, or leaves it alone: off when piped, with NO_COLOR, or by --no-color."""

    def __init__(self, on: bool) -> None:
        self.on = on

    def __call__(self, text: str, colour: str | None) -> str:
        if not self.on or colour is None:
            return text
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"

    def of_node(self, text: str, index: int) -> str:
        return self(text, NODE_COLOURS[index % len(NODE_COLOURS)])


def paint_for(stream: TextIO, no_color: bool) -> Paint:
    if no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return Paint(on=False)
    return Paint(stream.isatty())


def width_max_of(stream: TextIO) -> int | None:
    """Columns of the terminal behind a stream; None when it is not one, and nothing is cut."""
    if not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except OSError:
        return None


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    paint: Paint,
    width_max: int | None = OF_STDOUT,
) -> str:
    """Columns as wide as their widest cell, two spaces apart, and no line wider than `width_max`.

    Where that is too little, the last columns, two at most, go under each row that has something
    in them, if there is more room for them; what is too wide all the same is cut.
    """
    if width_max == OF_STDOUT:
        width_max = width_max_of(sys.stdout)
    rows = [[display_safe(cell) for cell in row] for row in rows]
    beside = len(head)
    while width_max is not None and beside > max(len(head) - 2, 1):
        widths = _widths(head[:beside], rows)
        room = width_max - sum(widths[:-1]) - 2 * (beside - 1)
        if widths[-1] <= room or room >= width_max - len(INDENT):
            break
        beside -= 1
    widths = _shrunk(_widths(head[:beside], rows), width_max)
    lines = [paint(_line(head[:beside], widths), "dim")]
    for row in rows:
        line = _line(row[:beside], widths)
        state = next((cell for cell in row if cell in STATE_COLOURS), None)
        if state is not None:
            line = line.replace(state, paint(state, STATE_COLOURS[state]), 1)
        lines.append(line)
        below = "  ".join(cell for cell in row[beside:] if cell not in ("", "-"))
        if below and width_max is not None:
            lines.append(INDENT + cut(below, max(width_max - len(INDENT), 1)))
    return "\n".join(lines)


def _widths(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Of the columns that the head has."""
    return [max(width_of(line[column]) for line in (head, *rows)) for column in range(len(head))]


def _is_too_wide(widths: Sequence[int], width_max: int | None) -> bool:
    return width_max is not None and sum(widths) + 2 * (len(widths) - 1) > width_max


def _shrunk(widths: list[int], width_max: int | None) -> list[int]:
    """The widest ones made narrower, one column at a time, until a line fits or all are narrow."""
    while _is_too_wide(widths, width_max) and max(widths) > COLUMN_MIN:
        widths[widths.index(max(widths))] -= 1
    return widths


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cut_to = [cut(cell, width) for cell, width in zip(row, widths, strict=True)]
    cells = [
        cell + " " * (width - width_of(cell)) for cell, width in zip(cut_to, widths, strict=True)
    ]
    return "  ".join(cells).rstrip()


def duration(ms: float) -> str:
    """A duration for users: 850 ms, 3.2 s, 4 min, 2 h, 3 d."""
    if ms < 1000:
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} d"


def say(text: str) -> None:
    """Progress and hints: to stderr, so that stdout holds data only."""
    print(text, file=sys.stderr, flush=True)
