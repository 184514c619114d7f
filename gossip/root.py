"""The root: a short hash that names a set of entries by the sum of their hashes."""

from hashlib import blake2b

from gossip.packets import ROOT_BYTES

_MASK = (1 << 256) - 1


def root_of(total: int, count: int) -> bytes:
    """ROOT_BYTES for `count` entries whose hashes have this sum; only its lowest 256 bits count."""
    image = (total & _MASK).to_bytes(32, "big") + count.to_bytes(8, "big")
    return blake2b(image, digest_size=ROOT_BYTES).digest()
