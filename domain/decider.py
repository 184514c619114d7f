"""The decider turns a command into an event, or refuses it. It is a pure function and changes
nothing.

`decide` raises no exception, whatever the text: a refusal is a value, `Refused`, with one line of
text for the user. The effect of an accepted event on what a node shows is computed by the
projections (`apply`). Events of other nodes never pass through here, because they are facts and
cannot be refused.

The rules. A message has visible text and stays within its size limits. An author's name can be
shown on one line, and moderation accepts it. A participant who is known to have joined cannot join
again, nor leave twice. What this node does not know is no reason to refuse: the participant may
have joined at another node.
"""

import unicodedata
from typing import Protocol, assert_never, final

from msgspec import Struct

from domain.clock import Stamp
from domain.commands import Command, Join, Leave, PostMessage
from domain.dot import Dot
from domain.events import (
    AUTHOR_BYTES_MAX,
    RULES_MAX,
    TEXT_BYTES_MAX,
    Event,
    MessagePosted,
    ParticipantJoined,
    ParticipantLeft,
)
from domain.presence import PresenceOf
from domain.verdict import Censored, Clean, Rejected, Verdict, rules_of

# Joiners shape the words of some scripts and are part of a name; other format characters are not.
JOINERS = "\u200c\u200d"


class Known(Protocol):
    """The presence of participants: `domain.presence.Presence`, or one with pending events."""

    def of(self, author: str) -> PresenceOf | None: ...


class Context(Struct, frozen=True, gc=False):
    """The header of the event, should there be one."""

    dot: Dot
    stamp: Stamp
    parents: tuple[Dot, ...]


@final
class Refused(Struct, frozen=True):
    reason: str


def decide(
    command: Command,
    verdict: Verdict,
    presence: Known,
    context: Context,
    name: Verdict = Clean(),  # noqa: B008  (a value)
) -> Event | Refused:
    """`verdict` is that of the text of a PostMessage, and Clean() for everything else.

    `name` is that of the author's name. A name is never censored: two censored names would be one
    participant. So a rule of either kind refuses it.
    """
    refused = check_command(command)
    if refused:
        return refused
    if type(name) is not Clean:
        return Refused(f"the author's name is rejected by {', '.join(rules_of(name.hits))}")
    dot, stamp, parents, author = context.dot, context.stamp, context.parents, command.author
    if type(command) is PostMessage:
        if type(verdict) is Clean:
            return MessagePosted(dot, stamp, parents, author, command.text)
        if type(verdict) is Censored:
            refused = _check_text(verdict.text)  # what is put in may take more room
            if refused:
                return Refused(f"once censored, {refused.reason}")
            by = rules_of(verdict.hits)[:RULES_MAX]
            return MessagePosted(
                dot=dot,
                stamp=stamp,
                parents=parents,
                author=author,
                text=verdict.text,
                censored_by=by,
            )
        if type(verdict) is Rejected:
            return Refused(f"rejected by {', '.join(rules_of(verdict.hits))}")
        assert_never(verdict)
    known = presence.of(author)
    if type(command) is Join:
        if known and known.because == "joined":
            return Refused(f"{author} has joined already, see {known.dot}")
        return ParticipantJoined(dot, stamp, parents, author)
    if type(command) is Leave:
        if known and known.because == "left":
            return Refused(f"{author} has left already, see {known.dot}")
        return ParticipantLeft(dot, stamp, parents, author)
    assert_never(command)


def check_command(command: Command) -> Refused | None:
    """The limits alone: what no state could make acceptable."""
    refused = _check_author(command.author)
    if refused is None and type(command) is PostMessage:
        refused = _check_text(command.text)
    return refused


def _check_text(text: str) -> Refused | None:
    if _plain(text) and len(text) <= TEXT_BYTES_MAX:
        return None
    size = _size(text)
    if size is None:
        return Refused("the text is not valid Unicode: it contains a lone surrogate")
    if size > TEXT_BYTES_MAX:
        return Refused(f"the text has {size} bytes, at most {TEXT_BYTES_MAX} are allowed")
    if not any(map(_shows, text)):
        return Refused("the text is empty: it has nothing but white space")
    return None


def _check_author(author: str) -> Refused | None:
    if _plain(author) and len(author) <= AUTHOR_BYTES_MAX and author == author.strip():
        return None
    size = _size(author)
    if size is None:
        return Refused("the author's name is not valid Unicode: it contains a lone surrogate")
    if size > AUTHOR_BYTES_MAX:
        return Refused(
            f"the author's name has {size} bytes, at most {AUTHOR_BYTES_MAX} are allowed"
        )
    if not any(map(_shows, author)):
        return Refused("the author's name is empty")
    if author != author.strip():
        return Refused("the author's name begins or ends with white space")
    for at, char in enumerate(author):
        if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") and char not in JOINERS:
            return Refused(
                f"the author's name has a control character (U+{ord(char):04X}) at position {at}"
            )
    return None


def _plain(text: str) -> bool:
    """Whether it is printable ASCII with a visible character: the fast path of most texts."""
    return text.isascii() and text.isprintable() and not text.isspace() and text != ""


def _size(text: str) -> int | None:
    """Bytes in UTF-8; None if there is no such thing."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return None


def _shows(char: str) -> bool:
    """Whether the character is visible: no white space, no control and no format character."""
    return unicodedata.category(char) not in ("Cc", "Cf", "Zs", "Zl", "Zp")
