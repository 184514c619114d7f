"""Feasibility: which faults of a plan can be applied to processes on one machine, and which cannot.

Nothing is left out silently: `refused` names each fault that is not applied, with the reason;
`adapted` names each that is applied in another way than in the simulator.
"""

from collections import Counter

from msgspec import Struct
from msgspec.structs import replace

from lab.plan.faults import DiskOptions, Fault, Kill, NetworkOptions, Op, Plan, Timed, word

NEVER = {
    "burst": "links here lose packets independently of one another",
    "corrupt": "TCP checks what it carries",
    "narrow": "links here have no limit of bytes",
    "point": "a process cannot be ended at a named point of its code",
    "disk_errors": "the disk below the journal is the machine's",
    "disk_full": "the disk below the journal is the machine's",
    "short_writes": "the disk below the journal is the machine's",
    "slow_sync": "the disk below the journal is the machine's",
    "clock_offset": "all nodes share the clocks of the machine",
    "clock_drift": "all nodes share the clocks of the machine",
    "power": "the kernel keeps what a process has written",
    "flips": "bits below the journal are the machine's",
    "astray": "no file of a node is touched",
    "rot": "bits below the journal are the machine's",
    "sectors": "sectors below the journal are the machine's",
    "moved": "a node that is started again has the directory that it had",
    "unnamed": "no file of a node is touched",
    "short": "no file of a node is touched",
    "other": "nobody is there who would put the right disk back",
    "worker": "a worker of a process cannot be made to fail from outside",
}
_OTHERWISE = {
    "duplicate": "the copy goes out at once",
    "reorder": "each packet takes another time, up to the delay",
    "hold": "packets are delayed until the fault ends",
    "older": "the files as they were copied soon after the first start",
}


class Possible(Struct, frozen=True):
    plan: Plan  # what will be done
    refused: tuple[str, ...]
    adapted: tuple[str, ...]


def possible(plan: Plan, scale: float = 1.0) -> Possible:
    """`scale`: of all times in the phase of faults. What the nodes wait for is not scaled."""
    refused: Counter[str] = Counter()
    adapted: Counter[str] = Counter()
    faults: list[Timed] = []
    for timed in plan.faults:
        fault = _possible(timed.fault, refused, adapted)
        if fault is not None:
            at_us, until_us = int(timed.at_us * scale), int(timed.until_us * scale)
            faults.append(Timed(timed.id, at_us, until_us, fault))
    done = replace(
        plan,
        faults_us=int(plan.faults_us * scale),
        ops=tuple([_scaled(op, plan.faults_us, scale) for op in plan.ops]),
        faults=tuple(faults),
    )
    otherwise = [f"{what} x{n}: {_OTHERWISE[what]}" for what, n in sorted(adapted.items())]
    if plan.network != NetworkOptions():
        otherwise.append("latency: links are as fast as the machine")
    if plan.disk.segment_bytes != DiskOptions().segment_bytes:
        otherwise.append("segments: as long as a node makes them")
    told = [f"{what} x{n}: {NEVER[what]}" for what, n in sorted(refused.items())]
    return Possible(done, tuple(told), tuple(otherwise))


def _possible(fault: Fault, refused: Counter[str], adapted: Counter[str]) -> Fault | None:
    what = word(fault)
    if what in NEVER:
        refused[what] += 1
        return None
    if type(fault) is Kill:
        if fault.how == "power":
            refused["power"] += 1
            return None
        if fault.disk == "older":
            adapted["older"] += 1
        refused[fault.disk] += fault.disk in NEVER
        refused += Counter({"flips": fault.flips, "sectors": fault.sectors})
        disk = "same" if fault.disk in NEVER else fault.disk
        return replace(fault, flips=0, sectors=0, disk=disk)
    if what in _OTHERWISE:
        adapted[what] += 1
    return fault


def _scaled(op: Op, faults_us: int, scale: float) -> Op:
    """Those of the end stay there, for the end comes when all agree."""
    return op if op.at_us > faults_us else replace(op, at_us=int(op.at_us * scale))
