"""Validation: whether a word that the matcher proposes is really meant where it stands.

The matcher works on collapsed classes and proposes more than there is. Rules:

1. *Boundaries.* A letter of any script next to the word makes it part of a longer one. In a leet
   reading so does a digit before it. In the spelt view a neighbour behind a gap counts too, unless
   that gap differs from those within the word (`say: s.h.i.t`). Scripts that are written without
   spaces have no boundaries.
2. *Spelling.* Each letter of the word is there, in order, once or more often. A sign may stand for
   several letters (1 for i and l), and at each place it may stand for another one.
3. *Innocence.* What people write every day is not held against them: numbers and quantities
   (`455`, `60d`), codes (`A55`, `AS5`, `a-455`), contractions (`he'll`), doubled vowels (`good`).
"""

import re
from itertools import pairwise

from domain.moderation.matcher import Word
from domain.moderation.normalization import SIGN_LETTERS, STROKE, Normalized, is_letter
from domain.moderation.readings import DIGITS, GAP_MAX, LETTER, PLAIN, WIDE, View

SHORT_MAX = 2  # letters; words so short are only found as they are written
SPLIT_MAX = 3  # signs in a gap between more than single letters
AROUND = 12  # codes on both sides that the verdict on a candidate depends on

_CHOICES = {**DIGITS, **WIDE, STROKE: "il", "v": "vu", "ß": "ßb"}
# A contraction of everyday English or French.
_CONTRACTION = re.compile(
    r"(?<!\S)(?:[a-z]+['’ʼ`´](?:[sdmtn]|ll|re|ve|em|er)|(?:[cdjlmnstoy]|qu)['’ʼ`´][a-z]+)(?!\S)"
)
# Words of one letter, which may stand before or after a word that is spelt out.
_BEFORE, _AFTER = frozenset(b"ai"), frozenset(b"aiu")
_DIGIT = b"0123456789"
_DIGIT_BEFORE = re.compile(rb"(?:(?<![0-9])[0-9]|[A-Za-z][0-9]+)$")
_DIGITS_BEHIND = re.compile(rb"[0-9]+[A-Za-z]")
_PART = re.compile(rb"[^. ]+")
_FLAGS = re.compile("[\U0001f1e6-\U0001f1ff .]+")
# Numbers, quantities (60d), times (10h15).
_QUANTITY = re.compile(rb"[0-9]{2,}[a-z]|(?:[01]?[0-9]|2[0-3])h[0-5][0-9]")
_NUMBER = re.compile(rb"(?<![0-9A-Za-z])[0-9]{2,}(?![0-9A-Za-z])")
# Capitals and then a number, as roads, seats, models, flights and licence plates have it.
_CODE = re.compile(r"[A-Z]{1,3}[0-9]{1,4}[A-Z]?(?:[-/.][A-Z]{0,3}[0-9]{1,4}[A-Z]?)*")
_SERIES = re.compile(r"[A-Za-z]+-[0-9]+|[A-Z]{1,3}(?:[-/.][0-9]{1,4})+")
# The rest of a colour (#a55), and of a postal code (W1 4SS).
_REST = re.compile(
    r"#[0-9a-fA-F]{0,5}\0[0-9a-fA-F]{1,8}$"
    r"|(?<![A-Za-z0-9])[A-Z]{1,2}[0-9][A-Z0-9]? \0[0-9][A-Z][A-Z0-9]$"
)


class Candidate:
    """A word may stand at [start, end) of the view's classes, or [first, last) of its stream."""

    def __init__(
        self, text: Normalized, view: View, reading: bytes, place: tuple[int, int, int, int]
    ) -> None:
        self.text, self.view, self.reading = text, view, reading
        self.first, self.last, self.start, self.end = place
        begin, end = self.start - 1, self.end - 1  # mypyc takes no slice as an object
        self.chars, self.codes = text.chars[begin:end], text.codes[begin:end]
        self.classes = view.classes[self.start : self.end]
        self.at, until = text.span(self.start - 1, self.end - 1)
        self.part = text.original[self.at : until]
        parts = [match.span() for match in _PART.finditer(self.classes)]
        self.gaps = [self.codes[a:b] for (_, a), (b, _) in pairwise(parts)]
        # Spelt out, letter by letter.
        self.single = view.spelt and all(len(set(self.classes[a:b])) == 1 for a, b in parts)


def view_of(found: Candidate, word: Word, how: str) -> str:
    """What had to be undone to read the word; `how`: to read the text at all."""
    both = zip(found.codes, found.classes, strict=True)
    letters = [code for code, kind in both if kind in LETTER]
    latin = found.part.isascii() and word.script == "LATIN"
    names = (
        how,
        "" if latin or word.native or word.is_written(found.part) else "lookalike",
        "" if LETTER.issuperset(letters) else "leet",
        "repeats" if len(letters) > len(word.letters) else "",
        ("spaced" if found.single else "split") if found.view.spelt else "",
    )
    return "+".join(filter(None, names)) or "plain"


