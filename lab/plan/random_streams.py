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


class RandomStreams:
    """All streams that one run draws from. Mutable: `reseed` gives each of them another future.

    It keeps every stream that it made, one for each life of a node and each fault, so that those
    who hold a stream, or a method of one, draw from the new seed without being told.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._reseeded = False
        self._made: list[tuple[str, Random]] = []

    def stream(self, label: str) -> Random:
        return self.add(label, stream(self.seed, label))

    def seeded(self, label: str) -> tuple[int, Random]:
        """A stream, and the seed that makes it again as long as nothing reseeds it."""
        return seed_of(self.seed, label), self.stream(label)

    def add(self, label: str, made: Random) -> Random:
        """Takes in a stream that was seeded in another way. Returns it."""
        self._made.append((label, made))
        if self._reseeded:
            made.seed(seed_of(self.seed, label))
        return made

    def reseed(self, seed: int) -> None:
        """From now on all draws, also those of streams not made yet, depend on this seed."""
        self.seed = seed
        self._reseeded = True
        for label, made in self._made:
            made.seed(seed_of(seed, label))
