"""Normalization: what people read in a text, sign by sign, and where each sign stands.

A sign is decomposed (NFKD); marks, format characters and fillers are dropped; case is folded. The
*look* normalizer reads the Latin letter that a letter of another script looks like (`lookalikes`).
The *native* one leaves letters as they are. There vowel and tone signs of scripts that are spelt
with them are letters, and letters that are the same on another keyboard are the same.

What is read is kept twice: as `chars`, and as `codes`, one byte for each, for `bytes.translate`:

    a-z        a Latin letter, or one that looks like it
    A-Z        a letter of another script; the 26 codes are shared
    0-9 @ ...  a digit or sign of ASCII, as it is; space: any white space; '.': any other sign
    0x80-0x99  a sign that stands for a letter: 0x80 for a, 0x99 for z
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache, cached_property, lru_cache
from itertools import chain, compress, repeat
from typing import Final

from domain.moderation.lookalikes import LETTERS, SIGNS

# Two nodes whose interpreters differ in this may judge a text differently. Nothing else depends on
# it: what was emitted is a fact, whatever another node would have said of it.
UNICODE_VERSION: Final = unicodedata.unidata_version

MEMO_MAX = 1 << 16  # code points that a table remembers; a text cannot make it grow beyond
STROKE: Final = "ı"  # in `chars`: a letter that is an i or an l
SIGN_A: Final = 0x80  # in `codes`: the sign that is read as an a


def _signs(table: str) -> dict[str, str]:
    """By sign, of a table as `lookalikes` has it, what is read in it."""
    groups = (group.partition(":") for group in table.split())
    return {sign: to for to, _, signs in groups for sign in signs}


_LOOKS, _SIGNS = _signs(LETTERS), _signs(SIGNS)
_REGIONAL = range(0x1F1E6, 0x1F200)  # the letters that flags are spelt with
_SIGNS |= {chr(point): chr(point - 0x1F1E6 + ord("a")) for point in _REGIONAL}
_CODED = {STROKE: "i", "ß": "b"}
# Blank or filling, but of a category that counts as letter or sign; and what stretches a word.
_DROPPED = frozenset("\u115f\u1160\u3164\uffa0\u0640\u07fa")
# One letter on several keyboards: Persian, Urdu, Sindhi, Kurdish and Maghrebi forms of Arabic ones.
# A capital sharp s stays one letter: as two it would make insults of German verbs.
_SAME = _signs("ك:کڪڬػؼ ي:یىۍېۑؽؾؿؠ ه:ہھەۿ ا:ٱٲٳٵ ق:ڧڨٯ ف:ڡڢ ß:ẞ")
# Candrabindu, which many write as anusvara, in the blocks of India that have both.
_SAME |= {chr(0x80 * block + 1): chr(0x80 * block + 2) for block in range(0x12, 0x1B)}
# Blocks of scripts in which a vowel, a tone or a voiced sound is a sign on a letter: with another
# sign it is another word. In Arabic, Hebrew, Syriac, Greek and Cyrillic such marks may be left out.
_SPELT_WITH_SIGNS = (
    *((0x0780, 0x07BF), (0x0900, 0x109F), (0x1700, 0x17FF), (0x1900, 0x1AAF), (0x1B00, 0x1C4F)),
    *((0x3040, 0x30FF), (0xA800, 0xA83F), (0xA880, 0xAADF), (0xABC0, 0xABFF), (0x11000, 0x11FFF)),
)
_ABOVE_OR_BELOW = (220, 230)  # combining classes of accents, as in the Vedas
_IDEOGRAPH = re.compile("[\u3400-\u9fff\U00020000-\U0002f7ff\U00030000-\U000323ff]")


class Normalized:
    """Immutable. `places` leads back: position -> index of the code point in the original."""

    def __init__(self, original: str, chars: str, codes: bytes, sizes: Callable[[], bytes]) -> None:
        self.original = original
        self.chars = chars
        self.codes = codes
        self._sizes = sizes

    @cached_property
    def places(self) -> Sequence[int]:
        """Made when first asked for: most texts are clean."""
        if self.original.isascii():
            return range(len(self.codes))
        sizes, every = self._sizes(), numbers(len(self.original).bit_length())
        if sizes.translate(None, b"\0\1"):
            return list(chain.from_iterable(map(repeat, every, sizes)))
        return list(compress(every, sizes))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """[start, end) of the normalized text, in code points of the original."""
        return self.places[start], self.places[end - 1] + 1


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


class Normalizer:
    """One of the two. Mutable: its tables remember what they have met."""

    __slots__ = ("_chars", "_codes", "_sizes")

    def __init__(self, look: bool) -> None:
        self._chars = Table(lambda point: read(chr(point), look))
        self._codes = Table(lambda point: code_of(chr(point)))
        self._sizes = Table(lambda point: chr(len(read(chr(point), look))))

    def normalize(self, text: str) -> Normalized:
        if text.isascii():
            lower = text.lower()
            return Normalized(text, lower, lower.encode(), bytes)
        chars = text.translate(self._chars)
        codes = chars.translate(self._codes).encode("latin-1")
        return Normalized(text, chars, codes, lambda: text.translate(self._sizes).encode("latin-1"))


def read(char: str, look: bool) -> str:
    """What is read in one code point: nothing, one sign or several."""
    if char.isascii():
        return char.lower()
    if look and char in _LOOKS:
        return _LOOKS[char]
    if char in _SIGNS or _IDEOGRAPH.match(char):
        return char  # of ideographs there are tens of thousands, and nothing is to be read in them
    if char in _DROPPED:
        return ""
    if char.isspace() or char == "\u2800":
        return " "
    category = unicodedata.category(char)
    if category in ("Cs", "Co", "Cn", "Cc"):
        return "\ufffd"
    parts = unicodedata.normalize("NFKD", char)
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


def is_spelt_with_signs(word: str) -> bool:
    """Whether it is of a script in which a vowel or a tone is a sign on a letter."""
    return any(first <= ord(char) <= last for char in word for first, last in _SPELT_WITH_SIGNS)


@lru_cache(maxsize=MEMO_MAX)
def is_vowel_sign(char: str) -> bool:
    """Whether it is drawn onto a letter, and spells the word as letters do.

    Not so a nukta, which is often left out, and accents.
    """
    accent = unicodedata.combining(char) in _ABOVE_OR_BELOW or "NUKTA" in unicodedata.name(char, "")
    mark = unicodedata.category(char) in ("Mn", "Mc")
    return mark and not accent and is_spelt_with_signs(char)


def is_letter(char: str) -> bool:
    return char.isalpha() or (not char.isascii() and is_vowel_sign(char))


def code_of(char: str) -> str:
    """The code of one sign that was read, as a character below 0x100."""
    if char.isascii():
        return char
    if char in _CODED:
        return _CODED[char]
    if is_letter(char):
        return chr(ord("A") + ord(char) % 26)
    letter = sign_letters(char)[:1]
    return chr(SIGN_A + ord(letter) - ord("a")) if letter else "."


def sign_letters(char: str) -> str:
    """The letters that a sign stands for in the widest reading; "" if for none."""
    letter = _SIGNS.get(char, "")
    return "il" if letter == STROKE else letter


def script_of(char: str) -> str:
    """The script of a letter, as the first word of its name; "" for what is no letter."""
    base = unicodedata.normalize("NFKD", char)[0]
    if base.isascii():
        return "LATIN" if base.isalpha() else ""
    return unicodedata.name(base, "").partition(" ")[0] if base.isalpha() else ""


def is_mark(char: str) -> bool:
    """Whether it is drawn onto the sign before it, and must not be left behind without it."""
    return unicodedata.category(char)[0] == "M" or char in "\u200c\u200d🏻🏼🏽🏾🏿"
