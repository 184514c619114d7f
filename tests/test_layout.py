"""The shape of the project: rules that no tool checks, with the reason in the name or beside it.

What moves between packages, and what may import what, is in pyproject.toml (import-linter).
"""

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lab.bench.__main__ import BENCHES
from lab.cli.lazy_group import MODULES
from node.process.structured_log import NOTES

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TOOLS: dict[str, Any] = PYPROJECT["tool"]
PACKAGES: list[str] = TOOLS["hatch"]["build"]["packages"]
GENERATED = ROOT / "node" / "disk"

LINES_MAX = 600  # a smell: where this fails, look whether a file has two nouns; never fold lines
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
SCRIPT_LINES_MAX = 45
VALUES_MAX = 5  # of a constructor by position: two of one type could change places unseen

# An event loop never sleeps, and a core has no clock. These block a process of their own.
SLEEPERS = {
    "lab/bench/idle.py": "a bench that measures what a node costs while nothing happens",
    "lab/cli/logs.py": "a terminal that follows log files",
    "lab/cli/cluster_up.py": "a command that waits for nodes to answer",
    "lab/cluster/cluster.py": "a command that waits for processes to come and go",
    "lab/observe/convergence.py": "a command that waits for roots to be equal",
    "lab/demo/tour.py": "so that a person can read what is told",
    "lab/campaign/orphans.py": "a worker that looks whether its parent is still there",
    "lab/cluster/processes.py": "a command that waits for a process to end",
    "lab/real/feed_checks.py": "a visit to processes, whose sockets do not say what they took in",
    "lab/real/idle_checks.py": "a visit to processes that may settle yet",
    "lab/real/hostile_connections.py": "a visit to processes that count whom they send away",
    "lab/real/visit.py": "a visit to processes that find each other again",
    "lab/cluster/reload.py": "a command that waits for nodes to read their file again",
    "lab/observe/watcher.py": "an observer that looks again after a while",
}


def sources(*tops: str) -> Iterator[Path]:
    """Every Python file that people write."""
    for top in tops or (*PACKAGES, "tests"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if GENERATED not in path.parents:
                yield path


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    return name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), name_of(path))


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call, with the last word of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node.func.attr, node
            elif isinstance(node.func, ast.Name):
                yield node.func.id, node


# --- packages -------------------------------------------------------------------------------------


