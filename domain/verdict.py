"""Verdicts: what moderation says of one text, and where its rules met it."""

from typing import final

from msgspec import Struct


class Hit(Struct, frozen=True, gc=False):
    """A rule met the text at [start, end), in code points of the original; `view` says how.

    The view is what had to be undone to read the word: see `domain.moderation.validation`.
    """

    rule: str
    start: int
    end: int
    view: str


@final
class Clean(Struct, frozen=True, gc=False):
    """No rule has anything against it: the text goes out as it is."""


@final
class Censored(Struct, frozen=True, gc=False):
    """The text may go out in this form: every code point of every hit is replaced."""

    text: str
    hits: tuple[Hit, ...]


@final
class Rejected(Struct, frozen=True, gc=False):
    """The text may not go out at all. The hits are those of the rejecting rules."""

    hits: tuple[Hit, ...]


Verdict = Clean | Censored | Rejected


def rules_of(hits: tuple[Hit, ...]) -> tuple[str, ...]:
    """The rules that were met, each once, in the order of the text."""
    return tuple(dict.fromkeys(hit.rule for hit in hits))
