"""Language: what the rest of a text says about a word that is spelt with unusual letters.

Letters of another script are read by their looks only where that script is not spoken, and letters
with marks only where the text is not written with marks: Vietnamese keeps its tones.
"""

import re
import unicodedata
from collections import Counter
from functools import cached_property

from domain.moderation.matcher import Word
from domain.moderation.normalization import is_vowel_sign, script_of

CONTEXT_CHARS = 8192  # so much of a text tells its language
MARKED_MIN = 3  # other letters with marks, from which on marks are taken for spelling

# A syllable of Vietnamese without its tone, and what it is marked with besides.
_SYLLABLE = re.compile(
    "(?:b|ch?|đ|d|gh?|gi|h|kh?|l|m|ngh?|nh?|ph?|qu|r|s|th?|tr|v|x)?"
    "(?:a[iouy]?|ă|â[uy]?|eo?|êu?|i(?:a|êu?|u)?|o(?:a[ioy]?|ă|eo?|i|o)?|ôi?|ơi?"
    "|u(?:a|ây?|ê|i|ôi?|ơ|y[aêu]?)?|ư(?:a|i|u|ơ[iu]?)?|y(?:êu?)?)(?:ch?|m|ng?|nh|p|t)?"
)
_WORDS = re.compile(r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f])*")
_TONES = "\u0300\u0301\u0303\u0309\u0323"


class Context:
    """What the beginning of a text tells about its language."""

    def __init__(self, text: str) -> None:
        self._text = text[:CONTEXT_CHARS]

    @cached_property
    def _counts(self) -> tuple[Counter[str], int, int]:
        """Letters by script, marks, and how many words more than twice the others are syllables."""
        words = _WORDS.findall(self._text)
        excess = sum(1 if is_syllable(word) else -2 for word in words)
        return scripts_of(self._text), marked_in(self._text), excess

    def allows(self, word: Word, part: str, chars: str) -> bool:
        """Whether the language of the text lets `part`, in which `chars` are read, be the word."""
        if word.native or (part.isascii() and word.script == "LATIN"):
            return True
        spelt = chars == word.letters and not word.is_written(part) and self._is_spelt_so(part)
        return not spelt and self._may_look(word, part)

    def _may_look(self, word: Word, part: str) -> bool:
        """Whether the text does not use the part's script otherwise, or uses the word's more."""
        inside = scripts_of(part)
        if not inside or word.script in inside:
            return True
        scripts = self._counts[0]
        theirs = sum(scripts[script] for script in inside) - inside.total()
        return theirs <= 0 or scripts[word.script] > theirs

    def _is_spelt_so(self, part: str) -> bool:
        """Whether the whole text is written with marks such as `part` has."""
        own, inside = part.split(), marked_in(part)
        _, marks, excess = self._counts
        if all(map(is_syllable, own)) and excess >= len(own):
            return True  # it could be Vietnamese
        return bool(inside) and marks - inside >= MARKED_MIN and marks > 3 * inside


def scripts_of(text: str) -> Counter[str]:
    """How many letters of which script."""
    return Counter(script for char in text if (script := script_of(char)))


def marked_in(text: str) -> int:
    """How many marks on letters, besides those that are letters themselves."""
    parts = "" if text.isascii() else unicodedata.normalize("NFD", text)
    return sum(unicodedata.category(c) == "Mn" and not is_vowel_sign(c) for c in parts)


def is_syllable(word: str) -> bool:
    """Whether it could be a word of Vietnamese: one syllable, with one tone at most."""
    parts = unicodedata.normalize("NFD", word.casefold())
    bare = unicodedata.normalize("NFC", "".join(char for char in parts if char not in _TONES))
    return sum(map(parts.count, _TONES)) <= 1 and _SYLLABLE.fullmatch(bare) is not None
