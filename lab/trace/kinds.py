"""The closed table of the kinds of trace events, one class for each. See `lab.trace.trace`.

A class holds the fields that are particular to a kind; time, node and cause are in the `Event`
around it. `KINDS` has the name of each kind in a file, and docs/trace.md explains each. Changing a
class changes the encoding and so the hash of traces; then `SCHEMA` must be increased.
"""

from typing import Any, Literal, get_args

from msgspec import Struct

SCHEMA = 1

Via = Literal["local", "rumor", "anti-entropy", "recovery"]
What = Literal["posted", "joined", "left", "unknown"]
Action = Literal["post", "join", "leave", "read"]
PhaseName = Literal["faults", "heal", "liveness", "end"]
Detail = Literal["lean", "normal", "full"]
Json = None | bool | int | float | str | list[Any] | dict[str, Any]


class _Data(Struct, frozen=True, array_like=True, gc=False, tag_field="kind"):
    """Base of what can happen; each class has a one-word tag, which is the `kind` of its line."""


# --- the run ------------------------------------------------------------------------------------


class Run(_Data, frozen=True, array_like=True, gc=False, tag="run"):
    """The first event. `options` is everything the run was made from, as JSON text."""

    schema: int
    source: Literal["sim", "real"]
    scenario: str
    seed: int
    nodes: tuple[str, ...]
    detail: Detail
    options: str


class Phase(_Data, frozen=True, array_like=True, gc=False, tag="phase"):
    """`faults`: things go wrong. `heal`: all is whole again from here on (T_f). `liveness`: nodes
    are all up and no more posts come; they must agree within `bound_us`. `end`: the last instant.
    """

    name: PhaseName
    bound_us: int = 0


class Faulted(_Data, frozen=True, array_like=True, gc=False, tag="fault"):
    """A fault begins; `what` is a word of `lab.plan.faults`. Faults of an instant have no end."""

    fault: int
    what: str
    nodes: tuple[str, ...]
    detail: str = ""


class Healed(_Data, frozen=True, array_like=True, gc=False, tag="healed"):
    fault: int


class Fired(_Data, frozen=True, array_like=True, gc=False, tag="fired"):
    """A fault that waits for its occasion acted: a disk error, a crash point, a flipped bit."""

    what: str
    detail: str = ""


class Totals(_Data, frozen=True, array_like=True, gc=False, tag="totals"):
    """The last event but `phase end`: the counters of the network and of all faults."""

    counts: dict[str, int]  # of lab.sim.network.Ledger, by name
    fired: dict[str, int]  # times each fault acted on something
    enabled: tuple[str, ...]  # faults that this run's plan switched on


# --- clients ------------------------------------------------------------------------------------


class Invoke(_Data, frozen=True, array_like=True, gc=False, tag="invoke"):
    """A client asks this node. Exactly one of `ok`, `fail`, `info` follows, or none if cut off."""

    op: int  # unique in the run
    session: str  # one client's ops come one after the other
    action: Action
    author: str
    text: str = ""
    ack: str = ""  # written, durable, replicated:K


class Ok(_Data, frozen=True, array_like=True, gc=False, tag="ok"):
    """The op succeeded. A post: the event exists, as safe as `level` says. A read: what it saw."""

    op: int
    session: str
    ref: str = ""
    level: str = ""
    text: str = ""  # as emitted, perhaps censored
    rules: tuple[str, ...] = ()  # that censored it
    seen: tuple[str, ...] = ()  # reads: refs in the order shown


class Fail(_Data, frozen=True, array_like=True, gc=False, tag="fail"):
    """The op definitely did not happen, and will not: refused, rejected, no room, busy."""

    op: int
    session: str
    code: str  # moderation, domain, busy, disk_full, down
    reason: str = ""


class Info(_Data, frozen=True, array_like=True, gc=False, tag="info"):
    """The outcome of the op is unknown: the node died, the disk failed, the request timed out."""

    op: int
    session: str
    code: str  # ack_timeout, storage_error, crash, end (of the run)
    reason: str = ""
    dot: str = ""  # the event exists at the node, or is about to, all the same


# --- the log of a node --------------------------------------------------------------------------


class Facts(Struct, frozen=True, array_like=True, gc=False):
    """The content of an event; the same on every node."""

    what: What
    author: str
    parents: tuple[str, ...]  # dots
    stamp_ms: int
    stamp_counter: int
    text: str
    censored_by: tuple[str, ...] = ()


