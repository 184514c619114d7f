"""A plan as text for users: one sentence for each op and each fault."""

from typing import assert_never

from msgspec import Struct

from lab.plan.faults import (
    Astray,
    Burst,
    ClockDrift,
    ClockOffset,
    Corrupt,
    Cut,
    DiskErrors,
    DiskFull,
    Duplicate,
    Fault,
    Hold,
    Kill,
    Latency,
    Loss,
    Narrow,
    Op,
    Partition,
    Pause,
    Plan,
    Point,
    Reorder,
    Rot,
    ShortWrites,
    SlowSync,
    Timed,
    Worker,
)
from lab.terminal.display import display_safe
from lab.terminal.formats import counted

TEXT_WIDTH = 32
ONE_PACKET_US = 1  # a cut that is no longer takes one packet, or those of one instant
SITES = {
    "before_write": "before it writes a batch",
    "mid_write": "in the middle of a write",
    "after_write": "after a write, before its sync",
    "after_sync": "after a sync, before anybody is told",
    "mid_send": "in the middle of sending",
    "mid_open": "while it opens its journal",
}
DISKS = {
    "empty": "an empty disk",
    "older": "an older copy of its disk",
    "other": "the disk of another node",
    "moved": "its disk in another place",
    "unnamed": "its disk without IDENTITY",
    "short": "its disk without the end of the journal",
}
_INSTANT = (Kill, Point, Rot)  # their end is the return of a process, and is in their sentence


class PlanStep(Struct, frozen=True):
    at_us: int
    text: str


def steps(plan: Plan) -> list[PlanStep]:
    """The sentences of all ops and faults, sorted by time."""
    found = [PlanStep(op.at_us, op_text(op)) for op in plan.ops]
    found += [PlanStep(timed.at_us, timed_text(timed)) for timed in plan.faults]
    return sorted(found, key=lambda step: step.at_us)


def seconds(us: int) -> str:
    """A moment of a run; as exact as it is."""
    return f"{us / 1e6:.3f} s" if us % 1000 == 0 else f"{us / 1e6:.6f} s"


def lasting(us: int) -> str:
    """A span of time."""
    if us < 1000:
        return f"{us} us"
    return f"{us / 1000:.4g} ms" if us < 1_000_000 else f"{us / 1e6:.4g} s"


def op_text(op: Op, name: str = "") -> str:
    """`name`: what the message is called, if it has a name."""
    who = display_safe(op.author)
    if op.action == "post":
        what = f"{name} " if name else ""
        return f"{who} posts {what}{quoted(op.text)} at {op.node} and waits until it is {asked(op)}"
    if op.action == "read":
        return f"{who} reads the timeline of {op.node}"
    return f"{who} {'joins' if op.action == 'join' else 'leaves'} at {op.node}"


def quoted(text: str) -> str:
    return f'"{display_safe(text, TEXT_WIDTH)}"'


def asked(op: Op) -> str:
    if op.ack == "replicated":
        return f"durable there and on {op.copies} other{'s' if op.copies != 1 else ''}"
    return op.ack


def timed_text(timed: Timed) -> str:
    fault = timed.fault
    text = fault_text(fault)
    lasts_us = timed.until_us - timed.at_us
    if type(fault) is Kill:
        return f"{text}, and starts again after {lasting(lasts_us)}"
    if isinstance(fault, Partition) and lasts_us <= ONE_PACKET_US:
        return "; ".join(
            f"the packet that {a} sends to {b} just now is lost" for a, b in fault.cuts
        )
    return text if isinstance(fault, _INSTANT) else f"{text}, for {lasting(lasts_us)}"


