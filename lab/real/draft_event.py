"""Drafts: events of a trace before their order is known."""

from msgspec import Struct

from lab.trace.kinds import Data
from lab.trace.trace import MsgId


def name_of(dot: str, stamp_ms: int, stamp_counter: int) -> str:
    """What stands for a ref that is not known yet: the branches of a fork share a dot only."""
    return f"{dot}@{stamp_ms}.{stamp_counter}"


class Draft(Struct, eq=False):
    """Mutable. An event of a trace, whose cause is another draft, and `seq` is given last."""

    t_ns: int
    node: str
    inc: int
    data: Data
    cause: "Draft | None" = None
    msg_id: MsgId | None = None
    peer: str | None = None
    size: int | None = None
    seq: int = -1


class DraftLog:
    """What the driver did and saw. `add` may be called from any thread. Mutable."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []

    def add(self, t_ns: int, node: str, data: Data, cause: Draft | None = None) -> Draft:
        draft = Draft(t_ns, node, 0, data, cause)
        self.drafts.append(draft)
        return draft
