"""A hatch build hook for scripts/compile alone: builds a wheel with C extensions of hot modules.

mypyc drops the keywords and half of the annotations of a class that has a metaclass. So the classes
of that kind in a module (Structs, Enums, NamedTuples: its *values*) are not compiled. They move,
with all that they use, into an interpreted module NAME_values, and the compiled module imports them
from there. Line numbers do not change. See docs/adr/0013 and 0029.
"""

import ast
import importlib
import os
import re
import shutil
import sys
import sysconfig
from abc import ABCMeta
from collections.abc import Iterable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any, Protocol

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
# Where a run of the simulator, or a busy node, spends its time; and heirs of classes there.
# Not `node/storage/committer.py`: its attribute `_thread` is no name for C.
HOT = """
domain/*.py domain/moderation/*.py gossip/*.py gossip/reconcile/vector.py lab/sim/*.py
lab/checkers/*.py lab/trace/trace.py lab/plan/d*.py lab/plan/partition_shapes.py
lab/plan/random_streams.py lab/plan/workload.py node/core/*.py node/storage/[!c]*.py
node/storage/c[!o]*.py node/storage/codec.py node/config/yaml_positions.py
node/control/ack_levels.py node/network/link_faults.py node/network/penalties.py
node/process/scrub.py node/recording/recorder.py
"""
NATIVE = (type, ABCMeta, type(Protocol))  # metaclasses that mypyc knows
MYPY = ("--config-file=", "--explicit-package-bases", f"--python-version=3.{sys.version_info[1]}")
DEFINITION = (ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AnnAssign)


class CustomBuildHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """CHATLAB_HOT: instead of HOT. Exits with one line if a tool is missing."""
        look_for_tools()
        from mypyc.build import mypycify  # lazy: tools of developers
        from setuptools import setup

        work = Path(self.directory) / "mypyc"
        sources = write(work, hot_modules(os.environ.get("CHATLAB_HOT", HOT)))
        with chdir(work):  # most of a run is in Python's objects: -O3 would not be faster
            modules = mypycify([*MYPY, *sources], opt_level="1", debug_level="0", multi_file=True)
            setup(ext_modules=modules, script_args=["-q", "build_ext", "--build-lib", "."])
        made = [*work.rglob("*_values.py"), *work.rglob("*.so")]
        build_data["force_include"] |= {str(one): str(one.relative_to(work)) for one in made}
        build_data |= {"pure_python": False, "infer_tag": True}


def look_for_tools() -> None:
    compiler = str(sysconfig.get_config_var("CC")).split()[0]
    if shutil.which(compiler) is None:
        raise SystemExit(f"there is no {compiler}: install it, or do without scripts/compile")
    if not Path(header := f"{sysconfig.get_path('include')}/Python.h").is_file():
        raise SystemExit(f"there is no {header}: install it (Debian: `apt install python3-dev`)")


def hot_modules(patterns: str = HOT) -> list[str]:
    """Their names, such as `gossip.engine`. No packages: their names must be found first."""
    found = [path.relative_to(ROOT) for one in patterns.split() for path in sorted(ROOT.glob(one))]
    return [".".join(one.with_suffix("").parts) for one in found if one.name != "__init__.py"]


def write(work: Path, modules: Iterable[str]) -> list[str]:
    """The packages as mypyc shall see them, in a new folder; the files of these modules in it."""
    for package in ("domain", "gossip", "node", "lab"):
        shutil.copytree(ROOT / package, work / package)
    sys.path.insert(0, str(ROOT))
    sources = []
    for module in modules:
        path = work / f"{module.replace('.', '/')}.py"
        native, values = split(path.read_text(encoding="utf-8"), module, values_of(module))
        path.write_text(native, encoding="utf-8")
        if values:
            path.with_stem(f"{path.stem}_values").write_text(values, encoding="utf-8")
        sources.append(str(path.relative_to(work)))
    return sources


def values_of(module: str) -> set[str]:
    """The classes of a module with a metaclass that mypyc does not know, and tuples."""
    classes = [
        one for one in vars(importlib.import_module(module)).items() if isinstance(one[1], type)
    ]
    return {name for name, of in classes if type(of) not in NATIVE or issubclass(of, tuple)}


def split(source: str, module: str, values: set[str]) -> tuple[str, str]:
    """What is compiled, and what stays interpreted: "" if the module defines none of `values`."""
    body = ast.parse(source).body
    defined = {name: one for one in body if isinstance(one, DEFINITION) for name in _names(one)}
    moved: set[str] = set()
    waiting = [name for name in values if type(defined.get(name)) is ast.ClassDef]
    while waiting:  # what a value uses moves with it, or it would exist twice
        name = waiting.pop()
        if name in defined and name not in moved:
            moved.add(name)
            waiting += [*_names(defined[name]), *_used([defined[name]])]
    if not moved:
        return source, ""
    statements = [one for name, one in defined.items() if name in moved]
    used = set(_used(statements))
    imported = f"from {module}_values import {', '.join(name for name in defined if name in moved)}"
    native, side = source.splitlines(), source.splitlines()
    for one in body:
        first = min(part.lineno for part in [one, *getattr(one, "decorator_list", [])]) - 1
        blank = [""] * ((one.end_lineno or 0) - first - 1)
        if one in statements:
            native[first : one.end_lineno] = [imported, *blank]
            imported = ""
        elif isinstance(one, ast.Import | ast.ImportFrom):  # what is not used may import us
            one.names = [a for a in one.names if (a.asname or a.name).partition(".")[0] in used]
            side[first : one.end_lineno] = [ast.unparse(one) if one.names else "", *blank]
        elif not (isinstance(one, ast.If) and ast.unparse(one.test) == "TYPE_CHECKING"):
            side[first : one.end_lineno] = ["", *blank]
    return "\n".join(native) + "\n", "\n".join(side) + "\n"


def _names(one: ast.AST) -> list[str]:
    if isinstance(one, ast.ClassDef | ast.FunctionDef):
        return [one.name]
    return [n.id for n in ast.walk(one) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def _used(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """All names in them, also those in annotations that are texts."""
    for one in [part for node in nodes for part in ast.walk(node)]:
        if isinstance(one, ast.Name):
            yield one.id
        for annotation in (getattr(one, "annotation", None), getattr(one, "returns", None)):
            if isinstance(annotation, ast.AST):
                yield from re.findall(r"\w+", ast.unparse(annotation))
