"""Views: a text read in several ways, and each with its way back to the original.

A *reading* says which signs are letters. In the plain reading only letters are. Digits, @ and $ can
stand for letters (`sh1t`), and in the widest reading so can ! | ( and others (`sh!t`): but the
same sign may as well stand between letters, or after a word. So all three are looked at.

A *view* is a reading in which something has been undone:

    tokens   nothing: words as they stand
    split    up to three signs inside a token are taken out     s.h.i.t   sh-it
    spaced   single letters are joined, never whole words        s h i t   s - h - i - t

In every view runs of one letter are one letter, for people stretch words. A word is looked up in
the same form, and `domain.evidence` decides whether what was undone was undone rightly: for
collapsed words are many, and `as` is not meant by `ass`.

Theory of operation. A view costs a few passes in C over the whole text, whatever is in it, and no
step per character in Python. Equal neighbours are found by one exclusive or of the text, as a
large number, with itself moved by one byte; gaps and rows of single letters by a few more of such
steps, which cost a tenth of a pass over the bytes. What is dropped is noted as masks; only when the
matcher has found something are they turned into offsets. All of it is linear in the text.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import accumulate, compress
from typing import Any, Final, Literal

from domain.folding import SIGN_A

Kind = Literal["tokens", "split", "spaced"]

GAP_MAX = 3  # signs inside a token that the split view takes out
BLOCK = 512  # bytes of a mask whose offsets are made at once
SPARSE = 256  # so many times more bytes than offsets, and they are made block by block
SINGLES_MIN = 3  # letters that the spaced view joins

SPACE: Final = 0x20
BETWEEN: Final = b" ."  # classes that are no letters
_WHITE = b" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"
_MEANT = {"l": "i", "v": "u", "g": "b"}  # letters that share a class, as some sign can be both

DIGITS = {"0": "o", "1": "i", "2": "z", "3": "e", "4": "a", "5": "s", "6": "b", "7": "t"}
DIGITS |= {"8": "b", "9": "b", "@": "a", "$": "s"}
WIDE = {"!": "i", "|": "i", "(": "c", "<": "c", "[": "c", "{": "c", "+": "t", "#": "h", "^": "a"}


def _letters() -> dict[int, int]:
    upper = {code: code for code in range(ord("A"), ord("Z") + 1)}
    lower = {code: ord(_MEANT.get(chr(code), chr(code))) for code in range(ord("a"), ord("z") + 1)}
    return upper | lower


def _table(signs: dict[str, str], wide: bool) -> bytes:
    """A reading, for translate: codes -> classes of letters, space, and '.' for what is between."""
    table = bytearray(b"." * 256)
    for white in _WHITE:
        table[white] = SPACE
    classes = _letters()
    for code, kind in classes.items():
        table[code] = kind
    for sign, letter in signs.items():
        table[ord(sign)] = classes[ord(letter)]
    if wide:
        for index in range(26):
            table[SIGN_A + index] = classes[ord("a") + index]
    return bytes(table)


PLAIN: Final = _table({}, wide=False)
LEET: Final = _table(DIGITS, wide=False)
WIDEST: Final = _table(DIGITS | WIDE, wide=True)
READINGS: Final = (PLAIN, LEET, WIDEST)

LETTER: Final = frozenset(_letters())  # codes and classes that are letters in every reading
LETTERS: Final = bytes(sorted(LETTER))


def _only(kept: bytes) -> bytes:
    """A mask for translate: all bits for these bytes, none for the others."""
    return bytes(255 if code in kept else 0 for code in range(256))


_SHAPE = bytes(ord("a") if code in LETTER else code for code in range(256))
_ROW = re.compile(b" a" * SINGLES_MIN + b" ").search  # faster than `in`, for so short a needle
_NOT_ZERO = bytes([0]) + b"\xff" * 255
_LETTER_MASK, _DOT_MASK = _only(LETTERS), _only(b".")
_OTHERS = bytes(range(255, -1, -1))  # of a mask: what it does not keep
_DOTS_TO_SPACE = bytes(SPACE if code == ord(".") else code for code in range(256))

_SPACED = {reading: reading.translate(_DOTS_TO_SPACE) for reading in READINGS}
PLAIN_WORDS: Final = _SPACED[PLAIN]  # with a space for all that is between words


def number_of(data: bytes) -> int:
    """As one number, the first byte highest: `>> 8` moves all bytes one place to the right.

    What is done to such numbers costs a tenth of what a pass over the bytes does.
    """
    return int.from_bytes(data, "big")


def bytes_of(number: int, size: int) -> bytes:
    return number.to_bytes(size, "big")


def without_runs(data: bytes) -> tuple[bytes, bytes]:
    """Every run of a byte as one byte; and the mask of those that are kept. No zero bytes."""
    size = len(data)
    number = int.from_bytes(data, "big")
    kept = (number ^ (number >> 8)).to_bytes(size, "big").translate(_NOT_ZERO)
    number &= int.from_bytes(kept, "big")
    return number.to_bytes(size, "big").translate(None, b"\0"), kept


def collapsed(data: bytes) -> bytes:
    """Every run of a byte as one byte."""
    return without_runs(data)[0]


@cache  # all together they are twice as long as the longest text
def _places(bits: int) -> Sequence[int]:
    """More than half of them are needed, and most of the work would be to make these numbers."""
    return tuple(range(1 << bits))


class View:
    """`stream` begins and ends with a space; `origin(n)[i]` is where its byte i is in `classes`.

    `classes` is the text in one reading, between two spaces: position p of the folded text is
    p + 1 here.
    """

    __slots__ = ("_masks", "classes", "kind", "stream")

    def __init__(self, kind: Kind, classes: bytes, stream: bytes, *masks: bytes) -> None:
        self.kind = kind
        self.classes = classes
        self.stream = stream
        self._masks = masks

    def origin(self, count: int) -> Sequence[int]:
        """The offsets, in the way that is fastest if `count` of them are asked for."""
        if count < len(self.classes) // SPARSE:
            return Offsets(self._masks)
        kept: Iterable[int] = _places(len(self.classes).bit_length())
        for mask in self._masks:
            kept = compress(kept, mask)
        return [*kept, len(self.classes)]


class Offsets(Sequence[int]):
    """Of what was selected by masks, one upon the other. A few offsets in a long text."""

    def __init__(self, masks: Sequence[bytes]) -> None:
        self._levels = [(mask, self._starts(mask), dict[int, list[int]]()) for mask in masks[::-1]]

    @staticmethod
    def _starts(mask: bytes) -> list[int]:
        """How many are selected before each block."""
        blocks = (mask[at : at + BLOCK] for at in range(0, len(mask), BLOCK))
        counts = (number_of(block).bit_count() >> 3 for block in blocks)
        return list(accumulate(counts, initial=0))

    def __len__(self) -> int:
        return self._levels[0][1][-1] + 1

    def __getitem__(self, index: Any) -> Any:
        for mask, starts, known in self._levels:
            if index == starts[-1]:
                index = len(mask)  # behind the last one
                continue
            block = bisect_right(starts, index) - 1
            places = known.get(block)
            if places is None:
                at = block * BLOCK
                places = known[block] = list(compress(range(at, at + BLOCK), mask[at : at + BLOCK]))
            index = places[index - starts[block]]
        return index


def spaced_out(codes: bytes, reading: bytes) -> bytes:
    """Words as the tokens view has them, before runs are collapsed."""
    return (b" %b " % codes).translate(_SPACED[reading])


def views_of(read: bytes) -> Iterator[View]:
    """The views of a text as one reading has it; only those in which something is undone."""
    classes = b" " + read + b" "
    yield from _tokens(classes)
    yield from _split(classes)


def _tokens(classes: bytes) -> Iterator[View]:
    stream, kept = without_runs(classes.translate(_DOTS_TO_SPACE))
    yield View("tokens", classes, stream, kept)
    if has_singles(stream):
        row, mask = joined(stream)
        spelt, again = without_runs(row)
        yield View("spaced", classes, spelt, kept, mask, again)


def _split(classes: bytes) -> Iterator[View]:
    size = len(classes)
    letters = number_of(classes.translate(_LETTER_MASK))
    dots, follows = number_of(classes.translate(_DOT_MASK)), letters << 8
    gaps, inside = 0, letters
    for length in range(1, GAP_MAX + 1):
        inside = dots & (inside >> 8)  # the dots with `length - 1` dots and a letter before them
        last = inside & follows
        for back in range(length):
            gaps |= last << (8 * back)
    if not gaps:
        return
    number = number_of(classes)
    left = bytes_of(number ^ (number & gaps), size).translate(_DOTS_TO_SPACE, b"\0")
    stream, kept = without_runs(left)
    yield View("split", classes, stream, bytes_of(gaps, size).translate(_OTHERS), kept)


def joined(words: bytes) -> tuple[bytes, bytes]:
    """Rows of single letters without the spaces between them, all else blank; and the mask.

    `words` are letters with one space between them, before and behind.
    """
    size = len(words)
    number, letters = number_of(words), number_of(words.translate(_LETTER_MASK))
    longer = letters & (letters << 8 | letters >> 8)
    single = letters ^ longer
    between = (single << 8) & (single >> 8)
    number ^= (number ^ number_of(b" " * size)) & longer
    row = bytes_of(number ^ (number & between), size).translate(None, b"\0")
    return row, bytes_of(between, size).translate(_OTHERS)


def has_singles(words: bytes) -> bool:
    """Whether the spaced view would join anything, by words with one space between them."""
    return _ROW(words.translate(_SHAPE)) is not None
