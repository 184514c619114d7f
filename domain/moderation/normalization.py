"""Normalization: what people read in a text, sign by sign, and where each sign stands.

A sign is decomposed (NFKD); marks, format characters and fillers are dropped; case is folded. The
*look* normalizer reads the Latin letter that a letter of another script looks like (`lookalikes`).
The *native* one leaves letters as they are. There vowel and tone signs of scripts that are spelt
with them are letters, and letters that are the same on another keyboard are the same.

What is read is kept twice: as `chars`, and as `codes`, one byte for each, for `bytes.translate`:

    a-z, A-Z   a Latin letter, or one that looks like it; one of another script (codes are shared)
    0-9 @ ...  a digit or sign of ASCII, as it is; space: any white space; '.': any other sign
    0x80-0x99  a sign that stands for a letter: 0x80 for a, 0x99 for z
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache, cached_property, lru_cache
from itertools import chain, compress, repeat

from domain.moderation.lookalikes import LETTERS, SIGNS

MEMO_MAX = 1 << 16  # code points that a table remembers; a text cannot make it grow beyond
STROKE = "ı"  # in `chars`: a letter that is an i or an l
SIGN_A = 0x80  # in `codes`: the sign that is read as an a


def _signs(table: str) -> dict[str, str]:
    """By sign, of a table as `lookalikes` has it, what is read in it."""
    groups = (group.partition(":") for group in table.split())
    return {sign: to for to, _, signs in groups for sign in signs}


_LOOKS = _signs(LETTERS)
# The letters that a sign stands for in the widest reading; so do those that flags are spelt with.
SIGN_LETTERS = {sign: "il" if to == STROKE else to for sign, to in _signs(SIGNS).items()}
SIGN_LETTERS |= {chr(0x1F1E6 + index): chr(ord("a") + index) for index in range(26)}
_CODED = {STROKE: "i", "ß": "b"}
# Blank or filling, but of a category that counts as letter or sign; and what stretches a word.
_DROPPED = frozenset("\u115f\u1160\u3164\uffa0\u0640\u07fa")
# One letter on several keyboards: Persian, Urdu, Sindhi, Kurdish and Maghrebi forms of Arabic ones.
# A capital sharp s stays one letter: as two it would make insults of German verbs.
_SAME = _signs("ك:کڪڬػؼ ي:یىۍېۑؽؾؿؠ ه:ہھەۿ ا:ٱٲٳٵ ق:ڧڨٯ ف:ڡڢ ß:ẞ")
# Candrabindu, which many write as anusvara, in the blocks of India that have both.
_SAME |= {chr(0x80 * block + 1): chr(0x80 * block + 2) for block in range(0x12, 0x1B)}
# Scripts in which a vowel, a tone or a voiced sound is a sign on a letter: with another sign it is
# another word. In Arabic, Hebrew, Syriac, Greek and Cyrillic such marks may be left out.
is_spelt_with_signs = re.compile(
    "[\u0780-\u07bf\u0900-\u109f\u1700-\u17ff\u1900-\u1aaf\u1b00-\u1c4f\u3040-\u30ff\ua800-\ua83f"
    "\ua880-\uaadf\uabc0-\uabff\U00011000-\U00011fff]"
).search


@cache  # all together they are twice as many as the longest text has signs
def numbers(bits: int) -> Sequence[int]:
    """Those of so many bits. To make them would be most of the work of a long text."""
    return tuple(range(1 << bits))


class Table(dict[int, str]):
    """For `str.translate`: by code point. Filled as code points are met, up to a limit."""

    def __init__(self, of: Callable[[int], str]) -> None:
        super().__init__()
        self._of = of

    def __missing__(self, point: int) -> str:
        if len(self) >= MEMO_MAX:
            self.clear()
        made = self[point] = self._of(point)
        return made


class Normalized:
    """Immutable. `places` leads back: position -> index of the code point in the original."""

    def __init__(self, original: str, chars: str, codes: bytes, sizes: Table) -> None:
        self.original, self.chars, self.codes, self._sizes = original, chars, codes, sizes

    @cached_property
    def places(self) -> Sequence[int]:
        if self.original.isascii():
            return range(len(self.codes))
        sizes = self.original.translate(self._sizes).encode("latin-1")
        every = numbers(len(sizes).bit_length())
        if sizes.translate(None, b"\0\1"):
            return list(chain.from_iterable(map(repeat, every, sizes)))
        return list(compress(every, sizes))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """[start, end) of the normalized text, in code points of the original."""
        return self.places[start], self.places[end - 1] + 1


class Normalizer:
    """One of the two. Mutable: its tables remember what they have met."""

    def __init__(self, look: bool) -> None:
        self._chars = Table(lambda point: read(chr(point), look))
        self._codes = Table(lambda point: code_of(chr(point)))
        self._sizes = Table(lambda point: chr(len(read(chr(point), look))))

    def normalize(self, text: str) -> Normalized:
        if text.isascii():
            lower = text.lower()
            return Normalized(text, lower, lower.encode(), self._sizes)
        chars = text.translate(self._chars)
        codes = chars.translate(self._codes).encode("latin-1")
        return Normalized(text, chars, codes, self._sizes)


def read(char: str, look: bool) -> str:
    """What is read in one code point: nothing, one sign or several."""
    if char.isascii():
        return char.lower()
    if look and char in _LOOKS:
        return _LOOKS[char]
    if char in SIGN_LETTERS:
        return char
    if char.isspace() or char == "\u2800":
        return " "
    category = unicodedata.category(char)
    if category in ("Cs", "Co", "Cn", "Cc"):
        return "\ufffd"
    parts = "" if char in _DROPPED else unicodedata.normalize("NFKD", char)
    if category == "So" and len(parts) > 1:
        # (a) is a letter in brackets. Squared words and trade marks are signs beside a word.
        return parts[1].lower() if parts[0] == "(" and len(parts) == 3 else char
    return "".join(_read_part(part, look) for part in parts)


def _read_part(part: str, look: bool) -> str:
    """What is read in a code point that cannot be decomposed any further."""
    if is_vowel_sign(part) and not look:
        return _SAME.get(part, part)
    if unicodedata.category(part) in ("Mn", "Mc", "Me", "Cf"):
        return ""
    part = _SAME.get(part, part)
    if look and (part in _LOOKS or part.lower() in _LOOKS):
        return _LOOKS.get(part) or _LOOKS[part.lower()]
    return part if part == "ß" else part.casefold()


def code_of(char: str) -> str:
    """The code of one sign that was read, as a character below 0x100."""
    if char.isascii() or char in _CODED:
        return _CODED.get(char, char)
    if is_letter(char):
        return chr(ord("A") + ord(char) % 26)
    letters = SIGN_LETTERS.get(char)
    return chr(SIGN_A + ord(letters[0]) - ord("a")) if letters else "."


@lru_cache(maxsize=MEMO_MAX)
def is_vowel_sign(char: str) -> bool:
    """Whether it spells a word as letters do. Not so accents, and a nukta, which is left out."""
    accent = unicodedata.combining(char) in (220, 230) or "NUKTA" in unicodedata.name(char, "")
    mark = unicodedata.category(char) in ("Mn", "Mc")
    return mark and not accent and bool(is_spelt_with_signs(char))


def is_letter(char: str) -> bool:
    return char.isalpha() or (not char.isascii() and is_vowel_sign(char))


def is_mark(char: str) -> bool:
    """Whether it is drawn onto the sign before it, and must not be left behind without it."""
    return unicodedata.category(char)[0] == "M" or char in "\u200c\u200d🏻🏼🏽🏾🏿"


def script_of(char: str) -> str:
    """The script of a letter, as the first word of its name; "" for what is no letter."""
    base = unicodedata.normalize("NFKD", char)[0]
    return unicodedata.name(base, "").partition(" ")[0] if base.isalpha() else ""
