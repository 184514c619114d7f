"""Drawing: small mutants anywhere in the core, made by operators on the syntax tree, by a seed.

    for site in drawn(ROOT, 200, seed=1):
        site.id                  node/network/link_faults.py:88:compare
        site.was, site.becomes   the line before and after
        site.mutated(source)     the whole file with that one change

Rules
- A site is a place in the body of a function and one change to it. What a module or a class
  declares, what `__init__` sets, defaults, annotations, protocols, asserts (and `strict=` of a
  zip, which is one) and strings have none.
- The draw is uniform over all sites: they are ranked by a hash of the seed, of their function and
  of the change, and the first N are drawn. So a change elsewhere in the core leaves most of a
  sample as it is, and figures before and after speak of the same mutants.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

CORE = ("gossip", "domain", "node")
LEFT_OUT = "node/disk/"  # generated
COMPARED = dict[type[ast.AST], str]([
    (ast.Lt, "< <="), (ast.LtE, "<= <"), (ast.Gt, "> >="), (ast.GtE, ">= >"), (ast.Eq, "== !="),
    (ast.NotEq, "!= =="), (ast.In, "in not_in"), (ast.NotIn, "not_in in"), (ast.Is, "is is_not"),
    (ast.IsNot, "is_not is"),
])  # fmt: skip
COUNTED = dict[type[ast.AST], str]([
    (ast.Add, "+ -"), (ast.Sub, "- +"), (ast.Mult, "* //"), (ast.FloorDiv, "// *"),
    (ast.Mod, "% *"), (ast.LShift, "<< >>"), (ast.RShift, ">> <<"), (ast.BitAnd, "& |"),
    (ast.BitOr, "| &"),
])  # fmt: skip
REVERSED = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)  # their change is a negation
TWINS = {"min": "max", "max": "min", "any": "all", "all": "any"}
EMPTY = {"list": "[]", "dict": "{}", "set": "set()", "tuple": "()", "bytes": 'b""', "str": '""'}
UNSWAPPED = ("isinstance", "cast", "getattr", "assert_never", "zip", "field")
THERE = "\0"  # in a new text: what stands there


class Site(Struct, frozen=True):
    """One mutant: `text` in the place of the bytes from `start` to `end`."""

    file: str
    function: str  # "Engine._delta"
    line: int
    lines: tuple[int, ...]  # from the statement to the change: it acts only if one is executed
    operator: str
    start: int
    end: int
    text: bytes
    was: str
    becomes: str
    nth: int = 0  # of the same operator on the same line
    same: int = 0  # of the same change to the same line of the same function

    @property
    def id(self) -> str:
        return f"{self.file}:{self.line}:{self.operator}" + (f":{self.nth}" if self.nth else "")

    @property
    def key(self) -> str:
        """What stays the same while lines move."""
        return f"{self.file} {self.function} {self.was} -> {self.becomes} {self.same}"

    def mutated(self, source: bytes) -> bytes:
        return source[: self.start] + self.text + source[self.end :]


def drawn(root: Path, count: int, seed: int) -> list[Site]:
    """So many of all sites, in the order of the draw."""
    folders = [path for one in CORE for path in (root / one).rglob("*.py")]
    files = sorted(path.relative_to(root).as_posix() for path in folders)
    every = [s for file in files if not file.startswith(LEFT_OUT) for s in sites(root, file)]
    return sorted(every, key=lambda one: blake2b(f"{seed} {one.key}".encode()).digest())[:count]


def sites(root: Path, file: str) -> list[Site]:
    """All of one file, in the order of the text."""
    source = (root / file).read_bytes()
    starts = [0]
    for text in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(text))
    found: list[Site] = []
    for function, statement, operator, first, last, change in _places(ast.parse(source), "", None):
        start = starts[first.lineno - 1] + first.col_offset
        end = starts[(last.end_lineno or 0) - 1] + (last.end_col_offset or 0)
        if operator in ("compare", "arithmetic", "bool"):  # a sign between two operands
            old, _, new = change.replace("_", " ").partition("\t")
            left = starts[(first.end_lineno or 0) - 1] + (first.end_col_offset or 0)
            start = source.index(old.encode(), left)
            end = start + len(old)
        else:
            new = change.replace(THERE, source[start:end].decode())
        line = source.count(b"\n", 0, start) + 1
        lines, was = tuple(range(statement.lineno, line + 1)), _line_at(source, start)
        site = Site(file, function, line, lines, operator, start, end, new.encode(), was, "")
        found.append(replace(site, becomes=_line_at(site.mutated(source), start)))
    found.sort(key=lambda one: (one.start, one.operator))
    numbers: Counter[str] = Counter()
    for at, site in enumerate(found):
        names = site.id, site.key
        found[at] = replace(site, nth=numbers[names[0]], same=numbers[names[1]])
        numbers.update(names)
    return found


def _line_at(source: bytes, at: int) -> str:
    end = source.find(b"\n", at)
    return source[source.rfind(b"\n", 0, at) + 1 : end if end >= 0 else None].decode().strip()


# --- where, and what ------------------------------------------------------------------------------

Made = tuple[str, "ast.expr | ast.stmt", "ast.expr | ast.stmt", str]  # operator, from, to, new text
Place = tuple[str, ast.stmt, str, "ast.expr | ast.stmt", "ast.expr | ast.stmt", str]


def _places(node: ast.AST, path: str, statement: ast.stmt | None) -> Iterator[Place]:
    """`statement` is the innermost one; outside of functions there is none."""
    if (
        isinstance(node, ast.Assert | ast.JoinedStr)
        or getattr(node, "arg", "") == "strict"
        or (
            isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(b) for b in node.bases)
        )
    ):
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for made in _of_function(node):
            yield f"{path}{node.name}", node.body[0] if made[0] == "early" else _stmt(made), *made
    elif statement is not None and not isinstance(node, ast.ClassDef):
        for made in _of_node(node):
            if made[0] != "drop" or not path.endswith("__init__.") or isinstance(node, ast.Expr):
                yield path[:-1], statement, *made
    if isinstance(node, ast.Raise):
        return
    inside: list[ast.AST] = list(ast.iter_child_nodes(node))
    named = isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    if named or isinstance(node, ast.AnnAssign):
        inside = list(node.body) if named else [node.value] if node.value else []  # type: ignore[attr-defined]
    for one in inside:
        within = f"{path}{node.name}." if named else path  # type: ignore[attr-defined]
        deep = not isinstance(node, ast.ClassDef) and (statement or named)
        yield from _places(one, within, one if deep and isinstance(one, ast.stmt) else statement)


def _stmt(made: Made) -> ast.stmt:
    """A statement on the lines of what is changed."""
    return ast.copy_location(ast.Pass(), made[1])


def _of_function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Made]:
    kind = ast.unparse(node.returns) if node.returns is not None else ""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if kind == "None" and node.name != "__init__" and len(body) > 1:
        yield "early", body[0], body[0], "return"
    empty = "None" if kind.endswith("| None") else EMPTY.get(kind.partition("[")[0], "")
    for value in _returned(node):
        plain = isinstance(value, ast.Constant | ast.Compare | ast.BoolOp | ast.UnaryOp)
        if kind == "bool" and not plain:
            yield "return", value, value, f"not ({THERE})"
        elif empty and ast.unparse(value) not in (empty, "''", "b''"):
            yield "return", value, value, empty


def _returned(node: ast.AST) -> Iterator[ast.expr]:
    """By a function itself, and not by one inside."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Return) and child.value is not None:
            yield child.value
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _returned(child)


