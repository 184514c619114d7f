"""Moderation: what may be said here, before it becomes an event.

    moderator = Moderator(Policy((Rule("house", ("darn", "top hats"), "censor"),), ("darning",)))
    moderator.judge("D4rn those t.o.p h.a.t.s!")     Censored("**** those *************!", ...)

Rules. A rule lists words and phrases, and says what happens to a text that holds one: *reject*
refuses it, *censor* replaces every code point of the word by `*`. Rejecting rules go first. Words
match whole: `ass` says nothing of `class`, nor `grass` of `grasses`: inflections and compounds are
words of their own. A masked word (`d*rn`) is no match: it is censored already. What an allowed word
covers is not held against anybody. An entry with digits or signs (`1488`, an emoji) is looked for
as it is written.

Theory of operation. A text is folded (`domain.folding`), read in several views (`domain.views`),
searched for all words at once (`domain.matcher`), and what is found is held against the text
(`domain.evidence`). Nearly all texts are clean, and a prefilter says so without any of that.
Censoring is a fixed point: what is left after it is judged again, and where something new has come
to light, the whole token goes. Everything is linear in the text, for it is a stranger's, and so is
what there is to look at bounded: a text that is crowded with words and near-words goes as a whole,
and so does a long one of which too much would have to be judged again.

A node judges by its own rules and only what its own people say. Events of others are facts.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Literal

from msgspec import Struct

from domain.evidence import DIGITS_MAX, GAP_CODES_MAX, Context, Word, goes_on
from domain.folding import Folded, Folding, is_letter, is_mark, signs_of
from domain.lexicon import Lexicon
from domain.matcher import Matcher
from domain.search import APART, CROWDED, NEAR, Effort, Search, Sighting
from domain.shapes import (
    RIGHT_TO_LEFT,
    has_turned,
    reversed_places,
    reversed_runs,
    runs_of,
    shaped,
    shaped_codes,
    turned,
    turned_places,
)
from domain.verdict import Censored, Clean, Hit, Rejected, Verdict
from domain.views import PLAIN, READINGS, SPACE, views_of
from domain.windows import CLOSE, Span, Window, merged, windows_around

__all__ = ["Censored", "Clean", "Moderator", "Policy", "Rejected", "Rule", "Verdict"]

REPLACEMENT = "*"  # one byte: a censored text is never longer than the original
GAP = " " * (GAP_CODES_MAX + 2)  # no word is spelt across it
LONG = 8_192  # code points: what is shorter may be judged again as a whole, each time
ROUNDS_MAX = 3  # of judging what censoring has left, before nothing is left at all

_CLEAN = Clean()


class Rule(Struct, frozen=True):
    id: str
    words: tuple[str, ...]
    action: Literal["reject", "censor"]


class Policy(Struct, frozen=True):
    rules: tuple[Rule, ...]
    allow: tuple[str, ...] = ()


class Moderator:
    """Judges by one policy. Its memory of signs and words grows up to a limit; not thread-safe."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._look = Folding(look=True)
        self._native = Folding(look=False)
        words = [(index, rule.words) for index, rule in enumerate(policy.rules)]
        self._banned = Lexicon(words, self._look, self._native)
        self._allowed = Lexicon([(0, policy.allow)], self._look, self._native)
        self._reach = reach_of(self._banned)
        self._margin = reach_of(self._allowed)
        self._rejects = any(rule.action == "reject" for rule in policy.rules)
        self._look_search = Search(self._banned.look)
        self._native_search = Search(self._banned.native) if self._banned.native else None

    def judge(self, text: str) -> Verdict:
        """Raises nothing, whatever the text; the same text always gets the same verdict."""
        effort, context = Effort(), Context(text)
        seen = self._seen(text, effort, context)
        if not seen:
            return _CLEAN
        rules = self.policy.rules
        rejecting = [one for one in seen if rules[one.rule].action == "reject"]
        if rejecting:
            return Rejected(self._hits(rejecting))
        if seen[-1].view == CROWDED:
            return Censored(REPLACEMENT * len(text), self._hits(seen[-1:]))
        before, left, more = text, cover(text, seen), seen
        for _ in range(ROUNDS_MAX):
            context, allows = context.after(left)
            anywhere = allows or runs_of(left) != runs_of(before)
            near = self._seen_again(left, more, anywhere, effort, context)
            if effort.crowded is not None:
                break
            more = widened(near, left)
            if not more:
                return Censored(left, self._hits(seen))
            seen += more
            before, left = left, cover(left, more)
        seen.append(Sighting(seen[0].rule, 0, len(text), seen[0].view))
        return Censored(REPLACEMENT * len(text), self._hits(seen))

    def _hits(self, seen: Iterable[Sighting]) -> tuple[Hit, ...]:
        """In the order of the text, each once: in the first view that shows it."""
        first: dict[tuple[int, int, int], Sighting] = {}
        for one in seen:
            first.setdefault((one.start, one.end, one.rule), one)
        names = [rule.id for rule in self.policy.rules]
        return tuple([Hit(names[key[2]], key[0], key[1], first[key].view) for key in sorted(first)])

    # --- looking --------------------------------------------------------------------------------

    def _seen(self, text: str, effort: Effort, context: Context) -> list[Sighting]:
        """If it is too much for the effort, the last one is of the whole text."""
        effort.ways = int(not text.isascii())
        codes = self._look.codes(text)
        suspect, drawn = self._banned.look.suspects(codes), shaped_codes(codes)
        if not suspect and drawn is codes and text.isascii() and not self._banned.literals:
            return []  # the shortest way through, for most texts
        seen = list(self._sightings(text, codes, suspect, drawn, effort, context))
        if seen and not text.isascii() and (marks := frozenset(filter(is_mark, set(text)))):
            seen = [whole(text, one, marks) for one in seen]
        if seen and self.policy.allow and (effort.crowded is None or self._rejects):
            allowed = Allowed(self._spans_allowed(text, effort))
            if effort.allowing < 0 and effort.crowded is None:
                effort.crowded = seen[0].rule
            seen = [one for one in seen if not allowed.covers(one.start, one.end)]
        if effort.crowded is not None:
            seen.append(Sighting(effort.crowded, 0, len(text), CROWDED))
        return seen

    def _seen_again(
        self,
        text: str,
        covered: Sequence[Sighting],
        anywhere: bool,
        effort: Effort,
        context: Context,
    ) -> list[Sighting]:
        """What has come to light by covering: in a long text only near to what was covered.

        Unless it may be anywhere. All that is near is one text, with gaps between its parts that no
        word is spelt across. If that is too much to be judged again, `effort` says so then.
        """
        everywhere = [Window(0, len(text), 0, len(text))]
        windows = everywhere if anywhere else self._windows(text, covered) or everywhere
        starts = list(accumulate((len(one) + len(GAP) for one in windows), initial=0))
        near = GAP.join(text[one.start : one.end] for one in windows)
        if len(text) > LONG:
            effort.again -= effort.ways * len(near)
        if effort.again < 0:
            effort.crowded = covered[0].rule
            return []
        seen = list[Sighting]()
        for one in self._seen(near, effort, context):
            index = bisect_right(starts, one.start) - 1
            window, by = windows[index], windows[index].start - starts[index]
            first, last = one.start + by, one.end + by
            # What stands at an edge may be a part of something longer, or of an allowed phrase.
            if window.inner <= first and last <= window.outer:
                seen.append(Sighting(one.rule, first, last, one.view))
        return seen

    def _windows(self, text: str, covered: Sequence[Sighting]) -> list[Window]:
        """None of them, if most of the text is near."""
        if len(text) < 8 * self._reach:
            return []
        close = merged([(one.start, one.end) for one in covered], CLOSE, len(text))
        if 2 * sum(end - start for start, end in close) > len(text):
            return []
        windows = windows_around(close, text, self._look, self._reach, self._margin)
        return windows if 2 * sum(map(len, windows)) < len(text) else []

    def _sightings(
        self,
        text: str,
        codes: bytes,
        suspect: bool,
        drawn: bytes,
        effort: Effort,
        context: Context,
    ) -> Iterator[Sighting]:
        """Each way of looking has its prefilter: most texts pass them all, and are done.

        `suspect`: the prefilter's word on `codes`; `drawn`: those with every shape as its letter.
        """
        banned, look, search = self._banned, self._look, self._look_search
        is_drawn = drawn is not codes and banned.look.suspects(drawn)
        if suspect or is_drawn:
            folded = look.fold(text, codes)
            if suspect:
                yield from search.sightings(folded, READINGS, context, "", effort)
            if is_drawn and effort.crowded is None:
                yield from search.sightings(shaped(folded), READINGS, context, "shapes", effort)
        if banned.literals:
            native = self._native.fold(text)
            for rule, start, end in banned.literals.find(native.chars):
                yield Sighting(rule, *native.span(start, end), "plain")
        if text.isascii() or effort.crowded is not None:
            return
        if self._native_search and self._native_search.matcher.suspects(
            codes := self._native.codes(text)
        ):
            native = self._native.fold(text, codes)
            yield from self._native_search.sightings(native, (PLAIN,), context, "", effort)
        if RIGHT_TO_LEFT in text:
            yield from self._through(
                reversed_runs(text), text, reversed_places, context, "reversed", effort
            )
        if has_turned(text):
            for one in self._through(turned(text), text, turned_places, context, "turned", effort):
                if has_turned(text[one.start : one.end]):
                    yield one

    def _through(
        self,
        shown: str,
        text: str,
        places_of: Callable[[str], Sequence[int]],
        context: Context,
        how: str,
        effort: Effort,
    ) -> Iterator[Sighting]:
        """Sightings in a text of which each code point is elsewhere in the original."""
        codes = self._look.codes(shown)
        if not self._banned.look.suspects(codes):
            return
        folded = self._look.fold(shown, codes)
        seen = self._look_search.sightings(folded, READINGS, context, how, effort)
        order = places_of(text) if seen else ()
        for one in seen:
            places = order[one.start : one.end]
            yield Sighting(one.rule, min(places), max(places) + 1, one.view)

    def _spans_allowed(self, text: str, effort: Effort) -> Iterator[Span]:
        """Where allowed words stand, as they are written. None, if it is too much to look at."""
        allowed = self._allowed
        for folding, matcher in ((self._look, allowed.look), (self._native, allowed.native)):
            if matcher:
                yield from spans_written(matcher, folding.fold(text), effort)
        if allowed.literals:
            native = self._native.fold(text)
            for _, start, end in allowed.literals.find(native.chars):
                yield native.span(start, end)