def is_meant(found: Candidate, word: Word) -> bool:
    """Rules 2 and 3."""
    chars, letters, plain = found.chars, word.letters, found.reading is PLAIN
    if len(letters) <= SHORT_MAX and not word.unspaced:
        return plain and not found.view.spelt and "".join(filter(is_letter, chars)) == letters
    if word.phrase and not found.single and b" " not in found.view.stream[found.first : found.last]:
        return False  # without its spaces it is one only where all of it is spelt out
    if chars == letters:
        return True
    loose = loose_letters(found.part, letters)
    spelt = spells(letters, found, "") or (loose and spells(letters, found, loose))
    return bool(spelt) and not is_innocent(found, letters)


def stands_alone(found: Candidate) -> bool:
    """Rule 1, for a place without a letter right beside it."""
    if found.reading is not PLAIN and not _is_apart_from_digits(found):
        return False
    if not found.view.spelt:
        return True
    codes, stream = b" %b " % found.text.codes, found.view.stream
    before = codes[max(0, found.start - AROUND) : found.start][::-1]
    if _is_joined(found, before, stream[max(0, found.first - 2) : found.first][::-1], _BEFORE):
        return False
    after = codes[found.end : found.end + AROUND]
    return not _is_joined(found, after, stream[found.last : found.last + 2], _AFTER)


def _is_joined(found: Candidate, beside: bytes, row: bytes, words: frozenset[int]) -> bool:
    """Whether what is beside it, going outwards, belongs to the same spelt-out word.

    Not so one of `words` at the end of the `row`, nor several letters (`bad-w-o-r-d`).
    """
    if row[0] not in LETTER or (row[0] in words and row[1] not in LETTER):
        return False
    kinds = beside.translate(found.reading)
    gap = beside[: len(kinds) - len(kinds.lstrip(b". "))]
    if gap not in found.gaps and gap[::-1] not in found.gaps:
        return False
    neighbour = kinds[len(gap) : len(gap) + 2]
    return not (found.single and LETTER.issuperset(neighbour) and len(set(neighbour)) == 2)


def _is_apart_from_digits(found: Candidate) -> bool:
    """A lone digit before a word is a letter of it; more are a number, as are those behind it."""
    codes, start, end = found.text.codes, found.start - 1, found.end - 1
    left, right = codes[max(0, start - AROUND) : start], codes[end : end + AROUND]
    begins_inside = left[-1:].isdigit() and found.codes[:1].isdigit()
    ends_inside = right[:1].isdigit() and found.codes[-1:].isdigit()
    joined = _DIGIT_BEFORE.search(left) or _DIGITS_BEHIND.match(right)
    return not (begins_inside or ends_inside or joined)


def spells(letters: str, found: Candidate, loose: str) -> bool:
    """Whether these letters are there, in order, each once or more often.

    Bit p of `state`: what was read so far ends in letter p. Each sign stays there or goes on.
    """
    state, places = 0, dict[str, int]()
    for char, kind in zip(found.chars, found.classes, strict=True):
        if kind not in LETTER:
            continue
        here = places.get(char)
        if here is None:
            choices = _CHOICES.get(char) or SIGN_LETTERS.get(char) or char
            choices = "il" if char in loose else choices
            here = sum(1 << place for place, one in enumerate(letters) if one in choices)
            places[char] = here
        state = (state << 1 | state) & here if state else here & 1
        if not state:
            return False
    return bool(state >> (len(letters) - 1) & 1)


def loose_letters(part: str, letters: str) -> str:
    """Which of i and l may be the other one: `heIl`, `Ioser`, `SHlT`; but not `hell` for `heil`."""
    capital = "I" in part and (part.replace("I", "").islower() or not part.isascii())
    odd = "il" not in letters and "li" not in letters and not (part.isascii() and part.isalpha())
    small = "l" in part and (odd or part.replace("l", "").isupper())
    return "i" * capital + "l" * small


def is_innocent(found: Candidate, letters: str) -> bool:
    """Rule 3."""
    codes, chars, part, spelt = found.codes, found.chars, found.part, found.view.spelt
    if LETTER.isdisjoint(codes) and not _FLAGS.fullmatch(chars):
        # No letter at all: only what is read sign by sign counts, such as @$$.
        signs = codes.translate(None, _DIGIT)
        told = b"@" in signs or b"$" in signs or len(signs) > 1
        if spelt or not told or len(chars) != len(letters):
            return True
    if spelt:
        joined = _SERIES.fullmatch(part) or _CODE.fullmatch(part) or _NUMBER.search(codes)
        wide = max(map(len, found.gaps)) > (GAP_MAX if found.single else SPLIT_MAX)
        digits = any(code in _DIGIT for gap in found.gaps for code in gap)
        ordinary = not found.single and (digits or _CONTRACTION.search(chars))
        return bool(joined or wide or ordinary)
    if found.reading is PLAIN:
        shorter = chars.replace("oo", "o", 1), chars.replace("ee", "e", 1)
        return len(letters) <= 4 and letters in shorter  # good, and god
    if len(chars) > len(letters) and not codes.strip(b"0123456789abcdef"):
        return True  # a part of some identifier, such as a455
    before = found.text.original[max(found.at - AROUND, 0) : found.at]
    rest = _REST.search(f"{before}\0{part}")
    return bool(_QUANTITY.fullmatch(codes) or _CODE.fullmatch(part) or rest)
