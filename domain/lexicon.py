"""The lexicon: the words of a policy, in the forms in which the matchers look for them.

Built in bulk, so that ten thousand words are read in a fraction of a second. A word of another
script than Latin is looked for twice: among the letters of its script, and by its looks.
"""

from collections.abc import Iterable, Iterator
from itertools import repeat

from domain.evidence import Word, scripts_of
from domain.folding import STROKE, Folding, is_letter, signs_of
from domain.literals import Literals, is_literal
from domain.matcher import Matcher
from domain.views import PLAIN, collapsed

_LINE = ord("\n")
_ROWS = bytes(
    _LINE if code == _LINE else 32 if PLAIN[code] == 46 else PLAIN[code] for code in range(256)
)


class Lexicon:
    """Immutable. `native` is None where all words are Latin."""

    __slots__ = ("literals", "look", "native")

    def __init__(
        self, lists: Iterable[tuple[int, Iterable[str]]], look: Folding, native: Folding
    ) -> None:
        """`lists`: the index of a rule, and its words."""
        words, literals = list[tuple[int, str]](), list[tuple[str, int]]()
        for rule, entries in lists:
            for entry in entries:
                one = " ".join(entry.split())
                if not one.isalpha() and is_literal(folded := native.fold(one).chars):
                    literals.append((folded, rule))
                else:
                    words.append((rule, one))
                    if not one.isascii() and ("ß" in one or "ẞ" in one):
                        words.append((rule, one.replace("ß", "ss").replace("ẞ", "SS")))
        foreign = [one for one in words if not one[1].isascii() and _script(one[1]) != "LATIN"]
        self.look = Matcher(_forms(words, look, native=False))
        self.native = Matcher(_forms(foreign, native, native=True)) if foreign else None
        self.literals = Literals(literals)


def _script(word: str) -> str:
    """The one that most of its letters are of."""
    scripts = None if word.isascii() else scripts_of(word)
    return scripts.most_common(1)[0][0] if scripts else "LATIN"


def _forms(
    words: list[tuple[int, str]], folding: Folding, native: bool
) -> Iterator[tuple[bytes, bytes, Word]]:
    folded = folding.fold("\n".join(word for _, word in words))
    rows = folded.codes.translate(_ROWS)
    shapes = zip(
        words,
        folded.chars.split("\n"),
        rows.split(b"\n"),
        collapsed(rows).split(b"\n"),
        repeat(native),
    )
    for (rule, word), chars, row, form, is_native in shapes:
        letters = chars if chars.isalpha() else "".join(filter(is_letter, chars))
        letters = letters.replace(STROKE, "i")
        if not letters:
            continue  # nothing to look for
        classes = row if letters == chars else b" ".join(row.split())
        phrase = b" " in classes
        script, signs = _script(word), signs_of(word)
        word_of = Word(rule, word.casefold(), letters, script, phrase, is_native, signs)
        yield classes, form.strip(), word_of