def reach_of(lexicon: Lexicon) -> int:
    """In signs: of the longest word, spelt out, and of the digits beside it."""
    longest = max((len(one.letters) for same in lexicon.look.words for one in same), default=0)
    return (GAP_CODES_MAX + 1) * longest + DIGITS_MAX


def whole(text: str, one: Sighting, marks: frozenset[str]) -> Sighting:
    """With the marks that are drawn onto its last sign."""
    end = one.end
    while end < len(text) and text[end] in marks:
        end += 1
    return one if end == one.end else Sighting(one.rule, one.start, end, one.view)


def spans_written(matcher: Matcher, folded: Folded, effort: Effort) -> list[Span]:
    """Of the words of a matcher that stand as they are written: no letter more, none less."""
    view = next(views_of(folded.codes.translate(PLAIN)))
    stream, chars, unspaced = view.stream, folded.chars, matcher.unspaced
    proposed = matcher.find(view)
    effort.allowing -= NEAR * len(proposed)
    apart = [
        one
        for one in proposed
        if stream[one[1] - 1] == SPACE == stream[one[2]] or one[0] in unspaced
    ]
    effort.allowing -= APART * len(apart)
    if effort.allowing < 0:
        return []
    origin, spans = view.origin(2 * len(apart)), list[Span]()
    written = dict[tuple[int, str], bool]()
    for index, first, last in apart:
        start, end = origin[first] - 1, origin[last] - 1
        key = index, chars[start:end]
        known = written.get(key)
        if known is None:
            letters = "".join(filter(is_letter, key[1]))
            known = written[key] = any(letters == one.letters for one in matcher.words[index])
        span = folded.span(start, end)
        if known and _is_signed_so(folded.original, span, matcher.words[index]):
            spans.append(span)
    return spans


