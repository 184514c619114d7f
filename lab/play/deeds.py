"""Deeds: what a person may do to a run, as values. They are checked before anything happens.

    {"do": "ask", "node": "n1", "action": "post", "author": "ana", "text": "hello"}
    {"do": "inflict", "fault": {"what": "kill", "node": "n2", "how": "power"}}
    {"do": "end", "faults": [3]}

A fault is one of `lab.plan.faults`, with the same fields.
"""

from typing import Annotated, Literal, final

from msgspec import Meta, Struct

from lab.plan.faults import Fault, Hold, Partition

TEXT_CHARS_MAX = 16_000
AUTHOR_CHARS_MAX = 100
HOUR_US = 3_600_000_000
# What a number of a fault may be, by the name of its field: from, to.
_BOUNDS: dict[str, tuple[float, float]] = {
    "share": (0, 1),
    "begin": (0, 1),
    "end": (0, 1),
    "delay_us": (0, HOUR_US),
    "add_us": (0, HOUR_US),
    "down_us": (0, HOUR_US),
    "by_ms": (-86_400_000, 86_400_000),
    "ppm": (-100_000, 100_000),
    "bytes_s": (1, 1 << 30),
    "queue_bytes": (0, 1 << 30),
    "room_bytes": (0, 1 << 30),
    "flips": (0, 1000),
    "sectors": (0, 1000),
    "times": (1, 1000),
}


class PlayError(ValueError):
    """It cannot be done. The text is one clear line."""


@final
class Ask(Struct, frozen=True, tag_field="do", tag="ask", forbid_unknown_fields=True):
    """A request of a client to a node."""

    node: str
    action: Literal["post", "join", "leave", "read"] = "post"
    author: Annotated[str, Meta(min_length=1, max_length=AUTHOR_CHARS_MAX)] = "you"
    text: Annotated[str, Meta(max_length=TEXT_CHARS_MAX)] = ""


@final
class Inflict(Struct, frozen=True, tag_field="do", tag="inflict", forbid_unknown_fields=True):
    """Something goes wrong from now on, until it is ended."""

    fault: Fault


@final
class End(Struct, frozen=True, tag_field="do", tag="end", forbid_unknown_fields=True):
    """Faults that last end, by their numbers: a killed node starts, a cut link is whole again."""

    faults: Annotated[tuple[int, ...], Meta(min_length=1, max_length=1000)]


Deed = Ask | Inflict | End


def check_fault(fault: Fault, nodes: tuple[str, ...]) -> None:
    """Raises PlayError for a node that there is not, or a number that makes no sense."""
    for name in fault.__struct_fields__:
        low, high = _BOUNDS.get(name, (None, None))
        value = getattr(fault, name)
        if low is not None and high is not None and not low <= value <= high:
            raise PlayError(f"{name} {value} is not from {low} to {high}")
    node = getattr(fault, "node", None)
    if node is not None:
        check_node(node, nodes)
    if isinstance(fault, Hold | Partition):
        if not 0 < len(fault.cuts) <= len(nodes) ** 2:
            raise PlayError("expected one link at least, and each once at most")
        for source, to in fault.cuts:
            check_node(source, nodes)
            check_node(to, nodes)
            if source == to:
                raise PlayError(f"{source} has no link to itself")


def check_node(name: str, nodes: tuple[str, ...]) -> None:
    if name not in nodes:
        raise PlayError(f"no node {name[:40]!r}: there are {', '.join(nodes[:20])}")
