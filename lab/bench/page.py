"""docs/performance.md: the part between its marks, and the plots beside it, from a run's file.

What people wrote around the marks stays. A figure that has a curve becomes a plot.
"""

import re
from pathlib import Path

from lab.bench.facts import ROOT, Facts
from lab.bench.figures import Figure
from lab.bench.plot import svg
from lab.bench.results import HEADS, Results, row

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- results: made by the suite -->", "<!-- end of results -->"


def rewrite(results: Results, page: Path = PAGE) -> None:
    """Replace the results in the page. Raises OSError, and ValueError without its marks."""
    text = page.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} has no marks {BEGIN} and {END}")
    plots = page.with_suffix("")
    plots.mkdir(exist_ok=True)
    for old in plots.glob("*.svg"):
        old.unlink()
    lines = [_of_machine(results.facts), "", *_table(results.figures), *_plots(results, plots)]
    page.write_text(head + "\n".join([BEGIN, *lines, END]) + tail, encoding="utf-8")


def _of_machine(facts: Facts) -> str:
    quick = " **A quick run: its figures mean nothing.**" if facts.quick else ""
    return (
        f"Run of {facts.when} UTC, build `{facts.build}`: {facts.cores} cores ({facts.processor}), "
        f"{facts.memory_gib} GiB, {facts.system}, Python {facts.python}, libzmq {facts.libzmq}. "
        f"Load of the machine when it began: {facts.load:g}.{quick}"
    )


def _table(figures: list[Figure]) -> list[str]:
    notes: list[str] = []
    lines = [f"| {' | '.join(HEADS)} |", f"|{'---|' * len(HEADS)}"]
    for one in figures:
        cells = row(one)
        if one.bare_name:
            cells[7] += f" {_marked(one.bare_name, notes)}"
        if one.note:
            cells[1] += f" {_marked(one.note, notes)}"
        cells[6] = "**missed**" if one.met is False else cells[6]
        lines.append(f"| {' | '.join(cells)} |")
    told = [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    return [*lines, "", *told, ""]


def _marked(note: str, notes: list[str]) -> str:
    if note not in notes:
        notes.append(note)
    return f"({notes.index(note) + 1})"


def _plots(results: Results, folder: Path) -> list[str]:
    lines: list[str] = []
    for one in results.figures:
        if len(one.curve) < 2:
            continue
        name = re.sub(r"[^a-z0-9]+", "-", f"{one.bench} {one.name}".lower()).strip("-") + ".svg"
        title = f"{one.bench}: {one.name}"
        y_name = "thousand messages" if one.x_name == "seconds" else one.unit
        (folder / name).write_text(svg(title, one.curve, one.x_name, y_name), encoding="utf-8")
        lines += [f"![{title}]({folder.name}/{name})", ""]
    return lines
