"""Ablating: which kinds of faults are needed to find which mutants. Writes ablation.json.

    python -m tests.mutants.ablating [LOOKS]        minutes on two cores

`evidence` puts what is stored into docs/evidence/mutants.md; `--report` does so at once, and leaves
the rest of that page as it is.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.mutants.ablation import LOOKS, Row, ablated
from tests.mutants.catalogue import CATALOGUE
from tests.mutants.evidence import ablation_text, with_ablation

HERE = Path(__file__).parent
STORED = HERE / "ablation.json"
EVIDENCE = HERE.parents[1] / "docs" / "evidence" / "mutants.md"


def stored() -> list[Row]:
    """What the last run found; nothing if there was none."""
    return msgspec.json.decode(STORED.read_bytes(), type=list[Row]) if STORED.exists() else []


def main(arguments: Sequence[str]) -> None:
    given = [one for one in arguments if one != "--report"]
    rows = ablated(CATALOGUE, looks=int(given[0]) if given else LOOKS)
    STORED.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")
    if "--report" in arguments:
        page = EVIDENCE.read_text(encoding="utf-8")
        EVIDENCE.write_text(with_ablation(page, ablation_text(rows)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
