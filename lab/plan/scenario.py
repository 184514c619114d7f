"""A scenario is a YAML file that gives the faults and the workload of a run as ranges. With a seed
it makes a plan (`lab.plan.draw`).

The scenarios of chatlab are in lab/plan/scenarios/. The classes below are the whole schema. Unknown
keys are refused, and an error is one line that names the place:

    lossy.yaml:12:13: faults.loss.share: expected 2 numbers, from and to

A range is two numbers, and both can be drawn. `chance` is the share of seeds that have a fault at
all: each seed gets a set of its own (swarm testing), because faults hide each other.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from domain.dot import ORIGIN_FORM
from gossip.config import GossipConfig
from lab.plan.faults import SITES, AstrayHow, Shape, Site, WordRule
from node.config.error_messages import explained
from node.config.yaml_positions import Located, LocatedError, Path_, parse, read_text
from node.core.ports import Durability

SCENARIOS = Path(__file__).parent / "scenarios"

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=100_000)]
Shares = tuple[Share, Share]
Counts = tuple[Count, Count]
Spans = tuple[Annotated[int, Meta(ge=0, le=3_600_000)], Annotated[int, Meta(ge=0, le=3_600_000)]]
Signed = tuple[int, int]


class ScenarioError(ValueError):
    """A scenario cannot be used. The text is one clear line."""


class _Part(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Chance(_Part, frozen=True):
    chance: Share = 1.0


# --- faults, as ranges. Those of packets last from some moment on, the others come several times --


class LossRange(_Chance, frozen=True):
    share: Shares = (0.0, 0.3)


class BurstRange(_Chance, frozen=True):
    begin: Shares = (0.001, 0.05)
    end: Shares = (0.05, 0.5)
    share: Shares = (0.5, 1.0)


class DuplicateRange(_Chance, frozen=True):
    share: Shares = (0.0, 0.5)
    delay_ms: Spans = (0, 500)


class ReorderRange(_Chance, frozen=True):
    share: Shares = (0.0, 0.2)
    delay_ms: Spans = (1, 300)


class CorruptRange(_Chance, frozen=True):
    share: Shares = (0.0, 0.2)


class LatencyRange(_Chance, frozen=True):
    count: Counts = (1, 3)
    lasts_ms: Spans = (200, 3000)
    add_ms: Spans = (10, 400)


class NarrowRange(_Chance, frozen=True):
    bytes_s: Counts = (2_000, 50_000)
    queue_bytes: Counts = (1_000, 20_000)


class HoldRange(_Chance, frozen=True):
    """`swizzle`: a set of links is clogged one after the other, and freed in another order."""

    count: Counts = (1, 4)
    lasts_ms: Spans = (200, 3000)
    swizzle: Share = 0.3


class PartitionRange(_Chance, frozen=True):
    count: Counts = (1, 3)
    lasts_ms: Spans = (500, 5000)
    shapes: tuple[Shape, ...] = (
        "one",
        "halves",
        "minority-third",
        "ring",
        "bridge",
        "one-way",
        "uniform",
    )


class KillRange(_Chance, frozen=True):
    """`together`: how often all nodes die at once."""

    count: Counts = (1, 4)
    down_ms: Spans = (50, 3000)
    power: Share = 0.0
    stop: Share = 0.2
    together: Share = 0.1
    empty: Share = 0.0  # share of seeds in which one node comes back with an empty disk ...
    older: Share = 0.0  # ... or with an older copy of its own
    flips: Counts = (0, 0)  # wrong bits on one node's disk
    other: Share | UnsetType = UNSET  # share of seeds in which it is given another node's disk
    sectors: Counts | UnsetType = UNSET  # on the same disk: lost or misplaced
    # One of these befalls the directory of the one node that is damaged, each time it dies.
    mishaps: tuple[Literal["moved", "unnamed", "short"], ...] | UnsetType = UNSET
    # Share of deaths of one node after which its disk is full: so much room is left, and so long.
    full: Share | UnsetType = UNSET
    full_bytes: Counts | UnsetType = UNSET
    full_ms: Spans | UnsetType = UNSET


class PauseRange(_Chance, frozen=True):
    count: Counts = (1, 3)
    lasts_ms: Spans = (100, 4000)


class WorkerRange(_Chance, frozen=True):
    """The transport of a node fails so often."""

    count: Counts = (1, 2)
    lasts_ms: Spans = (50, 1500)


class RotRange(_Chance, frozen=True):
    """Bits change on the disk that `kill` damages, so often, while its node runs."""

    count: Counts = (1, 2)
    flips: Counts = (1, 2)


class AstrayRange(_Chance, frozen=True):
    """How often that node's journal is moved away and back, or loses a file or its content."""

    count: Counts = (1, 2)
    lasts_ms: Spans = (300, 3000)
    how: Annotated[tuple[AstrayHow, ...], Meta(min_length=1)] = ("folder", "segment", "emptied")


