"""The compiled tree: a copy of the four packages in which hot modules are C extensions.

    .compiled/STAMP/domain/clock.py                 the source, byte for byte: build ids are equal
    .compiled/STAMP/domain/clock_values.py          what of it stays interpreted
    .compiled/STAMP/domain/clock.cpython-311-x86_64-linux-gnu.so       what Python loads

The stamp is a hash of all that the tree is made from. So a stale tree has another name and is never
run. A tree is built aside and renamed: it is whole, or not there.
"""

import os
import shutil
import sys
import sysconfig
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ".compiled"
PACKAGES = ("domain", "gossip", "node", "lab")
STAMP_BYTES = 8
MARK = "domain.clock"  # a module that is always compiled


def is_compiled() -> bool:
    """Whether this process runs a compiled tree."""
    spec = find_spec(MARK)
    return spec is not None and not str(spec.origin).endswith(".py")


def stamp_of(root: Path) -> str:
    """Of every file of the packages, the interpreter, its headers, mypy and the C compiler."""
    found = blake2b(digest_size=STAMP_BYTES)
    try:
        mypy = version("mypy")
    except PackageNotFoundError:
        mypy = ""
    settings = map(sysconfig.get_config_var, ("EXT_SUFFIX", "CC", "CFLAGS"))
    found.update(repr((mypy, sys.version, *settings, sysconfig.get_path("include"))).encode())
    for path in files_of(root):
        data = path.read_bytes()
        found.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode())
        found.update(data)
    return found.hexdigest()


def files_of(root: Path) -> list[Path]:
    """All of a checkout that a tree is made from."""
    return sorted(
        path
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def copy_into(tree: Path, root: Path) -> None:
    for path in files_of(root):
        to = tree / path.relative_to(root)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)


def fresh_tree(root: Path = ROOT) -> Path | None:
    """The tree of the sources as they are now, if it is built."""
    tree = root / FOLDER / stamp_of(root)
    return tree if tree.is_dir() else None


def environment(tree: Path) -> dict[str, str]:
    """For a process, and for all that it starts, to run what is in a tree, or in a checkout."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return os.environ | {"PATH": path, "PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}
