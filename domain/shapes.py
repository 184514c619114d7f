"""Letters that are drawn by several signs (`|<`), and texts that are read backwards.

Each function makes a text to be read out of another; the way back to the original comes with it, or
for texts that are read backwards from another function, as it is seldom needed.
"""

import re
from collections.abc import Sequence
from itertools import compress

from domain.confusables import SHAPES, TURNED, TURNED_TOO
from domain.folding import Folded

RIGHT_TO_LEFT = "\u202e"  # RIGHT-TO-LEFT OVERRIDE: what follows is shown backwards

_SHAPE = re.compile(f"({'|'.join(map(re.escape, SHAPES))})")
_CODED = {shape.encode(): letter.encode() for shape, letter in SHAPES.items()}
# Shapes are made of signs that are their own codes, so they stand in both at the same places.
_REST = b"\xff"  # of a shape: what is not its first sign. No code.
_FIRST = {shape: shape[:1] + _REST * (len(shape) - 1) for shape in _CODED}
_IS_FIRST = bytes([1]) * 255 + bytes([0])
_CODED_SHAPE = re.compile(b"(%b)" % b"|".join(map(re.escape, _CODED)))
# One of these or a drawing sign is in every shape. Nearly all texts are done with these searches.
_PH, _VV = re.compile(b"ph").search, re.compile(b"vv").search
_UNDRAWN = bytes(code for code in range(256) if code not in rb"|\([<}")
_RUN = re.compile("\u202e[^\u202c\n\r\u0085\u2029]*")  # up to PDF or the end of the paragraph
_ANY_TURNED = re.compile(f"[{re.escape(''.join(TURNED))}]").search
_TURN = str.maketrans(TURNED | TURNED_TOO)


def shaped_codes(codes: bytes) -> bytes:
    """The codes alone, with every shape as its letter; the same object if there is none."""
    if not (codes.translate(None, _UNDRAWN) or _PH(codes) or _VV(codes)):
        return codes
    parts = _CODED_SHAPE.split(codes)  # every other one is a shape
    if len(parts) == 1:
        return codes
    parts[1::2] = map(_CODED.__getitem__, parts[1::2])
    return b"".join(parts)


def shaped(folded: Folded) -> Folded:
    """The text with every shape as its letter; the same object if there is none."""
    parts = _CODED_SHAPE.split(folded.codes)
    if len(parts) == 1:
        return folded
    shapes = parts[1::2]
    parts[1::2] = map(_CODED.__getitem__, shapes)
    codes = b"".join(parts)
    parts[1::2] = map(_FIRST.__getitem__, shapes)
    first = b"".join(parts).translate(_IS_FIRST)
    if folded.chars.isascii():
        chars = codes.decode()
    else:
        signs = _SHAPE.split(folded.chars)
        signs[1::2] = map(SHAPES.__getitem__, signs[1::2])
        chars = "".join(signs)
    size = len(first)
    ends = range(1, size + 1) if isinstance(folded.at, range) else map((1).__add__, folded.at)
    until = list(compress(ends, first[1:] + b"\1"))
    return Folded(folded.original, chars, codes, list(compress(folded.at, first)), until)


def runs_of(text: str) -> list[tuple[int, int]]:
    """What is shown backwards: [start, end) of each part."""
    return [match.span() for match in _RUN.finditer(text)]


def reversed_runs(text: str) -> str:
    """The text as a screen shows it."""
    return _RUN.sub(lambda match: match[0][::-1], text)


def reversed_places(text: str) -> Sequence[int]:
    """Where each code point of the text, as a screen shows it, is in the original."""
    order = list(range(len(text)))
    for start, end in runs_of(text):
        order[start:end] = range(end - 1, start - 1, -1)
    return order


def has_turned(text: str) -> bool:
    return _ANY_TURNED(text) is not None


def turned(text: str) -> str:
    """The text upside down."""
    return text[::-1].translate(_TURN)


def turned_places(text: str) -> Sequence[int]:
    """Where each code point of the text, upside down, is in the original."""
    return range(len(text) - 1, -1, -1)
