"""The trace records what happened in a run, in one schema for the simulator and for real clusters.

**How a checker consumes it.** A checker is given a `Trace`, or any iterable of `Event`, in order:

    from lab.trace.kinds import Crash, Visible
    from lab.trace.trace import Event, dot_of

    def check(trace: Iterable[Event]) -> ...:
        for event in trace:
            data = event.data
            if type(data) is Visible:
                seen[event.node].append(data.ref)
            elif type(data) is Crash:
                ...

Every event has the same header (when, where, caused by what) and one `data` value, whose class says
what happened. The closed table of classes is `lab.trace.kinds`; docs/trace.md explains each.
Checkers never read JSON: `lab.trace.file` makes the same events from a file, and writes one.

Rules
- `seq` is the position in the trace, from 0. `cause` is the `seq` of what led to this one.
- `t_us` is the observer's time: true time in the simulator, one host's clock in a real cluster. It
  never goes back. What a node believes about time is in `wall_ms` fields.
- An event of the chat is named by a `ref`, `n1.5eed:12#0123456789abcdef`: its dot, and the head of
  the hash of its exact bytes. `dot_of` and `tag_of` take it apart. Two refs with one dot: a fork.
- A packet is named by (sender, incarnation, number). One packet goes to several peers under one
  name, so a transmission is named by its `Sent` event, and `cause` of `Got` and `Dropped` is that.
- Everything is a frozen value. An event never changes after it was recorded, and observers never
  change what is recorded.

**The hash.** An event is encoded canonically (MessagePack, fields by position); the trace's hash is
BLAKE2b over all encodings in order. Line i of a file carries the hash of events 0..i, so each line
vouches for all before it, and the last line's is the trace's. It is computed when asked for.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b

import msgspec
from msgspec import Struct

from lab.trace.kinds import Data

HASH_BYTES = 16
_CHUNK = 8192  # events encoded at once, fewer than 65,536: see `_head_bytes`

MsgId = tuple[str, int, int]  # sender, incarnation, number

_encoder = msgspec.msgpack.Encoder(order="deterministic")


class Event(Struct, frozen=True, array_like=True, gc=False):
    t_us: int
    seq: int
    node: str  # "" for the run itself
    inc: int  # the life of the node, by its journal; 0: none
    data: Data
    cause: int | None = None
    msg_id: MsgId | None = None
    peer: str | None = None
    bytes: int | None = None

    @property
    def kind(self) -> str:
        return str(self.data.__struct_config__.tag)


Observer = Callable[[Event], None]


def dot_of(ref: str) -> str:
    return ref.partition("#")[0]


def tag_of(ref: str) -> str:
    return ref.partition("#")[2]


def log_opened(name: str) -> str:
    """The log that a record opens whose name is `epoch n1.5eed`; "" if the name is a ref."""
    return name.removeprefix("epoch ") if name.startswith("epoch ") else ""


def origin_of(ref: str) -> str:
    return ref.partition(".")[0]


class Trace:
    """A list of events that can be added to, iterated, hashed, and looked at while it grows."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self.events: list[Event] = []
        self.observers = tuple(observers)
        self._digest = blake2b(digest_size=HASH_BYTES)
        self._hashed = 0

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    def add(
        self,
        t_us: int,
        node: str,
        inc: int,
        data: Data,
        cause: int | None = None,
        msg_id: MsgId | None = None,
        peer: str | None = None,
        size: int | None = None,
    ) -> int:
        """Record an event; returns its `seq`."""
        seq = len(self.events)
        event = Event(
            t_us=t_us,
            seq=seq,
            node=node,
            inc=inc,
            data=data,
            cause=cause,
            msg_id=msg_id,
            peer=peer,
            bytes=size,
        )
        self.events.append(event)
        if self.observers:
            for observe in self.observers:
                observe(event)
        return seq

    @property
    def hash(self) -> str:
        """The hash of all events so far."""
        while self._hashed < len(self.events):
            chunk = self.events[self._hashed : self._hashed + _CHUNK]
            array = _encoder.encode(chunk)  # a head, and then each event as it is alone
            self._digest.update(memoryview(array)[_head_bytes(len(chunk)) :])
            self._hashed += len(chunk)
        return self._digest.hexdigest()


def _head_bytes(length: int) -> int:
    """Of a MessagePack array of fewer than 65,536."""
    return 1 if length < 16 else 3


def encoded(events: Iterable[Event]) -> bytearray:
    """The canonical encodings of these events, in order. The hash is computed over them."""
    buffer = bytearray()
    for event in events:
        _encoder.encode_into(event, buffer, -1)
    return buffer
