"""Random streams: independent generators derived from one seed, one for each named concern. An
additional draw from one stream does not change what the others give.
"""

from hashlib import blake2b
from random import Random


def seed_of(seed: int, label: str) -> int:
    """A seed for the stream of this name; the same on every machine and in every process."""
    key = seed.to_bytes(16, "big", signed=True)
    return int.from_bytes(blake2b(label.encode(), digest_size=8, key=key).digest(), "big")


def stream(seed: int, label: str) -> Random:
    return Random(seed_of(seed, label))
