"""The matcher: all words of a policy at once, in one pass over a view of a text.

A *form* is a word as the views show it: classes of letters, runs collapsed, a space between the
words of a phrase. Several words can share a form, and `as` has that of `ass`: so the matcher
proposes, and `validation` decides. A word of another script than Latin is looked for twice: among
the letters of its script, and by its looks. An entry with digits or signs (`1488`, an emoji) is a
*literal*: it is looked for as it is written, case and marks aside.
"""

import unicodedata
from collections.abc import Iterable, Iterator

from ahocorasick_rs import AhoCorasick, BytesAhoCorasick
from msgspec import Struct

from domain.moderation import normalization
from domain.moderation.normalization import Normalized, Normalizer, is_letter, script_of
from domain.moderation.readings import PLAIN, View, collapsed, views_of

_UNSPACED = frozenset({"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"})
_WITHIN_WORDS = frozenset(" '’-.")

Found = tuple[int, int, int]  # which form, and [first, last) of a stream


class Word(Struct, frozen=True):
    """A word or phrase of a list. `letters` has no spaces."""

    rule: str
    written: str
    letters: str
    phrase: bool
    native: bool  # looked for among the letters of its own script

    @property
    def script(self) -> str:
        """The one that most of its letters are of."""
        scripts = [script for char in self.written if (script := script_of(char))]
        return max(scripts, key=scripts.count, default="LATIN")

    @property
    def unspaced(self) -> bool:
        """Whether there are no boundaries around it."""
        return self.native and self.script in _UNSPACED

    def is_written(self, part: str) -> bool:
        """Whether a part of a text is the word as the list has it, marks and all."""
        return unicodedata.normalize("NFC", part).casefold() == self.written


class Matcher:
    """Immutable. The words of one normalizer."""

    def __init__(self, words: Iterable[tuple[bytes, Word]], *, native: bool) -> None:
        self.native = native
        forms: dict[bytes, list[Word]] = {}
        for form, word in words:
            forms.setdefault(form, []).append(word)
        for form in [form for form in forms if b" " in form]:  # phrases that are spelt out
            forms.setdefault(collapsed(form.replace(b" ", b""))[0], []).extend(forms[form])
        self.words = list(forms.values())
        self.shortest = [min(len(word.letters) for word in same) for same in self.words]
        self.unspaced = {i for i, same in enumerate(self.words) if any(w.unspaced for w in same)}
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


class Lexicon:
    """Immutable: the words of some rules. `native` is None where all of them are Latin."""

    def __init__(
        self, lists: Iterable[tuple[str, Iterable[str]]], look: Normalizer, native: Normalizer
    ) -> None:
        """`lists`: a rule, and its words."""
        words, self.literals = list[tuple[str, str]](), list[tuple[str, str]]()
        for rule, entries in lists:
            for entry in entries:
                one = " ".join(entry.split())
                chars = one if one.isalpha() else native.normalize(one).chars
                if any(not is_letter(char) and char not in _WITHIN_WORDS for char in chars):
                    self.literals.append((chars, rule))
                else:
                    words.append((rule, one))
                    if not one.isascii() and ("ß" in one or "ẞ" in one):
                        words.append((rule, one.replace("ß", "ss").replace("ẞ", "SS")))
        foreign = [one for one in words if not one[1].isascii()]
        others = [one for one in foreign if not {"LATIN", ""}.issuperset(map(script_of, one[1]))]
        self.look = Matcher(_forms(words, look, native=False), native=False)
        self.native = Matcher(_forms(others, native, native=True), native=True) if others else None
        self._literals = AhoCorasick([chars for chars, _ in self.literals])

    def literals_in(self, text: Normalized) -> Iterator[tuple[str, int, int]]:
        """Rule, start and end of each, in a native text. No letter or digit goes on at its ends."""
        chars = text.chars
        for index, start, end in self._literals.find_matches_as_indexes(chars, overlapping=True):
            ends_inside = chars[start - 1 : start].isalnum() and chars[start].isalnum()
            goes_on = chars[end : end + 1].isalnum() and chars[end - 1].isalnum()
            if not ends_inside and not goes_on:
                yield self.literals[index][1], *text.span(start, end)


def _forms(
    words: list[tuple[str, str]], normalizer: Normalizer, native: bool
) -> Iterator[tuple[bytes, Word]]:
    text = normalizer.normalize("\n".join(word for _, word in words))
    shapes = zip(words, text.chars.split("\n"), text.codes.split(b"\n"), strict=False)
    for (rule, written), chars, codes in shapes:
        letters = "".join(filter(is_letter, chars)).replace(normalization.STROKE, "i")
        if not letters or (not native and normalization.is_spelt_with_signs(written)):
            continue  # nothing to look for
        form = next(views_of(codes, PLAIN)).stream.strip()
        yield form, Word(rule, written.casefold(), letters, b" " in form, native)
