"""The draw turns a scenario and a seed into a plan. Each seed gets its own set of faults and rates
(swarm testing, Groce et al. 2012).

Each kind of fault draws from a random stream of its own. So if a kind of fault is added to a
scenario, the other faults of a seed stay as they were.
"""

from collections.abc import Iterator
from random import Random

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from lab.plan.faults import (
    Astray,
    Burst,
    ClockDrift,
    ClockOffset,
    Corrupt,
    Cut,
    DiskErrors,
    DiskFull,
    DiskOptions,
    Draft,
    Duplicate,
    Fault,
    Hold,
    Kill,
    Latency,
    Loss,
    Narrow,
    NetworkOptions,
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
    numbered,
)
from lab.plan.partition_shapes import cuts_of
from lab.plan.random_streams import stream
from lab.plan.scenario import FaultRanges, HoldRange, KillRange, Scenario, ThresholdRanges
from lab.plan.workload import ops
from node.core.turn_loop import INPUTS_MAX

FIRST_US = 300_000  # before that nothing goes wrong: the nodes start
BUSY_US = 3_000  # after a request, something may still be under way


def draw(scenario: Scenario, seed: int) -> Plan:
    rng = stream(seed, "swarm")
    nodes = tuple([f"n{number}" for number in range(1, 1 + rng.randint(*scenario.nodes))])
    faults_us = rng.randint(*scenario.faults_ms) * 1000
    network = NetworkOptions(
        rng.choice(scenario.latency),
        rng.randint(*scenario.latency_min_us),
        rng.randint(*scenario.latency_mean_us),
    )
    durability = rng.choice(scenario.durability)
    disk = DiskOptions(segment_bytes=rng.randint(*scenario.segment_bytes))
    disk = replace(disk, scrub_bytes_s=_scrub_bytes_s(scenario, seed))
    cuts = _cuts(scenario.cuts, seed)
    disk = replace(disk, **{name: cuts[name] for name in _OF_DISKS if name in cuts})
    if "unwritten_records" in cuts:
        disk = replace(disk, unwritten=replace(disk.unwritten, records=cuts["unwritten_records"]))
    asked = ops(scenario, nodes, faults_us, stream(seed, "workload"))
    moments = _moments(asked, faults_us)
    found = _drafts(scenario.faults, nodes, faults_us, moments, seed, victim(nodes, seed))
    drafts = sorted(found, key=_begin)
    return Plan(
        scenario=scenario.name,
        seed=seed,
        nodes=nodes,
        faults_us=faults_us,
        liveness_us=scenario.liveness_ms * 1000,
        ops=asked,
        faults=numbered(drafts),
        durability=durability,
        quiet_ms=scenario.quiet_ms,
        turn_us=rng.choice((0, 0, rng.randint(100, 3000))),
        inputs_max=cuts.get("inputs_max", INPUTS_MAX),
        gossip=replace(
            scenario.gossip, **{name: cuts[name] for name in _OF_GOSSIP if name in cuts}
        ),
        network=network,
        disk=disk,
        rules=scenario.rules,
    )


def redrawn(scenario: Scenario, plan: Plan, seed: int) -> tuple[Timed, ...]:
    """Other faults for the nodes of this plan, with ids that none of its own has.

    Disks are damaged at the node whose disk the plan may damage: at most one has such faults.
    """
    moments, damaged = _moments(plan.ops, plan.faults_us), victim(plan.nodes, plan.seed)
    found = _drafts(scenario.faults, plan.nodes, plan.faults_us, moments, seed, damaged)
    above = max((timed.id for timed in plan.faults), default=0)
    return tuple(
        [replace(timed, id=above + timed.id) for timed in numbered(sorted(found, key=_begin))]
    )


def _moments(asked: tuple[Op, ...], faults_us: int) -> list[int]:
    return [op.at_us for op in asked if FIRST_US < op.at_us < faults_us] or [FIRST_US]


def _scrub_bytes_s(scenario: Scenario, seed: int) -> int:
    if scenario.scrub_bytes_s is UNSET:
        return 0
    rng = stream(seed, "swarm scrub")
    return rng.choice((0, rng.randint(*scenario.scrub_bytes_s)))


def victim(nodes: tuple[str, ...], seed: int) -> str:
    """The node whose disk may be damaged: at most one in a run, the same one for all kinds of
    damage.
    """
    rng = stream(seed, "swarm kill")
    rng.random()
    return rng.choice(nodes)


_OF_GOSSIP = ("ranges_max", "direct_peers_max", "fanout", "rumor_k", "delta_bytes_max")
_OF_DISKS = ("commit_bytes_max", "checkpoints_max", "pages_bytes")


