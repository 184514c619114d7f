"""Draft events: events of a real run's trace before their order, and so their `seq`, is known."""

from msgspec import Struct

from lab.trace.kinds import Data
from lab.trace.trace import MsgId


def name_of(dot: str, stamp_ms: int, stamp_counter: int) -> str:
    """The placeholder of a ref that is not known yet. Branches of a fork differ in their stamps."""
    return f"{dot}@{stamp_ms}.{stamp_counter}"


class Draft(Struct, eq=False):
    """An event whose cause is another draft. `seq` is set when all drafts are sorted. Mutable."""

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
    """What the driver did and observed. `add` may be called from any thread. Mutable."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []

    def add(self, t_ns: int, node: str, data: Data, cause: Draft | None = None) -> Draft:
        draft = Draft(t_ns, node, 0, data, cause)
        self.drafts.append(draft)
        return draft
