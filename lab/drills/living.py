"""Drill of `node.core.replica.Replica` and of the views that read it (`node.control.queries`).

The model is the list of all records that the replica handed out, each with what happened to it.
Random steps: commands, packets of one peer that have gaps, a journal that writes, syncs or fails,
timers, and a restart as after kill -9. From the list follow the visible messages, the replies, the
counters, the notes and the content of each view. Left out: real files, sockets and threads.
"""

from collections.abc import Sequence
from random import Random
from types import SimpleNamespace
from typing import cast

from domain.clock import SKEW_MAX_MS, Stamp
from domain.commands import PostMessage
from domain.dot import Dot
from domain.events import Event, MessagePosted, ParticipantJoined
from gossip.entry import GENESIS, hash_of
from gossip.packets import PROTOCOL_VERSION, Packet, Push, Run
from gossip.wire import cluster_hash
from lab.drills.beside import holds, same
from lab.drills.chains import root_of_all
from lab.drills.entries import written as written_as
from node.control.messages import (
    FrontierPage,
    PresencePage,
    ReadFrontier,
    ReadPresence,
    ReadStatus,
    ReadTimeline,
    Status,
    TimelineItem,
    TimelinePage,
)
from node.control.queries import NodeQueries, Running
from node.core.interface import (
    Acked,
    Denied,
    Persisted,
    PersistFailed,
    Received,
    Submit,
    Tick,
    Unmet,
)
from node.core.ports import AckLevel, Durability, EpochRecord, EventRecord, Record
from node.core.replica import Replica, ReplicaConfig
from node.network.link_faults import FaultTable, LinkFault
from node.network.peer_sender import Traffic
from node.network.transport import Transport
from node.storage.codec import ProtobufCodec

STEPS = 18
RETRY_MS = 500  # after a failed write, until the journal is tried again
PEERS = ("n2", "n3")
CLUSTER = cluster_hash("c")
WALL_MS = 1_700_000_000_000
QUIET_MS = 500
CODEC = ProtobufCodec()


