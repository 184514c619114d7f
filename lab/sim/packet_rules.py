"""Packet rules: the effect of each network fault (`lab.plan.faults`) on a packet, one class for
each fault.

For a packet on a link there is a `Fate`, and every active rule may change it. Each rule draws from
a random stream of its own. Loss, copies, delays and cuts are decided by the table that a real
node's transport uses (`node.network.link_faults`), one table for each sender. The other rules are
faults that no node can apply to its own links.
"""

from random import Random
from typing import Protocol, assert_never

from msgspec import Struct

from lab.plan.faults import Burst, Corrupt, Duplicate, Latency, Loss, Narrow, Reorder
from node.network.link_faults import DELAY_MS_MAX, FaultTable, LinkFault

_SECOND_US = 1_000_000

PacketFault = Loss | Burst | Duplicate | Reorder | Corrupt | Latency | Narrow
PACKET_FAULTS = (Loss, Burst, Duplicate, Reorder, Corrupt, Latency, Narrow)
Pair = tuple[str, str]


class Fate(Struct):
    """What happens to one packet on one link."""

    pair: Pair
    size: int
    now_us: int
    drop: str = ""  # why, "" if it arrives
    extra_us: int = 0
    ready_us: int = 0  # when the link has taken it up; 0: at once
    overtaken: bool = False  # need not keep its place
    copies: list[int] = []  # how much later each comes
    flip: int = -1  # this bit is wrong


class PacketRule(Protocol):
    def meet(self, fate: Fate) -> bool:
        """Whether it did anything to this packet."""
        ...


class TableRule:
    """The faults that a node can apply to its own links, applied to all links."""

    def __init__(self, fault: LinkFault, rng: Random, copy_us: int = 0) -> None:
        self._fault, self._rng, self._copy_us = fault, rng, copy_us
        self._tables: dict[Pair, FaultTable] = {}

    def meet(self, fate: Fate) -> bool:
        table = self._tables.get(fate.pair)
        if table is None:
            _, peer = fate.pair
            table = self._tables[fate.pair] = FaultTable((peer,), self._rng)
            table.set({peer: self._fault})
        delays_ms = table.plan(fate.pair[1])
        if not delays_ms:
            fate.drop = fate.drop or "loss"
            return True
        first_us = round(delays_ms[0] * 1000)
        fate.extra_us += first_us
        for _ in delays_ms[1:]:
            fate.copies.append(self._rng.randrange(self._copy_us + 1))
        return first_us > 0 or len(delays_ms) > 1


class CutRule:
    """Which links lose all packets, each by so many faults. Mutable."""

    def __init__(self) -> None:
        self._by: dict[Pair, int] = {}
        self._tables: dict[str, FaultTable] = {}
        self.any = False

    def block(self, cuts: tuple[Pair, ...], by: int) -> None:
        """One fault more (1), or less (-1), cuts these links."""
        for pair in cuts:
            self._by[pair] = self._by.get(pair, 0) + by
        self.any = any(self._by.values())
        self._tables = {}
        for (source, peer), count in self._by.items():
            table = self._tables.get(source)
            if table is None:
                peers = [to for by, to in self._by if by == source]
                table = self._tables[source] = FaultTable(peers, Random(0))  # draws nothing
            table.change((peer,), blocked=count > 0)

    def lose(self, pair: Pair) -> bool:
        """Whether the next packet on this link is lost."""
        table = self._tables.get(pair[0])
        if table is None or pair not in self._by or table.whole(pair[1]):
            return False
        return not table.plan(pair[1])


class BurstRule:
    def __init__(self, fault: Burst, rng: Random) -> None:
        self._fault, self._rng = fault, rng
        self._bad: set[Pair] = set()

    def meet(self, fate: Fate) -> bool:
        fault, draw = self._fault, self._rng.random
        bad = fate.pair in self._bad
        if draw() < (fault.end if bad else fault.begin):
            bad = not bad
            (self._bad.add if bad else self._bad.discard)(fate.pair)
        if not bad or draw() >= fault.share:
            return False
        fate.drop = fate.drop or "burst"
        return True


class ReorderRule:
    def __init__(self, fault: Reorder, rng: Random) -> None:
        self._fault, self._rng = fault, rng

    def meet(self, fate: Fate) -> bool:
        if self._rng.random() >= self._fault.share:
            return False
        fate.extra_us += self._rng.randrange(self._fault.delay_us + 1)
        fate.overtaken = True
        return True


class CorruptRule:
    def __init__(self, fault: Corrupt, rng: Random) -> None:
        self._fault, self._rng = fault, rng

    def meet(self, fate: Fate) -> bool:
        if self._rng.random() >= self._fault.share:
            return False
        fate.flip = self._rng.randrange(8 * fate.size)
        return True


class NarrowRule:
    def __init__(self, fault: Narrow) -> None:
        self._fault = fault
        self._free_us: dict[Pair, int] = {}

    def meet(self, fate: Fate) -> bool:
        fault = self._fault
        free_us = max(self._free_us.get(fate.pair, 0), fate.now_us)
        queued_bytes = (free_us - fate.now_us) * fault.bytes_s // _SECOND_US
        if queued_bytes + fate.size > max(fault.queue_bytes, fate.size):
            fate.drop = fate.drop or "queue"
            return True
        free_us += fate.size * _SECOND_US // fault.bytes_s
        self._free_us[fate.pair] = fate.ready_us = free_us
        return queued_bytes > 0


def rule_of(fault: PacketFault, rng: Random) -> PacketRule:
    if type(fault) is Loss:
        return TableRule(LinkFault(loss=fault.share), rng)
    if type(fault) is Burst:
        return BurstRule(fault, rng)
    if type(fault) is Duplicate:
        return TableRule(LinkFault(duplicate=fault.share), rng, fault.delay_us)
    if type(fault) is Reorder:
        return ReorderRule(fault, rng)
    if type(fault) is Corrupt:
        return CorruptRule(fault, rng)
    if type(fault) is Latency:
        delay_ms = min(fault.add_us / 1000, DELAY_MS_MAX)  # no node does more to its links
        return TableRule(LinkFault(delay_ms=delay_ms), rng)
    if type(fault) is Narrow:
        return NarrowRule(fault)
    assert_never(fault)
