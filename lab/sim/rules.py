"""Rules: what a fault does to each packet while it lasts. One class for each fault of `lab.faults`.

A packet that a link takes up has a `Fate`, and every rule in force may change it. Each rule draws
from a stream of its own.
"""

from random import Random
from typing import Protocol, assert_never

from msgspec import Struct

from lab.faults import Burst, Corrupt, Duplicate, Latency, Loss, Narrow, Reorder

_SECOND_US = 1_000_000

PacketFault = Loss | Burst | Duplicate | Reorder | Corrupt | Latency | Narrow
PACKET_FAULTS = (Loss, Burst, Duplicate, Reorder, Corrupt, Latency, Narrow)
Pair = tuple[str, str]


class Fate(Struct):
    """What becomes of one packet on one link."""

    pair: Pair
    size: int
    now_us: int
    drop: str = ""  # why, "" if it arrives
    extra_us: int = 0
    ready_us: int = 0  # when the link has taken it up; 0: at once
    overtaken: bool = False  # need not keep its place
    copies: list[int] = []  # how much later each comes
    flip: int = -1  # this bit is wrong


class Rule(Protocol):
    def meet(self, fate: Fate) -> bool:
        """Whether it did anything to this packet."""
        ...


class LossRule:
    def __init__(self, fault: Loss, rng: Random) -> None:
        self._fault, self._rng = fault, rng

    def meet(self, fate: Fate) -> bool:
        if self._rng.random() >= self._fault.share:
            return False
        fate.drop = fate.drop or "loss"
        return True


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


class DuplicateRule:
    def __init__(self, fault: Duplicate, rng: Random) -> None:
        self._fault, self._rng = fault, rng

    def meet(self, fate: Fate) -> bool:
        if self._rng.random() >= self._fault.share:
            return False
        fate.copies.append(self._rng.randrange(self._fault.delay_us + 1))
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


class LatencyRule:
    def __init__(self, fault: Latency) -> None:
        self._fault = fault

    def meet(self, fate: Fate) -> bool:
        fate.extra_us += self._fault.add_us
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


def rule_of(fault: PacketFault, rng: Random) -> Rule:
    if type(fault) is Loss:
        return LossRule(fault, rng)
    if type(fault) is Burst:
        return BurstRule(fault, rng)
    if type(fault) is Duplicate:
        return DuplicateRule(fault, rng)
    if type(fault) is Reorder:
        return ReorderRule(fault, rng)
    if type(fault) is Corrupt:
        return CorruptRule(fault, rng)
    if type(fault) is Latency:
        return LatencyRule(fault)
    if type(fault) is Narrow:
        return NarrowRule(fault)
    assert_never(fault)
