"""The search: all readings and views of one normalized text, and what holds in them.

How much is looked at is bounded (`Budget`), for passes over a text are cheap and the places to look
at are not. A text that has more of them is *crowded*, and is taken as one hit.
"""

from msgspec import Struct, field

from domain.moderation.language import Context
from domain.moderation.matcher import Found, Matcher, Word
from domain.moderation.normalization import Normalized, is_letter, is_vowel_sign
from domain.moderation.readings import LETTER, PLAIN, WIDEST, View, readings_of, views_of
from domain.moderation.validation import AROUND, Candidate, is_meant, stands_alone, view_of
from domain.verdict import Hit

PLACES_MAX = 6_000  # of one text, that are looked at: some 10 ms
KINDS_MAX = 400  # of them that differ, each of which has to be validated: some 10 ms
CROWDED = "crowded"  # the view of a hit of all that is there

_LETTERS = bytes(sorted(LETTER))


class Budget(Struct, gc=False):
    """What is left to be looked at in one text, whatever is done with it. Mutable."""

    places: int = PLACES_MAX
    kinds: int = KINDS_MAX
    crowded: bool = False  # whether it was too much


class Search(Struct):
    """Of one text, for the words of one matcher; without context only for what is written so."""

    text: Normalized
    matcher: Matcher
    budget: Budget
    context: Context | None
    how: str = ""  # what made the text readable
    done: set[Found] = field(default_factory=set)  # the first view that shows a form counts
    found: list[Hit] = field(default_factory=list)

    def matches(self) -> list[Hit]:
        """All that is meant; if it is too much, the last one is of the whole text."""
        codes, matcher = self.text.codes, self.matcher
        for reading in (PLAIN,) if matcher.native or self.context is None else readings_of(codes):
            for view in views_of(codes, reading):
                framed = reading is PLAIN and not view.spelt
                found = matcher.whole(view) if framed else matcher.anywhere(view)
                if found:
                    self._look(view, reading, found)
                if self.budget.crowded or self.context is None:
                    return self.found
        return self.found

    def _look(self, view: View, reading: bytes, found: list[Found]) -> None:
        """This loop is what a text full of words costs, so it calls nothing that it can keep."""
        text = self.text
        budget, classes, done, spelt = self.budget, view.classes, self.done, view.spelt
        shortest, unspaced = self.matcher.shortest, self.matcher.unspaced
        original, at, widest = text.original, text.places, reading is WIDEST
        origin, codes = view.origin(), b" %b " % text.codes  # aligned with the classes
        known: dict[tuple[object, ...], list[tuple[Word, str]]] = {}
        if self.context is None and len(found) > budget.places:
            budget.crowded = True
            return
        if not unspaced:  # most are the rest of a longer word
            found = [one for one in found if codes[origin[one[1]] - 1] not in LETTER]
        for index, first, last in found:
            start, end = origin[first], origin[last]
            if spelt:
                # What follows in the stream may be behind a gap.
                inner = classes[start:end].rstrip(b" .")
                end = start + len(inner)
                if not inner.strip(_LETTERS):
                    continue  # nothing inside was undone
            if widest and codes[end - 1 : end] == b"!":
                # At the end of a word it mostly ends a sentence.
                end = start + len(codes[start:end].rstrip(b"!"))
                end = start + len(classes[start:end].rstrip(b" ."))
            if end - start < shortest[index] or (index, start, end) in done:
                continue
            if codes[end] in LETTER or codes[start - 1] in LETTER:
                follows = text.chars[end - 1 : end]  # a vowel sign on the last letter, perhaps
                if index not in unspaced or (follows and is_vowel_sign(follows)):
                    continue
            a, b = at[start - 1], at[end - 2] + 1
            key: tuple[object, ...] = index, original[a:b]
            if spelt or reading is not PLAIN:
                left = max(start - AROUND, 0)
                key += original[max(a - AROUND, 0) : a], codes[left : end + AROUND], start - left
            meant = known.get(key)
            budget.places -= 1
            budget.kinds -= meant is None
            if budget.places < 0 or budget.kinds < 0:
                budget.crowded = True
                rule = self.matcher.words[index][0].rule
                self.found.append(Hit(rule, 0, len(original), CROWDED))
                return
            if meant is None:
                place = first, last, start, end
                meant = known[key] = self._meant(Candidate(text, view, reading, place), index)
            if meant:
                done.add((index, start, end))
                self.found += [Hit(word.rule, a, b, name) for word, name in meant]

    def _meant(self, one: Candidate, index: int) -> list[tuple[Word, str]]:
        words, context = self.matcher.words[index], self.context
        if context is None:
            letters = "".join(filter(is_letter, one.chars))
            return [(word, "") for word in words if letters == word.letters]
        if index not in self.matcher.unspaced and not stands_alone(one):
            return []
        return [
            (word, view_of(one, word, self.how))
            for word in words
            if is_meant(one, word) and context.allows(word, one.part, one.chars)
        ]
