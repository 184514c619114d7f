"""The control protocol: what a client may ask one node, and what it answers. msgspec MessagePack.

One ZeroMQ frame holds a list of requests, or a list of replies: a client that has many to send
puts many in a frame. Replies may come in any order; `id` ties them to requests. Any request may be
answered by `Failed`. This module is values only; `node.control.server` serves it.
"""

from typing import Literal, final

import msgspec
from msgspec import Struct

from domain.arrival import Via
from domain.dot import Dot
from domain.events import Event
from node.network.link_faults import LinkFault

FRAME_BYTES_MAX = 4 * 1024 * 1024
PAGE_BYTES_MAX = 512 * 1024

Order = Literal["causal", "arrival", "author"]


# --- requests ---------------------------------------------------------------------------------


@final
class Post(Struct, frozen=True, tag="post"):
    """`ack` is written, durable, or replicated:K; "" takes the node's own durability."""

    id: int
    author: str
    text: str
    ack: str = ""
    timeout_ms: int = 5000


@final
class SetPresence(Struct, frozen=True, tag="presence-set"):
    id: int
    author: str
    present: bool  # True: join, False: leave
    ack: str = ""
    timeout_ms: int = 5000


@final
class ReadTimeline(Struct, frozen=True, tag="timeline"):
    """A page of the timeline as it stood after `arrivals` arrivals (None: now; echoed in the page).

    `as_of_ms` (wall clock of the node) picks the arrivals up to the last one received by then.
    `last` keeps only the last N of the order. `offset` counts items of the selection.
    """

    id: int
    order: Order = "causal"
    last: int | None = None
    as_of_ms: int | None = None
    arrivals: int | None = None
    offset: int = 0


@final
class ReadPresence(Struct, frozen=True, tag="presence"):
    """A page of the participants whose names come after `after`, sorted."""

    id: int
    after: str = ""


@final
class ReadStatus(Struct, frozen=True, tag="status"):
    id: int


@final
class ReadFrontier(Struct, frozen=True, tag="frontier"):
    """The root, and a page of the logs from number `offset` on; `logs_max` 0: the root alone."""

    id: int
    offset: int = 0
    logs_max: int | None = None


@final
class SetFault(Struct, frozen=True, tag="fault"):
    """Replace the faults on the links from this node to `peers` (empty: all). Values: 0 to 1."""

    id: int
    peers: list[str] = []
    blocked: bool | None = None  # None leaves that part as it is
    loss: float | None = None
    duplicate: float | None = None
    delay_ms: float | None = None
    jitter_ms: float | None = None


@final
class ClearFaults(Struct, frozen=True, tag="heal"):
    id: int


Request = (
    Post
    | SetPresence
    | ReadTimeline
    | ReadPresence
    | ReadStatus
    | ReadFrontier
    | SetFault
    | ClearFaults
)


# --- replies ----------------------------------------------------------------------------------


class Accepted(Struct, frozen=True, tag="accepted"):
    id: int
    dot: Dot
    ack: str  # the level reached, as asked: written, durable, replicated:K
    verdict: Literal["clean", "censored"]
    text: str
    rules: list[str] = []


class Refused(Struct, frozen=True, tag="refused"):
    id: int
    by: Literal["moderation", "domain"]
    reason: str
    rules: list[str] = []


FailureCode = Literal[
    "bad_request", "busy", "storage_error", "disk_full", "ack_timeout", "stopping", "internal"
]


class Failed(Struct, frozen=True, tag="failed"):
    """Nothing is promised. With `dot`, the event exists here; the asked level was not reached."""

    id: int
    code: FailureCode
    reason: str
    dot: Dot | None = None


class TimelineItem(Struct, frozen=True):
    event: Event  # tagged by kind, see the event classes
    received_at_ms: int
    via: Via
    skewed: bool = False  # its stamp was too far in the future when it arrived


