"""Shows lines in a terminal, and refreshes only the columns that have changed: few bytes a frame.

The colours are the sixteen of the terminal, so that its theme decides, light or dark.
"""

from rich.segment import Segment
from rich.style import Style as Ink
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from lab.watch.screen_line import Line

INKS = {
    "": Ink(),
    "dim": Ink(dim=True),
    "head": Ink(bold=True),
    "select": Ink(bold=True, reverse=True),
    "good": Ink(color="green"),
    "warn": Ink(color="yellow"),
    "bad": Ink(color="red", bold=True),
    "note": Ink(color="cyan"),
}
PLAIN_INKS = {
    name: Ink(bold=ink.bold, dim=ink.dim, reverse=ink.reverse) for name, ink in INKS.items()
}


class LinesWidget(Widget):
    """Mutable. `show` gives it new lines; what does not fit is not shown."""

    def __init__(self, name: str, *, colour: bool) -> None:
        super().__init__(id=name)
        self._inks = INKS if colour else PLAIN_INKS
        self._strips: list[Strip] = []

    def show(self, lines: list[Line]) -> None:
        width, height = self.size
        strips = [self._strip(line, width) for line in lines[:height]]
        strips += [Strip.blank(width)] * (height - len(strips))
        before, self._strips = self._strips, strips
        if len(before) != height:
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, strips, strict=True)):
            if old != new:
                self.refresh(Region(0, y, width, 1))

    def render_line(self, y: int) -> Strip:
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)

    def _strip(self, line: Line, width: int) -> Strip:
        segments = [Segment(text, self._inks[style]) for text, style in line if text]
        return Strip(segments).adjust_cell_length(width)
