"""Readings and views: a text in which something is undone, with the way back to where it stands.

A *reading* says which signs are letters. In the plain one only letters are. Digits, @ and $ can
stand for letters (`sh1t`), and in the widest reading so can ! | ( % and others. The same sign may
as well stand between letters or behind a word, so all three are looked at. Letters that some sign
can both stand for (1: i, l; 6: g, b; 2: z, r) share a *class*; so do u and v.

A *view* is a reading in which a run of one letter is one letter, since people stretch words. In the
first view all else is one space: words as they stand. In the *spelt* view gaps are taken out: signs
inside a token (`s.h.i.t`, `sh-it`), and what is between single letters (`s h i t`, `s - h - i`).

A view costs a few passes in C and no step per sign in Python: equal neighbours are found by one
exclusive or of the text, as one large number, with itself moved by a byte. What is dropped is noted
as masks, which become offsets only when the matcher has found something.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress

from domain.moderation.normalization import SIGN_A, numbers

GAP_MAX = 5  # signs and spaces between two letters that the spelt view joins

_SHARED = {"l": "i", "v": "u", "g": "b", "q": "b", "z": "r"}
DIGITS = {"0": "o", "1": "il", "2": "zr", "3": "e", "4": "a", "5": "s", "6": "gb", "7": "t"}
DIGITS |= {"8": "b", "9": "gq", "@": "a", "$": "s"}
WIDE = {"!": "il", "|": "il", "(": "c", "<": "c", "[": "c", "{": "c", "+": "t", "#": "h"}
WIDE |= {"^": "a", "%": "o"}
_WHITE = b" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"


def _table(signs: dict[str, str], wide: bool) -> bytes:
    """For translate: codes -> classes of letters, space, and '.' for what is between."""
    table = bytearray(b"." * 256)
    for code in _WHITE:
        table[code] = 32
    for code in range(ord("a"), ord("z") + 1):
        table[code - 32] = code - 32  # a capital
        table[code] = ord(_SHARED.get(chr(code), chr(code)))
        if wide:
            table[SIGN_A + code - ord("a")] = table[code]
    for sign, letters in signs.items():
        table[ord(sign)] = table[ord(letters[0])]
    return bytes(table)


PLAIN = _table({}, wide=False)
LEET = _table(DIGITS, wide=False)
WIDEST = _table(DIGITS | WIDE, wide=True)

LETTER = frozenset(code for code in range(256) if PLAIN[code] not in b" .")
# For translate: 1 is a letter from LEET on, 2 in WIDEST only, and so is ! within or before words.
_KINDS = bytes(
    code
    if code == ord("!")
    else 48 + (PLAIN[code] != LEET[code]) + 2 * (LEET[code] != WIDEST[code])
    for code in range(256)
)
# For translate: all bits for these classes, none for the others.
_LETTERS = bytes(255 * (code in LETTER) for code in range(256))
_DOTS, _SPACES = (bytes(255 * (code == one) for code in range(256)) for one in b". ")
_NOT_ZERO = bytes([0]) + b"\xff" * 255
_INVERSE = bytes(range(255, -1, -1))
_SPACED = bytes(range(256)).replace(b".", b" ")
_SHAPE = bytes(ord("a") if code in LETTER else code for code in range(256))
_ROW = re.compile(b" a a a ").search  # three single letters; faster than `in` for so short a needle
_BANG = re.compile(rb"!(?:[^\s!?.,:;)\"'*_-]|(?<![a-z!]!))").search
_INNER = re.compile(rb"\.[^. ]").search


class View:
    """`classes`: the text in one reading, between two spaces. `stream`: what is left of it."""

    def __init__(self, classes: bytes, stream: bytes, *masks: bytes) -> None:
        self.classes, self.stream, self._masks = classes, stream, masks
        self.spelt = len(masks) > 1

    def origin(self) -> Sequence[int]:
        """Where each byte of the stream is in the classes; and one more, for its end."""
        kept: Iterable[int] = numbers(len(self.classes).bit_length())
        for mask in self._masks:
            kept = compress(kept, mask)
        return [*kept, len(self.classes)]


def readings_of(codes: bytes) -> Iterator[bytes]:
    """Those that differ. An exclamation mark that nothing follows is no letter in any."""
    yield PLAIN
    kinds = codes.translate(_KINDS)
    if b"1" in kinds:
        yield LEET
    if b"2" in kinds or (b"!" in kinds and _BANG(codes)):
        yield WIDEST


def collapsed(data: bytes) -> tuple[bytes, bytes]:
    """Every run of a byte as one byte; and the mask of those that are kept. No zero bytes."""
    size, number = len(data), int.from_bytes(data, "big")
    kept = (number ^ (number >> 8)).to_bytes(size, "big").translate(_NOT_ZERO)
    number &= int.from_bytes(kept, "big")
    return number.to_bytes(size, "big").translate(None, b"\0"), kept


def views_of(codes: bytes, reading: bytes) -> Iterator[View]:
    classes = b" %b " % codes.translate(reading)
    stream, kept = collapsed(classes.translate(_SPACED))
    yield View(classes, stream, kept)
    if _INNER(classes) or _ROW(stream.translate(_SHAPE)):
        yield from _spelt(classes)


def _spelt(classes: bytes) -> Iterator[View]:
    """Nothing, if there is no gap to be taken out."""
    size = len(classes)
    # A sign beside white space belongs to it: then what is left of signs is inside tokens.
    dots = int.from_bytes(classes.translate(_DOTS), "big")
    white = int.from_bytes(classes.translate(_SPACES), "big")
    for _ in range(GAP_MAX):
        white |= dots & (white << 8 | white >> 8)
    number = int.from_bytes(classes, "big")
    number ^= (number ^ int.from_bytes(b" " * size, "big")) & white
    stream, kept = collapsed(number.to_bytes(size, "big"))

    size = len(stream)
    letters = int.from_bytes(stream.translate(_LETTERS), "big")
    between = letters << 8 & letters >> 8
    single = letters & ~(letters << 8 | letters >> 8)
    dots = int.from_bytes(stream.translate(_DOTS), "big") & between
    white = int.from_bytes(stream.translate(_SPACES), "big") & (single << 8 & single >> 8)
    if gaps := dots | white:
        number = int.from_bytes(stream, "big") & ~gaps
        stream, again = collapsed(number.to_bytes(size, "big").translate(_SPACED, b"\0"))
        yield View(classes, stream, kept, gaps.to_bytes(size, "big").translate(_INVERSE), again)
