"""Verdicts are the results of moderating one text: clean, censored or rejected, with the places
where rules matched.
"""

from typing import final

from msgspec import Struct


class Hit(Struct, frozen=True, gc=False):
    """A rule matched the text at [start, end), in code points of the original.

    `view` names the disguise that had to be undone to read the word: see
    `domain.moderation.validation`.
    """

    rule: str
    start: int
    end: int
    view: str


@final
class Clean(Struct, frozen=True, gc=False):
    """No rule matches: the text is published unchanged."""


@final
class Censored(Struct, frozen=True, gc=False):
    """The text may be published in this form: every code point of every hit is replaced."""

    text: str
    hits: tuple[Hit, ...]


@final
class Rejected(Struct, frozen=True, gc=False):
    """The text may not be published. The hits are those of the rejecting rules."""

    hits: tuple[Hit, ...]


Verdict = Clean | Censored | Rejected


def rules_of(hits: tuple[Hit, ...]) -> tuple[str, ...]:
    """The names of the rules that matched, each once, in the order of the text."""
    return tuple(dict.fromkeys(hit.rule for hit in hits))
