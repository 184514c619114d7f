"""Folding: what people read in a text, one sign at a time.

Rules. A sign is decomposed (NFKD); marks, format characters and fillers are dropped; case is
folded. In the *look* folding a letter of another script becomes the Latin letter that it looks
like. In the *native* folding it stays what it is: words of other scripts are found there.

A folded text is kept twice, position by position. `chars` holds what was read: a lower-case
letter, a digit, a sign, or white space. `codes` holds one byte for each, in an alphabet that is
made for `bytes.translate` and the matcher:

    a-z        a Latin letter, or one that looks like it
    A-Z        a letter of another script. The 26 codes are shared, so a code alone proves nothing
    0-9 @ ! .. a digit or sign of ASCII, as it is
    0x80-0x99  a sign that stands for a letter: 0x80 is read as a, 0x99 as z
    '.'        any other sign
    space      white space

`at` leads back: position -> index of the code point in the original. Folding depends on nothing
but the code point, hence on the Unicode data of the interpreter: see `UNICODE_VERSION`.
"""

import re
import unicodedata
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain, compress, repeat
from typing import Final

from msgspec import Struct

from domain.confusables import LETTERS, SIGNS, STROKES

# Two nodes whose interpreters differ in this may judge a text differently. Nothing else depends
# on it: what was emitted is a fact, whatever another node would have said of it.
UNICODE_VERSION: Final = unicodedata.unidata_version

LAST_MAX = 3  # a text as it is, and the two ways in which it is read backwards
MEMO_MAX = 1 << 16  # code points that a table remembers; a text cannot make it grow beyond

STROKE = "ı"  # in `chars`: a letter that can be an i or an l
SIGN_A = 0x80  # in `codes`: the sign that is read as an a

