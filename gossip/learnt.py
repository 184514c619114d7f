"""What an engine takes in, how it learns what that is, and what it counts.

`OpenEntry` tells the engine what it must not know: given a claimed dot and bytes, it returns the
predecessor's link and any value of the caller's, or None if the bytes are not that entry.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

from domain.dot import Dot
from gossip.entry import Entry

Value = TypeVar("Value")
OpenEntry = Callable[[Dot, bytes], tuple[bytes, Value] | None]


COUNTERS = (
    *("rounds_begun", "rounds_same", "rounds_differed", "rounds_missed"),
    *("entries_sent", "entries_new", "entries_duplicate", "entries_rival"),
    *("entries_far", "entries_bad", "strangers"),
)


class Learnt(Struct, Generic[Value], frozen=True, gc=False):
    """An entry that is new here, with what `open_entry` made of it."""

    entry: Entry
    value: Value
    rival: bool  # its position was held with other bytes: a fork
