"""Evidence: whether a word that was found in a view is really meant there.

The matcher works on collapsed classes and proposes more than there is. Here each proposal is held
against the text. Rules:

1. *Boundaries.* A letter of any script next to the word makes it part of a longer one. In a leet
   reading so does a digit before it. Where a view has taken something out, a neighbour behind such
   a gap counts too, unless that gap differs from those within the word (`say: s.h.i.t`). Scripts
   that are written without spaces have no boundaries.
2. *Spelling.* Each letter of the word is there, in order, once or more often. A sign may stand for
   several letters (1 for i and l), and at each place it may stand for another one.
3. *Innocence.* What people write every day is not held against them: numbers and quantities
   (`455`, `60d`), codes (`A55`, `AS5`, `a-455`), contractions (`he'll`), doubled vowels that make
   another word (`god`, `good`), a language whose letters merely look Latin, and a language that is
   written with marks.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import cached_property

from msgspec import Struct

from domain.folding import (
    STROKE,
    Folded,
    is_letter,
    is_mark,
    is_regional,
    is_vowel_sign,
    script_of,
    sign_letter,
)
from domain.views import DIGITS, LETTER, PLAIN, WIDE, View

SHORT_MAX = 2  # letters; words so short are only found as they are written
DIGITS_MAX = 9  # beside a word: more are not looked at
GAP_CODES_MAX = 5  # signs and spaces between two letters that the spaced view joins
CONTEXT_CHARS = 8192  # so much of a text tells its language
MARKED_MIN = 3  # other letters with marks, from which on marks are taken for spelling

# What a sign can stand for besides, or instead of, the one letter of its class.
_CHOICES = {**DIGITS, **WIDE, "1": "il", "!": "il", "|": "il", "6": "gb", "9": "g"}
_CHOICES |= {STROKE: "il", "v": "vu", "ß": "ßb"}
_I_OR_L = {"i": "il", "l": "il"}
_APOSTROPHES = frozenset("'’ʼ`´")
# What stands behind or before an apostrophe in everyday English and French.
TAILS = frozenset({b"s", b"d", b"m", b"t", b"n", b"ll", b"re", b"ve", b"em", b"er"})
HEADS = frozenset({b"c", b"d", b"j", b"l", b"m", b"n", b"s", b"t", b"o", b"y", b"qu"})
_QUANTITY = re.compile(rb"[0-9]{2,}[a-z]")
# Capitals and then a number, as roads, seats, models, flights and licence plates have it. There the
# digits are no letters, and without them the word does not stand.
_CODE = re.compile(r"[A-Z]{1,3}[0-9]{1,4}[A-Z]?")
_SERIES = re.compile(rb"[a-z]+-[0-9]+")
_CODES = re.compile(r"[A-Z]{1,3}[0-9]{1,4}[A-Z]?(?:[-/.][A-Z]{0,3}[0-9]{1,4}[A-Z]?)+")
_NUMBERED = re.compile(r"[A-Z]{1,3}(?:[-/.][0-9]{1,4})+")
_COLOUR = re.compile(r"#[0-9a-fA-F]{0,5}$")
_HEX = re.compile(r"[0-9a-fA-F]{1,8}")
_OUTWARD = re.compile(r"(?:^|[^A-Za-z0-9])[A-Z]{1,2}[0-9][A-Z0-9]? $")
_INWARD = re.compile(r"[0-9][A-Z][A-Z0-9]")
_HOUR = re.compile(rb"(?:[01]?[0-9]|2[0-3])h[0-5][0-9]")
_NUMBER = re.compile(rb"[0-9]{2,}")
_SIGN = re.compile(rb"[^0-9A-Za-z]+")
_HEXADECIMAL = re.compile(rb"[0-9a-f]+")
_DIGITS = b"0123456789"
# Words of one letter, which may stand before or after a word that is spelt out.
_BEFORE, _AFTER = frozenset(b"ai"), frozenset(b"aiu")
# A syllable of Vietnamese without its tone, and what it is marked with besides.
_SYLLABLE = re.compile(
    "(?:b|ch?|đ|d|gh?|gi|h|kh?|l|m|ngh?|nh?|ph?|qu|r|s|th?|tr|v|x)?"
    "(?:a[iouy]?|ă|â[uy]?|eo?|êu?|i(?:a|êu?|u)?|o(?:a[ioy]?|ă|eo?|i|o)?|ôi?|ơi?"
    "|u(?:a|ây?|ê|i|ôi?|ơ|y[aêu]?)?|ư(?:a|i|u|ơ[iu]?)?|y(?:êu?)?)(?:ch?|m|ng?|nh|p|t)?"
)
_WORDS = re.compile(r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f])*")
_TONES = "\u0300\u0301\u0303\u0309\u0323"
_STOPPED = "\u0301\u0323"  # the tones of a syllable that ends in c, ch, p or t
_UNSPACED = frozenset({"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"})
_DOUBLED_VOWELS = frozenset("oe")


class Word(Struct, frozen=True):
    """A word or phrase of a list. `letters` has no spaces, `script` is that of its letters."""

    rule: int
    written: str
    letters: str
    script: str
    phrase: bool
    native: bool  # looked for among the letters of its own script
    signs: str | None = None  # its vowel signs; None: its script has none, see `signs_of`

    @property
    def unspaced(self) -> bool:
        return self.native and self.script in _UNSPACED


class Way(Struct, frozen=True):
    """How a text was read: `how` it was made readable, in which reading and view."""

    folded: Folded
    view: View
    reading: bytes
    how: str


class Proposal(Struct, frozen=True, gc=False):
    """Words may stand at [start, end) of the view's classes, or [first, last) of its stream."""

    words: list[Word]
    way: Way
    first: int
    last: int
    start: int
    end: int

    @property
    def chars(self) -> str:
        return self.way.folded.chars[self.start - 1 : self.end - 1]

    @property
    def codes(self) -> bytes:
        return self.way.folded.codes[self.start - 1 : self.end - 1]

    @property
    def classes(self) -> bytes:
        return self.way.view.classes[self.start : self.end]

    @property
    def part(self) -> str:
        start, end = self.span
        return self.way.folded.original[start:end]

    @property
    def span(self) -> tuple[int, int]:
        """In code points of the original."""
        return self.way.folded.span(self.start - 1, self.end - 1)


