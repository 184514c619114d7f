"""The search: one folded text, all its readings and views, and what holds in them.

Theory of operation. Whether a proposal holds depends on the few signs that it is made of, on those
around it, and for texts that are not ASCII on the language of the whole. The first two come back
again and again, so they are remembered, up to a limit: a hostile text of sixteen thousand words is
mostly one word sixteen thousand times.

How much is looked at in one text is bounded (`Effort`), for the passes over a text are cheap and
the places to look at are not. A text that has more of them is *crowded*, and is taken as one hit.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from msgspec import Struct

from domain.evidence import (
    Context,
    Proposal,
    Way,
    Word,
    bits_of,
    goes_on,
    is_in_code,
    is_innocent,
    is_run_together,
    is_too_short,
    may_mix_i_and_l,
    named,
    spells,
    stands_alone,
)
from domain.folding import Folded, signs_of
from domain.matcher import Matcher
from domain.views import BETWEEN, LETTER, LETTERS, PLAIN, SPACE, WIDEST, Kind, views_of

EFFORT_MAX = 64_000  # for one text: some 10 ms
AGAIN_MAX = 80_000  # code points of a long text that are judged again, after covering
# What is done at a proposal costs so much. A letter beside it mostly dismisses it at once.
NEAR, CLOSE, NEW, HIT = 1, 3, 50, 5
APART = 2  # an allowed word, whether it stands as it is written
CROWDED = "crowded"  # the view of a sighting of all that is there

MEMO_MAX = 1 << 14
MEMO_CHARS_MAX = 64  # a longer part is not remembered
AROUND = 10  # codes on both sides that boundaries depend on

EXCLAMATION = ord("!")

# A word, what had to be undone to read it, and what was read where the language has a say.
Meant = tuple[Word, str, str | None]
MeantKey = tuple[int, str, int]  # which form, of which part, in how many signs
AloneKey = tuple[bytes, int, int, bytes, bytes]
K = TypeVar("K")
V = TypeVar("V")


class Sighting(Struct, frozen=True, gc=False):
    """A word of a rule at [start, end) of some text, seen in a view."""

    rule: int
    start: int
    end: int
    view: str


class Effort(Struct, gc=False):
    """What is left to be spent on one text. Mutable.

    It is the same for the same text, whatever was judged before: what is new in a view costs as
    much if it is remembered from another text.
    """

    left: int = EFFORT_MAX
    allowing: int = EFFORT_MAX  # the same for the allowed words; below 0: they were too many
    again: int = AGAIN_MAX  # code points that may be judged again, each once for each way
    ways: int = 0  # to go through the last text: to fold it, as it is, by its shapes, backwards...
    crowded: int | None = None  # the rule of the word at which it was too much


class Search:
    """For the words of one matcher. Mutable: it remembers what it has decided."""

    __slots__ = ("_alone", "_bits", "_meant", "matcher")

    def __init__(self, matcher: Matcher) -> None:
        self.matcher = matcher
        self._bits: dict[str, dict[str, int]] = {}
        self._alone: dict[tuple[Kind, bytes], dict[AloneKey, bool]] = {}
        self._meant: dict[tuple[Kind, bytes, str], dict[MeantKey, list[Meant]]] = {}

    def sightings(
        self,
        folded: Folded,
        readings: Iterable[bytes],
        context: Context,
        how: str,
        effort: Effort,
    ) -> list[Sighting]:
        """Everything that is meant in a text, unless that is too much: `effort` says so then.

        `how` says how the text was made readable.
        """
        effort.ways += 1
        read: set[bytes] = set()
        done: set[tuple[int, int, int]] = set()
        seen: list[Sighting] = []
        for reading in readings:
            classes = folded.codes.translate(reading)
            if classes not in read:  # else no sign can be a letter: one reading is like another
                read.add(classes)
                for view in views_of(classes):
                    if effort.crowded is not None:
                        return seen
                    way = Way(folded, view, reading, how)
                    seen += self._in_view(way, context, done, effort)
        return seen

    def _in_view(
        self, way: Way, context: Context, done: set[tuple[int, int, int]], effort: Effort
    ) -> list[Sighting]:
        """`done` are the forms that were found, and where: the first view that shows one counts.

        This loop is all that a text full of words costs, so it calls nothing that it can remember.
        """
        folded, view = way.folded, way.view
        stream, classes, forms = view.stream, view.classes, self.matcher.words
        codes = b" " + folded.codes + b" "  # aligned with the classes
        original, plain, tokens = folded.original, way.reading is PLAIN, view.kind == "tokens"
        widest = way.reading is WIDEST
        unspaced, phrases = self.matcher.unspaced, self.matcher.phrases
        memo = self._meant.setdefault((view.kind, way.reading, way.how), {})
        seen: list[Sighting] = []
        proposed = self.matcher.find(view)
        if tokens and plain:  # most of them are inside a longer word
            proposed = [
                one
                for one in proposed
                if stream[one[1] - 1] == SPACE == stream[one[2]] or one[0] in unspaced
            ]
        if not proposed:
            return []
        origin = view.origin(2 * len(proposed))
        spent, new = NEAR * len(proposed), set[object]()
        for index, first, last in proposed:
            start, end = origin[first], origin[last]
            if not tokens:
                if end - start == last - first and index not in phrases:
                    continue  # nothing was undone
                # What follows in the stream may be behind a gap.
                inner = classes[start:end].rstrip(BETWEEN)
                end = start + len(inner)
                if not inner.strip(LETTERS):
                    continue  # nothing inside was undone
            words = forms[index]
            apart = stream[first - 1] == SPACE == stream[last] or index in unspaced
            if widest and codes[end - 1] == EXCLAMATION:
                # At the end of a word it mostly ends a sentence.
                end = start + len(codes[start:end].rstrip(b"!"))
            if (index, start, end) in done or (
                not apart and (codes[start - 1] in LETTER or codes[end] in LETTER)
            ):
                continue
            spent += CLOSE
            if spent + NEW * len(new) + HIT * len(seen) > effort.left:
                effort.crowded = words[0].rule
                break
            if not apart and not self._stands_alone(way, words, (first, last, start, end), new):
                continue
            a, b = folded.span(start - 1, end - 1)
            part = original[a:b]
            key = (index, part, end - start)
            new.add(key)
            meant = memo.get(key)
            if meant is None:
                found = Proposal(words, way, first, last, start, end)
                meant = [one for word in words for one in self._meant_by(found, word)]
                remember(memo, key, meant, len(part))
            for word, name, letters in _as_they_stand(way, meant, a, part):
                if letters is None or context.allows(word, part, letters):
                    done.add((index, start, end))
                    seen.append(Sighting(word.rule, a, b, name))
        effort.left -= spent + NEW * len(new) + HIT * len(seen)
        return seen

    def _stands_alone(
        self, way: Way, words: list[Word], place: tuple[int, int, int, int], new: set[object]
    ) -> bool:
        """Boundaries, in a place where something is next to the word."""
        first, last, start, end = place
        stream = way.view.stream
        left = start - AROUND if start > AROUND else 0
        around = way.folded.codes[left : end + AROUND]
        before = stream[first - 2 : first] if first > 1 else stream[:first]
        key = (around, start - left, end - start, before, stream[last : last + 2])
        memo = self._alone.setdefault((way.view.kind, way.reading), {})
        new.add(key)
        known = memo.get(key)
        if known is None:
            known = stands_alone(Proposal(words, way, first, last, start, end))
            remember(memo, key, known, len(around))
        return known

    def _meant_by(self, found: Proposal, word: Word) -> Iterator[Meant]:
        if word.signs is not None and (signs_of(found.part) or "") != word.signs:
            return
        if self._is_meant(found, word):
            latin = found.part.isascii() and word.script == "LATIN"
            yield word, named(found, word), None if latin or word.native else found.chars

    def _is_meant(self, found: Proposal, word: Word) -> bool:
        chars, classes = found.chars, found.classes
        if is_too_short(found, word) or is_run_together(found, word):
            return False
        if chars == word.letters:
            return True
        bits = self._bits.get(word.letters)
        if bits is None:
            bits = self._bits[word.letters] = bits_of(word.letters)
        size = len(word.letters)
        if not spells(bits, size, chars, classes, loose=False) and not (
            may_mix_i_and_l(found.part) and spells(bits, size, chars, classes, loose=True)
        ):
            return False
        return not is_innocent(found, word)


def _as_they_stand(way: Way, meant: list[Meant], at: int, part: str) -> list[Meant]:
    """What is meant by this part, where it stands.

    Nothing, where digits of a longer code were read as letters. Nor a word that is spelt with vowel
    signs, if another one follows.
    """
    if any(word.signs is not None for word, _, _ in meant):
        end = at + len(part)
        signed = goes_on(way.folded.original, end)
        meant = [one for one in meant if one[0].signs is None or not signed]
    if not meant or way.reading is PLAIN or way.view.kind != "tokens":
        return meant
    before = way.folded.original[max(at - AROUND, 0) : at]
    return [] if is_in_code(before, part) else meant


def remember(memo: dict[K, V], key: K, value: V, size: int) -> None:
    """Unless it is large; and so much that no text can fill the memory."""
    if size <= MEMO_CHARS_MAX:
        if len(memo) >= MEMO_MAX:
            memo.clear()
        memo[key] = value
