"""Test data for drills: logs of entries that are chained by hash, with or without forks.

`root_of_all` computes the root of a set of entries by its definition, for comparison. An entry
here carries no real event: `opened` stands for the codec of a node.
"""

from hashlib import blake2b
from random import Random

from domain.dot import Dot
from gossip.entry import GENESIS, PREV_BYTES, Entry, hash_of

BRANCHES = "bc"


def chain(dot: Dot, count: int, prev: bytes = GENESIS, branch: str = "") -> list[Entry]:
    """`count` entries of one log, from the position `dot` on."""
    made: list[Entry] = []
    for seq in range(dot.seq, dot.seq + count):
        here = Dot(dot.origin, dot.epoch, seq)
        data = prev + f"{here}{branch}".encode()
        made.append(Entry(here, prev, hash_of(data), data))
        prev = made[-1].chain_hash
    return made


def opened(dot: Dot, data: bytes) -> tuple[bytes, str] | None:
    """Stands for the codec of a node: checks and opens the bytes of an entry at `dot`."""
    claimed = data[PREV_BYTES:].decode("ascii", "replace").rstrip(BRANCHES)
    return (data[:PREV_BYTES], claimed) if claimed == str(dot) else None


def logs_of(rng: Random, origin: str, logs: int, longest: int, forks: int = 0) -> list[Entry]:
    """The entries of `logs` logs of one origin. A log has no fork or up to `forks` of them."""
    made: list[Entry] = []
    for epoch in sorted(rng.sample(range(1, 40 * logs), logs)):
        trunk = chain(Dot(origin, epoch, 1), rng.randint(1, longest))
        made += trunk
        for branch in BRANCHES[: forks if rng.random() < 0.7 else 0]:
            at = rng.randint(0, len(trunk))
            prev = trunk[at - 1].chain_hash if at else GENESIS
            made += chain(Dot(origin, epoch, at + 1), rng.randint(1, 3), prev, branch)
    return made


def root_of_all(entries: set[bytes]) -> bytes:
    """The root of these entries, by its definition."""
    total = sum(int.from_bytes(blake2b(one, digest_size=32).digest(), "big") for one in entries)
    image = (total % (1 << 256)).to_bytes(32, "big") + len(entries).to_bytes(8, "big")
    return blake2b(image, digest_size=16).digest()