def named(found: Proposal, word: Word) -> str:
    """What had to be undone to read the word."""
    part, names = found.part, [found.way.how] if found.way.how else []
    latin = part.isascii() and word.script == "LATIN"
    if not latin and not word.native and not is_written(word, part):
        names.append("lookalike")
    pairs = zip(found.codes, found.classes, strict=True)
    if any(code not in LETTER and kind in LETTER for code, kind in pairs):
        names.append("leet")
    if sum(kind in LETTER for kind in found.classes) > len(word.letters):
        names.append("repeats")
    if found.way.view.kind != "tokens":
        names.append(found.way.view.kind)
    return "+".join(names) or "plain"


class Context:
    """What the rest of a text tells about its language. Counted when first asked for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._decided: dict[tuple[str, Word], bool] = {}
        self._denied: dict[tuple[str, Word], str] = {}

    @cached_property
    def _scripts(self) -> Counter[str]:
        return scripts_of(self._text[:CONTEXT_CHARS])

    @cached_property
    def _marked(self) -> int:
        return marked_in(self._text[:CONTEXT_CHARS])

    def allows(self, word: Word, part: str, chars: str) -> bool:
        """Whether the language of the text lets `part`, in which `chars` are read, be the word."""
        key = (part, word)
        known = self._decided.get(key)
        if known is None:
            known = self._decided[key] = self._speaks_for(word, part) and not (
                chars == word.letters and self._is_spelt_with_marks(word, part)
            )
            if not known:
                self._denied[key] = chars
        return known

    def after(self, text: str) -> tuple["Context", bool]:
        """That of a text of which something was covered; and whether it allows what this denied."""
        context = Context(text)
        denied = [context.allows(word, part, chars) for (part, word), chars in self._denied.items()]
        return context, any(denied)

    def _speaks_for(self, word: Word, part: str) -> bool:
        """Whether letters that only look like the word's script are to be read as such.

        They are if the text does not use their script otherwise, or uses the word's more.
        """
        inside = scripts_of(part)
        if not inside or word.script in inside:
            return True
        theirs = sum(self._scripts[script] for script in inside) - inside.total()
        return theirs <= 0 or self._scripts[word.script] > theirs

    def _is_spelt_with_marks(self, word: Word, part: str) -> bool:
        """Whether `part` differs from the word by marks such as the whole text is written with."""
        if is_written(word, part):
            return False
        if self._is_vietnamese(part):
            return True
        inside = marked_in(part)
        if not inside:
            return False
        others = self._marked - inside
        return others >= MARKED_MIN and others > 2 * inside

    @cached_property
    def _syllables(self) -> tuple[int, int]:
        """How many words of the text could be Vietnamese, and how many could not."""
        words = _WORDS.findall(self._text[:CONTEXT_CHARS])
        fit = sum(map(is_syllable, words))
        return fit, len(words) - fit

    def _is_vietnamese(self, part: str) -> bool:
        """Whether it is spelt with the marks of Vietnamese, in a text that could be Vietnamese.

        The part is not ASCII: then the letters of a syllable have such marks.
        """
        own = part.split()
        if not all(map(is_syllable, own)):
            return False
        fit, unfit = self._syllables
        return fit - len(own) >= 2 * unfit


def is_written(word: Word, part: str) -> bool:
    """Whether a part of a text is the word as the list has it, marks and all."""
    return unicodedata.normalize("NFC", part).casefold() == word.written


# --- boundaries -----------------------------------------------------------------------------------


def stands_alone(found: Proposal) -> bool:
    """Rule 1, for a place without a letter right beside it."""
    if found.way.reading is not PLAIN and not _is_apart_from_digits(found):
        return False
    if found.way.view.kind == "tokens":
        return True
    classes, codes, stream = found.way.view.classes, found.way.folded.codes, found.way.view.stream
    spaced = found.way.view.kind == "spaced"
    inner = _gaps(found.classes, found.codes)
    if stream[found.first - 1] in LETTER:
        gap = _gap_before(classes, codes, found.start)
        last_of_row = stream[found.first - 2] not in LETTER
        word = spaced and last_of_row and stream[found.first - 1] in _BEFORE
        if gap in inner and not word and not _is_fragment(found, found.start - len(gap) - 1, -1):
            return False
    if stream[found.last] in LETTER:
        gap = _gap_after(classes, codes, found.end)
        last_of_row = stream[found.last + 1] not in LETTER
        word = spaced and last_of_row and stream[found.last] in _AFTER
        if gap in inner and not word and not _is_fragment(found, found.end + len(gap), 1):
            return False
    return True


def _is_apart_from_digits(found: Proposal) -> bool:
    """A lone digit before a word is a letter of it; more are a number, as are those behind it.

    But a number does not begin or end in the middle of digits.
    """
    codes, before, after = found.way.folded.codes, found.start - 1, found.end - 1
    for inside, outside in ((before, before - 1), (after - 1, after)):
        if 0 <= outside < len(codes) and codes[inside] in _DIGITS and codes[outside] in _DIGITS:
            return False
    left = codes[max(0, before - DIGITS_MAX) : before]
    bare = left.rstrip(_DIGITS)
    if len(left) - len(bare) == 1 or (bare != left and bare[-1:] and bare[-1] in LETTER):
        return False
    right = codes[after : after + DIGITS_MAX].lstrip(_DIGITS)
    return not right or right[0] not in LETTER


def _is_fragment(found: Proposal, at: int, step: int) -> bool:
    """Whether a spelt-out word has a neighbour of several letters, as `x` in `bad-w-o-r-d`."""
    if found.way.view.kind == "spaced" or found.way.view.classes[at + step] not in LETTER:
        return False
    return all(len(part) == 1 for part in found.classes.replace(b".", b" ").split())


def _gaps(classes: bytes, codes: bytes) -> set[bytes]:
    """What lies between the letters of a proposal."""
    gaps, gap = set(), bytearray()
    for kind, code in zip(classes, codes, strict=True):
        if kind not in LETTER:
            gap.append(code)
        elif gap:
            gaps.add(bytes(gap))
            gap.clear()
    return gaps


def _gap_before(classes: bytes, codes: bytes, start: int) -> bytes:
    at = start
    while classes[at - 1] not in LETTER and start - at <= GAP_CODES_MAX:
        at -= 1
    return codes[at - 1 : start - 1]


def _gap_after(classes: bytes, codes: bytes, end: int) -> bytes:
    at = end
    while classes[at] not in LETTER and at - end <= GAP_CODES_MAX:
        at += 1
    return codes[end - 1 : at - 1]


# --- spelling -------------------------------------------------------------------------------------


def bits_of(letters: str) -> dict[str, int]:
    """Letter -> its places in the word, one bit each."""
    bits: dict[str, int] = {}
    for place, letter in enumerate(letters):
        bits[letter] = bits.get(letter, 0) | 1 << place
    return bits


def spells(bits: Mapping[str, int], size: int, chars: str, classes: bytes, loose: bool) -> bool:
    """Whether the letters of `chars` are those of the word, in order, each once or more often.

    Bit p of `state`: what was read so far ends in letter p of the word. Reading on either stays
    at that letter or goes to the next. One step per character, however the word is made.
    """
    state = 0
    for char, kind in zip(chars, classes, strict=True):
        if kind not in LETTER:
            continue
        choices = _I_OR_L.get(char) if loose else None
        choices = choices or _CHOICES.get(char) or sign_letter(char) or char
        here = 0
        for letter in choices:
            here |= bits.get(letter, 0)
        state = (state << 1 | state) & here if state else here & 1
        if not state:
            return False
    return bool(state >> (size - 1) & 1)


def may_mix_i_and_l(part: str) -> bool:
    """`heIl`, `SHlT`: a capital I among small letters is an l, a small l among capitals an i."""
    inner = part[1:]
    if "I" in inner and part.replace("I", "").islower():
        return True
    return "l" in part and part.replace("l", "").isupper()


# --- innocence ------------------------------------------------------------------------------------


def is_too_short(found: Proposal, word: Word) -> bool:
    """Whether a short word is anything but written as it is."""
    if len(word.letters) > SHORT_MAX or word.unspaced:
        return False
    way, letters = found.way, "".join(filter(is_letter, found.chars))
    as_written = way.reading is PLAIN and way.view.kind == "tokens" and way.how != "shapes"
    return not as_written or letters != word.letters


def is_in_code(before: str, part: str) -> bool:
    """Whether what stands behind this is the rest of a code: a colour (#a55), a postal code."""
    if _COLOUR.search(before) and _HEX.fullmatch(part):
        return True
    return _INWARD.fullmatch(part) is not None and _OUTWARD.search(before) is not None


def is_run_together(found: Proposal, word: Word) -> bool:
    """Whether a phrase was found without its spaces: that is one only where all is spelt out."""
    stream = found.way.view.stream[found.first : found.last]
    return word.phrase and b" " not in stream and found.way.view.kind != "spaced"


def is_innocent(found: Proposal, word: Word) -> bool:
    """By its signs alone. What the rest of the text says is up to Context."""
    codes, chars, kind = found.codes, found.chars, found.way.view.kind
    bare = not any(code in LETTER for code in codes) and not any(map(is_regional, chars))
    if bare and (kind != "tokens" or codes.isdigit() or len(chars) != len(word.letters)):
        return True  # no letter at all: only what is read sign by sign counts, such as @$$
    if kind == "tokens":
        if found.way.reading is PLAIN:
            return _is_doubled_vowel(chars, word.letters)
        if len(chars) > len(word.letters) and _HEXADECIMAL.fullmatch(codes):
            return True  # a part of some identifier, such as a455
        if _QUANTITY.fullmatch(codes) or _HOUR.fullmatch(codes):
            return True
        return _CODE.fullmatch(found.part) is not None
    if _has_number(found):
        return True
    if kind == "spaced":
        flat = found.classes.replace(b".", b" ")
        return b" " * (GAP_CODES_MAX + 1) in flat
    return _is_ordinary_gap(found)


def _has_number(found: Proposal) -> bool:
    """Whether it is joined with a number of its own, such as that of A-55, AA 55, as-5 or A5-S5."""
    if _SERIES.fullmatch(found.codes):
        return True
    if _CODES.fullmatch(found.part) or _NUMBERED.fullmatch(found.part):
        return True
    return any(_NUMBER.fullmatch(part) for part in _SIGN.split(found.codes))


def _is_doubled_vowel(chars: str, letters: str) -> bool:
    if len(chars) != len(letters) + 1 or len(letters) > 4:
        return False
    at = next((i for i, letter in enumerate(letters) if chars[i] != letter), len(letters))
    return chars[at] in _DOUBLED_VOWELS and chars[:at] + chars[at + 1 :] == letters


def _is_ordinary_gap(found: Proposal) -> bool:
    """A contraction, or digits between anything but single letters."""
    chars, codes = found.chars, found.codes
    for token in re.finditer(rb"\S+", found.classes):
        inside = re.fullmatch(rb"([^.]+)\.([^.]+)", token[0])
        if inside is None or chars[token.start() + inside.end(1)] not in _APOSTROPHES:
            continue
        head = codes[token.start() : token.start() + inside.end(1)]
        tail = codes[token.start() + inside.start(2) : token.end()]
        if head.isalpha() and (tail in TAILS or (tail.isalpha() and head in HEADS)):
            return True
    parts = found.classes.replace(b".", b" ").split()
    if all(len(part) == 1 for part in parts):
        return False
    return any(
        code in _DIGITS and kind not in LETTER
        for code, kind in zip(codes, found.classes, strict=True)
    )


# --- language -------------------------------------------------------------------------------------


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
    if text.isascii():
        return 0
    return sum(
        unicodedata.category(char) == "Mn" and not is_vowel_sign(char)
        for char in unicodedata.normalize("NFD", text)
    )


def is_syllable(word: str) -> bool:
    """Whether it could be a word of Vietnamese: one syllable, with one tone at most."""
    parts = unicodedata.normalize("NFD", word.casefold())
    tones = [char for char in parts if char in _TONES]
    bare = unicodedata.normalize("NFC", "".join(char for char in parts if char not in _TONES))
    if len(tones) > 1 or _SYLLABLE.fullmatch(bare) is None:
        return False
    return not tones or tones[0] in _STOPPED or not bare.endswith(("c", "ch", "p", "t"))


def goes_on(text: str, end: int) -> bool:
    """Whether a vowel sign is drawn onto what ends here: then that is not its last letter."""
    while end < len(text) and is_mark(text[end]):
        if is_vowel_sign(text[end]):
            return True
        end += 1
    return False