def _cuts(cuts: ThresholdRanges | UnsetType, seed: int) -> dict[str, int]:
    """By name: those limits that the scenario draws. Each has a stream of its own."""
    if cuts is UNSET:
        return {}
    drawn: dict[str, int] = {}
    for name in cuts.__struct_fields__:
        found = getattr(cuts, name)
        if found is not UNSET:
            drawn[name] = stream(seed, f"swarm cut {name}").randint(*found)
    return drawn


def _begin(draft: Draft) -> int:
    return draft[0]


def _drafts(
    faults: FaultRanges,
    nodes: tuple[str, ...],
    end_us: int,
    moments: list[int],
    seed: int,
    damaged: str,
) -> Iterator[Draft]:
    for name in faults.__struct_fields__:
        found = getattr(faults, name)
        if found is None or found is UNSET:
            continue
        rng = stream(seed, f"swarm {name}")
        if rng.random() < found.chance:
            drawer = _Drawer(nodes, end_us, moments, rng, damaged)
            yield from drawer.draw(faults, name)


class _Drawer:
    """Draws the faults of one kind."""

    def __init__(
        self, nodes: tuple[str, ...], end_us: int, moments: list[int], rng: Random, victim: str
    ) -> None:
        self.nodes = nodes
        self.end_us = end_us
        self.moments = moments  # when something is asked
        self.rng = rng
        self.victim = victim

    def draw(self, faults: FaultRanges, name: str) -> Iterator[Draft]:
        if name in ("loss", "burst", "duplicate", "reorder", "corrupt", "narrow"):
            # From some moment on, or all the time.
            begin_us = self.rng.choice((FIRST_US, self.rng.randint(FIRST_US, self.end_us)))
            yield (begin_us, self.end_us, self._of_packets(faults, name))
        elif name in ("latency", "hold", "partition"):
            yield from self._of_links(faults, name)
        elif name == "kill":
            assert faults.kill is not None
            yield from self._kills(faults.kill)
        elif name == "point":
            yield from self._points(faults)
        elif name == "rot":
            yield from self._rots(faults)
        elif name == "astray":
            yield from self._astrays(faults)
        elif name == "short_writes":
            assert faults.short_writes is not None
            for node in self.nodes:
                share = self.rng.uniform(*faults.short_writes.share)
                yield (FIRST_US, self.end_us, ShortWrites(node, share))
        else:
            yield from self._of_nodes(faults, name)

    def _of_packets(self, faults: FaultRanges, name: str) -> Fault:
        rng = self.rng
        if name == "loss" and faults.loss:
            return Loss(rng.uniform(*faults.loss.share))
        if name == "burst" and (burst := faults.burst):
            begin, end, share = (rng.uniform(*of) for of in (burst.begin, burst.end, burst.share))
            return Burst(begin, end, share)
        if name == "duplicate" and (duplicate := faults.duplicate):
            return Duplicate(rng.uniform(*duplicate.share), self._us(duplicate.delay_ms))
        if name == "reorder" and (reorder := faults.reorder):
            return Reorder(rng.uniform(*reorder.share), self._us(reorder.delay_ms))
        if name == "corrupt" and faults.corrupt:
            return Corrupt(rng.uniform(*faults.corrupt.share))
        assert faults.narrow is not None
        return Narrow(rng.randint(*faults.narrow.bytes_s), rng.randint(*faults.narrow.queue_bytes))

    def _of_links(self, faults: FaultRanges, name: str) -> Iterator[Draft]:
        rng = self.rng
        if name == "latency" and faults.latency:
            for _ in range(rng.randint(*faults.latency.count)):
                yield (
                    *self._span(faults.latency.lasts_ms),
                    Latency(self._us(faults.latency.add_ms)),
                )
        elif name == "partition" and faults.partition:
            for _ in range(rng.randint(*faults.partition.count)):
                shape = rng.choice(faults.partition.shapes)
                cuts = cuts_of(shape, self.nodes, rng)
                yield (*self._span(faults.partition.lasts_ms), Partition(shape, cuts))
        elif faults.hold is not None:
            yield from self._holds(faults.hold)

    def _holds(self, holds: HoldRange) -> Iterator[Draft]:
        rng = self.rng
        links: list[Cut] = [(a, b) for a in self.nodes for b in self.nodes if a != b]
        for _ in range(rng.randint(*holds.count) if links else 0):
            begin_us, end_us = self._span(holds.lasts_ms)
            if rng.random() >= holds.swizzle:
                yield (begin_us, end_us, Hold((rng.choice(links),)))
                continue
            subset = rng.sample(links, rng.randint(1, max(1, len(links) // 2)))
            for cut in subset:
                half_us = max((end_us - begin_us) // 2, 1)
                first_us = begin_us + rng.randrange(half_us)
                yield (first_us, begin_us + half_us + rng.randrange(half_us), Hold((cut,)))

    def _kills(self, kills: KillRange) -> Iterator[Draft]:
        rng = self.rng
        rng.choice(self.nodes)  # see `victim`
        damage = rng.random()
        flips = rng.randint(*kills.flips)
        sectors = 0 if kills.sectors is UNSET else rng.randint(*kills.sectors)
        other = 0.0 if kills.other is UNSET else kills.other
        for _ in range(rng.randint(*kills.count)):
            begin_us = self._bad_moment()
            how = "power" if rng.random() < kills.power else "kill"
            if rng.random() < kills.together:
                for node in self.nodes:
                    yield (begin_us, begin_us + self._us(kills.down_ms), Kill(node, how))  # type: ignore[arg-type]
                continue
            if rng.random() < kills.stop:
                how = "stop"
            node, disk, flipped, spoilt = rng.choice(self.nodes), "same", 0, 0
            if node == self.victim:
                flipped, spoilt = flips, sectors
                if damage < kills.empty:
                    disk = "empty"
                elif damage < kills.empty + kills.older:
                    disk = "older"
                elif damage < kills.empty + kills.older + other:
                    disk = "other"
                if kills.mishaps is not UNSET and disk == "same":
                    disk = rng.choice(kills.mishaps)
            kill = Kill(node, how, disk, flipped, spoilt)  # type: ignore[arg-type]
            up_us = begin_us + self._us(kills.down_ms)
            yield (begin_us, up_us, kill)
            if kills.full is not UNSET and rng.random() < kills.full:
                yield self._full_at(kills, node, begin_us, up_us)

    def _full_at(self, kills: KillRange, node: str, begin_us: int, up_us: int) -> Draft:
        """The disk is full when this node starts again."""
        room = (0, 0) if kills.full_bytes is UNSET else kills.full_bytes
        lasts_us = 0 if kills.full_ms is UNSET else self._us(kills.full_ms)
        until_us = max(min(up_us + lasts_us, self.end_us), begin_us)
        return (begin_us, until_us, DiskFull(node, self.rng.randint(*room)))

    def _rots(self, faults: FaultRanges) -> Iterator[Draft]:
        assert faults.rot is not UNSET
        for _ in range(self.rng.randint(*faults.rot.count)):
            at_us = self.rng.randint(FIRST_US, self.end_us)
            yield (at_us, at_us, Rot(self.victim, self.rng.randint(*faults.rot.flips)))

    def _astrays(self, faults: FaultRanges) -> Iterator[Draft]:
        found = faults.astray
        assert found is not UNSET
        for _ in range(self.rng.randint(*found.count)):
            how = self.rng.choice(found.how)
            yield (*self._span(found.lasts_ms), Astray(self.victim, how))

    def _points(self, faults: FaultRanges) -> Iterator[Draft]:
        points, rng = faults.point, self.rng
        assert points is not None
        for site in points.sites:
            if rng.random() >= points.on:
                continue
            point = Point(
                node=rng.choice(self.nodes),
                site=site,
                share=rng.uniform(*points.share),
                times=rng.randint(*points.times),
                down_us=self._us(points.down_ms),
                power=rng.random() < points.power,
            )
            yield (rng.randint(FIRST_US, self.end_us), self.end_us, point)

    def _of_nodes(self, faults: FaultRanges, name: str) -> Iterator[Draft]:
        rng = self.rng
        found = getattr(faults, name)
        for _ in range(rng.randint(*found.count)):
            node, span = rng.choice(self.nodes), self._span(found.lasts_ms)
            if name == "pause":
                yield (*span, Pause(node))
            elif name == "worker":
                yield (*span, Worker(node))
            elif name == "disk_errors":
                yield (*span, DiskErrors(node, rng.choice(found.calls), rng.uniform(*found.share)))
            elif name == "disk_full":
                yield (*span, DiskFull(node, rng.randint(*found.room_bytes)))
            elif name == "slow_sync":
                yield (*span, SlowSync(node, max(self._us(found.add_ms), 1)))
            elif rng.random() < 0.5:
                yield (*span, ClockOffset(node, rng.randint(*found.by_ms)))
            else:
                yield (*span, ClockDrift(node, rng.randint(*found.ppm)))

    def _bad_moment(self) -> int:
        """Any time, or just when something was asked, and is on its way to the disk."""
        if self.rng.random() < 0.5:
            return self.rng.randint(FIRST_US, self.end_us)
        return min(self.rng.choice(self.moments) + self.rng.randrange(BUSY_US), self.end_us)

    # --- draws ----------------------------------------------------------------------------------

    def _us(self, span_ms: tuple[int, int]) -> int:
        return self.rng.randint(span_ms[0] * 1000, span_ms[1] * 1000)

    def _span(self, lasts_ms: tuple[int, int]) -> tuple[int, int]:
        begin_us = self.rng.randint(FIRST_US, self.end_us)
        return begin_us, min(begin_us + self._us(lasts_ms), self.end_us)
