"""Streams: one generator of randomness for each concern, all from one seed."""

from hashlib import blake2b
from random import Random


def seed_of(seed: int, label: str) -> int:
    """A seed for the stream of this name; the same on every machine and in every process."""
    key = seed.to_bytes(16, "big", signed=True)
    return int.from_bytes(blake2b(label.encode(), digest_size=8, key=key).digest(), "big")


def stream(seed: int, label: str) -> Random:
    return Random(seed_of(seed, label))
