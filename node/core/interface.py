"""The interface of a replica, as values: what goes in (`Input`) and what comes out (`Outbox`).

Whoever drives a replica steps any number of inputs and drains once, which batches syncs, packets
and publications. The fields of an Outbox stand in the order in which they must be executed. Times
are milliseconds: `now_ms` is monotonic, `wall_ms` since 1970.
"""

from typing import Literal, final

from msgspec import Struct, field

from domain.arrival import Arrival
from domain.commands import Command
from domain.dot import Dot
from gossip.packets import Packet
from node.core.ports import AckLevel, Note, Record

# --- in ---------------------------------------------------------------------------------------


@final
class Tick(Struct, frozen=True, gc=False):
    """Time passes. `now_ms` is monotonic and drives timers; `wall_ms` is a label and feeds HLC."""

    now_ms: int
    wall_ms: int


@final
class Received(Struct, frozen=True, gc=False):
    packet: Packet
    size: int  # bytes on the wire
    decoded_us: int = 0  # of processor time that decoding took


@final
class Submit(Struct, frozen=True, gc=False):
    """A participant's command. Exactly one outcome is replied under `ticket`."""

    ticket: int
    command: Command
    ack: AckLevel
    copies: int = 0  # for REPLICATED: how many other nodes
    timeout_ms: int = 5000


@final
class Persisted(Struct, frozen=True, gc=False):
    """Journal records 1..written survive kill -9; records 1..durable survive power loss."""

    written: int
    durable: int


@final
class PersistFailed(Struct, frozen=True, gc=False):
    """The records after `kept` that were handed out are not in the journal and never will be.

    `final`: the journal accepts nothing more until the process restarts (a failed fsync).
    """

    kept: int
    code: Literal["disk_full", "storage_error"]
    reason: str
    final: bool


Input = Tick | Received | Submit | Persisted | PersistFailed

# --- out --------------------------------------------------------------------------------------


@final
class Acked(Struct, frozen=True, gc=False):
    dot: Dot
    level: AckLevel
    copies: int
    text: str
    rules: tuple[str, ...]  # not empty: moderation censored the text by these rules


@final
class Denied(Struct, frozen=True, gc=False):
    """Refused by a rule: nothing was emitted."""

    by: Literal["moderation", "domain"]
    reason: str
    rules: tuple[str, ...]


@final
class Unmet(Struct, frozen=True, gc=False):
    """The promise asked for was not reached. With a dot the event exists here all the same."""

    code: Literal["busy", "storage_error", "disk_full", "ack_timeout"]
    reason: str
    dot: Dot | None = None


Outcome = Acked | Denied | Unmet


class Outbox(Struct, gc=False):
    """What a drain hands over. FIELD ORDER IS EXECUTION ORDER.

    Nothing in `send`, `publish` or `reply` speaks of an own event that is not yet as safe as the
    node's durability promises: such an event is held inside the replica until `Persisted`.
    """

    persist: list[Record] = field(default_factory=list)  # 1 append; one fsync for all
    send: list[tuple[str, Packet]] = field(default_factory=list)  # 2 to peers, by name
    publish: list[tuple[int, Arrival]] = field(default_factory=list)  # 3 numbered, to observers
    reply: list[tuple[int, Outcome]] = field(default_factory=list)  # 4 answers to Submit
    note: list[Note] = field(default_factory=list)  # 5 structured log lines
