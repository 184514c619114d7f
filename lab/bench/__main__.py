"""`python -m lab.bench [NAME ...] [--json]`: run benches and print their figures."""

import argparse
import importlib
import sys

import msgspec

from lab.bench.figures import Figure
from lab.tables import Paint, table

BENCHES = ("start", "spread", "idle", "moderation", "sim")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure this machine.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}")
    parser.add_argument("--json", action="store_true", help="one JSON object per figure")
    given = parser.parse_args(arguments)
    for name in given.names:
        if name not in BENCHES:
            parser.error(f"no bench {name!a}: there are {', '.join(BENCHES)}")
    missed = 0
    for name in given.names or BENCHES:
        found: list[Figure] = importlib.import_module(f"lab.bench.{name}").run()
        missed += sum(one.met is False for one in found)
        _show(found, given.json)
    return 7 if missed else 0


def _show(found: list[Figure], json: bool) -> None:
    if json:
        for one in found:
            print(msgspec.json.encode(one).decode())
        return
    rows = [
        [
            one.bench,
            one.name,
            f"{one.median:.4g} {one.unit}",
            f"{one.min:.4g} to {one.max:.4g}",
            str(one.count),
            "" if one.goal is None else f"{'<=' if one.at_most else '>='} {one.goal:g}",
            {None: "", True: "met", False: "MISSED"}[one.met],
        ]
        for one in found
    ]
    heads = ["BENCH", "FIGURE", "MEDIAN", "SPAN", "RUNS", "GOAL", ""]
    print(table(heads, rows, Paint(on=False)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
