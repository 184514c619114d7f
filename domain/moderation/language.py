"""Language: what the rest of a text says about a word that is spelt with unusual letters.

Letters of another script are read by their looks only where that script is not spoken, and letters
with marks only where the text is not written with marks. So a Russian text is not judged as if it
were bad English, and Vietnamese keeps its tones.
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
_STOPPED = "\u0301\u0323"  # the tones of a syllable that ends in c, ch, p or t


class Context:
    """What a text tells about its language. Counted when first asked for."""

    def __init__(self, text: str) -> None:
        self._text = text[:CONTEXT_CHARS]

    @cached_property
    def _scripts(self) -> Counter[str]:
        return scripts_of(self._text)

    @cached_property
    def _marked(self) -> int:
        return marked_in(self._text)

    @cached_property
    def _syllables(self) -> tuple[int, int]:
        """How many words of the text could be Vietnamese, and how many could not."""
        words = _WORDS.findall(self._text)
        fit = sum(map(is_syllable, words))
        return fit, len(words) - fit

    def allows(self, word: Word, part: str, chars: str) -> bool:
        """Whether the language of the text lets `part`, in which `chars` are read, be the word."""
        if word.native or (part.isascii() and word.script == "LATIN"):
            return True
        spelt = chars == word.letters and not is_written(word, part) and self._is_spelt_so(part)
        return not spelt and self._may_look(word, part)

    def _may_look(self, word: Word, part: str) -> bool:
        """Whether letters that only look like the word's script are to be read as such.

        They are if the text does not use their script otherwise, or uses the word's more.
        """
        inside = scripts_of(part)
        if not inside or word.script in inside:
            return True
        theirs = sum(self._scripts[script] for script in inside) - inside.total()
        return theirs <= 0 or self._scripts[word.script] > theirs

    def _is_spelt_so(self, part: str) -> bool:
        """Whether the whole text is written with marks such as `part` has."""
        own = part.split()
        if all(map(is_syllable, own)):  # in a text that could be Vietnamese
            fit, unfit = self._syllables
            if fit - len(own) >= 2 * unfit:
                return True
        inside = marked_in(part)
        others = self._marked - inside
        return bool(inside) and others >= MARKED_MIN and others > 2 * inside


def is_written(word: Word, part: str) -> bool:
    """Whether a part of a text is the word as the list has it, marks and all."""
    return unicodedata.normalize("NFC", part).casefold() == word.written


def scripts_of(text: str) -> Counter[str]:
    """How many letters of which script."""
    scripts: Counter[str] = Counter()
    for char, count in Counter(text).items():
        script = script_of(char)
        if script:
            scripts[script] += count
    return scripts


def marked_in(text: str) -> int:
    """How many marks on letters, besides those that are letters themselves."""
    parts = "" if text.isascii() else unicodedata.normalize("NFD", text)
    return sum(unicodedata.category(c) == "Mn" and not is_vowel_sign(c) for c in parts)


def is_syllable(word: str) -> bool:
    """Whether it could be a word of Vietnamese: one syllable, with one tone at most."""
    parts = unicodedata.normalize("NFD", word.casefold())
    tones = [char for char in parts if char in _TONES]
    bare = unicodedata.normalize("NFC", "".join(char for char in parts if char not in _TONES))
    if len(tones) > 1 or _SYLLABLE.fullmatch(bare) is None:
        return False
    return not tones or tones[0] in _STOPPED or not bare.endswith(("c", "ch", "p", "t"))