def _of_node(node: ast.AST) -> Iterator[Made]:
    match node:
        case ast.Compare(left=first, ops=signs, comparators=others):
            for (before, after), sign in zip(pairwise([first, *others]), signs, strict=True):
                yield "compare", before, after, COMPARED[type(sign)].replace(" ", "\t")
        case ast.BoolOp(op=word, values=values):
            change = "and\tor" if isinstance(word, ast.And) else "or\tand"
            for before, after in pairwise(values):
                yield "bool", before, after, change
        case ast.BinOp(left=left, op=sign_, right=right) if type(sign_) in COUNTED:
            texts = ast.JoinedStr, ast.Constant
            if all(type(getattr(o, "value", 0)) is int or not isinstance(o, texts)
                   for o in (left, right)):  # fmt: skip
                yield "arithmetic", left, right, COUNTED[type(sign_)].replace(" ", "\t")
        case ast.AugAssign(target=target, op=sign_, value=value):
            if type(sign_) in COUNTED:
                old, new = COUNTED[type(sign_)].split()
                yield "arithmetic", target, value, f"{old}=\t{new}="
            yield "drop", node, node, "pass"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not", node, node, f"({ast.unparse(operand)})"
        case ast.Constant(value=bool() | int() as number):
            new = str(not number) if isinstance(number, bool) else str(number + 1)
            yield "constant", node, node, new
        case ast.Continue() | ast.Break():
            yield "loop", node, node, "break" if isinstance(node, ast.Continue) else "continue"
        case ast.Call(func=ast.Name(id=name) as callee) if name in TWINS:
            yield "twin", callee, callee, TWINS[name]
        case ast.Call(func=callee, args=[one, two, *_]):
            simple = all(isinstance(arg, ast.Name | ast.Attribute) for arg in (one, two))
            if simple and ast.unparse(callee).rpartition(".")[2] not in UNSWAPPED:
                yield "swap", one, two, f"{ast.unparse(two)}, {ast.unparse(one)}"
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Raise() | ast.Delete():
            yield "drop", node, node, "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "drop", node, node, "pass"
    tests = node.ifs if isinstance(node, ast.comprehension) else [getattr(node, "test", None)]
    for test in tests:
        again = isinstance(test, ast.Compare) and isinstance(test.ops[0], REVERSED)
        if test is not None and not isinstance(test, ast.Constant | ast.UnaryOp) and not again:
            yield "negate", test, test, f"not ({THERE})"