class TimelinePage(Struct, frozen=True, tag="timeline-page"):
    id: int
    items: list[TimelineItem]
    arrivals: int  # the snapshot: pass it back for the next page
    total: int  # items in the selection
    late: int  # arrivals that were inserted before something already shown (churn)
    holes: list[tuple[str, int, int, int]]  # known to be missing: origin, epoch, first, last
    more_holes: bool = False  # these are not all of them: more is missing than they say


class Participant(Struct, frozen=True):
    author: str
    active: bool
    because: Literal["joined", "posted", "left"]
    dot: Dot
    since_ms: int
    ahead_ms: int = 0  # how far that is ahead of this node's clock, if it is too far to be the time


class PresencePage(Struct, frozen=True, tag="presence-page"):
    id: int
    participants: list[Participant]
    total: int = 0  # participants known; read on after the last of these, until none comes


class PeerStatus(Struct, frozen=True):
    state: Literal["alive", "suspect", "dead"]
    incarnation: int
    last_heard_ms: int | None  # milliseconds ago; None: never
    in_sync: bool  # roots were equal in the last finished exchange
    rounds: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    dropped: dict[str, int] = {}  # reason -> packets
    fault: str = ""  # for people: "", or for example "blocked", "loss 20% delay 50ms±20ms"
    link: LinkFault | None = None  # the same as data; None: the link is whole


class WorkerStatus(Struct, frozen=True):
    state: Literal["running", "backoff", "stopped", "failed"]
    restarts: int
    budget: int


class LogStatus(Struct, frozen=True):
    """One line of a frontier, for people: `head` is hex, `ranges` the first above the prefix."""

    origin: str
    epoch: int
    prefix: int
    ranges: list[tuple[int, int]]
    head: str
    forked: bool = False


class PlacesStatus(Struct, frozen=True):
    """How many logs the node keeps. `full`: who was refused a further one, by name; "" stands for
    all that nobody has configured. An entry counts in `refused` each time that it is refused.
    """

    origins: int
    logs: int
    refused: int
    full: list[str]


class Status(Struct, frozen=True, tag="status-page"):
    id: int
    node: str
    pid: int
    state: Literal["starting", "running", "recovering", "read_only", "degraded", "stopping"]
    epoch: int
    incarnation: int
    events: int
    root: str  # hex
    frontier: list[LogStatus]  # the first ones: `places` says how many there are
    missing: int  # events known to exist and not held
    peers: dict[str, PeerStatus]
    durability: str
    written_upto: int  # journal records
    durable_upto: int
    quiet_for_ms: int
    stable: (
        bool  # quiet, and the last root of every live peer equal to ours: a guess, never a truth
    )
    workers: dict[str, WorkerStatus]
    forked: list[str]
    uptime_ms: int
    counters: dict[str, int]
    places: PlacesStatus = PlacesStatus(0, 0, 0, [])
    cluster: str = ""  # the id of its cluster; "": not known, the cluster goes by its name
    stamps_ahead_ms: int = 0  # how far own stamps run ahead of the clock
    settings: dict[str, str] = {}  # what it runs with; empty: an older version, which does not say


class FrontierPage(Struct, frozen=True, tag="frontier-page"):
    id: int
    root: str
    events: int
    logs: list[LogStatus]
    total: int = 0  # logs; those of later pages are of a later moment, which `root` names


class Done(Struct, frozen=True, tag="done"):
    id: int


Reply = Accepted | Refused | Failed | TimelinePage | PresencePage | Status | FrontierPage | Done


# --- the feed: what a node publishes to observers, one way ------------------------------------


class FeedArrival(Struct, frozen=True, tag="arrival"):
    """`number` counts this node's arrivals from 1: an observer that sees a jump missed some."""

    node: str
    number: int
    item: TimelineItem


Feed = FeedArrival

requests_decoder = msgspec.msgpack.Decoder(list[Request])
replies_decoder = msgspec.msgpack.Decoder(list[Reply])
feed_decoder = msgspec.msgpack.Decoder(Feed)
