"""Building a compiled tree: split the hot modules, let mypyc write C, have the C compiled.

Of the time of a run less than a fifth is in the C that mypyc wrote; the rest is in what it calls,
Python's own objects and msgspec. So -O1 runs as fast as -O3, and is built in a fifth of the time:
30 s on two cores. One C file for each module, so that all cores have something to do.
"""

import contextlib
import importlib.util
import io
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from abc import ABCMeta
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from lab.compiled.hot import hot_modules
from lab.compiled.split import SUFFIX, split
from lab.compiled.tree import FOLDER, ROOT, copy_into, fresh_tree, stamp_of
from lab.problem import Problem

NATIVE = (type, ABCMeta, type(Protocol))  # metaclasses that mypyc knows
KEPT = 2  # trees: a run of the one before may still be going on
MYPY_OPTIONS = (
    "--config-file=",  # whether the sources are well typed is asked elsewhere
    "--explicit-package-bases",
    f"--python-version={sys.version_info.major}.{sys.version_info.minor}",
)


def build(told: Callable[[str], None]) -> Path:
    """The tree of the sources as they are now, built if it is not there. Raises Problem."""
    tree = fresh_tree()
    if tree is not None:
        return tree
    look_for_tools()
    began = monotonic()
    modules = hot_modules(ROOT)
    told(f"the sources are new: compiling {len(modules)} modules, a minute or so")
    folder = ROOT / FOLDER
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="new-") as aside:
        made = Path(aside) / "tree"
        copy_into(made, ROOT)
        tree = folder / stamp_of(made)  # and not of the sources: they may change under our hands
        compile_modules(made, modules, Path(aside) / "work")
        with contextlib.suppress(FileExistsError, NotADirectoryError):  # another was first
            made.rename(tree)
    told(f"compiled in {monotonic() - began:.0f} s")
    _forget_old(folder, tree)
    return tree


def look_for_tools() -> None:
    """Raises Problem: what is missing is told before a minute has passed."""
    compiler = _words("CC")[0]
    if shutil.which(compiler) is None:
        raise Problem(
            f"there is no C compiler ({compiler}): install it (Debian: `apt install gcc`), or run"
            " the same command without scripts/compile"
        )
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.is_file():
        raise Problem(f"there is no {header}: install it (Debian: `apt install python3-dev`)")
    if importlib.util.find_spec("mypyc") is None:
        raise Problem("there is no mypyc: scripts/bootstrap installs it")


def _forget_old(folder: Path, tree: Path) -> None:
    others = [one for one in folder.iterdir() if one != tree and not one.name.startswith("new-")]
    others.sort(key=lambda one: one.stat().st_mtime, reverse=True)
    for one in others[KEPT - 1 :]:
        shutil.rmtree(one, ignore_errors=True)


def compile_modules(tree: Path, modules: Sequence[str], work: Path) -> None:
    """Put C extensions beside the sources of these modules. `work` is made, and left."""
    _compile_c(write_c(tree, modules, work), work, tree)


def write_c(tree: Path, modules: Sequence[str], work: Path) -> list[Any]:
    """The first half: values beside their modules, and C in `work`, as setuptools' extensions."""
    sources = []
    shutil.copytree(tree, work)
    for module in modules:
        path = Path(*module.split(".")).with_suffix(".py")
        halves = split((tree / path).read_text(encoding="utf-8"), module, values_of(module))
        (work / path).write_text(halves.native, encoding="utf-8")
        if halves.values:
            for folder in (work, tree):
                beside = folder / path.with_stem(path.stem + SUFFIX)
                beside.write_text(halves.values, encoding="utf-8")
        sources.append(str(path))
    return _written_in_c(work, sources)


def values_of(module: str) -> Callable[[str], bool]:
    """Which classes of a module have a metaclass that mypyc does not know, or are tuples."""
    loaded = importlib.import_module(module)

    def is_value(name: str) -> bool:
        one = getattr(loaded, name)
        return type(one) not in NATIVE or issubclass(one, tuple)

    return is_value


def _written_in_c(work: Path, sources: list[str]) -> list[Any]:
    """The extensions as mypyc wants them built, with files relative to `work`."""
    from mypyc.build import mypycify  # lazy: a tool of developers

    output = io.StringIO()
    try:
        with contextlib.chdir(work), contextlib.redirect_stdout(output):
            return mypycify(
                [*MYPY_OPTIONS, *sources], opt_level="1", debug_level="0", multi_file=True
            )
    except SystemExit:
        raise Problem(f"mypyc cannot compile this:\n{output.getvalue().rstrip()}") from None


def _compile_c(extensions: list[Any], work: Path, tree: Path) -> None:
    """As setuptools would, but file by file on all cores."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        jobs = [
            (one, [pool.submit(_object_of, source, one, work) for source in one.sources])
            for one in extensions
        ]
        for extension, objects in jobs:
            to = tree.joinpath(*extension.name.split("."))
            to = to.with_name(to.name + str(sysconfig.get_config_var("EXT_SUFFIX")))
            _run([*_words("LDSHARED"), *[one.result() for one in objects], "-o", str(to)], work)


def _object_of(source: str, extension: Any, work: Path) -> str:
    to = f"{source}.o"
    _run([*_flags(extension), "-c", source, "-o", to], work)
    return to


def _flags(extension: Any) -> Iterator[str]:
    for variable in ("CC", "CFLAGS", "CCSHARED"):
        yield from _words(variable)
    for flag in extension.extra_compile_args:
        if flag != "-Werror":  # no compiler to come shall stop on a new warning
            yield flag
    for folder in (*extension.include_dirs, sysconfig.get_path("include")):
        yield f"-I{folder}"


def _words(variable: str) -> list[str]:
    return shlex.split(str(sysconfig.get_config_var(variable) or ""))


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Problem(f"{command[0]} failed:\n{done.stderr.rstrip()}")
