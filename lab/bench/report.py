"""Writes the results of a run: a JSON file, a table for people, and docs/performance.md.

The page is made from the file of a run. Only the part between its marks is replaced, together with
the plots beside it: each figure that has a curve becomes an SVG.
"""

import re
from pathlib import Path

import msgspec
from msgspec import Struct

from lab.bench.figures import Figure
from lab.bench.machine_facts import ROOT, Facts
from lab.terminal.tables import Paint, table

HEADS = ("bench", "figure", "median", "span", "runs", "goal", "", "bare", "ratio")
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- results: made by the suite -->", "<!-- end of results -->"
PLOT_SIZE = 640, 300  # pixels


class Results(Struct, frozen=True):
    facts: Facts
    figures: list[Figure]


def write(results: Results, path: Path) -> None:
    """With what can be computed from it, so that a reader of the file need not."""
    document = {
        "facts": msgspec.structs.asdict(results.facts),
        "figures": [one.as_json() for one in results.figures],
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")


def read(path: Path) -> Results:
    """Raises OSError, msgspec.MsgspecError."""
    return msgspec.json.decode(path.read_bytes(), type=Results)


# --- the table ------------------------------------------------------------------------------------


def row(one: Figure) -> list[str]:
    return [
        one.bench,
        one.name,
        f"{number(one.median)} {one.unit}".strip(),
        f"{number(one.min)} to {number(one.max)}",
        str(one.count),
        "" if one.goal is None else f"{'<=' if one.at_most else '>='} {number(one.goal)}",
        {None: "", True: "met", False: "MISSED"}[one.met],
        "" if one.bare is None else number(one.bare),
        "" if one.ratio is None else number(one.ratio),
    ]


def number(value: float) -> str:
    """Three figures, or whole with commas."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:.4f}"


def shown(found: list[Figure]) -> str:
    heads = [head.upper() for head in HEADS]
    lines = [table(heads, [row(one) for one in found], Paint(on=False))]
    told: dict[str, None] = {}
    for one in found:
        if one.bare_name:
            told[f"  bare: {one.bare_name}"] = None
        if one.note:
            told[f"  {one.name}: {one.note}"] = None
    return "\n".join([*lines, *told])


# --- the page -------------------------------------------------------------------------------------


def rewrite_page(results: Results, page: Path = PAGE) -> None:
    """Replace the results in the page. Raises OSError, and ValueError without its marks."""
    head, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} has no marks {BEGIN} and {END}")
    plots = page.with_suffix("")
    plots.mkdir(exist_ok=True)
    for old in plots.glob("*.svg"):
        old.unlink()
    lines = [_of_machine(results.facts), "", *_table(results.figures)]
    for one in results.figures:
        if len(one.curve) > 1:
            title = f"{one.bench}: {one.name}"
            name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") + ".svg"
            _plot(title, one, plots / name)
            lines += [f"![{title}]({plots.name}/{name})", ""]
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
        for column, note in ((7, one.bare_name), (1, one.note)):
            if note:
                notes += [note] if note not in notes else []
                cells[column] += f" ({notes.index(note) + 1})"
        cells[6] = "**missed**" if one.met is False else cells[6]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", *[f"{number}. {note}" for number, note in enumerate(notes, 1)], ""]


def _plot(title: str, one: Figure, path: Path) -> None:
    """The curve as SVG; both axes begin at zero."""
    import leather  # lazy: of developers, see the group `plots` of pyproject.toml

    chart = leather.Chart(title)
    chart.add_line(list(one.curve))
    chart.add_x_scale(0, max(x for x, _ in one.curve) or 1)
    chart.add_y_scale(0, max(y for _, y in one.curve) or 1)
    y_name = "thousand messages" if one.x_name == "seconds" else one.unit
    chart.add_x_axis(name=one.x_name, tick_formatter=lambda value, *_: f"{value:,g}")
    chart.add_y_axis(name=y_name, tick_formatter=lambda value, *_: f"{value:,g}")
    chart.to_svg(str(path), *PLOT_SIZE)
