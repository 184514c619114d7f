"""Simplifications for the shrinker: plans that are slightly simpler than a given one, the largest
steps first.

Each function yields candidates that differ from the plan in one respect. Whether a candidate still
fails is not known: the shrinker runs it, and keeps it if it does. A candidate never equals the
plan, and is always simpler by the same measure, so that shrinking terminates.
"""

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from gossip.config import GossipConfig
from lab.plan.faults import (
    Burst,
    Corrupt,
    DiskErrors,
    DiskOptions,
    Duplicate,
    Fault,
    Hold,
    Kill,
    Loss,
    NetworkOptions,
    Op,
    Partition,
    Plan,
    Point,
    Reorder,
    ShortWrites,
    Timed,
)
from lab.sim.world import World
from lab.trace.kinds import Dropped

MS_US = 1000
SECOND_US = 1_000_000
PLAIN_NETWORK = NetworkOptions("constant", 1000, 0)
PLAIN_DISK = DiskOptions()
PEOPLE = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
# Rules that speak of the time in which nodes agree: that time is part of what fails.
LATE = frozenset({"C6", "C12"})
AGREE_US = 5 * SECOND_US  # for rules that look at what nodes hold after they had time to agree
AGREEING = frozenset({"C1", "C2", "C7", "C8", "C10", "C11", "C13"})
PINNED_MAX = 400  # packets
_LOSING = (Loss, Burst, Corrupt)

Candidates = Iterator[Plan]


def simpler(plan: Plan, rule: str) -> Candidates:
    for make in (_nodes, _settings, _fault_kinds, _op_kinds, _times):
        for candidate in make(plan):
            if candidate != plan:
                yield candidate
    yield from phases(plan, rule)


# --- nodes ----------------------------------------------------------------------------------------


def _nodes(plan: Plan) -> Candidates:
    """Without a node, and all that is done there and to it."""
    if len(plan.nodes) > 1:
        for node in reversed(plan.nodes):
            yield without_node(plan, node)
    names = tuple([f"n{number}" for number in range(1, len(plan.nodes) + 1)])
    if plan.nodes != names:
        yield _renamed(plan, dict(zip(plan.nodes, names, strict=True)))


def without_node(plan: Plan, node: str) -> Plan:
    faults = []
    for timed in plan.faults:
        fault = timed.fault
        if isinstance(fault, Partition | Hold):
            cuts = tuple([cut for cut in fault.cuts if node not in cut])
            if cuts:
                faults.append(replace(timed, fault=replace(fault, cuts=cuts)))
        elif getattr(fault, "node", "") != node:
            faults.append(timed)
    nodes = tuple([one for one in plan.nodes if one != node])
    ops = [one for one in plan.ops if one.node != node]
    copies_max = len(nodes) - 1
    ops = [replace(one, copies=min(one.copies, copies_max)) for one in ops]
    ops = [_durable(one) if one.ack == "replicated" and not one.copies else one for one in ops]
    return replace(plan, nodes=nodes, ops=tuple(ops), faults=tuple(faults))


def _durable(op: Op) -> Op:
    return replace(op, ack="durable", copies=0)


def _renamed(plan: Plan, names: dict[str, str]) -> Plan:
    faults = []
    for timed in plan.faults:
        fault = timed.fault
        if isinstance(fault, Partition | Hold):
            fault = replace(fault, cuts=tuple([(names[a], names[b]) for a, b in fault.cuts]))
        elif hasattr(fault, "node"):
            fault = replace(fault, node=names[fault.node])
        faults.append(replace(timed, fault=fault))
    ops = tuple([replace(one, node=names[one.node]) for one in plan.ops])
    return replace(plan, nodes=tuple(names.values()), ops=ops, faults=tuple(faults))


# --- the world around -----------------------------------------------------------------------------


def _settings(plan: Plan) -> Candidates:
    yield replace(
        plan, network=PLAIN_NETWORK, disk=PLAIN_DISK, rules=(), gossip=GossipConfig(), views=0
    )
    yield replace(plan, network=PLAIN_NETWORK)
    yield replace(plan, disk=PLAIN_DISK)
    yield replace(plan, rules=())
    yield replace(plan, gossip=GossipConfig())
    yield replace(plan, views=0)
    yield replace(plan, durability="always")
    yield replace(plan, boot_spread_us=0)


