"""A `ClusterView` is a fold of trace events and polls: the cluster as one observer knows it.

    view = ClusterView()
    for event in trace:
        view.apply(event)
    view.nodes["n2"].events, view.lacks("n2")

Times are microseconds of the observer. A dot is text, `n1.5eed:12`, as in the trace.

Memory is bounded. Of the messages only the newest are kept with their content (`messages`); who
holds what is exact for all of them (`Held`), so `lacks` and `known` count the older ones, too.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Literal, Self

import msgspec
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
from lab.trace.trace import Event, dot_of, origin_of
from lab.view.held import Held

LINES_MAX = 500  # of the merged log
LATENCIES_MAX = 120  # acknowledgements and lags, the newest
MESSAGES_MAX = 2000  # with their content, the newest
ARRIVALS_MAX = MESSAGES_MAX  # of one node, in their order
PEOPLE_MAX = 1000  # participants of one node, the newest
TEXT_MAX = 500  # characters of a message; what is longer is cut

NodeHealth = Literal[
    "unknown", "down", "starting", "recovering", "running", "paused", "read_only", "degraded",
    "stopping", "backoff", "failed", "silent",
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


class Poll(Struct, frozen=True, kw_only=True):
    """What one status reading said. `t_us` is when the answer was read."""

    t_us: int
    node: str
    health: str  # of the process, if the node did not answer: down, paused, starting, …
    root: str = ""  # hex; "" if it did not answer
    events: int | None = None
    missing: int | None = None  # that it knows of and does not hold
    restarts: int = 0
    exit: str = ""  # how its last process ended, if a launcher saw it
    pid: int | None = None
    uptime_ms: int | None = None
    quiet_for_ms: int | None = None
    stable: bool | None = None
    life: int | None = None  # the incarnation that answered
    logs: dict[str, tuple[tuple[int, int], ...]] = {}  # n1.5eed -> the numbers that it holds
    logs_cut: bool = False  # it holds more logs than these
    feed_missed: int = 0  # arrivals that its feed skipped, since this observer began
    feed_unread: int = 0  # of these, those that were not read from its timeline, either
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
        self.life = 0  # by its journal
        self.exit = ""  # how its last life ended
        self.arrivals: deque[str] = deque(maxlen=ARRIVALS_MAX)  # dots, as shown here, newest last
        self.held = Held()  # all dots that it shows
        self.root = ""
        self.quiet_since_us: int | None = None
        self.stable: bool | None = None
        self.presence: dict[str, str] = {}  # author -> joined, posted, left: the last that arrived
        self.rules: dict[str, int] = {}  # moderation: rule -> posts that it changed or refused here
        self.refused = 0  # posts, by moderation
        self.latencies_us: deque[int] = deque(maxlen=LATENCIES_MAX)  # invoke to ok, the newest last
        self.lags_us: deque[int] = deque(maxlen=LATENCIES_MAX)  # after the first node to show it
        self.sent_bytes = 0
        self.received_bytes = 0
        self.sent = 0  # packets
        self.lost = 0  # packets sent that never come
        self.poll: Poll | None = None  # the last one

    @property
    def events(self) -> int:
        return len(self.held)

    @property
    def starts(self) -> int:
        """How often it was started: its life by the journal, or what the launcher counts."""
        restarts = self.poll.restarts if self.poll is not None else 0
        return max(self.life, restarts + (self.up or bool(self.exit)))

    @property
    def up(self) -> bool:
        return self.health not in ("unknown", "down", "backoff", "failed")

    def copy(self) -> "NodeView":
        new = NodeView(self.name)
        new.__dict__.update(self.__dict__)
        new.arrivals = self.arrivals.copy()
        new.held = self.held.copy()
        new.presence = dict(self.presence)
        new.rules = dict(self.rules)
        new.latencies_us = self.latencies_us.copy()
        new.lags_us = self.lags_us.copy()
        return new


class ClusterView:
    """The fold. Mutable; `copy` gives one that later events do not change."""

    def __init__(self, messages_max: int = MESSAGES_MAX) -> None:
        self.t_us = 0
        self.began_us = 0  # wall clock time of t_us 0, where that is known
        self.source = ""  # sim, real
        self.scenario = ""
        self.seed = 0
        self.phase = ""
        self.nodes: dict[str, NodeView] = {}
        self.messages: dict[str, Message] = {}  # the newest of all nodes, by their first arrival
        self.first_us: dict[str, int] = {}  # of these: when the first node was seen to show it
        self.spread_us: dict[str, int] = {}  # of these: from the first node to the last one so far
        self.spreads_us: deque[int] = deque(maxlen=LATENCIES_MAX)  # until all that are up showed it
        self.faults: dict[int, Fault] = {}  # now in effect
        self.lines: deque[LogLine] = deque(maxlen=LINES_MAX)
        self._all = Held()  # what any node is known to show
        self._past = Held()  # messages that have left `messages`
        self._messages_max = messages_max
        self._asked_us: dict[int, tuple[int, str]] = {}  # ops in flight: op -> when, what

    # --- readings -------------------------------------------------------------------------------

    @property
    def known(self) -> int:
        """How many messages any node is known to show, older ones included."""
        return len(self._all)

    @property
    def older(self) -> int:
        """How many of these are not in `messages` any more, or never were."""
        return max(len(self._all) - len(self.messages), 0)

    def lacks(self, node: str) -> int:
        """How many of the messages that any node is known to show this one does not show.

        If a node has more logs than a status names, only counts are compared: a lower bound.
        """
        polls = [one.poll for one in self.nodes.values() if one.poll is not None]
        if any(poll.logs_cut for poll in polls):
            own = self.nodes[node].poll
            most = max(poll.events or 0 for poll in polls)
            return most - (own.events or 0) if own is not None else most
        return len(self._all) - len(self.nodes[node].held)

    def lacking(self, node: str) -> Iterator[Message]:
        """Those of the newest messages that this node does not show, and some other does."""
        held = self.nodes[node].held
        known = self._all
        return (one for dot, one in self.messages.items() if dot not in held and dot in known)

    def holders(self, dot: str) -> list[str]:
        return [name for name, node in self.nodes.items() if dot in node.held]

    def timeline(self, node: str, last: int) -> list[Message]:
        """The newest of what a node shows, in the order of its arrival there."""
        arrivals = self.nodes[node].arrivals
        dots = list(islice(arrivals, max(len(arrivals) - last, 0), None))
        return [self.messages.get(dot) or unknown(dot) for dot in dots]

    @property
    def converged(self) -> bool:
        """Whether all nodes that are up show the same. A guess about the past, not about now."""
        up = [name for name, node in self.nodes.items() if node.up]
        return bool(up) and not any(self.lacks(name) for name in up)

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
        before, node.poll = node.poll, poll
        node.health = poll.health
        node.exit = poll.exit or node.exit
        node.refused = max(node.refused, poll.counters.get("rejected", 0))
        if poll.quiet_for_ms is not None:
            node.quiet_since_us = poll.t_us - poll.quiet_for_ms * 1000
        if poll.root:
            node.root = poll.root
            node.stable = poll.stable
        if poll.logs and (before is None or before.logs != poll.logs or len(node.held) == 0):
            self._holds(node, poll)

    def _holds(self, node: NodeView, poll: Poll) -> None:
        """What a node says that it holds; more than was seen to come, if a feed left out some."""
        new = 0
        for log, ranges in poll.logs.items():
            new += node.held.add_ranges(log, ranges)
            self._all.add_ranges(log, ranges)
        if new:  # perhaps also of the newest messages: they have come by now
            for dot in self.messages:
                if node.held.get(dot) is None and dot in node.held:
                    node.held.add(dot, poll.t_us)
                    node.arrivals.append(dot)

    def node(self, name: str) -> NodeView:
        if name not in self.nodes:
            self.nodes[name] = NodeView(name)
        return self.nodes[name]

    def copy(self) -> Self:
        new = type(self)()
        new.__dict__.update(self.__dict__)
        new.nodes = {name: node.copy() for name, node in self.nodes.items()}
        new.messages = dict(self.messages)
        new.first_us = dict(self.first_us)
        new.spread_us = dict(self.spread_us)
        new.spreads_us = self.spreads_us.copy()
        new._all = self._all.copy()
        new._past = self._past.copy()
        new.faults = dict(self.faults)
        new.lines = self.lines.copy()
        new._asked_us = dict(self._asked_us)
        return new

    # --- one of each kind -----------------------------------------------------------------------

    def _run(self, _: Event, data: Run) -> None:
        self.source, self.scenario, self.seed = data.source, data.scenario, data.seed
        self.began_us = _began_ms(data.options) * 1000
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
        node.life, node.health = event.inc, "running"
        self._shows(event, data.arrivals)

    def _shows(self, event: Event, refs: tuple[str, ...]) -> None:
        """All that the node shows, from its start or in the end."""
        node, before = self.node(event.node), self.node(event.node).held
        node.held = Held()
        node.arrivals.clear()
        for dot in map(dot_of, refs):
            self._meets(node, self._message(dot))
            kept = dot in self.messages
            node.held.add(dot, before.get(dot, event.t_us) if kept else None)
            node.arrivals.append(dot)
            self._all.add(dot)
        if len(node.held) < len(before):  # what it showed may be held by nobody now
            self._all.clear()
            for one in self.nodes.values():
                self._all.update(one.held)

    def _message(self, dot: str) -> Message:
        """What is known of it; just its name, if it is new or has left `messages`."""
        if dot not in self.messages:
            self._keep(unknown(dot))
        return self.messages.get(dot) or unknown(dot)

    def _keep(self, message: Message) -> None:
        """Take it in among the newest, unless it has left them before."""
        if message.dot in self._past:
            return
        self.messages[message.dot] = message
        while len(self.messages) > self._messages_max:
            dot = next(iter(self.messages))
            for of in (self.messages, self.first_us, self.spread_us):
                of.pop(dot, None)
            for node in self.nodes.values():
                node.held.forget_time(dot)
            self._past.add(dot)

    def _meets(self, node: NodeView, message: Message) -> None:
        """Its author is the newest participant here."""
        if message.author:
            node.presence.pop(message.author, None)
            node.presence[message.author] = message.what
            if len(node.presence) > PEOPLE_MAX:
                del node.presence[next(iter(node.presence))]

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
        before = self.messages.get(dot)
        if dot in self._past or (before is not None and before.what != "unknown"):
            return  # the content is the same on every node
        self._keep(
            Message(
                dot=dot,
                what=facts.what,
                author=facts.author,
                text=cut(facts.text),
                stamp_ms=facts.stamp_ms,
                stamp_counter=facts.stamp_counter,
                censored_by=facts.censored_by,
                parents=facts.parents,
            )
        )
        rules = self.node(origin_of(dot)).rules if facts.censored_by else {}
        for rule in facts.censored_by:
            rules[rule] = rules.get(rule, 0) + 1

    def _visible(self, event: Event, data: Visible) -> None:
        node, dot = self.node(event.node), dot_of(data.ref)
        message = self._message(dot)
        if node.held.get(dot) is None:
            self._arrives(node, dot, event.t_us)
        self._meets(node, message)
        node.quiet_since_us = event.t_us

    def _arrives(self, node: NodeView, dot: str, t_us: int) -> None:
        """One more node shows it. When it came to those that had it before this observer came is
        not known, and so is no lag after them.
        """
        new = self._all.add(dot)
        kept = dot in self.messages
        if node.held.add(dot, t_us if kept else None) or kept:
            node.arrivals.append(dot)
        if not kept or not (new or dot in self.first_us):
            return
        lag_us = t_us - self.first_us.setdefault(dot, t_us)
        node.lags_us.append(lag_us)
        self.spread_us[dot] = lag_us
        up = [one for one in self.nodes.values() if one.up]
        if len(up) > 1 and all(dot in one.held for one in up):
            self.spreads_us.append(lag_us)

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
        self._shows(event, data.arrivals)


def unknown(dot: str) -> Message:
    """A message of which only the name is known."""
    return Message(dot=dot, what="unknown", author="", text="", stamp_ms=0)


def cut(text: str) -> str:
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}…"


def _began_ms(options: str) -> int:
    try:
        return msgspec.json.decode(options, type=_Began).began_ms
    except msgspec.MsgspecError:
        return 0


class _Began(Struct):
    began_ms: int = 0


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
