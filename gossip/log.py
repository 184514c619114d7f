"""What one node holds of one log: positions, the head of the chain, and whether it is forked.

In order arrival is the fast path: one comparison of links, one sum. Out of order, `_loose` keeps
the links of entries above the prefix until the prefix reaches them, so that each link is checked
exactly once.
"""

from collections.abc import Iterable

from domain.dot import LogId
from domain.seqset import SeqSet
from gossip.entry import GENESIS, TAG_BYTES, Entry
from gossip.packets import Line

_TAG_MASK = (1 << 8 * TAG_BYTES) - 1


class Log:
    """One log's share of the frontier. Only `Frontier` changes it."""

    __slots__ = (
        "_above",
        "_loose",
        "begun",
        "claimed",
        "count",
        "disputed",
        "forked",
        "head",
        "held",
        "id",
        "link",
        "named",
        "probed",
        "rivals",
        "told",
        "total",
    )

    def __init__(self, log: LogId) -> None:
        self.id = log
        self.held = SeqSet()
        self.head = b""  # tag of the entry at the prefix
        self.link = GENESIS  # what the entry after the prefix must carry as prev
        self.forked = False  # two histories, proved by entries held here
        self.disputed = False  # a peer's head does not fit ours: name entries until it is settled
        self.claimed = 0  # the largest seq that a peer said it holds, since the last agreement
        self.rivals: dict[int, dict[bytes, Entry]] = {}
        self.named = 1  # where the next window of named entries begins
        self.probed = 0  # where looking for what a peer did not name stopped, 0: nowhere
        self.told: Line | None = None  # the last line, as long as it is true
        self.total = 0  # the sum of the hashes of all entries held, rivals too
        self.count = 0  # of these entries
        self.begun = 0  # the larger, the later this log was begun here
        self._above = 0  # sum of the tags above the prefix
        self._loose: dict[int, tuple[bytes, bytes]] = {}  # seq -> (prev, link), above the prefix

    @property
    def prefix(self) -> int:
        return self.held.prefix

    @property
    def above(self) -> bytes:
        """Vouches for what is held above the prefix, where no chain does yet."""
        if not self._loose:
            return b""
        return (self._above & _TAG_MASK).to_bytes(TAG_BYTES, "big")

    @property
    def missing(self) -> int:
        """How many positions are known to exist and not held."""
        return max(self.held.last, self.claimed) - len(self.held)

    def append(self, entry: Entry) -> None:
        """Take a position that was free. Links are checked as soon as both ends are held."""
        self.told = None
        seq = entry.dot.seq
        before = self.held.prefix
        self.held.add(seq)
        if seq != before + 1:
            self._loose[seq] = (entry.prev, entry.link)
            self._above += _number(entry.link)
            return
        self.forked |= entry.prev != self.link
        self.link = entry.link
        while self._loose and (above := self._loose.pop(seq + 1, None)) is not None:
            seq += 1
            self.forked |= above[0] != self.link
            self.link = above[1]
            self._above -= _number(self.link)
        self.head = self.link[:TAG_BYTES]

    def settle(self, link: bytes, loose: Iterable[tuple[int, bytes, bytes]]) -> None:
        """After `held` was filled at once: the link of the entry at the prefix, and of each above
        it (seq, prev, link). No link between two entries below the prefix may be wrong.
        """
        self.told = None
        self.link = link
        self.head = link[:TAG_BYTES] if self.prefix else b""
        for seq, prev, own in loose:
            self._loose[seq] = (prev, own)
            self._above += _number(own)


def _number(link: bytes) -> int:
    return int.from_bytes(link[:TAG_BYTES], "big")
