"""Entries of a list that are looked for as they are written, for they hold digits or signs.

`1488` is a number and no leet, and an emoji has no letters. Case and marks make no difference. Next
to a letter or digit at an end of the entry there may be no other.
"""

from collections.abc import Iterable, Iterator

from ahocorasick_rs import AhoCorasick

from domain.folding import is_letter

_WITHIN_WORDS = frozenset(" '’-.")


def is_literal(folded: str) -> bool:
    """Whether an entry, folded natively, is more than words."""
    return any(not is_letter(char) and char not in _WITHIN_WORDS for char in folded)


class Literals:
    """Immutable. `entries`: folded natively, and the index of their rule."""

    __slots__ = ("_automaton", "_entries")

    def __init__(self, entries: Iterable[tuple[str, int]]) -> None:
        self._entries = list(entries)
        self._automaton = AhoCorasick([text for text, _ in self._entries])

    def __bool__(self) -> bool:
        return bool(self._entries)

    def find(self, chars: str) -> Iterator[tuple[int, int, int]]:
        """Rule, start and end of every entry in a folded text."""
        for index, start, end in self._automaton.find_matches_as_indexes(chars, overlapping=True):
            ends_inside = chars[start - 1 : start].isalnum() and chars[start].isalnum()
            goes_on = chars[end : end + 1].isalnum() and chars[end - 1].isalnum()
            if not ends_inside and not goes_on:
                yield self._entries[index][1], start, end