class PointRange(_Chance, frozen=True):
    """Sites are switched on per seed with `on`, and then fire with `share` each time."""

    sites: tuple[Site, ...] = SITES
    on: Share = 0.25
    share: Shares = (0.02, 0.25)
    times: Counts = (1, 2)
    down_ms: Spans = (50, 1500)
    power: Share = 0.0


class DiskErrorRange(_Chance, frozen=True):
    calls: tuple[Literal["write", "sync"], ...] = ("write", "sync")
    count: Counts = (1, 3)
    lasts_ms: Spans = (100, 2000)
    share: Shares = (0.05, 0.6)


class DiskFullRange(_Chance, frozen=True):
    count: Counts = (1, 2)
    lasts_ms: Spans = (200, 3000)
    room_bytes: Counts = (0, 3000)


class ShortWriteRange(_Chance, frozen=True):
    share: Shares = (0.01, 0.3)


class SlowSyncRange(_Chance, frozen=True):
    count: Counts = (1, 2)
    lasts_ms: Spans = (200, 4000)
    add_ms: Spans = (5, 500)


class ClockRange(_Chance, frozen=True):
    count: Counts = (1, 4)
    lasts_ms: Spans = (200, 8000)
    by_ms: Signed = (-600_000, 600_000)
    ppm: Signed = (-20_000, 20_000)


Limit = Annotated[int, Meta(ge=0, le=1 << 30)]
Limits = tuple[Limit, Limit]


class ThresholdRanges(_Part, frozen=True):
    """Limits of a node, drawn anew for each seed: small ones are met in a run that is short.

    What is not named is as in a process. Each is drawn by itself, so that one more here changes no
    other. Those of gossip are knobs of `gossip.config`, the others of the journal and its turns.
    """

    ranges_max: Limits | UnsetType = UNSET
    direct_peers_max: Limits | UnsetType = UNSET
    fanout: Limits | UnsetType = UNSET
    rumor_k: Limits | UnsetType = UNSET
    delta_bytes_max: Limits | UnsetType = UNSET
    unwritten_records: Limits | UnsetType = UNSET  # over which nothing is taken in from peers
    commit_bytes_max: Limits | UnsetType = UNSET
    checkpoints_max: Limits | UnsetType = UNSET
    pages_bytes: Limits | UnsetType = UNSET
    inputs_max: Limits | UnsetType = UNSET


class FaultRanges(_Part, frozen=True):
    """A fault that is not named does not happen.

    Those that came later are unset, not None: scenarios without them keep their hash, and with it
    their tokens and bands.
    """

    loss: LossRange | None = None
    burst: BurstRange | None = None
    duplicate: DuplicateRange | None = None
    reorder: ReorderRange | None = None
    corrupt: CorruptRange | None = None
    latency: LatencyRange | None = None
    narrow: NarrowRange | None = None
    hold: HoldRange | None = None
    partition: PartitionRange | None = None
    kill: KillRange | None = None
    pause: PauseRange | None = None
    point: PointRange | None = None
    disk_errors: DiskErrorRange | None = None
    disk_full: DiskFullRange | None = None
    short_writes: ShortWriteRange | None = None
    slow_sync: SlowSyncRange | None = None
    clock: ClockRange | None = None
    worker: WorkerRange | UnsetType = UNSET
    rot: RotRange | UnsetType = UNSET
    astray: AstrayRange | UnsetType = UNSET


