"""Reaching: which seeds and which tests execute a line, recorded once.

A mutant acts only where its line is executed: seeds and tests that never come there need no run.
Lines are named by their function and their text, not by their number, so that a recording is of use
while the sources change around them. What a function keeps in a cache is asked for once in a
process: of those every seed and every test of the file counts as coming there.
"""

import ast
from collections.abc import Iterable
from pathlib import Path
from warnings import catch_warnings, simplefilter

import coverage
from msgspec import Struct, field

ALWAYS = ""  # executed while modules were imported, or kept in a cache


class Reached(Struct):
    """By file and line, as `keys_of` names it: the contexts (seeds, or tests), as bits."""

    contexts: list[str] = []
    lines: dict[str, dict[str, str]] = field(default_factory=dict)  # the bits in hex

    def at(self, file: str, keys: Iterable[str], function: str) -> list[str]:
        """The contexts that execute one of these lines. Of a new line: its function."""
        known = self.lines.get(file, {})
        bits = [int(known[key], 16) for key in keys if key in known]
        if not bits:
            bits = [int(b, 16) for key, b in known.items() if key.partition("\t")[0] == function]
        met = 0
        for one in bits:
            met |= one
        found = [name for at, name in enumerate(self.contexts) if met >> at & 1]
        return list(self.contexts) if ALWAYS in found else found


def keys_of(source: str) -> list[str]:
    """A key for each line, the first at 1."""
    lines = source.splitlines()
    owner = [""] * (len(lines) + 1)

    def visit(node: ast.AST, path: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{path}{child.name}"
                for line in range(child.body[0].lineno, (child.end_lineno or 0) + 1):
                    owner[line] = name
                visit(child, f"{name}.")
            else:
                visit(child, f"{path}{child.name}." if isinstance(child, ast.ClassDef) else path)

    visit(ast.parse(source), "")
    return ["", *[f"{owner[at]}\t{line.strip()}" for at, line in enumerate(lines, 1)]]


def _cached(source: str) -> set[int]:
    found: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and any(
            "cache" in ast.unparse(one) for one in node.decorator_list
        ):
            found.update(range(node.body[0].lineno, (node.end_lineno or 0) + 1))
    return found


def recorder(root: Path) -> coverage.Coverage:
    """Started before the core is imported; `switch_context` says who executes from then on."""
    folders = [str(root / one) for one in ("gossip", "domain", "node")]
    recording = coverage.Coverage(data_file=None, branch=False, source=folders, config_file=False)
    recording.set_option("run:core", "ctrace")
    recording.start()
    return recording


def recorded(recording: coverage.Coverage, root: Path, contexts: list[str]) -> Reached:
    recording.stop()
    with catch_warnings():
        simplefilter("ignore")  # that there is nothing: some tests do not use the core
        data = recording.get_data()
    found = Reached([ALWAYS, *contexts])
    number = {name: at for at, name in enumerate(found.contexts)}
    for path in sorted(data.measured_files()):
        source = Path(path).read_text(encoding="utf-8")
        keys, cached = keys_of(source), _cached(source)
        bits: dict[str, int] = {}
        for line, names in data.contexts_by_lineno(path).items():
            who = {ALWAYS} if line in cached else set(names)
            for name in who & number.keys():
                bits[keys[line]] = bits.get(keys[line], 0) | 1 << number[name]
        found.lines[Path(path).relative_to(root).as_posix()] = {k: hex(b) for k, b in bits.items()}
    return found
