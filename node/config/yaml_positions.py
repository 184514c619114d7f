"""Reads YAML with positions: every value of a file, and the line and column where it stands.

YAML readers forget where a value came from, and take the last of two equal keys in silence. Here
the text is composed to a tree of marked nodes, duplicates are refused, and the plain values are
handed out together with a table of their places. What is not needed in a configuration is refused
before it can cost anything: aliases (they grow without bound), deep nesting, tags, huge files.
"""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import yaml
from msgspec import Struct

from node.config.cluster_mark import FILE_BYTES_MAX

DEPTH_MAX = 20

Path_ = tuple[str | int, ...]  # ("nodes", 1, "port")
Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str")}


class YamlPosition(Struct, frozen=True):
    """Counted from 1, as editors do."""

    line: int
    column: int


class Located(Struct, frozen=True):
    """A document: its value, where each value stands, and where each key stands."""

    value: Value
    values: dict[Path_, YamlPosition]
    keys: dict[Path_, YamlPosition]
    bare: frozenset[Path_]  # scalars without quotes

    def place(self, path: Path_, key: bool = False) -> YamlPosition:
        """The place of a value, or of the nearest value around it."""
        if key and path in self.keys:
            return self.keys[path]
        while path not in self.values and path:
            path = path[:-1]
        return self.values.get(path, YamlPosition(1, 1))


class _Mark(Protocol):
    """A place as yaml has it, from its own parser or from libyaml's. Counted from 0."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_STRANGE = re.compile(r"^[-+]?0[0-9xXbBoO_]|[:_]")
# Spaces that YAML takes for letters, and what nobody sees. A line may end in any way.
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200b\u202f\u205f\u2060\u3000\ufeff]")


class LocatedError(ValueError):
    """Not a document. The text has no place in it: `place` has it."""

    def __init__(self, text: str, place: YamlPosition | None = None) -> None:
        super().__init__(text)
        self.place = place


def read_text(path: Path) -> str:
    """The text of a regular UTF-8 file of sane size; raises OSError or LocatedError."""
    if path.exists() and not path.is_file():
        raise LocatedError("is not a file")
    with path.open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise LocatedError(f"is larger than {FILE_BYTES_MAX} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line_start = before.rfind(b"\n") + 1
        column = len(before[line_start:].decode("utf-8", "replace")) + 1
        place = YamlPosition(before.count(b"\n") + 1, column)
        raise LocatedError(f"byte {data[error.start]:#04x} is not UTF-8", place) from None


def parse(text: str) -> Located:
    """Raises LocatedError."""
    try:
        _check_events(text)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _check_lines(text, error.context_mark or mark, mark)
        what = error.problem or "is not YAML"
        if error.context:
            what += f" ({error.context})"
        raise LocatedError(what, _place(mark) if mark else None) from None
    except yaml.reader.ReaderError as strange:
        before = text[: strange.position]
        if strange.encoding == "?":  # libyaml counts bytes
            before = text.encode()[: strange.position].decode("utf-8", "ignore")
        place = YamlPosition(before.count("\n") + 1, len(before) - before.rfind("\n"))
        sign = strange.character
        code = ord(sign) if isinstance(sign, str) else sign
        what = f"character U+{code:04X} is not allowed"
        raise LocatedError(what, place) from None
    except yaml.YAMLError as other:
        raise LocatedError(" ".join(str(other).split())) from None
    if root is None:
        return Located(None, {}, {}, frozenset())
    return _Walk().located(root)


def _check_events(text: str) -> None:
    """What composing would pay for: refused while nothing has been built yet."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise LocatedError("aliases are not supported: repeat the value", _mark(event))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_MAX:
                raise LocatedError(f"nested deeper than {DEPTH_MAX} levels", _mark(event))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_bare(node: yaml.ScalarNode) -> None:
    """Numbers that YAML 1.1 reads in another way than people, and spaces that are none."""
    _check_spaces(node)
    if node.tag in _NUMBERS and _STRANGE.search(node.value):
        text = f"{node.value[:40]} is no plain number: YAML 1.1 reads it in base 2, 8, 16 or 60"
        raise LocatedError(f"{text}; write all of its digits, or quotes", _place(node.start_mark))


def _check_spaces(node: yaml.ScalarNode) -> None:
    _check_text(node.value, node.start_mark.line, node.start_mark.column)


def _check_lines(text: str, first: _Mark | None, last: _Mark | None) -> None:
    """Where YAML lost its way: a space that is none is a likely reason."""
    if first is not None and last is not None:
        for number, line in enumerate(text.split("\n")[first.line : last.line + 1], first.line):
            _check_text(line, number, 0)


def _check_text(text: str, line: int, column: int) -> None:
    match = _SPACES.search(text)
    if match is not None:
        name = unicodedata.name(match[0], "a control").lower()
        what = f"there is a {name} (U+{ord(match[0]):04X}) here, which YAML takes for a letter"
        place = YamlPosition(line + 1, column + 1 + match.start())
        raise LocatedError(f"{what}: use a plain space", place)


def _mark(event: yaml.Event) -> YamlPosition | None:
    return _place(event.start_mark) if event.start_mark else None


def _place(mark: _Mark) -> YamlPosition:
    return YamlPosition(mark.line + 1, mark.column + 1)


class _Walk:
    """From a tree of nodes to plain values, noting places on the way. Depth is bounded by now."""

    def __init__(self) -> None:
        self._constructor = yaml.constructor.SafeConstructor()
        self._values: dict[Path_, YamlPosition] = {}
        self._keys: dict[Path_, YamlPosition] = {}
        self._bare: set[Path_] = set()

    def located(self, root: yaml.Node) -> Located:
        value = self._value(root, ())
        return Located(value, self._values, self._keys, frozenset(self._bare))

    def _value(self, node: yaml.Node, path: Path_) -> Value:
        self._values[path] = _place(node.start_mark)
        if isinstance(node, yaml.MappingNode):
            self._check_tag(node, "map")
            return {key: self._value(of, (*path, key)) for key, of in self._items(node, path)}
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, "seq")
            return [self._value(item, (*path, i)) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _check_tag(self, node: yaml.Node, kind: str) -> None:
        if node.tag != f"tag:yaml.org,2002:{kind}":
            raise LocatedError("tags are not supported", _place(node.start_mark))

    def _items(self, node: yaml.MappingNode, path: Path_) -> Iterator[tuple[str, yaml.Node]]:
        for key_node, value_node in node.value:
            place = _place(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                raise LocatedError("a key must be a plain word", place)
            key = key_node.value
            if not key_node.style:
                _check_spaces(key_node)
            if (*path, key) in self._keys:
                first = self._keys[*path, key]
                raise LocatedError(f"{key!r} is given twice, first in line {first.line}", place)
            self._keys[*path, key] = place
            yield key, value_node

    def _scalar(self, node: yaml.ScalarNode, path: Path_) -> Value:
        if node.tag == "tag:yaml.org,2002:timestamp":  # a date is the text that it is
            return str(node.value)
        if node.tag not in _PLAIN:
            raise LocatedError("tags are not supported", _place(node.start_mark))
        if not node.style:
            self._bare.add(path)
            _check_bare(node)
        try:
            value: Value = self._constructor.construct_object(node)
        except ValueError:  # an int of thousands of digits, `!!int x`
            place = _place(node.start_mark)
            raise LocatedError("this is not a number that can be used", place) from None
        return value