class Far:
    """The peer: the events that it has written, and how many of them it has sent."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.prev = GENESIS
        self.data: list[bytes] = []
        self.told: set[int] = set()

    def write(self, wall_ms: int) -> None:
        seq = len(self.data) + 1
        ahead_ms = SKEW_MAX_MS * 2 if self.rng.random() < 0.05 else 0
        dot, stamp = Dot("n2", 8, seq), Stamp(wall_ms + ahead_ms, seq)
        event: Event = MessagePosted(
            dot=dot, stamp=stamp, parents=(), author=f"p{seq % 3}", text="x" * seq, censored_by=()
        )
        if self.rng.random() < 0.3:
            event = ParticipantJoined(dot, stamp, (), f"j{seq}")
        self.data.append(written_as(event, self.prev))
        self.prev = hash_of(self.data[-1])[:16]


class Handed:
    """One record that the replica handed out, and what happened to it."""

    def __init__(self, record: Record, ticket: int = 0) -> None:
        self.record, self.ticket = record, ticket
        self.wall_ms = 0  # when it came
        self.event: Event | None = None
        if isinstance(record, EventRecord):
            self.event, self.wall_ms = CODEC.decode(record.data).event, record.received_at_ms

    @property
    def skewed(self) -> bool:
        event = self.event
        assert event is not None
        return event.dot.origin != "n1" and event.stamp.ms - self.wall_ms > SKEW_MAX_MS


class Bench:
    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.mode: Durability = rng.choice(("always", "interval", "none"))
        self.now_ms = self.ticket = self.number = self.lives = 0
        self.journal: list[Handed] = []  # all that was handed out and not refused
        self.visible = self.written = self.durable = self.restored = 0
        self.open: dict[int, tuple[AckLevel, int]] = {}  # ticket: level, number of its record
        self.counts: dict[str, int] = {}
        self.heard_ms: dict[str, int] = {}
        self.far = Far(rng)
        self.begin()

    @property
    def wall_ms(self) -> int:
        return WALL_MS + self.now_ms

    def begin(self) -> None:
        config = ReplicaConfig("n1", "c", PEERS, self.mode, quiet_ms=QUIET_MS)
        self.replica = replica = Replica(config, CODEC, self.rng, 3 + self.lives)
        replica.restore([one.record for one in self.journal])
        first = not any(isinstance(one.record, EpochRecord) for one in self.journal)
        asked = self.rng.choice(("", "new log")) if not first else "new log"
        replica.boot(self.now_ms, self.wall_ms, asked)
        self.lives += 1
        opened_before = [one.record for one in self.journal if isinstance(one.record, EpochRecord)]
        self.epoch = opened_before[-1].epoch if opened_before else 0
        self.visible = self.written = self.durable = len(self.journal)
        events = sum(one.event is not None for one in self.journal)
        self.restored = events
        names = ("posted", "received", "refused", "rejected", "censored", "unmet", "skewed")
        self.counts = {"restored": events, "unwritable": 0} | dict.fromkeys(names, 0)
        self.heard_ms.clear()
        self.open.clear()
        self.told = dict.fromkeys(("events_posted", "events_received"), 0)
        self.retry_ms: int | None = None
        self.final = False
        self.started_ms = self.now_ms
        self.running = Running("n1", 77, self.mode, self.now_ms, cluster="ab", settings={"a": "b"})
        transport = SimpleNamespace(
            traffic=lambda _: Traffic(1, 20, 3, 40, {"slow": 2}),
            faults=FaultTable(PEERS, self.rng),
        )
        transport.faults.set({"n2": LinkFault(loss=0.5)})
        self.views = NodeQueries(
            replica=replica,
            transport=cast(Transport, transport),
            running=self.running,
            workers=dict,
            counters=lambda: {"c": 1},
            now_ms=lambda: self.now_ms,
            wall_ms=lambda: self.wall_ms,
        )
        before = len(self.journal)
        self.drain([])
        opened = [isinstance(one.record, EpochRecord) for one in self.journal[before:]]
        same("epochs opened", opened, [True] * bool(asked))

    # --- a turn ---------------------------------------------------------------------------------

    def drain(self, tickets: Sequence[int]) -> None:
        """Take the outbox of the replica and compare it with the model."""
        out = self.replica.drain()
        before = self.visible
        taken = list(tickets)
        for record in out.persist:
            own = isinstance(record, EventRecord) and record.via == "local"
            if isinstance(record, EpochRecord):
                self.epoch = record.epoch
            self.journal.append(Handed(record, taken.pop(0) if own else 0))
            if own and self.journal[-1].ticket:
                level, _ = self.open[self.journal[-1].ticket]
                self.open[self.journal[-1].ticket] = level, len(self.journal)
        same("each command is one record", taken, [])
        upto = self.seen
        shown = [one for one in self.journal[before:upto] if one.event is not None]
        self.visible = max(upto, before)
        first = self.arrivals - len(shown) + 1
        told = [(number, arrival.event) for number, arrival in out.publish]
        same("published", told, [(first + at, one.event) for at, one in enumerate(shown)])
        self.counts["posted"] += sum(bool(one.ticket) for one in shown)
        self._replies(out.reply)
        for note in out.note:
            if note.event in self.told:
                self.told[note.event] += cast(int, note.fields["events"])
        for event, counter in (("events_posted", "posted"), ("events_received", "received")):
            same(f"{event} are told", self.told[event], self.counts[counter])
        dots = [one.event.dot for one in self.journal if one.event is not None]
        waits = self.far.told - {dot.seq for dot in dots if dot.origin == "n2"}
        if waits and self.retry_ms is not None and self.replica.state == "read_only":
            holds("wakes to write again", self.replica.wake_at_ms <= self.retry_ms)

    @property
    def seen(self) -> int:
        """The number of records that may be visible."""
        return self.durable if self.mode == "always" else self.written

    @property
    def shown(self) -> list[Handed]:
        return [one for one in self.journal[: self.visible] if one.event is not None]

    @property
    def arrivals(self) -> int:
        return len(self.shown)

    def _replies(self, replies: Sequence[tuple[int, object]]) -> None:
        due = {
            ticket: number for ticket, (level, number) in self.open.items()
            if 0 < number <= (self.seen if level is AckLevel.WRITTEN else self.durable)
        }  # fmt: skip
        acked = {ticket for ticket, outcome in replies if isinstance(outcome, Acked)}
        same("who is acked", acked, set(due))
        for ticket, outcome in replies:
            if isinstance(outcome, Acked):
                level, number = self.open.pop(ticket)
                event = self.journal[number - 1].event
                assert event is not None
                text = event.text if isinstance(event, MessagePosted) else ""
                same("ack", outcome, Acked(event.dot, level, 0, text, ()))

    def submit(self) -> None:
        rng = self.rng
        tickets = []
        refuses = self.replica.state == "read_only"
        for _ in range(rng.randint(1, 3)):
            self.ticket += 1
            bad = rng.random() < 0.15
            level = rng.choice((AckLevel.WRITTEN, AckLevel.DURABLE))
            author = f"a{rng.randrange(3)}" if not bad else ""
            command = PostMessage(author, f"t{self.ticket}")
            self.replica.step(Submit(self.ticket, command, level, 0, 60_000))
            if bad or refuses:
                self.counts["unmet" if refuses else "refused"] += 1
                out = self.replica._outbox.reply
                wanted = self.ticket, Unmet if refuses else Denied
                same("refused", [(t, type(o)) for t, o in out[-1:]], [wanted])
            else:
                tickets.append(self.ticket)
                self.open[self.ticket] = level, 0
        self.drain(tickets)

    def receive(self) -> None:
        rng, far = self.rng, self.far
        for _ in range(rng.randint(1, 4)):
            far.write(self.wall_ms)
        first = rng.randint(max(1, len(far.data) - 6), len(far.data))
        last = rng.randint(first, len(far.data))
        run = Run("n2", 8, first, far.data[first - 1 : last])
        self.number += 1
        packet = Packet(
            version=PROTOCOL_VERSION,
            cluster=CLUSTER,
            sender="n2",
            incarnation=1,
            number=self.number,
            body=Push([run], direct=True),
        )
        before = len(self.journal)
        holding = self.replica.engine.holding
        self.replica.step(Received(packet, 100))
        self.heard_ms["n2"] = self.now_ms
        new = [] if holding else [seq for seq in range(first, last + 1) if seq not in far.told]
        kept = {one.event.dot.seq for one in self.journal if one.event is not None
                and one.event.dot.origin == "n2"}  # fmt: skip
        again = far.told - kept  # what a failed write lost is written again
        far.told |= set(new)
        self.counts["unwritable"] += holding
        self.counts["received"] += len(new)
        self.drain([])
        got = [one.event.dot.seq for one in self.journal[before:] if one.event is not None]
        same("taken in", sorted(set(got) - again), new)
        self.counts["skewed"] += sum(
            one.skewed for one in self.journal[before:]
            if one.event is not None and one.event.dot.seq in new
        )  # fmt: skip

    def persist(self) -> None:
        if self.written == len(self.journal) == self.durable:
            return
        self.written = len(self.journal)
        if self.rng.random() < 0.8:
            self.durable = self.written
        self.replica.step(Persisted(self.written, self.durable))
        self.drain([])

    def fail(self) -> None:
        """A failed write: unwritten own events are void; those of others come again."""
        if self.written == len(self.journal):
            return
        final = self.rng.random() < 0.1
        lost = [one.ticket for one in self.journal[self.written :] if one.ticket]
        self.journal = self.journal[: self.written]
        self.replica.step(PersistFailed(self.written, "disk_full", "no room", final))
        self.final = self.final or final
        self.retry_ms = None if self.final else self.now_ms + RETRY_MS
        out = self.replica._outbox.reply
        told = sorted(ticket for ticket, outcome in out if isinstance(outcome, Unmet))
        same("who is told", told, lost)
        for ticket in lost:
            del self.open[ticket]
        self.counts["unmet"] += len(lost)
        self.drain([])

    def tick(self) -> None:
        self.now_ms += self.rng.choice((1, 40, 300))
        self.replica.step(Tick(self.now_ms, self.wall_ms))
        self.drain([])

    def restart(self) -> None:
        """A restart as after kill -9: all written records remain."""
        self.journal = self.journal[: self.written]
        dots = [one.event.dot for one in self.journal if one.event is not None]
        self.far.told = {dot.seq for dot in dots if dot.origin == "n2"}
        self.begin()

    # --- what is shown --------------------------------------------------------------------------

    def judge(self) -> None:
        replica, shown = self.replica, self.shown
        data = {one.record.data for one in shown if isinstance(one.record, EventRecord)}
        root = root_of_all(data).hex()
        same("root", replica.root.hex(), root)
        told = {name: replica.counters[name] for name in self.counts}
        same("counters", told, self.counts)
        self._timeline(shown)
        frontier = self.views.answer(ReadFrontier(4))
        assert isinstance(frontier, FrontierPage)
        same("frontier", (frontier.root, frontier.events, frontier.total),
             (root, len(shown), len(frontier.logs)))  # fmt: skip
        self._status(root, shown)
        people = self.views.answer(ReadPresence(5))
        assert isinstance(people, PresencePage)
        names = sorted({one.event.author for one in shown if one.event is not None})
        same("people", [one.author for one in people.participants], names)
        same("how many", people.total, len(names))
        after = self.rng.choice(["", *names])
        people = self.views.answer(ReadPresence(6, after))
        assert isinstance(people, PresencePage)
        same("after", [one.author for one in people.participants], [n for n in names if n > after])
        for one in people.participants:
            ahead = one.since_ms - self.wall_ms
            same("ahead", one.ahead_ms, ahead if ahead > SKEW_MAX_MS else 0)

    def _timeline(self, shown: list[Handed]) -> None:
        rng = self.rng
        items = [_item(one) for one in shown]
        page = self._page(ReadTimeline(1, "arrival"))
        same("timeline", page.items, items)
        same("counts", (page.arrivals, page.total), (len(items), len(items)))
        holes = self.replica.timeline.holes()
        same("holes", (page.holes, page.more_holes), (holes, False))
        upto, offset = rng.randint(0, len(items) + 2), rng.randint(0, 3)
        page = self._page(ReadTimeline(2, "arrival", arrivals=upto, offset=offset))
        same(
            "of a moment", (page.items, page.arrivals), (items[offset:upto], min(upto, len(items)))
        )
        last = rng.randint(0, 4)
        page = self._page(ReadTimeline(3, "arrival", last=last))
        same("the last", page.items, items[len(items) - min(last, len(items)) :])
        page = self._page(ReadTimeline(3, "causal"))
        ordered = sorted(items, key=lambda one: (one.event.stamp, one.event.dot.origin))
        same("causal", [one.event.dot for one in page.items], [one.event.dot for one in ordered])

    def _page(self, request: ReadTimeline) -> TimelinePage:
        page = self.views.answer(request)
        assert isinstance(page, TimelinePage)
        same("to whom", page.id, request.id)
        return page

    def _status(self, root: str, shown: list[Handed]) -> None:
        self.running.written, self.running.durable = self.written, self.durable
        self.running.stopping = self.rng.random() < 0.1
        status = self.views.answer(ReadStatus(7))
        assert isinstance(status, Status)
        quiet_ms = 0
        if shown:
            heard = len(shown) > self.restored
            quiet_ms = self.wall_ms - shown[-1].wall_ms if heard else self.now_ms - self.started_ms
        same("status", (status.id, status.node, status.pid, status.epoch, status.incarnation),
             (7, "n1", 77, self.epoch, 2 + self.lives))  # fmt: skip
        same("events", (status.events, status.root), (len(shown), root))
        same("written", (status.durability, status.written_upto, status.durable_upto),
             (self.mode, self.written, self.durable))  # fmt: skip
        same("quiet", status.quiet_for_ms, quiet_ms)
        told = status.uptime_ms, status.counters, status.cluster, status.settings
        same("of the process", told, (self.now_ms - self.started_ms, {"c": 1}, "ab", {"a": "b"}))
        ago = {peer: self.now_ms - at_ms for peer, at_ms in self.heard_ms.items()}
        same("heard", {peer: one.last_heard_ms for peer, one in status.peers.items()},
             {peer: ago.get(peer) for peer in PEERS})  # fmt: skip
        for peer, one in status.peers.items():
            same(
                "traffic", (one.sent_bytes, one.received_bytes, one.dropped), (20, 40, {"slow": 2})
            )
            same("fault", (one.fault, one.link is None),
                 ("loss 50%", False) if peer == "n2" else ("", True))  # fmt: skip
        state = "stopping" if self.running.stopping else self.replica.state
        same("state", status.state, state)
        alive = [one.in_sync for one in status.peers.values() if one.state == "alive"]
        same("stable", status.stable, all(alive) and quiet_ms >= QUIET_MS)
        same("forks", status.forked, [])
        places = status.places
        same("places", (places.refused, places.full), (0, []))


def _item(one: Handed) -> TimelineItem:
    record, event = one.record, one.event
    assert isinstance(record, EventRecord)
    assert event is not None
    return TimelineItem(event, record.received_at_ms, record.via, one.skewed)


def living(rng: Random) -> None:
    bench = Bench(rng)
    for _ in range(STEPS):
        match rng.randrange(9):
            case 0 | 1:
                bench.submit()
            case 2 | 3:
                bench.receive()
            case 4 if rng.random() < 0.3:
                bench.restart()
            case 4 if rng.random() < 0.4:
                bench.fail()
            case 4 | 5 | 6:
                bench.persist()
            case _:
                bench.tick()
        bench.judge()
