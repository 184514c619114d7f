"""The matcher: many words at once, in a few passes over a text.

`suspects` is a prefilter. It is lossy in one direction only: where it says no, no view holds any
word. It needs no offsets, and looks closer at those parts of a text that can hold something other
than words as they stand: tokens with signs or digits in them, and rows of single letters. `find`
then proposes words in one view, and `domain.evidence` judges them.

A *form* is a word as the views show it: classes of letters, runs collapsed, a space between the
words of a phrase. Several words can share a form: `as` is one of `ass`, so where only words with
a doubled letter share it, some doubled letter must be in the text as well.
"""

import re
from collections.abc import Iterable

from ahocorasick_rs import BytesAhoCorasick

from domain.evidence import HEADS, TAILS, Word
from domain.views import (
    LEET,
    LETTER,
    PLAIN,
    READINGS,
    WIDEST,
    View,
    collapsed,
    has_singles,
    joined,
    spaced_out,
)

_EDGES_LEFT = b"\"'.,:;?*_~-"
_EDGES_RIGHT = _EDGES_LEFT + b"!)"


def _kinds() -> bytes:
    """For translate: a letter as a, a digit as 2, another sign that can be a letter as 1."""
    kinds = bytearray(PLAIN)
    for code in range(256):
        if code in LETTER:
            kinds[code] = ord("a")
        elif chr(code).isdigit() and code < 0x80:
            kinds[code] = ord("2")
        elif WIDEST[code] in LETTER and code != ord("!"):  # it mostly ends sentences
            kinds[code] = ord("1")
    return bytes(kinds)


_KINDS = _kinds()
# One byte is found fastest by its number; two by a search for a literal, which is faster than `in`.
_DIGIT, _SIGN, _DOT, _BANG = b"21.!"
_BEFORE = re.compile(rb"\.a").search
# A sign that can be a letter, with no letter beside it.
_LONE = re.compile(rb"(?<![a12])(?:[12]+|\.)(?![a12])|(?<![a2])[12]+(?![a2])")


