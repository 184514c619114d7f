"""Events are immutable facts of the chat: a message was posted, a participant joined or left. They
are never changed or deleted.

Every event has the same four header fields: its identity (`dot`), its display time (`stamp`), its
`parents` (the newest events of other nodes that its node had received since its own previous
event), and the participant it is about (`author`). An event of a kind that this version does not
know is an `UnknownEvent`: it is kept, relayed and shown as unsupported, never dropped.
"""

from typing import final

from msgspec import Struct

from domain.clock import Stamp
from domain.dot import Dot

# What a new event may hold, and what a decoder accepts of one.
AUTHOR_BYTES_MAX = 64
TEXT_BYTES_MAX = 64 * 1024
PARENTS_MAX = 16
RULES_MAX = 256  # that one event can name


@final
class MessagePosted(Struct, frozen=True, tag="posted", gc=False):
    """`text` is what was emitted; where moderation censored it, `censored_by` names the rules."""

    dot: Dot
    stamp: Stamp
    parents: tuple[Dot, ...]
    author: str
    text: str
    censored_by: tuple[str, ...] = ()


@final
class ParticipantJoined(Struct, frozen=True, tag="joined", gc=False):
    dot: Dot
    stamp: Stamp
    parents: tuple[Dot, ...]
    author: str


@final
class ParticipantLeft(Struct, frozen=True, tag="left", gc=False):
    dot: Dot
    stamp: Stamp
    parents: tuple[Dot, ...]
    author: str


@final
class UnknownEvent(Struct, frozen=True, tag="unknown", gc=False):
    """An event whose kind came from a newer version; `kind` is its field number on disk."""

    dot: Dot
    stamp: Stamp
    parents: tuple[Dot, ...]
    author: str
    kind: int


Event = MessagePosted | ParticipantJoined | ParticipantLeft | UnknownEvent
