"""A `ClusterView` is a fold of trace events and polls: the cluster as one observer knows it.

    view = ClusterView()
    for event in trace:
        view.apply(event)
    view.nodes["n2"].events, view.lacks("n2")

Times are microseconds of the observer. A dot is text, `n1.5eed:12`, as in the trace.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Literal, Self

from msgspec import Struct

from lab.trace.kinds import (
    Boot,
    Crash,
    Dropped,
    Fail,
    Faulted,
    Final,
    Got,
    Handed,
    Healed,
    Info,
    Invoke,
    Note,
    Ok,
    Paused,
    Phase,
    Quiet,
    Resumed,
    Run,
    Sent,
    StartRefused,
    State,
    Stopped,
    Visible,
)
from lab.trace.trace import Event, dot_of

LINES_MAX = 500  # of the merged log
LATENCIES_MAX = 120  # acknowledgements, the newest

NodeHealth = Literal[
    "unknown", "down", "starting", "recovering", "running", "paused", "read_only", "degraded",
    "stopping", "backoff", "failed",
]  # fmt: skip


class Worker(Struct, frozen=True):
    """A supervised worker of a node, at the last poll."""

    state: str  # running, backoff, stopped, failed
    restarts: int
    budget: int  # restarts left


class Link(Struct, frozen=True):
    """What a node says of the link to one peer, at the last poll."""

    state: str  # alive, suspect, dead
    in_sync: bool  # roots were equal in the last finished exchange
    rounds: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    dropped: int = 0  # packets, whatever the reason
    fault: str = ""  # an injected one, as text; "": none


class Queue(Struct, frozen=True):
    """A bounded queue of a node: how full it is."""

    used: int
    room: int  # 0: not known


class Poll(Struct, frozen=True):
    """What one status reading said. `t_us` is when the answer was read."""

    t_us: int
    node: str
    health: str  # of the process, if the node did not answer: down, paused, starting, …
    root: str = ""  # hex; "" if it did not answer
    events: int | None = None
    missing: int | None = None  # that it knows of and does not hold
    restarts: int = 0
    pid: int | None = None
    uptime_ms: int | None = None
    quiet_ms: int | None = None
    stable: bool | None = None
    workers: dict[str, Worker] = {}
    links: dict[str, Link] = {}
    queues: dict[str, Queue] = {}
    counters: dict[str, int] = {}


class Message(Struct, frozen=True):
    """The content of one event of the chat; the same on every node that holds it."""

    dot: str
    what: str  # posted, joined, left, unknown
    author: str
    text: str
    stamp_ms: int  # when its author's node says it was made; a view never orders by it alone
    stamp_counter: int = 0
    censored_by: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()


class Fault(Struct, frozen=True):
    """An interval in which something was made to go wrong."""

    id: int
    what: str
    nodes: tuple[str, ...]
    detail: str
    from_us: int


class LogLine(Struct, frozen=True):
    """One line of the structured log of a node."""

    t_us: int
    node: str
    level: str
    event: str
    fields: dict[str, Any]


class NodeView:
    """One node. Mutable, inside of its view."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.health: str = "unknown"
        self.life = 0
        self.restarts = 0
        self.exit = ""  # how its last life ended
        self.arrivals: list[str] = []  # dots, in the order in which this node shows them
        self.held: set[str] = set()  # the same dots
        self.root = ""
        self.quiet_since_us: int | None = None
        self.stable: bool | None = None
        self.presence: dict[str, str] = {}  # author -> joined, posted, left: the last that arrived
        self.rules: dict[str, int] = {}  # moderation: rule -> posts that it changed or refused here
        self.refused = 0  # posts, by moderation
        self.latencies_us: deque[int] = deque(maxlen=LATENCIES_MAX)  # invoke to ok, the newest last
        self.sent_bytes = 0
        self.received_bytes = 0
        self.sent = 0  # packets
        self.lost = 0  # packets sent that never come
        self.poll: Poll | None = None  # the last one

    @property
    def events(self) -> int:
        return len(self.arrivals)

    @property
    def up(self) -> bool:
        return self.health not in ("unknown", "down", "backoff", "failed")

    def copy(self) -> "NodeView":
        new = NodeView(self.name)
        new.__dict__.update(self.__dict__)
        new.arrivals = list(self.arrivals)
        new.held = set(self.held)
        new.presence = dict(self.presence)
        new.rules = dict(self.rules)
        new.latencies_us = self.latencies_us.copy()
        return new


