"""`python -m lab.bench [NAME ...] [--json] [--out FILE]`: run benches and print their figures."""

import argparse
import importlib
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from lab.bench import report
from lab.bench.figures import Figure
from lab.bench.machine_facts import gather
from lab.bench.scale import FULL, QUICK
from lab.bench.session import Session

# In the order in which they run: those that share histories leave them as the next one wants them.
BENCHES = (
    *("start", "ingest", "spread", "sustain", "catchup", "restart", "footprint", "idle", "growth"),
    *("moderation", "sim", "observe"),
)


def figures_of(name: str, session: Session) -> list[Figure]:
    """Run one bench."""
    found: list[Figure] = importlib.import_module(f"lab.bench.{name}").run(session)
    return [msgspec.structs.replace(one, bench=name) for one in found]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure this machine.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}")
    parser.add_argument("--json", action="store_true", help="one JSON object per figure")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write all of it as JSON")
    parser.add_argument("--quick", action="store_true", help="small counts: only to see it work")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="run nothing: put a run's file into the document"
    )
    given = parser.parse_args(arguments)
    for name in given.names:
        if name not in BENCHES:
            parser.error(f"no bench {name!a}: there are {', '.join(BENCHES)}")
    if given.page is not None:
        try:
            report.rewrite_page(report.read(given.page))
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            parser.error(f"{given.page}: {error}")
        return 0
    names = [name for name in BENCHES if name in (given.names or BENCHES)]
    found = _run(names, quick=given.quick, json=given.json, out=given.out)
    return 7 if any(one.met is False for one in found) else 0


def _run(names: Iterable[str], *, quick: bool, json: bool, out: Path | None) -> list[Figure]:
    facts = gather(quick=quick)
    found: list[Figure] = []
    with Session(QUICK if quick else FULL) as session:
        for name in names:
            came = figures_of(name, session)
            found += came
            if json:
                for one in came:
                    print(msgspec.json.encode(one.as_json()).decode(), flush=True)
            else:
                print(report.shown(came), flush=True)
            if out is not None:  # after each bench: a run that breaks off leaves what it has
                report.write(report.Results(facts, found), out)
    return found


if __name__ == "__main__":
    sys.exit(main())