class Handed(_Data, frozen=True, array_like=True, gc=False, tag="handed"):
    """A record of an event is handed to the journal. `event.bytes` is the size of its data.

    `number` counts the records of this life, those recovered at its boot included. A record whose
    write failed may be handed out again, under a number that is used again. Of an event that was
    asked for here, `op` is the one that did.
    """

    number: int
    ref: str
    via: Via
    wall_ms: int  # when it was received, by this node's clock
    facts: Facts
    sender: str = ""
    op: int | None = None


class Epoch(_Data, frozen=True, array_like=True, gc=False, tag="epoch"):
    """A record that opens a new epoch of this node's own log is handed to the journal."""

    number: int
    log: str  # n1.5eed
    reason: str


class Written(_Data, frozen=True, array_like=True, gc=False, tag="written"):
    """The committer reports progress to the node: records 1..written, 1..durable."""

    written: int
    durable: int


class Unwritten(_Data, frozen=True, array_like=True, gc=False, tag="unwritten"):
    """Records after `kept` that were handed out are not in the journal."""

    kept: int
    code: Literal["disk_full", "storage_error"]
    reason: str
    final: bool


class Visible(_Data, frozen=True, array_like=True, gc=False, tag="visible"):
    """An arrival is applied to the projections and published here: clients can read it.

    `index` counts arrivals of this life; those recovered at its boot are 1..len(Boot.arrivals).
    """

    index: int
    ref: str
    via: Via
    skewed: bool = False


class Quiet(_Data, frozen=True, array_like=True, gc=False, tag="quiet"):
    """The node considered itself quiet in [from_us, to_us); recorded at the end of that time.

    The node's own projection says so, by its own clock.
    """

    from_us: int
    to_us: int
    quiet_ms: int


class Note(_Data, frozen=True, array_like=True, gc=False, tag="note"):
    """A line of the node's structured log."""

    event: str
    level: str
    fields: dict[str, Json]


# --- packets: header has msg_id, peer and bytes --------------------------------------------------


class Sent(_Data, frozen=True, array_like=True, gc=False, tag="send"):
    """One packet to one peer. digest + payload + framing = bytes."""

    body: str  # Syn, Same, SynAck, Ack, Unfold, Push, Feedback, Receipt
    digest: int  # bytes of frontier lines
    payload: int  # bytes of entries
    framing: int  # everything else
    entries: int


class Copied(_Data, frozen=True, array_like=True, gc=False, tag="copy"):
    """The network delivers this transmission (`cause`) once more."""


class Got(_Data, frozen=True, array_like=True, gc=False, tag="recv"):
    """`event.node` receives a packet from `event.peer`; `cause` is the Sent event."""

    body: str


class Dropped(_Data, frozen=True, array_like=True, gc=False, tag="drop"):
    """This transmission (`cause`) or a copy of it from `event.node` to `event.peer` never comes."""

    why: str  # loss, burst, partition, queue, corrupt, down


# --- the life of a process ----------------------------------------------------------------------


class Boot(_Data, frozen=True, array_like=True, gc=False, tag="boot"):
    """A life begins, with the number `event.inc` of the journal, and with what recovery found."""

    disk: Literal["new", "same", "empty", "older", "other"]  # than at the end of the last life
    recovered: tuple[str, ...]  # records in order: refs, and `epoch LOG` for epochs
    arrivals: tuple[str, ...]  # refs that are visible from the start, in order
    clean: bool
    must_open_epoch: str
    log: str  # where own events go from here on
    torn_bytes: int = 0
    quarantined: int = 0  # records lost in newly found holes
    wall_ms: int = 0
    quiet_ms: int = 0
    durability: str = "always"
    skewed: tuple[str, ...] = ()  # of the arrivals: their stamps are not followed
    unsynced: int = 0  # of the recovered: so many at the end are not durable yet
    holes: int = 0  # newly found; how many records were in the last one may be beyond telling


class StartRefused(_Data, frozen=True, array_like=True, gc=False, tag="refused"):
    """A start failed: the journal cannot be opened. The node stays down."""

    reason: str