def test_the_packages_are_the_same_for_the_tree_the_wheel_and_every_tool() -> None:
    tree = {path.parent.name for path in ROOT.glob("*/*.py")} - {"tests"}
    assert tree == set(PACKAGES)
    assert TOOLS["importlinter"]["root_packages"] == PACKAGES
    assert TOOLS["mypy"]["packages"] == [*PACKAGES, "tests"]
    assert set(TOOLS["coverage"]["run"]["source"]) <= set(PACKAGES)
    assert {f"/{name}" for name in PACKAGES} <= set(
        TOOLS["hatch"]["build"]["targets"]["sdist"]["include"]
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_every_package_and_module_says_what_it_is() -> None:
    folders = {path.parent for path in sources(*PACKAGES)}
    assert [name_of(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []
    assert [name_of(path) for path in sources() if ast.get_docstring(tree_of(path)) is None] == []


def test_proto_is_no_package() -> None:
    """It would shadow another distribution's `proto`."""
    assert list((ROOT / "proto").rglob("*.py")) == []


def test_no_module_is_dead() -> None:
    """Each is imported by another, named where a process or a command is started, or an entry."""
    used = {PYPROJECT["project"]["scripts"]["chatlab"].partition(":")[0]}
    used |= {f"lab.cli.{module}" for module in MODULES.values()}
    used |= {f"lab.bench.{name}" for name in BENCHES}
    for path in sources(*PACKAGES):
        used |= {name for name in names_in(path) if name != module_of(path)}
    used |= {name.rpartition(".")[0] for name in used}  # a package is imported with its modules
    modules = {module_of(path) for path in sources(*PACKAGES)}
    entries = {name for name in modules if name.endswith(".__main__")} | set(PACKAGES)
    assert sorted(modules - used - entries) == []


def names_in(path: Path) -> Iterator[str]:
    """What a module imports, and every text in it, for a module may be named in one."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


# --- sizes ----------------------------------------------------------------------------------------


def test_a_file_can_be_read_in_one_sitting() -> None:
    sizes = {name_of(path): len(path.read_text().splitlines()) for path in sources()}
    assert {name: lines for name, lines in sizes.items() if lines > LINES_MAX} == {}


def test_a_function_fits_on_a_screen() -> None:
    long = {}
    for path in sources():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    long[f"{name_of(path)}:{node.lineno} {node.name}"] = lines
    assert long == {}


def test_constructors_with_many_values_are_called_with_keywords() -> None:
    trees = {path: tree_of(path) for path in sources(*PACKAGES)}
    classes = {
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    many = [
        f"{name_of(path)}:{call.lineno} {name}"
        for path, tree in trees.items()
        for name, call in calls(tree)
        if name.rpartition(".")[2] in classes and len(call.args) > VALUES_MAX
    ]
    assert many == []


def test_a_line_fits_in_a_window() -> None:
    """Also in scripts, where no linter looks. What silences a tool at the end does not count."""
    long = [
        f"{name_of(path)}:{number}"
        for path in (*sources(), *(ROOT / "scripts").iterdir())
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if len(re.sub(r"  # (type: ignore|noqa).*", "", line)) > COLUMNS_MAX
    ]
    assert long == []


# --- notes and time -------------------------------------------------------------------------------


def notes_in(tree: ast.Module) -> set[str]:
    """The names of the notes that a module makes, by `Note(...)` or a helper with an `event: str`.

    f"peer_{state}" stands for all registered names of that form. A name that is computed in any
    other way shows up as its expression, and so is not registered.
    """
    places = {"Note": 0}
    passed_on = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            parameters = [one for one in node.args.args if one.arg != "self"]
            for index, one in enumerate(parameters):
                if one.arg == "event" and ast.unparse(one.annotation or one) == "str":
                    places[node.name] = index
                    passed_on |= {id(inner) for inner in ast.walk(node)}
    chosen = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "event"
    ]
    names: set[str] = set()
    for callee, call in calls(tree):
        if callee not in places:
            continue
        given = [*call.args[places[callee] :][:1]]
        given += [keyword.value for keyword in call.keywords if keyword.arg == "event"]
        for value in given:
            if not (isinstance(value, ast.Name) and value.id == "event"):
                names |= texts_of(value)
            elif id(call) not in passed_on:
                names |= {text for one in chosen for text in texts_of(one)}
    return names


def texts_of(value: ast.expr) -> set[str]:
    if isinstance(value, ast.IfExp):
        return texts_of(value.body) | texts_of(value.orelse)
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return {value.value}
    if isinstance(value, ast.JoinedStr):
        form = "".join(
            re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z]+"
            for part in value.values
        )
        if found := {name for name in NOTES if re.fullmatch(form, name)}:
            return found
    return {ast.unparse(value)}


def test_the_finder_of_notes_sees_every_way_to_make_one() -> None:
    tree = ast.parse(
        "def tell(self, event: str, level):\n"
        "    self.on_note(Note(event, level, {}))\n"
        "def other(self):\n"
        "    event = 'b' if self.x else 'c'\n"
        "    self.on_note(Note(event, 'info', {}))\n"
        "    self.tell('a', 'info')\n"
        "    self.on_note(Note(event='d', level='info', fields={}))\n"
        "    self.on_note(Note(f'faults_{self.x}', 'info', {}))\n"
        "    self.on_note(Note(f'none_{self.x}', 'info', {}))\n"
        "    self.on_note(Note(self.x, 'info', {}))\n"
    )
    faults = {"faults_set", "faults_cleared"}
    assert notes_in(tree) == {"a", "b", "c", "d", "f'none_{self.x}'", "self.x"} | faults


def test_every_note_is_registered_and_every_registered_note_is_used() -> None:
    used = {
        name: name_of(path)
        for path in sources("domain", "gossip", "node")
        for name in notes_in(tree_of(path))
    }
    used["log_lines_lost"] = "node/process/structured_log.py"  # the log's own
    assert {name: where for name, where in used.items() if name not in NOTES} == {}
    assert sorted(NOTES.keys() - used.keys()) == []
    assert list(NOTES) == sorted(NOTES)


def test_nothing_sleeps_but_what_has_a_reason_to() -> None:
    sleeping = {
        name_of(path)
        for path in sources(*PACKAGES)
        for name, call in calls(tree_of(path))
        if name == "sleep" and ast.unparse(call.func) in ("time.sleep", "sleep")
    }
    assert sleeping == SLEEPERS.keys()


# --- what surrounds the code ----------------------------------------------------------------------


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_names_no_host_and_every_package_has_hashes(lock: str) -> None:
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "://" in line or "index" in line.split("#")[0]] == []
    pins = [number for number, line in enumerate(lines) if "==" in line and line[0] not in " #"]
    assert pins
    assert [lines[number] for number in pins if "--hash=sha256:" not in lines[number + 1]] == []


def test_a_script_is_short_runs_and_stops_at_the_first_error() -> None:
    for path in (ROOT / "scripts").iterdir():
        lines = path.read_text(encoding="utf-8").splitlines()
        assert os.access(path, os.X_OK), f"chmod +x {name_of(path)}"
        assert lines[0] == "#!/bin/sh", path
        assert lines[1].startswith("# "), f"{path.name} does not say what it does"
        assert "set -eu" in lines, path
        assert len(lines) <= SCRIPT_LINES_MAX, path


def test_tests_with_real_processes_are_marked() -> None:
    """So that `-m 'not cluster'` is quick, and they run last."""
    for path in (ROOT / "tests" / "cluster").glob("test_*.py"):
        assert "\npytestmark = pytest.mark.cluster\n" in path.read_text(encoding="utf-8"), path
