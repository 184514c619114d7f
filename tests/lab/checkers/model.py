"""The model behind histories: nodes and events as a `Book` knows them."""

from hashlib import blake2b
from typing import Any

from msgspec import Struct

from lab.trace import kinds
from lab.trace.trace import dot_of


def print_of(things: object) -> str:
    return blake2b(repr(things).encode(), digest_size=8).hexdigest()


class Posted(Struct):
    """An event of the chat, as the model knows it."""

    ref: str
    facts: kinds.Facts
    size: int

    @property
    def key(self) -> tuple[int, int, str]:
        return (self.facts.stamp_ms, self.facts.stamp_counter, self.ref)


class Node(Struct):
    """Of the model. `records` are on the disk or on their way, `arrivals` are shown."""

    name: str
    inc: int = 0
    lives: int = 0
    up: bool = False
    records: list[str] = []
    durable: int = 0
    shown: int = 0  # records of which people know
    arrivals: list[str] = []
    log: str = ""
    seq: int = 0
    stamp: tuple[int, int] = (0, 0)
    offset_ms: int = 0
    waiting: dict[int, str] = {}  # ops by what they wait for
    promised: dict[int, str] = {}  # ops that are safe here, and wait for another disk
    heads: list[str] = []
    news_us: int = -1
    first: list[str] = []  # records at the start of the first life
    disk: Any = "new"
    flipped: bool = False
    hole: tuple[int, str] | None = None  # after so many records: what was flipped there


def causes_of(posted: Posted) -> list[str]:
    log, _, seq = dot_of(posted.ref).rpartition(":")
    before = [] if seq == "1" else [f"{log}:{int(seq) - 1}"]
    return [*posted.facts.parents, *before]
