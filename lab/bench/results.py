"""The results of a run, as a file for machines and a table for people."""

from pathlib import Path

import msgspec
from msgspec import Struct

from lab.bench.facts import Facts
from lab.bench.figures import Figure
from lab.tables import Paint, table


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


HEADS = ("bench", "figure", "median", "span", "runs", "goal", "", "bare", "ratio")


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