class Matcher:
    """Immutable. The words of one folding."""

    __slots__ = (
        "_doubled",
        "_forms",
        "_inner",
        "_inner_forms",
        "_phrase_forms",
        "_phrases",
        "_rows",
        "_runs",
        "_whole",
        "phrases",
        "unspaced",
        "words",
    )

    def __init__(self, words: Iterable[tuple[bytes, bytes, Word]]) -> None:
        """`words`: classes, the same collapsed, and the word."""
        self._forms: dict[bytes, list[Word]] = {}
        self._doubled: set[bytes] = set()  # forms of words with a doubled letter, and no others
        self._rows: dict[bytes, bytes] = {}
        for classes, form, word in words:
            same = self._forms.setdefault(form, [])
            if len(classes) == len(form) or same:
                self._doubled.discard(form)
            else:
                self._doubled.add(form)
                self._rows[form] = classes
            same.append(word)
        whole = list(self._forms)
        self._phrase_forms = [form for form in whole if b" " in form]
        for form in self._phrase_forms:
            compact = collapsed(form.replace(b" ", b""))
            self._forms.setdefault(compact, []).extend(self._forms[form])
            self._doubled.discard(compact)
        self._inner_forms = list(self._forms)
        self.words = list(self._forms.values())
        self._whole = _automaton(b" " + form + b" " for form in whole)
        self._inner = _automaton(self._inner_forms)
        self._phrases = _automaton(self._phrase_forms)
        # By their index: forms of several words, and of words without boundaries.
        self.phrases = frozenset(
            index for index, form in enumerate(self._inner_forms) if b" " in form
        )
        self.unspaced = frozenset(
            index for index, same in enumerate(self.words) if any(word.unspaced for word in same)
        )
        self._runs: dict[tuple[bytes, bytes], re.Pattern[bytes]] = {}

    def find(self, view: View) -> list[tuple[int, int, int]]:
        """(index, first, last): `words[index]` may stand at [first, last) of the view's stream."""
        return self._inner.find_matches_as_indexes(view.stream, overlapping=True)

    # --- the prefilter --------------------------------------------------------------------------

    def suspects(self, codes: bytes) -> bool:
        """False: no view of a text with these codes holds a word."""
        classes = spaced_out(codes, PLAIN)
        stream = collapsed(classes)
        found = self._whole.find_matches_as_indexes(stream, overlapping=True)
        if found and self._runs_enough(found, classes, b" "):
            return True
        if self.unspaced and self._inner.find_matches_as_indexes(stream):
            return True
        if has_singles(stream) and self._in_singles(stream):
            return True
        kinds = codes.translate(_KINDS)
        leet = _DIGIT in kinds or _SIGN in kinds
        if (leet or (_DOT in kinds and _BEFORE(kinds))) and self._in_parts(codes):
            return True
        if (leet or _BANG in codes) and _LONE.search(kinds):
            return any(has_singles(one) and self._in_singles(one) for one in _streams(codes))
        return False

    def _runs_enough(self, found: list[tuple[int, int, int]], classes: bytes, edge: bytes) -> bool:
        """Whether letters that are doubled in a word are doubled in the text, too.

        All matches must be in `found`, overlapping ones as well: this may dismiss some of them.
        """
        forms, doubled = self._inner_forms, self._doubled
        for index in dict.fromkeys(index for index, _, _ in found):
            form = forms[index]
            if form not in doubled:
                return True
            run = self._runs.get((form, edge))
            if run is None:
                run = self._runs[form, edge] = _run_pattern(self._rows[form], edge)
            if run.search(classes):
                return True
        return False

    def _in_singles(self, stream: bytes) -> bool:
        row, _ = joined(stream)
        return bool(self._inner.find_matches_as_indexes(collapsed(row)))

    def _in_parts(self, codes: bytes) -> bool:
        """Whether a token with signs or digits in it may hold a word."""
        if self._phrase_forms and self._in_phrases(codes):
            return True
        parts = [part for part in codes.split() if not part.isalpha()]
        parts = [part for part in map(_trimmed, parts) if _may_hide(part)]
        if not parts:
            return False
        text = b" ".join(parts)
        for classes in {text.translate(reading).replace(b".", b"") for reading in READINGS}:
            found = self._inner.find_matches_as_indexes(collapsed(classes), overlapping=True)
            if found and self._runs_enough(found, classes, b""):
                return True
        return False

    def _in_phrases(self, codes: bytes) -> bool:
        """A phrase may begin with a word as it stands, so that parts of the text are too little."""
        streams = set()
        for reading in READINGS:
            classes = codes.translate(reading)
            streams |= {classes.replace(b".", b" "), classes.replace(b".", b"")}
        return any(self._phrases.find_matches_as_indexes(collapsed(one)) for one in streams)


def _run_pattern(classes: bytes, edge: bytes) -> re.Pattern[bytes]:
    """The word between two edges, with any letter repeated, but none less often than in the word.

    Linear in the text: neighbouring runs are of different letters, and the first one, unless it
    stands behind an edge, is not open.
    """
    runs = [match[0] for match in re.finditer(rb"(.)\1*", classes)]
    parts = [re.escape(run[:1]) + b"{%d,}" % len(run) for run in runs]
    if not edge:
        parts[0] = re.escape(runs[0])
    return re.compile(edge + b"".join(parts) + edge)


def _automaton(forms: Iterable[bytes]) -> BytesAhoCorasick:
    return BytesAhoCorasick(list(forms))


def _streams(codes: bytes) -> set[bytes]:
    return {collapsed(spaced_out(codes, reading)) for reading in (LEET, WIDEST)}


def _trimmed(part: bytes) -> bytes:
    return part.lstrip(_EDGES_LEFT).rstrip(_EDGES_RIGHT)


def _may_hide(part: bytes) -> bool:
    """Whether a token is more than a word, a number or a contraction."""
    if part.isalpha() or part.isdigit() or not part:
        return False
    head, apostrophe, tail = part.partition(b"'")
    if not apostrophe:
        return True
    return not (head.isalpha() and (tail in TAILS or (tail.isalpha() and head in HEADS)))
