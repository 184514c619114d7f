"""Access to the planted bugs (mutants), for `lab mutants`, `lab explore --plant` and `lab replay
MUTANT+TOKEN`.

They are in tests/mutants and not part of the product: a checkout contains them, a wheel does not.
"""

import sys
from contextlib import AbstractContextManager
from pathlib import Path

from lab.terminal.errors import Exit, Problem


def planted(mutant: str) -> AbstractContextManager[None]:
    """A context in which this bug is in force, here and in workers that are forked meanwhile.

    Raises Problem where there is no checkout, and for an unknown name.
    """
    need_checkout()
    from tests.mutants.command import plant

    return plant(mutant)


def need_checkout() -> None:
    """Make `tests.mutants` importable. Raises Problem where the sources that run have none."""
    root = Path(__file__).parents[2]
    if not (root / "tests" / "mutants" / "catalogue.py").is_file():
        raise Problem(
            "the planted bugs are in tests/mutants of a checkout: there is none here", Exit.USAGE
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
