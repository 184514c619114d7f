"""Commands are what a participant asks a node to do: post a message, join, leave. `domain.decider`
accepts a command as an event, or refuses it.
"""

from typing import final

from msgspec import Struct


@final
class PostMessage(Struct, frozen=True, gc=False):
    author: str
    text: str


@final
class Join(Struct, frozen=True, gc=False):
    author: str


@final
class Leave(Struct, frozen=True, gc=False):
    author: str


Command = PostMessage | Join | Leave