def _is_signed_so(text: str, span: Span, words: Iterable[Word]) -> bool:
    """Whether what stands there has the vowel signs of one of these words, if they have any."""
    if all(word.signs is None for word in words):
        return True
    signs = signs_of(text[slice(*span)])
    return any(word.signs == signs for word in words) and not goes_on(text, span[1])


class Allowed:
    """Spans that win over hits within them."""

    def __init__(self, spans: Iterable[Span]) -> None:
        ordered = sorted(spans)
        self._starts = [start for start, _ in ordered]
        self._ends = list(accumulate((end for _, end in ordered), max))

    def covers(self, start: int, end: int) -> bool:
        index = bisect_right(self._starts, start) - 1
        return index >= 0 and self._ends[index] >= end


def cover(text: str, seen: Iterable[Sighting]) -> str:
    """Every code point of every sighting replaced."""
    parts, done = list[str](), 0
    for start, end in sorted((one.start, one.end) for one in seen):
        if end > done:
            parts += (text[done:start], REPLACEMENT * (end - max(start, done)))
            done = end
    return "".join([*parts, text[done:]])


def widened(seen: Sequence[Sighting], text: str) -> list[Sighting]:
    """Up to white space on both sides, each once."""
    if not seen:
        return []
    tokens = [match.span() for match in re.finditer(r"\S+", text)]
    starts, ends = [start for start, _ in tokens], [end for _, end in tokens]
    wide = dict[tuple[int, int, int], Sighting]()
    for one in seen:
        start = min(one.start, starts[bisect_right(starts, one.start) - 1])
        end = max(one.end, ends[bisect_left(ends, one.end)])
        wide.setdefault((start, end, one.rule), Sighting(one.rule, start, end, one.view))
    return list(wide.values())
