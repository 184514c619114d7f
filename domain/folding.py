"""Folding: what people read in a text, one sign at a time.

Rules. A sign is decomposed (NFKD); marks, format characters and fillers are dropped; case is
folded. In the *look* folding a letter of another script becomes the Latin letter that it looks
like. In the *native* folding it stays what it is: words of other scripts are found there. There
the vowel and tone signs of scripts that are spelt with them are letters (`is_vowel_sign`), and no
decoration. What only stretches a word (tatweel) is dropped, and letters that are the same on
another keyboard are the same.

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
from functools import lru_cache
from itertools import chain, compress, groupby, repeat
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
_STRETCHES = frozenset("\u0640\u07fa")  # tatweel, and lajanyalan of N'Ko: nothing is read in them
# One letter on several keyboards: Persian, Urdu, Sindhi, Kurdish and Maghrebi forms of Arabic ones.
_VARIANTS = {
    **dict.fromkeys("\u06a9\u06aa\u06ac\u063b\u063c", "\u0643"),  # kaf
    **dict.fromkeys("\u06cc\u0649\u06cd\u06d0\u06d1\u063d\u063e\u063f\u0620", "\u064a"),  # yeh
    **dict.fromkeys("\u06c1\u06be\u06d5\u06ff", "\u0647"),  # heh
    **dict.fromkeys("\u0671\u0672\u0673\u0675", "\u0627"),  # alef
    **dict.fromkeys("\u06a7\u06a8\u066f", "\u0642"),  # qaf
    **dict.fromkeys("\u06a1\u06a2", "\u0641"),  # feh
}
# Candrabindu, which many write as anusvara, in the blocks of India that have both.
_VARIANTS |= {
    chr(block + 1): chr(block + 2)
    for block in (0x0900, 0x0980, 0x0A00, 0x0A80, 0x0B00, 0x0C00, 0x0C80, 0x0D00)
}
# Blocks of scripts in which a vowel, a tone or a voiced sound is a sign on a letter: with another
# sign it is another word. In Arabic, Hebrew, Syriac, Greek and Cyrillic such marks may be left out.
_SPELT_WITH_SIGNS = (
    *((0x0780, 0x07BF), (0x0900, 0x109F), (0x1700, 0x17FF), (0x1900, 0x1AAF), (0x1B00, 0x1C4F)),
    *((0x3040, 0x30FF), (0xA800, 0xA83F), (0xA880, 0xAADF), (0xABC0, 0xABFF), (0x11000, 0x11FFF)),
)
_ABOVE_OR_BELOW = (220, 230)  # combining classes of accents, as in the Vedas
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
    if char in _FILLERS or char in _STRETCHES:
        return " " if char == "\u2800" else ""
    if is_vowel_sign(char):
        return _native_signs(char, look)
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
        parts = "".join(part for part in parts if _is_kept(part, look))
    if category == "So" and len(parts) > 1:
        # (a) is a letter in brackets. Squared words and trade marks are signs beside a word.
        return parts[1].lower() if parts[0] == "(" and len(parts) == 3 else char
    return _read(parts, look) if len(parts) == 1 else "".join(_read(one, look) for one in parts)


def _read(part: str, look: bool) -> str:
    """What is read in a code point that cannot be decomposed any further."""
    if part.isascii():
        return part.lower()
    part = _VARIANTS.get(part, part)
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


def _is_kept(part: str, look: bool) -> bool:
    """Whether a part of a decomposed sign is read."""
    if is_vowel_sign(part):
        return not look
    return unicodedata.category(part) not in ("Mn", "Me", "Cf")


def _native_signs(char: str, look: bool) -> str:
    """What is read in a vowel sign: in the look folding nothing."""
    if look:
        return ""
    return "".join(_VARIANTS.get(part, part) for part in unicodedata.normalize("NFKD", char))


@lru_cache(maxsize=MEMO_MAX)
def is_vowel_sign(char: str) -> bool:
    """Whether it is drawn onto a letter, and spells the word as letters do.

    Not so a nukta, which is often left out, and accents.
    """
    point = ord(char)
    if not any(first <= point <= last for first, last in _SPELT_WITH_SIGNS):
        return False
    if unicodedata.category(char) not in ("Mn", "Mc"):
        return False
    if unicodedata.combining(char) in _ABOVE_OR_BELOW:
        return False
    return "NUKTA" not in unicodedata.name(char, "")


def is_letter(char: str) -> bool:
    return char.isalpha() or (not char.isascii() and is_vowel_sign(char))


def signs_of(text: str) -> str | None:
    """The vowel signs of a text, repeated ones once. None: it is of no script that has them."""
    if text.isascii():
        return None
    parts = unicodedata.normalize("NFKD", text)
    if not any(first <= ord(char) <= last for char in parts for first, last in _SPELT_WITH_SIGNS):
        return None
    signs = (_VARIANTS.get(char, char) for char in parts if is_vowel_sign(char))
    return "".join(sign for sign, _ in groupby(signs))


def code_of(char: str) -> str:
    """The code of one folded sign, as a character below 0x100."""
    if char.isascii():
        return char
    if is_letter(char) and char not in _CODED_LETTERS:
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
