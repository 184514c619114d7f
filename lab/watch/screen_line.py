"""A line of a screen: pieces of text, each with the name of a style. Bars and sparklines are text.

Every text from outside becomes a piece by `cell`: one line, no control characters, cut and padded
to its columns. Styles are names (see `lines_widget`), so a page knows nothing of terminals.
"""

from collections.abc import Sequence
from typing import Literal

from lab.terminal.display import cut, display_safe, width_of

Style = Literal["", "dim", "head", "select", "good", "warn", "bad", "note"]
Piece = tuple[str, Style]
Line = list[Piece]

SPARKS = "▁▂▃▄▅▆▇█"
FULL, EMPTY = "█", "·"


def cell(text: str, width: int, style: Style = "") -> Piece:
    """The text in exactly `width` columns (none if `width` is not positive)."""
    if width <= 0:
        return "", style
    safe = cut(display_safe(text), width)
    return safe + " " * (width - width_of(safe)), style


def row(cells: Sequence[Piece]) -> Line:
    """Side by side, one column apart."""
    line: Line = []
    for piece in cells:
        line += [piece, (" ", "")]
    return line[:-1]


def grid(rows: Sequence[Sequence[Piece]], width: int) -> list[Line]:
    """Rows of as many pieces each, in columns as wide as they must be; if that is too wide, the
    widest are cut.
    """
    safe = [[(display_safe(text), style) for text, style in pieces] for pieces in rows]
    wide = [max(width_of(text) for text, _ in column) for column in zip(*safe, strict=True)]
    while sum(wide) + len(wide) - 1 > width and max(wide) > 1:
        wide[wide.index(max(wide))] -= 1
    return [
        row([cell(text, wide[i], style) for i, (text, style) in enumerate(pieces)])
        for pieces in safe
    ]


def bar(part: int, whole: int, width: int) -> str:
    """How much of the whole: at least one full character if there is any part of it."""
    full = 0 if part <= 0 or whole <= 0 else max(1, min(width, round(part * width / whole)))
    return FULL * full + EMPTY * (width - full)


def spark(values: Sequence[float], width: int) -> str:
    """The newest values, one character each, the newest at the right. The highest is full."""
    last = values[-width:] if width > 0 else []
    most = max(last, default=0) or 1
    chars = [SPARKS[round(value * (len(SPARKS) - 1) / most)] for value in last]
    return "".join(chars).rjust(width)
