"""`python -m tests.reliability [NAME ...] [--long]`: run checks, print a line with each figure.

`mutations` is one more name: every promise is broken in a copy, and some test must notice.
`mutants` draws small mutants by a seed, and tries them by exploring and by the unit tests: see
`scripts/evidence mutants --help`.
"""

import argparse
import sys
import time

from tests.mutants import drawn
from tests.reliability.evidence import CHECKS
from tests.reliability.mutations import mutations


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["mutants"]:  # has options of its own
        return drawn.main(arguments[1:])
    parser = argparse.ArgumentParser(prog="scripts/evidence", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="which; default: all but mutations"
    )
    parser.add_argument("--long", action="store_true", help="as much as the promise says")
    parser.add_argument("--list", action="store_true", help="say what there is")
    given = parser.parse_args(arguments)
    for name in given.names:
        if name != "mutations" and name not in CHECKS:
            parser.error(f"no check {name!a}: there are {', '.join(CHECKS)}, mutations")
    if given.list:
        for one in CHECKS.values():
            print(f"{one.promise:<12} {one.name:<11} {one.what}")
        return 0
    failed = 0
    for name in given.names or CHECKS:
        if name == "mutations":
            failed += mutations()
            continue
        one, began_s = CHECKS[name], time.monotonic()
        try:
            figure, mark = one.run(given.long), "holds"
        except Exception as error:  # a check says by raising that its promise does not hold
            figure, mark = f"{type(error).__name__}: {error}", "FAILS"
            failed += 1
        took_s = time.monotonic() - began_s
        print(f"{mark}  {one.promise}  {one.name}  {figure}  ({took_s:.1f} s)", flush=True)
    return 7 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
