"""Plans: all faults and operations of a run, with their times, as data.

A `Plan` is complete: only what happens per packet, per write and per turn is still random. Those
draws come from one random stream per item (`lab.plan.random_streams`), so that an item can be
removed, by the shrinker or by hand, and the others have the same effect as before. A run depends on
the plan and the code only; the scenario and the seed that the plan was drawn from are labels.

A fault with a duration is active from `at_us` until `until_us`, and ends with the phase of faults
at the latest. An instantaneous fault acts at `at_us`; `until_us` says when a process starts again.
"""

from collections.abc import Iterable
from typing import Literal, final

import msgspec
from msgspec import Struct

from gossip.config import GossipConfig
from node.core.ports import Durability
from node.core.turn_loop import INPUTS_MAX
from node.core.write_state import WriteBounds
from node.storage.group_commit import CHECKPOINTS_MAX, COMMIT_BYTES_MAX

Cut = tuple[str, str]  # a link, from one node to another: one way
Shape = Literal["one", "halves", "minority-third", "ring", "bridge", "one-way", "uniform"]
Site = Literal["before_write", "mid_write", "after_write", "after_sync", "mid_send", "mid_open"]
SITES: tuple[Site, ...] = (
    "before_write",
    "mid_write",
    "after_write",
    "after_sync",
    "mid_send",
    "mid_open",
)
AstrayHow = Literal["folder", "segment", "emptied"]
MISHAPS = frozenset({"moved", "unnamed", "short"})  # of a directory: see `Kill`
WITHIN_A_CALL: frozenset[Site] = frozenset({"mid_write", "mid_open"})  # to the disk


class _Fault(Struct, frozen=True, tag_field="what", forbid_unknown_fields=True):
    """Base of all faults. Its tag is the word for it, in plans, traces and statistics."""


# --- the network --------------------------------------------------------------------------------


@final
class Loss(_Fault, frozen=True, tag="loss"):
    """Each packet vanishes with this probability."""

    share: float


@final
class Burst(_Fault, frozen=True, tag="burst"):
    """Loss in two states (Gilbert and Elliott): begin and end of a bad stretch, per packet."""

    begin: float
    end: float
    share: float  # that vanishes in a bad stretch


@final
class Duplicate(_Fault, frozen=True, tag="duplicate"):
    """Each packet comes once more with this probability, up to so much later."""

    share: float
    delay_us: int


@final
class Reorder(_Fault, frozen=True, tag="reorder"):
    """Each packet is overtaken with this probability: it takes up to so much longer."""

    share: float
    delay_us: int


@final
class Corrupt(_Fault, frozen=True, tag="corrupt"):
    """Each packet has a bit flipped with this probability, and the transport notices."""

    share: float


@final
class Latency(_Fault, frozen=True, tag="latency"):
    """Every packet takes this much longer."""

    add_us: int


@final
class Narrow(_Fault, frozen=True, tag="narrow"):
    """Links have a limited bandwidth and a limited queue; a full queue drops packets."""

    bytes_s: int
    queue_bytes: int


@final
class Hold(_Fault, frozen=True, tag="hold"):
    """These links keep their packets until the fault ends."""

    cuts: tuple[Cut, ...]


@final
class Partition(_Fault, frozen=True, tag="partition"):
    """These links lose all packets."""

    shape: Shape
    cuts: tuple[Cut, ...]


# --- processes ----------------------------------------------------------------------------------


@final
class Kill(_Fault, frozen=True, tag="kill"):
    """The process ends at `at_us` and starts again at `until_us`.

    `power` also takes what was not synced. `disk` is what the next start finds: the same, an empty
    one, or as it was at the start of the life (an old copy put back), or that of another node (it
    stays sound, and is taken out again where the node refuses it). `flips` bits of it are wrong,
    and `sectors` sectors: what was written there last is lost, so that a read is stale, or went to
    another place, a misdirected write. `moved`: the directory was copied to another place;
    `unnamed`: IDENTITY is lost; `short`: the end of the journal that was durable is lost, in whole
    frames or with its file, and IDENTITY knows of it.
    """

    node: str
    how: Literal["kill", "power", "stop"] = "kill"
    disk: Literal["same", "empty", "older", "other", "moved", "unnamed", "short"] = "same"
    flips: int = 0
    sectors: int = 0


@final
class Pause(_Fault, frozen=True, tag="pause"):
    """SIGSTOP, and SIGCONT at the end."""

    node: str


@final
class Worker(_Fault, frozen=True, tag="worker"):
    """The transport of a node fails, and starts again at the end; the node goes on meanwhile."""

    node: str


@final
class Rot(_Fault, frozen=True, tag="rot"):
    """This many bits of the node's disk are flipped, also while the node runs."""

    node: str
    flips: int


@final
class Astray(_Fault, frozen=True, tag="astray"):
    """The directory of a running node is moved away, and back at the end; or the segment that it
    writes to is removed or emptied, for good. The node has the file open.
    """

    node: str
    how: AstrayHow = "folder"


