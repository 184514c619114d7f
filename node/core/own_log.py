"""The log that this node writes: its epoch, the last dot given out, and the hash to chain on.

The next own event has the next `seq` and carries `chain_hash` as its predecessor. A new epoch
begins another log (`node.core.epochs` decides when).
"""

from domain.dot import Dot, LogId
from gossip.entry import GENESIS, Entry


class OwnLog:
    """Mutable; not thread-safe. A dot given out for an event that was taken back is given again."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.log = LogId(node, 0)  # epoch 0: none opened yet
        self.seq = 0  # of the last own event, also of one that is not visible yet
        self.shown = 0  # of the last one that left this node: nobody else can hold more
        self.chain_hash = GENESIS

    @property
    def epoch(self) -> int:
        return self.log.epoch

    @property
    def next_dot(self) -> Dot:
        epoch = self.log.epoch
        assert epoch, "no epoch is open"
        return Dot(self.node, epoch, self.seq + 1)

    def open(self, epoch: int) -> None:
        """Begin a new log, or go back to one that the journal speaks of."""
        assert epoch > 0
        self.log, self.seq, self.shown, self.chain_hash = LogId(self.node, epoch), 0, 0, GENESIS

    def go_on_after(self, seq: int, chain_hash: bytes) -> None:
        self.seq = self.shown = seq
        self.chain_hash = chain_hash

    def show(self, dot: Dot) -> None:
        """This own event is about to leave the node."""
        if dot.epoch == self.log.epoch and dot.origin == self.node:
            self.shown = dot.seq

    def append(self, entry: Entry) -> None:
        dot = entry.dot
        assert dot.seq == self.seq + 1 and dot.epoch == self.log.epoch and dot.origin == self.node
        assert entry.prev == self.chain_hash
        self.seq, self.chain_hash = dot.seq, entry.chain_hash

    def take_back(self, entry: Entry) -> None:
        """The newest own event never came to be."""
        assert entry.dot.seq == self.seq and entry.chain_hash == self.chain_hash
        self.seq, self.chain_hash = entry.dot.seq - 1, entry.prev
