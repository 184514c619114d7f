"""An entry: one event as gossip sees it, a dot with hash-chained opaque bytes.

`hash` is BLAKE2b-256 of `data`. `data` carries, somewhere inside, the first 16 bytes of the hash
of its predecessor in the same log (`prev`); whoever decodes `data` hands `prev` over. Gossip never
looks into `data`.
"""

from hashlib import blake2b

from msgspec import Struct

from domain.arrival import TAG_BYTES
from domain.dot import Dot

HASH_BYTES = 32
PREV_BYTES = 16
GENESIS = bytes(PREV_BYTES)  # the predecessor of seq 1


def hash_of(data: bytes) -> bytes:
    return blake2b(data, digest_size=HASH_BYTES).digest()


class Entry(Struct, frozen=True, gc=False):
    dot: Dot
    prev: bytes  # PREV_BYTES
    hash: bytes  # HASH_BYTES
    data: bytes

    @property
    def chain_hash(self) -> bytes:
        """What the next entry of this log must carry as its `prev`."""
        return self.hash[:PREV_BYTES]

    @property
    def tag(self) -> bytes:
        """A short name for these bytes, enough to tell the branches of a fork apart."""
        return self.hash[:TAG_BYTES]
