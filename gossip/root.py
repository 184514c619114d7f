"""The root: ROOT_BYTES that name a set of entries, hashed from the sum and count of their hashes.

The sum is modulo 2^256, so the order of arrival does not matter. Two equal roots mean two equal
sets, up to a hash collision (docs/adr/0006).
"""

from hashlib import blake2b

from gossip.packets import ROOT_BYTES

_MASK = (1 << 256) - 1


def root_of(total: int, count: int) -> bytes:
    """ROOT_BYTES for `count` entries whose hashes have this sum; only its lowest 256 bits count."""
    image = (total & _MASK).to_bytes(32, "big") + count.to_bytes(8, "big")
    return blake2b(image, digest_size=ROOT_BYTES).digest()
