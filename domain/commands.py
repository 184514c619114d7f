"""Commands: what a participant asks for, in the imperative. A command may be refused."""

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
