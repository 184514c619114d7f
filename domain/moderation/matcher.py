"""The matcher: all words of a policy at once, in one pass over a view of a text.

A *form* is a word as the views show it: classes of letters, runs collapsed, a space between the
words of a phrase. Several words can share a form, and `as` has that of `ass`: so the matcher
proposes, and `validation` decides. Built in bulk, ten thousand words take a fraction of a second.

A word of another script than Latin is looked for twice: among the letters of its script, and by its
looks. An entry with digits or signs (`1488`, an emoji) is a *literal*: it is looked for as it is
written, case and marks aside.
"""

from collections.abc import Iterable, Iterator, Sequence

from ahocorasick_rs import AhoCorasick, BytesAhoCorasick
from msgspec import Struct

from domain.moderation.normalization import (
    STROKE,
    Normalized,
    Normalizer,
    is_letter,
    is_spelt_with_signs,
    script_of,
)
from domain.moderation.readings import View, collapsed, words_of

_UNSPACED = frozenset({"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"})
_WITHIN_WORDS = frozenset(" '’-.")

Found = tuple[int, int, int]  # which form, and [first, last) of a stream


class Word(Struct, frozen=True):
    """A word or phrase of a list. `letters` has no spaces, `script` is that of its letters."""

    rule: int
    written: str
    letters: str
    script: str
    phrase: bool
    native: bool  # looked for among the letters of its own script

    @property
    def unspaced(self) -> bool:
        return self.native and self.script in _UNSPACED


class Matcher:
    """Immutable. The words of one normalizer."""

    __slots__ = ("_inner", "_whole", "native", "shortest", "unspaced", "words")

    def __init__(self, words: Iterable[tuple[bytes, Word]], *, native: bool) -> None:
        self.native = native
        forms: dict[bytes, list[Word]] = {}
        for form, word in words:
            forms.setdefault(form, []).append(word)
        for form in [form for form in forms if b" " in form]:  # phrases that are spelt out
            forms.setdefault(collapsed(form.replace(b" ", b""))[0], []).extend(forms[form])
        self.words = list(forms.values())
        self.shortest = [min(len(word.letters) for word in same) for same in self.words]
        self.unspaced = frozenset(
            index for index, same in enumerate(self.words) if any(word.unspaced for word in same)
        )
        self._whole = BytesAhoCorasick([b" %b " % form for form in forms])
        self._inner = BytesAhoCorasick(list(forms))

    def whole(self, view: View) -> list[Found]:
        """Forms between two spaces; all forms, if some are of a script without boundaries."""
        if self.unspaced:
            return self.anywhere(view)
        found = self._whole.find_matches_as_indexes(view.stream, overlapping=True)
        return [(index, first + 1, last - 1) for index, first, last in found]

    def anywhere(self, view: View) -> list[Found]:
        return self._inner.find_matches_as_indexes(view.stream, overlapping=True)


class Literals:
    """Immutable. `entries`: normalized natively, and the index of their rule."""

    __slots__ = ("_automaton", "_entries")

    def __init__(self, entries: Sequence[tuple[str, int]]) -> None:
        self._entries = entries
        self._automaton = AhoCorasick([text for text, _ in entries])

    def find(self, text: Normalized) -> Iterator[Found]:
        """Rule, start and end of every entry. A letter or digit at its end has none beside it."""
        chars = text.chars
        for index, start, end in self._automaton.find_matches_as_indexes(chars, overlapping=True):
            ends_inside = chars[start - 1 : start].isalnum() and chars[start].isalnum()
            goes_on = chars[end : end + 1].isalnum() and chars[end - 1].isalnum()
            if not ends_inside and not goes_on:
                yield self._entries[index][1], *text.span(start, end)


class Lexicon:
    """Immutable: the words of some rules. `native` and `literals` are None where there are none."""

    __slots__ = ("literals", "look", "native")

    def __init__(
        self, lists: Iterable[tuple[int, Iterable[str]]], look: Normalizer, native: Normalizer
    ) -> None:
        """`lists`: the index of a rule, and its words."""
        words, literals = list[tuple[int, str]](), list[tuple[str, int]]()
        for rule, entries in lists:
            for entry in entries:
                one = " ".join(entry.split())
                if not one.isalpha() and is_literal(chars := native.normalize(one).chars):
                    literals.append((chars, rule))
                else:
                    words.append((rule, one))
                    if not one.isascii() and ("ß" in one or "ẞ" in one):
                        words.append((rule, one.replace("ß", "ss").replace("ẞ", "SS")))
        foreign = [one for one in words if not one[1].isascii() and _script(one[1]) != "LATIN"]
        self.look = Matcher(_forms(words, look, native=False), native=False)
        self.native = (
            Matcher(_forms(foreign, native, native=True), native=True) if foreign else None
        )
        self.literals = Literals(literals) if literals else None


def is_literal(chars: str) -> bool:
    """Whether an entry, normalized natively, is more than words."""
    return any(not is_letter(char) and char not in _WITHIN_WORDS for char in chars)


def _script(word: str) -> str:
    """The one that most of its letters are of."""
    if word.isascii():
        return "LATIN"
    scripts = [script for char in word if (script := script_of(char))]
    return max(scripts, key=scripts.count, default="LATIN")


def _forms(
    words: list[tuple[int, str]], normalizer: Normalizer, native: bool
) -> Iterator[tuple[bytes, Word]]:
    text = normalizer.normalize("\n".join(word for _, word in words))
    shapes = zip(words, text.chars.split("\n"), text.codes.split(b"\n"), strict=False)
    for (rule, written), chars, codes in shapes:
        letters = "".join(filter(is_letter, chars)).replace(STROKE, "i")
        if not letters or (not native and is_spelt_with_signs(written)):
            continue  # nothing to look for
        form = collapsed(words_of(codes))[0].strip()
        phrase = b" " in form
        word = Word(
            rule=rule,
            written=written.casefold(),
            letters=letters,
            script=_script(written),
            phrase=phrase,
            native=native,
        )
        yield form, word