@final
class Point(_Fault, frozen=True, tag="point"):
    """When the node passes this site it dies with this probability, at most so many times.

    `power` takes what was not synced, too, except while the journal is opened (`mid_open`).
    """

    node: str
    site: Site
    share: float
    times: int
    down_us: int
    power: bool = False


# --- disks --------------------------------------------------------------------------------------


@final
class DiskErrors(_Fault, frozen=True, tag="disk_errors"):
    """Calls to the disk fail with EIO with this probability. A failed sync is final."""

    node: str
    call: Literal["write", "sync"]
    share: float


@final
class DiskFull(_Fault, frozen=True, tag="disk_full"):
    """There is room for so many more bytes."""

    node: str
    room_bytes: int


@final
class ShortWrites(_Fault, frozen=True, tag="short_writes"):
    """A write takes only a part of what it is given, with this probability."""

    node: str
    share: float


@final
class SlowSync(_Fault, frozen=True, tag="slow_sync"):
    """Each sync takes up to so much longer."""

    node: str
    add_us: int


# --- clocks -------------------------------------------------------------------------------------


@final
class ClockOffset(_Fault, frozen=True, tag="clock_offset"):
    """The wall clock steps by so much, and back at the end."""

    node: str
    by_ms: int


@final
class ClockDrift(_Fault, frozen=True, tag="clock_drift"):
    """Both clocks of the node run faster by so many millionths (slower, if negative)."""

    node: str
    ppm: int


# fmt: off
Fault = (
    Loss | Burst | Duplicate | Reorder | Corrupt | Latency | Narrow | Hold | Partition
    | Kill | Pause | Worker | Rot | Astray | Point
    | DiskErrors | DiskFull | ShortWrites | SlowSync
    | ClockOffset | ClockDrift
)
# fmt: on


def word(fault: Fault) -> str:
    return str(fault.__struct_config__.tag)


class Timed(Struct, frozen=True, forbid_unknown_fields=True):
    """One item of a plan. `id` stays the same when others are taken out, and names its stream."""

    id: int
    at_us: int
    until_us: int
    fault: Fault


Draft = tuple[int, int, Fault]  # from, until, what


def numbered(drafts: Iterable[Draft]) -> tuple[Timed, ...]:
    """Items of a plan, with ids from 1 in this order."""
    return tuple([Timed(number, *draft) for number, draft in enumerate(drafts, start=1)])


class Op(Struct, frozen=True, forbid_unknown_fields=True):
    """A client's request to a node. The ops of one session wait for one another."""

    id: int
    at_us: int
    session: str
    node: str
    action: Literal["post", "join", "leave", "read"]
    author: str
    text: str = ""
    ack: Literal["written", "durable", "replicated"] = "durable"
    copies: int = 0
    timeout_ms: int = 5000


class NetworkOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """Links without faults: packets arrive in order, after a time drawn from this distribution."""

    latency: Literal["constant", "uniform", "exponential", "lognormal"] = "exponential"
    min_us: int = 500
    mean_us: int = 1500  # above the minimum


PAGES_BYTES = 16 * 1024  # of the journal, in the memory of a node


class DiskOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """`model: false` leaves the journal out: what is handed over is durable after one sync."""

    model: bool = True
    sync_us: int = 800  # mean of one sync
    segment_bytes: int = 16 * 1024 * 1024
    commit_bytes_max: int = COMMIT_BYTES_MAX
    checkpoints_max: int = CHECKPOINTS_MAX
    pages_bytes: int = PAGES_BYTES
    unwritten: WriteBounds = WriteBounds()  # over which a node takes nothing in from peers
    scrub_bytes_s: int = 0  # of the own journal, read again while the node runs; 0: never


class WordRule(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    words: tuple[str, ...]
    action: Literal["reject", "censor"] = "censor"


class Plan(Struct, frozen=True, forbid_unknown_fields=True):
    """All inputs of a run: the configuration, the ops and the faults. The JSON has the fields'
    order.
    """

    scenario: str
    seed: int
    nodes: tuple[str, ...]
    faults_us: int  # the phase of faults lasts so long ...
    liveness_us: int  # ... and the nodes have so long to agree afterwards
    ops: tuple[Op, ...] = ()
    faults: tuple[Timed, ...] = ()
    durability: Durability = "always"
    interval_ms: int = 100
    quiet_ms: int = 2000
    views: int = 0  # peers that each node knows; 0: all of them
    boot_spread_us: int = 100_000
    turn_us: int = 0  # what comes within so long of the first input shares a turn; 0: nothing does
    inputs_max: int = INPUTS_MAX  # of one turn
    gossip: GossipConfig = GossipConfig()
    network: NetworkOptions = NetworkOptions()
    disk: DiskOptions = DiskOptions()
    rules: tuple[WordRule, ...] = ()


def plan_to_json(plan: Plan) -> bytes:
    return msgspec.json.format(msgspec.json.encode(plan), indent=1)


def plan_from_json(data: bytes) -> Plan:
    """Raises msgspec.MsgspecError with the place."""
    return msgspec.json.decode(data, type=Plan)