def fault_text(fault: Fault) -> str:
    """The beginning of a fault as a sentence; its end is not included."""
    if isinstance(fault, Hold | Partition | Loss | Burst | Duplicate | Reorder | Corrupt):
        return _links(fault)
    if type(fault) is Latency:
        return f"every packet takes {lasting(fault.add_us)} longer"
    if type(fault) is Narrow:
        return f"links carry {fault.bytes_s} bytes a second, with queues of {fault.queue_bytes}"
    if isinstance(fault, Kill | Pause | Worker | Point):
        return _process(fault)
    if type(fault) is Rot:
        return f"{counted(fault.flips, 'bit')} of {fault.node}'s disk change"
    if type(fault) is Astray:
        how = {
            "folder": "the journal of {} is moved away",
            "segment": "the last file of {}'s journal is removed",
            "emptied": "the last file of {}'s journal is emptied",
        }
        return how[fault.how].format(fault.node)
    if type(fault) is DiskErrors:
        return f"{percent(fault.share)} of the {fault.call}s on {fault.node}'s disk fail"
    if type(fault) is DiskFull:
        return f"{fault.node}'s disk has room for {fault.room_bytes} bytes more"
    if type(fault) is ShortWrites:
        return f"{percent(fault.share)} of the writes on {fault.node}'s disk take only a part"
    if type(fault) is SlowSync:
        return f"syncs of {fault.node}'s disk take up to {lasting(fault.add_us)} longer"
    if type(fault) is ClockOffset:
        return f"{fault.node}'s wall clock steps by {fault.by_ms} ms"
    if type(fault) is ClockDrift:
        way = "fast" if fault.ppm > 0 else "slow"
        return f"{fault.node}'s clocks run {abs(fault.ppm) / 10_000:g} % too {way}"
    assert_never(fault)


def _links(fault: Hold | Partition | Loss | Burst | Duplicate | Reorder | Corrupt) -> str:
    if type(fault) is Hold:
        return f"packets wait on {links(fault.cuts)}"
    if type(fault) is Partition:
        return f"cut: {links(fault.cuts)}"
    if type(fault) is Loss:
        return f"{percent(fault.share)} of all packets are lost"
    if type(fault) is Burst:
        return f"packets are lost in bursts, {percent(fault.share)} of them"
    if type(fault) is Duplicate:
        return f"{percent(fault.share)} of all packets come twice"
    if type(fault) is Reorder:
        return f"{percent(fault.share)} of all packets are overtaken by others"
    assert type(fault) is Corrupt
    return f"{percent(fault.share)} of all packets are damaged, and thrown away"


def _process(fault: Kill | Pause | Worker | Point) -> str:
    node = fault.node
    if type(fault) is Pause:
        return f"{node} stands still"
    if type(fault) is Worker:
        return f"the transport of {node} fails"
    if type(fault) is Point:
        dies = "loses power" if fault.power else "dies"
        times = "once" if fault.times == 1 else f"up to {fault.times} times"
        sure = "" if fault.share >= 1 else f" with {percent(fault.share)} chance"
        back = f"and is back after {lasting(fault.down_us)}"
        return f"from now on {node} {dies} {times}{sure} {SITES[fault.site]}, {back}"
    assert type(fault) is Kill
    ends = {"kill": "is killed", "power": "loses power", "stop": "is stopped in order"}
    text = f"{node} {ends[fault.how]}"
    if fault.disk != "same":
        text = f"{text}, is given {DISKS[fault.disk]}"
    if fault.flips:
        text = f"{text}, has {counted(fault.flips, 'bit')} of its disk flipped"
    if fault.sectors:
        text = f"{text}, has {counted(fault.sectors, 'sector')} of its disk spoilt"
    return text


def links(cuts: tuple[Cut, ...]) -> str:
    """Links as text; two opposite links are one entry."""
    told: list[str] = []
    left = list(dict.fromkeys(cuts))
    while left:
        a, b = left.pop(0)
        if (b, a) in left:
            left.remove((b, a))
            told.append(f"{a} and {b}")
        else:
            told.append(f"{a} to {b}")
    return ", ".join(told)


def percent(share: float) -> str:
    return f"{100 * share:.3g} %"