class ClusterView:
    """The fold. Mutable; `copy` gives one that later events do not change."""

    def __init__(self) -> None:
        self.t_us = 0
        self.source = ""  # sim, real, live
        self.scenario = ""
        self.seed = 0
        self.phase = ""
        self.nodes: dict[str, NodeView] = {}
        self.messages: dict[str, Message] = {}  # of all nodes, in the order of first arrival
        self.faults: dict[int, Fault] = {}  # now in effect
        self.lines: deque[LogLine] = deque(maxlen=LINES_MAX)
        self._asked_us: dict[int, tuple[int, str]] = {}  # ops in flight: op -> when, what

    # --- readings -------------------------------------------------------------------------------

    def lacks(self, node: str) -> int:
        """How many of the messages that anybody is known to hold this node does not show."""
        return len(self.messages) - len(self.nodes[node].held)

    def lacking(self, node: str) -> Iterator[Message]:
        held = self.nodes[node].held
        return (one for dot, one in self.messages.items() if dot not in held)

    def holders(self, dot: str) -> list[str]:
        return [name for name, node in self.nodes.items() if dot in node.held]

    def timeline(self, node: str, last: int) -> list[Message]:
        """The newest of what a node shows, in the order of its arrival there."""
        return [self.messages[dot] for dot in self.nodes[node].arrivals[-last:]]

    @property
    def converged(self) -> bool:
        """Whether all nodes that are up show the same. A guess about the past, not about now."""
        up = [node for node in self.nodes.values() if node.up]
        return bool(up) and all(len(node.held) == len(self.messages) for node in up)

    # --- the fold -------------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        self.t_us = max(self.t_us, event.t_us)
        fold = _FOLDS.get(type(event.data))
        if fold is not None:
            fold(self, event, event.data)

    def poll(self, poll: Poll) -> None:
        """Take in a status reading. A node that did not answer keeps what is known of it."""
        self.t_us = max(self.t_us, poll.t_us)
        node = self.node(poll.node)
        node.poll = poll
        node.health = poll.health
        node.restarts = max(node.restarts, poll.restarts)
        if poll.root:
            node.root = poll.root
            node.stable = poll.stable

    def node(self, name: str) -> NodeView:
        if name not in self.nodes:
            self.nodes[name] = NodeView(name)
        return self.nodes[name]

    def copy(self) -> Self:
        new = type(self)()
        new.__dict__.update(self.__dict__)
        new.nodes = {name: node.copy() for name, node in self.nodes.items()}
        new.messages = dict(self.messages)
        new.faults = dict(self.faults)
        new.lines = self.lines.copy()
        new._asked_us = dict(self._asked_us)
        return new

    # --- one of each kind -----------------------------------------------------------------------

    def _run(self, _: Event, data: Run) -> None:
        self.source, self.scenario, self.seed = data.source, data.scenario, data.seed
        for name in data.nodes:
            self.node(name).health = "down"

    def _phase(self, _: Event, data: Phase) -> None:
        self.phase = data.name

    def _faulted(self, event: Event, data: Faulted) -> None:
        self.faults[data.fault] = Fault(
            id=data.fault, what=data.what, nodes=data.nodes, detail=data.detail, from_us=event.t_us
        )

    def _healed(self, _: Event, data: Healed) -> None:
        self.faults.pop(data.fault, None)

    def _boot(self, event: Event, data: Boot) -> None:
        node = self.node(event.node)
        node.restarts += node.life > 0
        node.life, node.health = event.inc, "running"
        self._shows(node, data.arrivals)

    def _shows(self, node: NodeView, refs: tuple[str, ...]) -> None:
        """All that the node shows, from its start or in the end."""
        node.arrivals = [dot_of(ref) for ref in refs]
        node.held = set(node.arrivals)
        for dot in node.arrivals:
            self._known(dot)

    def _known(self, dot: str) -> Message:
        if dot not in self.messages:
            self.messages[dot] = Message(dot=dot, what="unknown", author="", text="", stamp_ms=0)
        return self.messages[dot]

    def _refused(self, event: Event, data: StartRefused) -> None:
        node = self.node(event.node)
        node.health, node.exit = "down", data.reason

    def _crash(self, event: Event, data: Crash) -> None:
        node = self.node(event.node)
        node.health, node.exit = "down", f"{data.how} {data.site}".strip()

    def _stopped(self, event: Event, _: Stopped) -> None:
        node = self.node(event.node)
        node.health, node.exit = "down", "stopped"

    def _paused(self, event: Event, _: Paused) -> None:
        self.node(event.node).health = "paused"

    def _resumed(self, event: Event, _: Resumed) -> None:
        self.node(event.node).health = "running"

    def _handed(self, _: Event, data: Handed) -> None:
        facts, dot = data.facts, dot_of(data.ref)
        self.messages[dot] = Message(
            dot=dot,
            what=facts.what,
            author=facts.author,
            text=facts.text,
            stamp_ms=facts.stamp_ms,
            stamp_counter=facts.stamp_counter,
            censored_by=facts.censored_by,
            parents=facts.parents,
        )

    def _visible(self, event: Event, data: Visible) -> None:
        node, dot = self.node(event.node), dot_of(data.ref)
        message = self._known(dot)
        if dot not in node.held:
            node.held.add(dot)
            node.arrivals.append(dot)
        if message.author:
            node.presence[message.author] = message.what
        node.quiet_since_us = event.t_us

    def _quiet(self, event: Event, data: Quiet) -> None:
        self.node(event.node).quiet_since_us = data.to_us

    def _note(self, event: Event, data: Note) -> None:
        self.lines.append(LogLine(event.t_us, event.node, data.level, data.event, data.fields))

    def _invoke(self, event: Event, data: Invoke) -> None:
        self._asked_us[data.op] = event.t_us, data.action

    def _ok(self, event: Event, data: Ok) -> None:
        node = self.node(event.node)
        asked_us, action = self._asked_us.pop(data.op, (None, ""))
        if asked_us is not None and action != "read":
            node.latencies_us.append(event.t_us - asked_us)
        for rule in data.rules:
            node.rules[rule] = node.rules.get(rule, 0) + 1

    def _fail(self, event: Event, data: Fail) -> None:
        self._asked_us.pop(data.op, None)
        if data.code == "moderation":
            self.node(event.node).refused += 1

    def _info(self, _: Event, data: Info) -> None:
        self._asked_us.pop(data.op, None)

    def _sent(self, event: Event, _: Sent) -> None:
        node = self.node(event.node)
        node.sent += 1
        node.sent_bytes += event.bytes or 0

    def _got(self, event: Event, _: Got) -> None:
        self.node(event.node).received_bytes += event.bytes or 0

    def _dropped(self, event: Event, _: Dropped) -> None:
        self.node(event.node).lost += 1

    def _state(self, event: Event, data: State) -> None:
        node = self.node(event.node)
        node.root, node.health = data.root, data.health

    def _final(self, event: Event, data: Final) -> None:
        node = self.node(event.node)
        node.root, node.health = data.root, data.health
        self._shows(node, data.arrivals)


_FOLDS: dict[type, Callable[[ClusterView, Event, Any], None]] = {
    Run: ClusterView._run,
    Phase: ClusterView._phase,
    Faulted: ClusterView._faulted,
    Healed: ClusterView._healed,
    Boot: ClusterView._boot,
    StartRefused: ClusterView._refused,
    Crash: ClusterView._crash,
    Stopped: ClusterView._stopped,
    Paused: ClusterView._paused,
    Resumed: ClusterView._resumed,
    Handed: ClusterView._handed,
    Visible: ClusterView._visible,
    Quiet: ClusterView._quiet,
    Note: ClusterView._note,
    Invoke: ClusterView._invoke,
    Ok: ClusterView._ok,
    Fail: ClusterView._fail,
    Info: ClusterView._info,
    Sent: ClusterView._sent,
    Got: ClusterView._got,
    Dropped: ClusterView._dropped,
    State: ClusterView._state,
    Final: ClusterView._final,
}
