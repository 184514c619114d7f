"""Explains an import error that is caused by another package of the same name.

Folders in PYTHONPATH are searched before installed packages. If one of them contains a package
`domain`, or a module `typer.py`, Python imports that instead, and the error names whatever is
missing there.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

OURS = ("domain", "gossip", "node", "lab")
ROOT = Path(__file__).resolve().parents[2]


def shadowing(error: BaseException) -> str | None:
    """The package that causes this error, in one line; None if it is another kind of error."""
    if not isinstance(error, ImportError | AttributeError):
        return None
    folders = _foreign_folders()
    for name in OURS:
        spec = find_spec(name)
        places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
        for place in filter(None, places):
            if _within(place, folders) and ROOT not in Path(place).resolve().parents:
                return _told(place, f"chatlab's own package {name!r}")
    for name, module in sorted(sys.modules.items()):
        place = getattr(module, "__file__", None) or ""
        if "." not in name and _within(place, folders):
            return _told(place, f"the package {name!r} that chatlab needs")
    return None


def _foreign_folders() -> list[str]:
    named = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    resolved = [Path(one).resolve() for one in named]
    return [str(one) for one in resolved if one != ROOT and ROOT not in one.parents]


def _within(place: str, folders: list[str]) -> bool:
    here = os.path.realpath(place) if place else ""
    return any(here.startswith(f"{folder}{os.sep}") for folder in folders)


def _told(place: str, what: str) -> str:
    return f"{place} has the name of {what} and stands before it: take its folder out of PYTHONPATH"