def phases(plan: Plan, rule: str) -> Candidates:
    """Shorter phases, but not so short that a sound run would fail."""
    ends = [timed.until_us for timed in plan.faults]
    asked = [op.at_us for op in plan.ops]
    early = [at for at in asked if at <= plan.faults_us]
    late = [at for at in asked if at > plan.faults_us]
    wanted = max([*ends, *early, 200 * MS_US]) + 100 * MS_US
    wanted = -(-wanted // (500 * MS_US)) * 500 * MS_US
    if late:  # last reads: they come along
        by_us = plan.faults_us - wanted
        moved = [
            replace(op, at_us=op.at_us - by_us * (op.at_us > plan.faults_us)) for op in plan.ops
        ]
        if by_us > 0:
            yield replace(plan, faults_us=wanted, ops=tuple(moved))
    elif wanted < plan.faults_us:
        yield replace(plan, faults_us=wanted)
    if rule in LATE:
        return
    floor_us = AGREE_US if rule in AGREEING else SECOND_US
    latest = max(late, default=0) - plan.faults_us
    for liveness_us in (floor_us, AGREE_US):
        if latest < liveness_us < plan.liveness_us:
            yield replace(plan, liveness_us=liveness_us)


# --- faults ---------------------------------------------------------------------------------------


def _fault_kinds(plan: Plan) -> Candidates:
    for at, timed in enumerate(plan.faults):
        for fault in _plainer_fault(timed.fault):
            yield _with_fault(plan, at, replace(timed, fault=fault))
        for until_us in _sooner(timed):
            yield _with_fault(plan, at, replace(timed, until_us=until_us))


def _with_fault(plan: Plan, at: int, timed: Timed) -> Plan:
    return replace(plan, faults=(*plan.faults[:at], timed, *plan.faults[at + 1 :]))


def _plainer_fault(fault: Fault) -> Iterator[Fault]:
    changes: list[dict[str, Any]] = []
    if type(fault) is Kill:
        changes = [{"disk": "same"}, {"flips": 0}, {"sectors": 0}, {"flips": 1}, {"sectors": 1}]
        changes += [{"how": "kill"}] if fault.how == "stop" else []
        changes += [{"how": "power"}] if fault.how == "kill" and fault.disk != "same" else []
        changes = [one for one in changes if one != {"flips": 1} or fault.flips > 1]
        changes = [one for one in changes if one != {"sectors": 1} or fault.sectors > 1]
    elif type(fault) is Point:
        changes = [{"share": 1.0, "times": 1}, {"share": 1.0}, {"times": 1}]
        changes += [{"down_us": down} for down in (100 * MS_US, SECOND_US) if down < fault.down_us]
    elif isinstance(fault, Loss | Duplicate | Reorder | Corrupt | ShortWrites | DiskErrors):
        changes = [{"share": 1.0}, {"share": 0.5}] if fault.share not in (0.5, 1.0) else []
    if isinstance(fault, Partition | Hold):
        yield from _fewer_cuts(fault)
    for change in changes:
        plainer = replace(fault, **change)
        if plainer != fault:
            yield plainer


def _fewer_cuts(fault: Partition | Hold) -> Iterator[Fault]:
    cuts = fault.cuts
    if len(cuts) < 2:
        return
    half = len(cuts) // 2
    if half > 1:
        yield replace(fault, cuts=cuts[:half])
        yield replace(fault, cuts=cuts[half:])
    for at in range(len(cuts)):
        yield replace(fault, cuts=cuts[:at] + cuts[at + 1 :])


def _sooner(timed: Timed) -> Iterator[int]:
    lasts_us = timed.until_us - timed.at_us
    for wanted_us in (100 * MS_US, SECOND_US):
        if wanted_us < lasts_us:
            yield timed.at_us + wanted_us


def pinned(plan: Plan) -> Plan | None:
    """Rates of loss as single packets: each that was lost is a link cut for one microsecond.

    None if there is nothing to pin, or too much of it.
    """
    losing = [timed for timed in plan.faults if isinstance(timed.fault, _LOSING)]
    if not losing:
        return None
    world = World(plan)
    world.run()
    lost = [
        event
        for event in world.trace
        if type(event.data) is Dropped and event.data.why in ("loss", "burst", "corrupt")
    ]
    if not lost or len(lost) > PINNED_MAX:
        return None
    number = max(timed.id for timed in plan.faults)
    cuts = dict.fromkeys([(event.t_us, event.node, event.peer or "") for event in lost])
    found = [timed for timed in plan.faults if timed not in losing]
    for t_us, node, peer in cuts:
        number += 1
        found.append(Timed(number, t_us, t_us + 1, Partition("one-way", ((node, peer),))))
    return replace(plan, faults=tuple(sorted(found, key=lambda timed: timed.at_us)))


# --- ops ------------------------------------------------------------------------------------------


def _op_kinds(plan: Plan) -> Candidates:
    yield replace(plan, ops=tuple([_plain_text(one) for one in plan.ops]))
    sessions = list(dict.fromkeys(one.session for one in plan.ops))
    if len(sessions) <= len(PEOPLE):
        names = dict(zip(sessions, PEOPLE, strict=False))
        named = [replace(o, session=names[o.session], author=names[o.session]) for o in plan.ops]
        yield replace(plan, ops=tuple(named))
    for at, op in enumerate(plan.ops):
        for change in _plainer_op(op):
            yield replace(plan, ops=(*plan.ops[:at], change, *plan.ops[at + 1 :]))


def _plain_text(op: Op) -> Op:
    return replace(op, text=f"hello {op.id}") if op.action == "post" else op


def _plainer_op(op: Op) -> Iterator[Op]:
    yield _plain_text(op)
    if op.ack == "replicated":
        yield replace(op, ack="durable", copies=0)
        if op.copies > 1:
            yield replace(op, copies=1)


# --- times ----------------------------------------------------------------------------------------


def _times(plan: Plan) -> Candidates:
    """Rounder times, of all at once or of one, in an order that stays; nothing before 200 ms."""
    for unit_us in (100 * MS_US, 10 * MS_US, MS_US):
        yield _moved(plan, _rounder(unit_us), _rounder(unit_us))
    firsts = [op.at_us for op in plan.ops] + [timed.at_us for timed in plan.faults]
    early_us = min(firsts, default=0) - 200 * MS_US
    if early_us >= 100 * MS_US:
        by_us = early_us // (100 * MS_US) * 100 * MS_US
        yield _moved(plan, lambda us: us - by_us, lambda us: us - by_us)
    for at, op in enumerate(plan.ops):
        for unit_us in (100 * MS_US, 10 * MS_US, MS_US):
            moved = replace(op, at_us=_rounder(unit_us)(op.at_us))
            yield replace(plan, ops=(*plan.ops[:at], moved, *plan.ops[at + 1 :]))
    for at, timed in enumerate(plan.faults):
        if timed.until_us - timed.at_us < MS_US:
            continue  # one packet: it is where it is
        for unit_us in (100 * MS_US, 10 * MS_US, MS_US):
            rounder = _rounder(unit_us)
            yield _with_fault(plan, at, replace(timed, at_us=rounder(timed.at_us)))
            yield _with_fault(plan, at, replace(timed, until_us=rounder(timed.until_us)))


def _rounder(unit_us: int) -> Callable[[int], int]:
    """To the next multiple above, unless it is a multiple of something coarser already."""

    def rounded(us: int) -> int:
        return us if us % unit_us == 0 else (us // unit_us + 1) * unit_us

    return rounded


def _moved(plan: Plan, of_ops: Callable[[int], int], of_faults: Callable[[int], int]) -> Plan:
    ops = [
        replace(op, at_us=of_ops(op.at_us)) if op.at_us <= plan.faults_us else op for op in plan.ops
    ]
    faults = [
        replace(timed, at_us=of_faults(timed.at_us), until_us=of_faults(timed.until_us))
        if timed.until_us - timed.at_us >= MS_US
        else timed
        for timed in plan.faults
    ]
    return replace(plan, ops=tuple(ops), faults=tuple(faults))
