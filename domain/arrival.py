"""An `Arrival` is one event together with how one node received it. Projections apply arrivals in
the order in which the node received them.

The event is the same on every node. `received_at_ms` (Unix milliseconds by this node's wall clock)
and `via` (the way it came) are local, and differ from node to node. `tag` is the first 8 bytes of
the hash of the event's exact bytes: it distinguishes and orders the branches of a fork, which share
one dot.
"""

from typing import Literal

from msgspec import Struct

from domain.events import Event

Via = Literal["local", "rumor", "anti-entropy", "recovery"]

TAG_BYTES = 8


class Arrival(Struct, frozen=True, gc=False):
    event: Event
    tag: bytes  # TAG_BYTES
    received_at_ms: int  # wall clock of the node that received it: a label, never an order
    via: Via
    skewed: bool = False  # its stamp was too far in the future: shown, and not followed

    @property
    def key(self) -> "OrderKey":
        """Display order, the same on every node and consistent with causality (HLC)."""
        stamp, dot = self.event.stamp, self.event.dot
        return (stamp.ms, stamp.counter, dot.origin, dot.epoch, dot.seq, self.tag)


OrderKey = tuple[int, int, str, int, int, bytes]
