"""A module as two: values, which stay interpreted, and the rest, which becomes a C extension.

mypyc makes native classes. It builds a class with a metaclass of its own (Struct, Enum, NamedTuple)
without its keywords and with half of its annotations, so such a class cannot be compiled where it
stands. In the copy that is compiled it stands in a module beside the old one, with whatever of the
old one it uses, and the old one imports it back.

Rules
- Nothing is rewritten: a statement stands in one of the two, in its old line. So a traceback names
  lines that can be looked up in the source.
- What a value uses moves with it, or it would exist twice.
- Two handlers of one function that call the error by the same name call it by different ones in the
  copy: mypyc gives a local one type, that of the first.
"""

import ast
from collections.abc import Callable, Iterable

from msgspec import Struct

SUFFIX = "_values"

Definition = ast.ClassDef | ast.FunctionDef | ast.Assign | ast.AnnAssign


class SplitError(ValueError):
    """A module cannot be split like that. The text says which statement stands in the way."""


class Halves(Struct, frozen=True):
    """Sources, with as many lines as the whole. `values` is "" where nothing has to move."""

    native: str
    values: str = ""
    moved: tuple[str, ...] = ()


def split(source: str, module: str, is_value: Callable[[str], bool]) -> Halves:
    """`is_value` says of a class of the module, by name, whether it must stay interpreted."""
    source = _renamed(source)
    tree = ast.parse(source)
    defined = {
        name: one for one in tree.body if isinstance(one, Definition) for name in _names(one)
    }
    values = [name for name, one in defined.items() if type(one) is ast.ClassDef and is_value(name)]
    if not values:
        return Halves(source)
    moved = _with_what_they_use(values, defined)
    _refuse_globals(tree, moved, module)
    statements = {id(defined[name]) for name in moved}
    lines = source.splitlines()
    native, side = list(lines), list(lines)
    imported = f"from {module}{SUFFIX} import {', '.join(moved)}"
    used = _used(defined[name] for name in moved)
    for one in tree.body:
        first, last = _span(one)
        if id(one) in statements:
            native[first:last] = [imported, *[""] * (last - first - 1)]
            imported = ""
        elif isinstance(one, ast.Import | ast.ImportFrom):
            side[first:last] = [_pruned(one, used), *[""] * (last - first - 1)]
        elif not _is_for_types(one):
            side[first:last] = [""] * (last - first)
    return Halves("\n".join(native) + "\n", "\n".join(side) + "\n", tuple(moved))


def _names(one: Definition) -> list[str]:
    if isinstance(one, ast.ClassDef | ast.FunctionDef):
        return [one.name]
    targets = one.targets if isinstance(one, ast.Assign) else [one.target]
    return [inner.id for target in targets for inner in ast.walk(target) if type(inner) is ast.Name]


def _with_what_they_use(values: list[str], defined: dict[str, Definition]) -> list[str]:
    """In the order of the module."""
    found: set[str] = set()
    waiting = list(values)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _names(defined[name])
            waiting += [other for other in _used([defined[name]]) if other in defined]
    return [name for name in defined if name in found]


def _used(statements: Iterable[ast.stmt]) -> set[str]:
    """All names in them, also those in annotations that are texts."""
    found = set()
    for statement in statements:
        for one in ast.walk(statement):
            if isinstance(one, ast.Name):
                found.add(one.id)
            annotation = getattr(one, "annotation", None) or getattr(one, "returns", None)
            for text in ast.walk(annotation) if annotation is not None else ():
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    inside = ast.parse(text.value, mode="eval")
                    found |= {part.id for part in ast.walk(inside) if isinstance(part, ast.Name)}
    return found


def _refuse_globals(tree: ast.Module, moved: list[str], module: str) -> None:
    for one in ast.walk(tree):
        if isinstance(one, ast.Global) and set(one.names) & set(moved):
            raise SplitError(f"{module}:{one.lineno}: a value uses what is set by `global`")


def _span(one: ast.stmt) -> tuple[int, int]:
    """Its lines, decorators included, as a slice."""
    decorators = getattr(one, "decorator_list", [])
    assert one.end_lineno is not None
    return min(part.lineno for part in [one, *decorators]) - 1, one.end_lineno


def _pruned(one: ast.Import | ast.ImportFrom, used: set[str]) -> str:
    """The import with only what is used: what is not may be what imports us."""
    one.names = [name for name in one.names if (name.asname or name.name).split(".")[0] in used]
    return ast.unparse(one) if one.names else ""


def _is_for_types(one: ast.stmt) -> bool:
    return isinstance(one, ast.If) and ast.unparse(one.test) == "TYPE_CHECKING"


def _renamed(source: str) -> str:
    lines = source.splitlines()
    edits: set[tuple[int, int, str, str]] = set()
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            seen: set[str] = set()
            for one in ast.walk(function):
                if isinstance(one, ast.ExceptHandler) and one.name is not None:
                    if one.name in seen:
                        edits |= _edits(lines, one, f"{one.name}_{one.lineno}")
                    seen.add(one.name)
    for line, column, old, new in sorted(edits, reverse=True):
        text = lines[line].encode()
        assert text[column:].startswith(old.encode()), (line, column, old)
        lines[line] = (text[:column] + new.encode() + text[column + len(old) :]).decode()
    return "\n".join(lines) + "\n"


def _edits(
    lines: list[str], handler: ast.ExceptHandler, new: str
) -> set[tuple[int, int, str, str]]:
    """Places as line, column in bytes, both from 0."""
    old = handler.name
    assert old is not None
    assert handler.type is not None
    at = (handler.type.end_lineno or 0) - 1
    column = lines[at].encode().index(f" as {old}:".encode(), handler.type.end_col_offset or 0)
    found = {(at, column + len(" as "), old, new)}
    for one in (inner for statement in handler.body for inner in ast.walk(statement)):
        if isinstance(one, ast.Name) and one.id == old:
            found.add((one.lineno - 1, one.col_offset, old, new))
    return found
