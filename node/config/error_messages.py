"""Turns a validation error of msgspec into one line: the place, what was expected, a similar key.

nodes[1].listen: expected text, got a whole number: put it in quotes
durabilty: unknown key: did you mean durability?
"""

import difflib
import re
import typing
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Struct, UnsetType

from node.config.yaml_positions import Located, LocatedError, Path_

SHOWN_MAX = 60
NAME_FORM = "1 to 32 of a-z, 0-9 and -, not beginning with -"


def wrong(document: Located, path: Path_, what: str, key: bool = False) -> LocatedError:
    where = _path_text(path)
    return LocatedError(f"{where}: {what}" if where else what, document.place(path, key))


def explained(text: str, document: Located, schema: type[Struct]) -> LocatedError:
    """msgspec's sentence, with the place and in the words of the file."""
    what, _, where = text.partition(" - at `$")
    path = _parse_path(where.rstrip("`"))
    kind = _type_at(path, schema)
    unknown = re.search(r"unknown field `(.*)`", what, re.DOTALL)
    if unknown is not None:
        known = _keys_of(kind)
        hint = hint_of(unknown[1], known, "the keys here are")
        return wrong(document, (*path, unknown[1]), f"unknown key: {hint}", key=True)
    missing = re.search(r"missing required field `(.*)`", what)
    if missing is not None:
        return wrong(document, path, f"{missing[1]} is missing")
    value = _value_at(document.value, path)
    if "Invalid enum value" in what and typing.get_origin(kind) is Literal:
        allowed = [str(choice) for choice in typing.get_args(kind)]
        hint = hint_of(str(value), allowed, "one of", always=True)
        return wrong(document, path, f"{shown(value)} is not possible here: {hint}")
    if "matching regex" in what:
        if path == ("id",):
            return wrong(document, path, f"{shown(value)} is not an id: 16 of 0-9 and a-f")
        form = NAME_FORM if path[-1] == "name" else "letters, digits, and . _ - inside"
        return wrong(document, path, f"{shown(value)} is not a name: {form}")
    bare = path if path in document.values else path[:-1]  # a node given by its name alone
    if what.startswith("Expected `str") and bare in document.bare and value is not None:
        what += ": put it in quotes"
    return wrong(document, path, _in_plain_words(what))


def _keys_of(kind: Any) -> list[str]:
    is_struct = isinstance(kind, type) and issubclass(kind, Struct)
    return [field.name for field in msgspec.structs.fields(kind)] if is_struct else []


def _in_plain_words(what: str) -> str:
    words = (what[:1].lower() + what[1:]).replace("`", "").replace(" | null", "")
    for theirs, ours in (
        ("str", "text"),
        ("int", "a whole number"),
        ("float", "a number"),
        ("object", "keys and values"),
        ("array of length", "a list of length"),
        ("array", "a list"),
        ("null", "nothing"),
        ("bool", "true or false"),
    ):
        words = re.sub(rf"(?<!\w){re.escape(theirs)}(?!\w)", ours, words)
    return words


def _parse_path(text: str) -> Path_:
    """`.nodes[1].port` as ("nodes", 1, "port")."""
    parts = re.findall(r"\.([A-Za-z_]+)|\[(\d+)\]", text)
    return tuple(name or int(index) for name, index in parts)


def _path_text(path: Path_) -> str:
    """The other way, for people; an unknown key may hold anything."""
    text = ""
    for part in path:
        if type(part) is int:
            text += f"[{part}]"
        else:
            word = str(part)
            safe = word if re.fullmatch(r"[\w-]{1,60}", word, re.ASCII) else shown(word)
            text += f".{safe}" if text else safe
    return text


def _type_at(path: Path_, schema: type[Struct]) -> Any:
    """The type that the schema has there: a Struct, a Literal; None where it says no single one."""
    kind: Any = schema
    for part in path:
        if type(part) is int:
            options = typing.get_args(kind)
            kind = options[0] if options else None
        elif isinstance(kind, type) and issubclass(kind, Struct):
            kind = {field.name: field.type for field in msgspec.structs.fields(kind)}.get(str(part))
        else:
            return None
        kind = _stripped(kind)
    return kind


def _stripped(kind: Any) -> Any:
    """Without Annotated, and without what a missing value is."""
    while kind is not None:
        if typing.get_origin(kind) is Annotated:
            kind = typing.get_args(kind)[0]
            continue
        options = typing.get_args(kind)
        if not {type(None), UnsetType}.intersection(options):
            return kind
        kind = next(option for option in options if option not in (type(None), UnsetType))
    return None


def _value_at(value: Any, path: Path_) -> Any:
    for part in path:
        if part == "name" and not isinstance(value, dict):
            return value
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def hint_of(given: str, known: list[str], listing: str, always: bool = False) -> str:
    near = difflib.get_close_matches(given, known, n=1)
    if near and not always:
        return f"did you mean {near[0]}?"
    shown = known if len(known) <= 12 else [*known[:11], "..."]
    return f"{listing} {', '.join(shown)}" + (f", did you mean {near[0]}?" if near else "")


def shown(value: object) -> str:
    """Whatever the file holds, safe on a terminal and short."""
    text = ascii(value)
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 3]}..."