_LOOKS = {sign: letter for letter, signs in LETTERS.items() for sign in signs}
_LOOKS |= dict.fromkeys(STROKES, STROKE)
_SIGNS = {sign: letter for letter, signs in SIGNS.items() for sign in signs if not sign.isascii()}
_CODED_LETTERS = {STROKE: "i", "ß": "b"}
_REGIONAL = range(0x1F1E6, 0x1F200)
# Blank or filling, but of a category that counts as letter or sign.
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_SPELT = re.compile(r"LATIN (?:SMALL |CAPITAL )?LETTER (?:.* )?([A-Z])(?: WITH .*)?")
_BLOCK = re.compile(r"NEGATIVE (?:CIRCLED|SQUARED) LATIN CAPITAL LETTER ([A-Z])")
# Sharp s stays one letter: as two it would make insults of German verbs.
_TWO = {"æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "ß": "ß", "ẞ": "ß"}
_NAMED = {
    "SCHWA": "e",
    "OPEN E": "e",
    "OPEN O": "c",
    "ENG": "n",
}


class Folded(Struct, frozen=True):
    """`original` is what was folded. `until` leads back to the end of a sign; None: `at` + 1."""

    original: str
    chars: str
    codes: bytes
    at: Sequence[int]
    until: Sequence[int] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """[start, end) of the folded text, in code points of the original."""
        last = self.at[end - 1] + 1 if self.until is None else self.until[end - 1]
        return self.at[start], last


class Table(dict[int, str]):
    """For `str.translate`: by code point. Filled as code points are met."""

    def __init__(self, of: Callable[[int], str]) -> None:
        super().__init__()
        self._of = of

    def __missing__(self, point: int) -> str:
        if len(self) >= MEMO_MAX:
            self.clear()
        made = self[point] = self._of(point)
        return made


def signs_by(look: bool) -> Table:
    """What is read in a code point."""
    return Table(lambda point: fold_point(chr(point), look))


def codes_by(signs: Table) -> Table:
    """The same, coded."""
    return Table(lambda point: "".join(map(code_of, signs[point])))


def sizes_by(signs: Table) -> Table:
    """How many signs are read in a code point, as a character below 0x100."""
    return Table(lambda point: chr(len(signs[point])))


class Folding:
    """One of the two foldings. Mutable: its tables remember what they have met."""

    __slots__ = ("_chars", "_codes", "_last", "_sizes")

    def __init__(self, look: bool) -> None:
        self._chars = signs_by(look)
        self._codes = codes_by(self._chars)
        self._sizes = sizes_by(self._chars)
        # A text with hits is folded for its allowed words, too.
        self._last: deque[Folded] = deque(maxlen=LAST_MAX)

    def codes(self, text: str) -> bytes:
        """The codes alone."""
        if text.isascii():
            return text.lower().encode()
        return text.translate(self._codes).encode("latin-1")

    def fold(self, text: str, codes: bytes | None = None) -> Folded:
        """`codes`, if they are known."""
        if text.isascii():
            lower = text.lower()
            return Folded(text, lower, lower.encode(), range(len(text)))
        for known in self._last:
            if known.original is text:
                return known
        codes = self.codes(text) if codes is None else codes
        folded = Folded(text, text.translate(self._chars), codes, self.places(text))
        self._last.append(folded)
        return folded

    def places(self, text: str) -> Sequence[int]:
        """Where each sign of the folded text is in the original."""
        places: Sequence[int] = range(len(text))
        if text.isascii():
            return places
        sizes = text.translate(self._sizes).encode("latin-1")
        if sizes.translate(None, b"\0\1"):
            return list(chain.from_iterable(map(repeat, places, sizes)))
        return list(compress(places, sizes)) if b"\0" in sizes else places


def fold_point(char: str, look: bool) -> str:
    """What is read in one code point: nothing, one sign or several."""
    if char.isascii():
        return char.lower()
    point = ord(char)
    if look and char in _LOOKS:
        return _LOOKS[char]
    if 0x3400 <= point < 0xA000 or 0x20000 <= point < 0x2F800 or 0x30000 <= point < 0x32400:
        return char  # ideographs, by the tens of thousands: there is nothing to be read in them
    if 0xAC00 <= point < 0xD7A4:
        return unicodedata.normalize("NFKD", char)  # Hangul
    if char in _FILLERS:
        return " " if char == "\u2800" else ""
    category = unicodedata.category(char)
    if category in ("Mn", "Me", "Cf"):
        return ""
    if category in ("Cs", "Co", "Cn", "Cc"):
        return " " if char.isspace() else "\ufffd"
    if char.isspace():
        return " "
    return _decomposed(char, category, look)


def _decomposed(char: str, category: str, look: bool) -> str:
    parts = unicodedata.normalize("NFKD", char)
    if len(parts) > 1:
        marks = ("Mn", "Me", "Cf")
        parts = "".join(part for part in parts if unicodedata.category(part) not in marks)
    if category == "So" and len(parts) > 1:
        # (a) is a letter in brackets. Squared words and trade marks are signs beside a word.
        return parts[1].lower() if parts[0] == "(" and len(parts) == 3 else char
    return _read(parts, look) if len(parts) == 1 else "".join(_read(one, look) for one in parts)


def _read(part: str, look: bool) -> str:
    """What is read in a code point that cannot be decomposed any further."""
    if part.isascii():
        return part.lower()
    if look and part in _LOOKS:
        return _LOOKS[part]
    if part in _TWO:
        return _TWO[part]
    name = unicodedata.name(part, "")
    if "LATIN" not in name:
        return part.casefold()
    spelt = _SPELT.fullmatch(name) or _BLOCK.fullmatch(name)
    if spelt is not None:
        return spelt[1].lower()
    for suffix, letter in _NAMED.items():
        if look and suffix in name:
            return letter
    return part.casefold()


def code_of(char: str) -> str:
    """The code of one folded sign, as a character below 0x100."""
    if char.isascii():
        return char
    if char.isalpha() and char not in _CODED_LETTERS:
        return chr(ord("A") + ord(char) % 26)
    if char in _SIGNS:
        return chr(SIGN_A + ord(_SIGNS[char]) - ord("a"))
    point = ord(char)
    if point in _REGIONAL:
        return chr(SIGN_A + point - _REGIONAL.start)
    return _CODED_LETTERS.get(char, ".")


def sign_letter(char: str) -> str:
    """The letter that a folded sign stands for in the widest reading; "" if for none."""
    if is_regional(char):
        return chr(ord("a") + ord(char) - _REGIONAL.start)
    return _SIGNS.get(char, "")


def script_of(char: str) -> str:
    """The script of a letter, as the first word of its name; "" for what is no letter."""
    base = unicodedata.normalize("NFKD", char)[0]
    if base.isascii():
        return "LATIN" if base.isalpha() else ""
    return unicodedata.name(base, "").partition(" ")[0] if base.isalpha() else ""


def is_regional(char: str) -> bool:
    """Whether it is one of the letters that flags are spelt with."""
    return ord(char) in _REGIONAL


def is_mark(char: str) -> bool:
    """Whether it is drawn onto the sign before it, and must not be left behind without it."""
    return unicodedata.category(char)[0] == "M" or char in "\u200c\u200d🏻🏼🏽🏾🏿"