class Crash(_Data, frozen=True, array_like=True, gc=False, tag="crash"):
    """A life ends at once. The counts are the journal's, whether the node was notified or not."""

    how: Literal["kill", "power", "point", "core", "storage", "damage"]
    site: str  # of a point: after_write, after_sync, mid_send; of the last three: the error
    written: int
    durable: int


class Stopped(_Data, frozen=True, array_like=True, gc=False, tag="stop"):
    """A life ends by an orderly stop, with everything on disk."""

    written: int
    durable: int


class Paused(_Data, frozen=True, array_like=True, gc=False, tag="pause"):
    """The process is stopped (SIGSTOP): it does nothing, and keeps its memory."""


class Resumed(_Data, frozen=True, array_like=True, gc=False, tag="resume"):
    """The process continues where it stopped (SIGCONT)."""


class State(_Data, frozen=True, array_like=True, gc=False, tag="state"):
    """A node as it stands at a change of phase; `root` is that of what is visible."""

    root: str
    count: int
    missing: int
    health: str


class Final(_Data, frozen=True, array_like=True, gc=False, tag="final"):
    """A live node at the end. Fingerprints of projections are equal where their contents are, and
    that of a timeline is of its order, too.
    """

    root: str
    arrivals: tuple[str, ...]  # refs in arrival order
    causal: tuple[str, ...]  # refs in causal order
    timeline: str  # fingerprints: as it grew ...
    presence: str
    timeline_again: str  # ... folded anew from the arrivals ...
    presence_again: str
    timeline_half: str  # ... with the last half rewound ...
    presence_half: str
    timeline_half_again: str  # ... the first half folded anew ...
    presence_half_again: str
    timeline_back: str  # ... and with the last half rewound and applied again
    presence_back: str
    missing: int  # positions known to exist and not held
    forked: tuple[str, ...]  # origins
    holes: int  # in the timeline
    health: str
    wake_ms: int  # until the node's next timer
    counters: dict[str, int]


class Differs(_Data, frozen=True, array_like=True, gc=False, tag="differs"):
    """A part of the core, by itself, does not do what a plain model of it does: `lab.drills`."""

    part: str
    reason: str


# --- inputs and outputs of the core, for conformance replay (detail `full`) ---------------------


class Life(_Data, frozen=True, array_like=True, gc=False, tag="life"):
    """All that a replica is made of: build it from this, feed it what follows."""

    config: bytes  # ReplicaConfig as JSON
    rng_seed: int
    incarnation: int
    records: tuple[bytes, ...]  # as node.storage.codec.encode_block of one record each
    now_ms: int
    wall_ms: int
    must_open_epoch: str
    unsynced: int = 0  # of the records: so many at the end are not durable yet


class TickIn(_Data, frozen=True, array_like=True, gc=False, tag="in_tick"):
    now_ms: int
    wall_ms: int


class PacketIn(_Data, frozen=True, array_like=True, gc=False, tag="in_packet"):
    data: bytes


class SubmitIn(_Data, frozen=True, array_like=True, gc=False, tag="in_submit"):
    ticket: int
    action: Action
    author: str
    text: str
    ack: str  # written, durable, replicated
    copies: int
    timeout_ms: int


class PolicyIn(_Data, frozen=True, array_like=True, gc=False, tag="in_policy"):
    policy: bytes  # domain.moderation.Policy as JSON


class WrittenIn(_Data, frozen=True, array_like=True, gc=False, tag="in_written"):
    written: int
    durable: int


class UnwrittenIn(_Data, frozen=True, array_like=True, gc=False, tag="in_unwritten"):
    kept: int
    code: Literal["disk_full", "storage_error"]
    reason: str
    final: bool


class Out(_Data, frozen=True, array_like=True, gc=False, tag="out"):
    """A drain; `hash` is `outbox_hash` of what it handed over."""

    hash: str


# fmt: off
Data = (
    Run | Phase | Faulted | Healed | Fired | Totals
    | Invoke | Ok | Fail | Info
    | Handed | Epoch | Written | Unwritten | Visible | Quiet | Note
    | Sent | Copied | Got | Dropped
    | Boot | StartRefused | Crash | Stopped | Paused | Resumed | State | Final | Differs
    | Life | TickIn | PacketIn | SubmitIn | PolicyIn | WrittenIn | UnwrittenIn | Out
)
# fmt: on
KINDS: dict[str, type[_Data]] = {str(of.__struct_config__.tag): of for of in get_args(Data)}
