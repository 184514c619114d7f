"""The codec that all nodes of a world share. It decodes each event once, and knows the refs by
which the trace names events.

Decoding is a pure function of the bytes. So the first call uses the real codec, and later calls get
the same frozen value. No node gets the object that was encoded: what the bytes decode to must equal
it, and this is asserted. The nodes share nothing else.
"""

from msgspec import Struct

from domain.arrival import TAG_BYTES, Arrival
from domain.events import Event
from gossip.entry import hash_of
from lab.trace.kinds import Facts
from lab.view.facts import facts_of
from node.core.ports import Decoded, EpochRecord, Record
from node.storage.codec import ProtobufCodec


class Named(Struct, frozen=True, gc=False):
    """An event as the trace speaks of it."""

    ref: str
    facts: Facts


class NamingCodec:
    """Implements `node.core.ports.EventCodec`. Mutable."""

    __slots__ = ("_codec", "_decoded", "_named", "_refs")

    def __init__(self) -> None:
        self._codec = ProtobufCodec()
        self._decoded: dict[bytes, Decoded] = {}
        self._named: dict[bytes, Named] = {}
        self._refs: dict[bytes, str] = {}  # by tag

    # --- the codec ------------------------------------------------------------------------------

    def encode(self, event: Event, prev: bytes) -> bytes:
        data = self._codec.encode(event, prev)
        assert self.decode(data) == Decoded(event, prev), "an event is not what its bytes say"
        return data

    def decode(self, data: bytes) -> Decoded:
        found = self._decoded.get(data)
        if found is None:
            found = self._decoded[data] = self._codec.decode(data)
        return found

    # --- names ----------------------------------------------------------------------------------

    def named(self, data: bytes) -> Named:
        found = self._named.get(data)
        if found is None:
            event = self.decode(data).event
            tag = hash_of(data)[:TAG_BYTES]
            ref = f"{event.dot}#{tag.hex()}"
            found = self._named[data] = Named(ref, facts_of(event))
            self._refs[tag] = ref
        return found

    def ref_of(self, arrival: Arrival) -> str:
        """The ref of an event that some node has encoded or decoded before."""
        return self._refs[arrival.tag]

    def refs_of(self, arrivals: list[Arrival]) -> tuple[str, ...]:
        refs = self._refs
        return tuple([refs[arrival.tag] for arrival in arrivals])

    def record_name(self, record: Record, node: str) -> str:
        """A record of a journal of this node: a ref, or `epoch LOG`."""
        if type(record) is EpochRecord:
            return f"epoch {node}.{record.epoch:x}"
        return self.named(record.data).ref