class WorkloadRanges(_Part, frozen=True):
    """What clients do during the phase of faults."""

    posts: Counts = (30, 50)
    reads: Counts = (4, 10)
    comings: Counts = (0, 4)  # joins and leaves
    sessions: Counts = (3, 8)
    roaming: Share = 0.2  # share of sessions that talk to another node each time
    hot: Share = 0.0  # share of posts that go to one node
    bursts: Share = 0.3  # share of seeds in which posts come in bursts
    written: Share = 0.15  # share of posts that ask for this ack ...
    replicated: Share = 0.15  # ... or for this one; the others ask for durable
    long_text: Share = 0.02
    odd_text: Share = 0.1  # other scripts, combining marks, controls
    banned: Share = 0.1  # texts that moderation censors or rejects
    disguised: Share = 0.0  # of the others: with such a word in disguise, or inside of another


class Scenario(_Part, frozen=True):
    name: Annotated[str, Meta(pattern=rf"^{ORIGIN_FORM}\Z")]
    about: str
    nodes: tuple[Annotated[int, Meta(ge=1)], Annotated[int, Meta(le=100_000)]] = (5, 5)
    faults_ms: Spans = (8000, 10_000)
    liveness_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 10_000
    durability: Annotated[tuple[Durability, ...], Meta(min_length=1)] = ("always",)
    segment_bytes: Counts = (2_000, 20_000)
    scrub_bytes_s: Counts | UnsetType = UNSET  # in half of the seeds; the others never scrub
    latency: Annotated[
        tuple[Literal["constant", "uniform", "exponential", "lognormal"], ...], Meta(min_length=1)
    ] = ("constant", "uniform", "exponential", "lognormal")
    latency_min_us: Counts = (100, 3_000)
    latency_mean_us: Counts = (200, 10_000)
    quiet_ms: int = 2000
    gossip: GossipConfig = GossipConfig()
    rules: tuple[WordRule, ...] = ()
    workload: WorkloadRanges = WorkloadRanges()
    faults: FaultRanges = FaultRanges()
    cuts: ThresholdRanges | UnsetType = UNSET


def names() -> list[str]:
    """The names of chatlab's own scenarios."""
    return sorted(path.stem for path in SCENARIOS.glob("*.yaml"))


def named(name: str) -> Scenario:
    """One of chatlab's own scenarios, by its name. Raises ScenarioError."""
    if name not in names():
        raise ScenarioError(f"no scenario {name[:40]!r}: there are {', '.join(names())}")
    return load(SCENARIOS / f"{name}.yaml")


def load(path: Path) -> Scenario:
    """Load a scenario file. Raises ScenarioError for any unusable file."""
    try:
        document = parse(read_text(path))
        return _converted(document)
    except LocatedError as error:
        where = f"{path}:{error.place.line}:{error.place.column}" if error.place else f"{path}"
        raise ScenarioError(f"{where}: {error}") from None
    except OSError as error:
        raise ScenarioError(f"{path}: cannot read it: {error.strerror}") from None


def _converted(document: Located) -> Scenario:
    if not isinstance(document.value, dict):
        raise LocatedError("expected keys and values, at least `name` and `about`")
    try:
        scenario = msgspec.convert(document.value, Scenario)
    except msgspec.ValidationError as error:
        raise explained(str(error), document, Scenario) from None
    _check_ranges(scenario, (), document)
    _check_cuts(scenario, document)
    return scenario


def _check_cuts(scenario: Scenario, document: Located) -> None:
    """Both ends of a drawn limit of gossip are values that its knob can have."""
    if scenario.cuts is UNSET:
        return
    for name in GossipConfig.__struct_fields__:
        for end in getattr(scenario.cuts, name, UNSET) or ():
            try:
                msgspec.convert({name: end}, GossipConfig)
            except msgspec.ValidationError as error:
                text = str(error).partition(" - at `$")[0].replace("`", "")
                text = f"cuts.{name}: {text[:1].lower()}{text[1:]}"
                raise LocatedError(text, document.place(("cuts", name))) from None


def _check_ranges(part: Struct, path: Path_, document: Located) -> None:
    """Each range goes upwards."""
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, _Part):
            _check_ranges(value, (*path, name), document)
        elif (
            isinstance(value, tuple)
            and len(value) == 2
            and all(isinstance(one, int | float) for one in value)
            and value[0] > value[1]
        ):
            shown = ".".join(str(one) for one in (*path, name))
            raise LocatedError(
                f"{shown}: from {value[0]} to {value[1]} is empty", document.place((*path, name))
            )
