"""What one node holds of one log: positions, the head of the chain, and whether it is forked.

In order arrival is the fast path: one comparison of chain hashes, one sum. Out of order, each range
above the prefix keeps the chain hashes at its two ends until it meets the prefix or another range:
so each is compared exactly once, and memory follows the ranges and not the entries in them.
"""

from array import array
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from domain.arrival import TAG_BYTES
from domain.dot import LogId
from domain.seqset import SeqSet
from gossip.entry import GENESIS, Entry
from gossip.naming import Naming
from gossip.packets import Line

_TAG_MASK = (1 << 8 * TAG_BYTES) - 1


class Span(NamedTuple):
    """What is to be remembered of one range above the prefix."""

    prev: bytes  # of its first entry
    chain_hash: bytes  # of its last one
    total: int  # the sum of its tags


class Part(NamedTuple):
    """The ranges above the prefix that one line tells, and the positions it tells all of."""

    ranges: list[tuple[int, int]]
    first: int
    last: int  # 0: to the end
    above: bytes  # vouches for these ranges


class Log:
    """One log's share of the frontier. Only `Frontier` changes it."""

    __slots__ = (
        "_above",
        "_disputed",
        "_forked",
        "_naming",
        "_spans",
        "begun",
        "chain_hash",
        "claimed",
        "count",
        "head",
        "held",
        "id",
        "last_line",
        "named",
        "probed",
        "rivals",
        "tagged",
        "tags",
        "total",
    )

    def __init__(self, log: LogId, naming: Naming) -> None:
        self.id = log
        self.held = SeqSet()
        self.head = b""  # tag of the entry at the prefix
        self.chain_hash = GENESIS  # what the entry after the prefix must carry as prev
        self._naming = naming
        self._forked = False
        self._disputed = False
        self.tagged = False  # forked or disputed: entries are named by tag
        # Of the entries first seen at 1, 2 .., as far as it goes; 0: unknown. Its bytes are tags.
        self.tags = array("Q")
        self.claimed = 0  # the largest seq that a peer said it holds, since the last agreement
        self.rivals: dict[int, dict[bytes, Entry]] = {}
        self.named = 1  # where the next window of named entries begins
        self.probed = 0  # where looking for what a peer did not name stopped, 0: nowhere
        self.last_line: Line | None = None  # the last line, as long as it is true
        self.total = 0  # the sum of the hashes of all entries held, rivals too
        self.count = 0  # of these entries
        self.begun = 0  # the larger, the later this log was begun here
        self._above = 0  # sum of the tags above the prefix
        self._spans: dict[int, Span] = {}  # by first position: the ranges above the prefix

    @property
    def forked(self) -> bool:
        """Two histories, proved by entries held here."""
        return self._forked

    @forked.setter
    def forked(self, value: bool) -> None:
        self._forked = value
        self._mark()

    @property
    def disputed(self) -> bool:
        """A peer's head does not fit ours: entries are named until it is settled."""
        return self._disputed

    @disputed.setter
    def disputed(self, value: bool) -> None:
        self._disputed = value
        self._mark()

    def _mark(self) -> None:
        self.tagged = self._forked or self._disputed
        if not self.tagged:
            self.tags = array("Q")
        self._naming.mark(self.id, named=self.tagged)

    def tag(self, seq: int) -> bytes:
        """Of the entry first seen at this position; empty if it is not at hand."""
        if seq > len(self.tags) or not self.tags[seq - 1]:
            return b""
        return self.tags[seq - 1 : seq].tobytes()

    def tags_from(self, first: int, last: int) -> "array[int]":
        """Those from first to last, as far as they are at hand, up to one that is not."""
        run = self.tags[first - 1 : last]
        with suppress(ValueError):  # all are
            del run[run.index(0) :]
        return run

    def keep_tag(self, seq: int, tag: bytes) -> None:
        """Keep it at hand, where it will be asked for again: 8 bytes for each position up to it."""
        if self.tagged and seq <= self.held.prefix:
            if seq > len(self.tags):
                self.tags.frombytes(bytes(self.tags.itemsize * (seq - len(self.tags))))
            self.tags[seq - 1] = numbers_of(tag)[0]

    def forget_tag(self, seq: int) -> None:
        """Another entry stands there now."""
        if seq <= len(self.tags):
            self.tags[seq - 1] = 0

    @property
    def prefix(self) -> int:
        return self.held.prefix

    @property
    def above(self) -> bytes:
        """Vouches for what is held above the prefix, where no chain does yet."""
        return _bytes_of(self._above) if self._spans else b""

    @property
    def missing(self) -> int:
        """How many positions are known to exist and not held."""
        return max(self.held.last, self.claimed) - len(self.held)

    def append(self, entry: Entry) -> None:
        """Take a position that was free. Links are checked as soon as both ends are held."""
        self.last_line = None
        seq = entry.dot.seq
        in_order = seq == self.held.prefix + 1
        self.held.add(seq)
        after = self._spans.pop(seq + 1, None) if self._spans else None
        if in_order and after is None:
            self._follow(entry.prev, entry.chain_hash)
            return
        number = _number(entry.chain_hash)
        span = Span(entry.prev, entry.chain_hash, number)
        if after is not None:
            span = self._joined(span, after)
        if not in_order:
            self._above += number
            self._keep(seq, span)
            return
        self._above -= span.total - number
        self._follow(span.prev, span.chain_hash)

    def _follow(self, prev: bytes, chain_hash: bytes) -> None:
        """The prefix goes on with what has this predecessor, up to what has this chain hash."""
        if prev != self.chain_hash:
            self.forked = True
        self.chain_hash = chain_hash
        self.head = chain_hash[:TAG_BYTES]
        if self.tagged:  # it will be asked for, and need not be read for that
            self.keep_tag(self.held.prefix, self.head)

    def _keep(self, seq: int, span: Span) -> None:
        """This span begins at `seq`, or goes on there a range that is kept already."""
        first, _ = self.held.range_of(seq)
        if first != seq:
            span = self._joined(self._spans[first], span)
        self._spans[first] = span

    def _joined(self, before: Span, after: Span) -> Span:
        if before.chain_hash != after.prev:
            self.forked = True
        return Span(before.prev, after.chain_hash, before.total + after.total)

    def part(self, turn: int, ranges_max: int) -> Part:
        """All ranges if they are so few, else a share of them; as many turns tell all of them."""
        count = self.held.parts
        if count <= ranges_max:
            return Part(self.held.above_prefix(), 1, 0, self.above)
        begin = turn % -(-count // ranges_max) * ranges_max
        ranges = self.held.above_prefix(begin, begin + ranges_max)
        following = self.held.above_prefix(begin + ranges_max, begin + ranges_max + 1)
        first = ranges[0][0] if begin else 1
        last = following[0][0] - 1 if following else 0
        return Part(ranges, first, last, self.above_of(ranges) or b"")

    def above_of(self, ranges: Iterable[tuple[int, int]]) -> bytes | None:
        """What vouches for these ranges; None if they are not just so held above the prefix."""
        total = 0
        for first, last in ranges:
            span = self._spans.get(first)
            if span is None or self.held.range_of(first)[1] != last:
                return None
            total += span.total
        return _bytes_of(total)

    def settle(self, chain_hash: bytes, loose: Iterable[tuple[int, bytes, bytes]]) -> None:
        """After `held` was filled at once: the chain hash at the prefix, and of each entry above it
        (seq, prev, chain hash), ascending. The chain below the prefix must be whole.
        """
        self.last_line = None
        self.chain_hash = chain_hash
        self.head = chain_hash[:TAG_BYTES] if self.prefix else b""
        for seq, prev, own in loose:
            self._keep(seq, Span(prev, own, _number(own)))
            self._above += _number(own)


def numbers_of(tags: bytes) -> "array[int]":
    """Tags, one after the other, as the numbers by which a log keeps them."""
    return array("Q", tags)


def _bytes_of(total: int) -> bytes:
    return (total & _TAG_MASK).to_bytes(TAG_BYTES, "big")


def _number(chain_hash: bytes) -> int:
    return int.from_bytes(chain_hash[:TAG_BYTES], "big")
