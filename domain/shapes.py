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

_SHAPE = re.compile("|".join(map(re.escape, SHAPES)))
_CODED = {shape.encode(): letter.encode() for shape, letter in SHAPES.items()}
_CODED_SHAPE = re.compile(b"|".join(map(re.escape, _CODED)))
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
    drawn, count = _CODED_SHAPE.subn(lambda match: _CODED[match[0]], codes)
    return drawn if count else codes


def shaped(folded: Folded) -> Folded:
    """The text with every shape as its letter; the same object if there is none."""
    size = len(folded.chars)
    first = bytearray(b"\1") * size  # the signs that are alone or the first of their shape
    parts, coded, done = list[str](), list[bytes](), 0
    for match in _SHAPE.finditer(folded.chars):
        start, end = match.span()
        letter = SHAPES[match[0]]
        parts += (folded.chars[done:start], letter)
        coded += (folded.codes[done:start], letter.encode())
        first[start + 1 : end] = bytes(end - start - 1)
        done = end
    if not done:
        return folded
    chars = "".join(parts) + folded.chars[done:]
    codes = b"".join(coded) + folded.codes[done:]
    ends = range(1, size + 1) if isinstance(folded.at, range) else map((1).__add__, folded.at)
    until = list(compress(ends, first[1:] + b"\1"))
    return Folded(folded.original, chars, codes, list(compress(folded.at, first)), until)


def reversed_runs(text: str) -> str:
    """The text as a screen shows it."""
    return _RUN.sub(lambda match: match[0][::-1], text)


def reversed_places(text: str) -> Sequence[int]:
    """Where each code point of the text, as a screen shows it, is in the original."""
    order = list(range(len(text)))
    for match in _RUN.finditer(text):
        start, end = match.span()
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
