"""The moderator: judges texts by one policy, and again what censoring has left of them."""

import re
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from domain.moderation.language import Context
from domain.moderation.matcher import Lexicon
from domain.moderation.normalization import Normalized, Normalizer, is_mark
from domain.moderation.search import CROWDED, Budget, Search
from domain.verdict import Censored, Clean, Hit, Rejected, Verdict

REPLACEMENT = "*"  # one byte: a censored text is never longer than the original
ROUNDS_MAX = 3  # of judging what censoring has left, before nothing is left at all
LONG = 8_192  # code points: a longer text has one such round

# What is shown backwards: behind RIGHT-TO-LEFT OVERRIDE, up to PDF or the end of the paragraph.
_RUN = re.compile("\u202e[^\u202c\n\r\u0085\u2029]*")


class Rule(Struct, frozen=True):
    """`words` are words and phrases; `censor` replaces them by `*`, `reject` refuses the text."""

    id: str
    words: tuple[str, ...]
    action: Literal["reject", "censor"]


class Policy(Struct, frozen=True):
    """What an entry of `allow` covers, as it is written, is not held against anybody."""

    rules: tuple[Rule, ...]
    allow: tuple[str, ...] = ()


class Moderator:
    """Judges by one policy. Its memory of signs grows up to a limit; not thread-safe."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._look, self._native = Normalizer(look=True), Normalizer(look=False)
        self._rejecting = {rule.id for rule in policy.rules if rule.action == "reject"}
        words = [(rule.id, rule.words) for rule in policy.rules]
        self._banned = Lexicon(words, self._look, self._native)
        self._allowed = Lexicon([("", policy.allow)], self._look, self._native)

    def judge(self, text: str) -> Verdict:
        """Raises nothing, whatever the text; the same text always gets the same verdict."""
        budget = Budget()
        found = self._matches(text, budget)
        if not found:
            return Clean()
        rejecting = [hit for hit in found if hit.rule in self._rejecting]
        if rejecting:
            return Rejected(in_order(rejecting))
        left, more = text, found
        for _ in range(ROUNDS_MAX if len(text) <= LONG else 1):
            if not more or budget.crowded:
                break
            left = cover(left, more)
            more = self._matches(left, budget)
            found += more
        if not more and not budget.crowded:
            return Censored(left, in_order(found))
        everything = Hit(found[-1].rule, 0, len(text), CROWDED)
        return Censored(REPLACEMENT * len(text), (everything,))

    def _matches(self, text: str, budget: Budget) -> list[Hit]:
        banned, context, foreign = self._banned, Context(text), not text.isascii()
        look = self._look.normalize(text)
        found = Search(look, banned.look, budget, context).matches()
        if banned.literals:
            literals = banned.literals_in(self._native.normalize(text))
            found += [Hit(*one, "plain") for one in literals]
        if banned.native and foreign:
            native = self._native.normalize(text)
            found += Search(native, banned.native, budget, context).matches()
        if "\u202e" in text:
            found += self._reversed(text, context, budget)
        if found and foreign and (marks := frozenset(filter(is_mark, set(text)))):
            found = [with_marks(text, one, marks) for one in found]
        if found and self.policy.allow and not budget.crowded:
            allowed = self._allowed_in(text, look)
            found = [one for one in found if allowed.find(0, one.start, one.end) >= 0]
        return found

    def _reversed(self, text: str, context: Context, budget: Budget) -> list[Hit]:
        """In the text as a screen shows it, where it is shown backwards."""
        order = list(range(len(text)))
        for run in _RUN.finditer(text):
            order[run.start() : run.end()] = range(run.end() - 1, run.start() - 1, -1)
        shown = self._look.normalize("".join([text[at] for at in order]))
        found = []
        for one in Search(shown, self._banned.look, budget, context, "reversed").matches():
            places = order[one.start : one.end]
            found.append(Hit(one.rule, min(places), max(places) + 1, one.view))
        return found

    def _allowed_in(self, text: str, look: Normalized) -> bytearray:
        """1 where allowed words stand, as they are written; nowhere, if they are too many."""
        allowed, native, budget = self._allowed, self._native.normalize(text), Budget()
        found = Search(look, allowed.look, budget, None).matches()
        if allowed.native:
            found += Search(native, allowed.native, budget, None).matches()
        if allowed.literals:
            found += [Hit(*one, "") for one in allowed.literals_in(native)]
        kept = bytearray(len(text))
        for one in () if budget.crowded else found:
            kept[one.start : one.end] = b"\1" * (one.end - one.start)
        return kept


def with_marks(text: str, one: Hit, marks: frozenset[str]) -> Hit:
    """With the marks that are drawn onto its last sign."""
    end = one.end
    while end < len(text) and text[end] in marks:
        end += 1
    return one if end == one.end else Hit(one.rule, one.start, end, one.view)


def in_order(found: list[Hit]) -> tuple[Hit, ...]:
    """In the order of the text, each once: in the first view that shows it."""
    first = {(hit.start, hit.end, hit.rule): hit for hit in reversed(found)}
    return tuple([first[key] for key in sorted(first)])


def cover(text: str, found: Iterable[Hit]) -> str:
    """Every code point of every hit replaced."""
    chars = list(text)
    for hit in found:
        chars[hit.start : hit.end] = REPLACEMENT * (hit.end - hit.start)
    return "".join(chars)
