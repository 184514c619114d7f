"""The replica: one node without its process. Commands and packets in, an Outbox out. Pure.

The caller's duties, in this order: `restore` what the journal holds, `boot`, then `step` any number
of inputs (a Tick first, it carries the time) and `drain`; execute the Outbox in the order of its
fields; say `Persisted` as the journal gets on; step a Tick at `wake_at_ms` at the latest.

Rules
- **An event exists here once its record is as safe as the node's durability promises.** Only then
  is it applied to the projections, published and acknowledged, and only then is an own one gossiped
  (`node.core.inflight`). A failed write takes own events back without a trace.
- Events of others enter at `evolve`: moderation and `decide` judge commands, never facts.
- A dot is never used twice. Whenever an own event may have been lost, a new epoch is opened; if a
  peer shows that it holds more of our log than we do, our own events are pulled back first.
- Bad input from a peer is a counter. An impossible state of our own is an assert.
- Same configuration, same seed, same inputs: the same Outboxes, byte for byte.
"""

from collections.abc import Iterable
from functools import partial
from random import Random
from typing import Literal, assert_never

from msgspec import Struct

from domain.arrival import Via
from domain.clock import FAR_MS, SKEW_MAX_MS, Stamp
from domain.events import Event
from domain.history import largest_stamp
from domain.moderation import Moderator, Policy
from gossip.admission import Learnt
from gossip.config import GossipConfig
from gossip.engine import Engine
from gossip.entry import Entry
from gossip.frontier import Frontier
from gossip.packets import Push, without_runs
from gossip.reconcile.vector import Vector
from gossip.wire import cluster_hash
from node.core.checkpoint import Checkpoint
from node.core.commit_tracker import CommitTracker
from node.core.emitter import Emitted, Emitter
from node.core.entry_store import EntryStore, MemoryEntryStore, PagedEntryStore
from node.core.epochs import Epochs
from node.core.forks import Forks
from node.core.inflight import ExpectedPresence
from node.core.interface import (
    Denied,
    Input,
    Outbox,
    Persisted,
    PersistFailed,
    Received,
    Submit,
    Tick,
    Unmet,
)
from node.core.notes import (
    PeerState,
    membership_note,
    peer_states,
    places_note,
    posted_note,
    received_note,
)
from node.core.pending_acks import Answer
from node.core.ports import (
    AckLevel,
    Durability,
    EpochRecord,
    EventCodec,
    EventRecord,
    Fields,
    Note,
    Pages,
    Record,
    opened,
)
from node.core.projections import Projections
from node.core.write_state import WriteBounds, WritePhase

COUNTERS = ("posted", "received", "censored", "rejected", "refused", "unmet", "skewed")
VERDICTS_MAX = 512  # pairs of a verdict and a rule that are counted apart
Health = Literal["starting", "running", "recovering", "read_only"]


class ReplicaConfig(Struct, frozen=True):
    node: str
    cluster: str
    peers: tuple[str, ...]
    durability: Durability = "always"
    policy: Policy = Policy((), ())
    quiet_ms: int = 2000
    gossip: GossipConfig = GossipConfig()
    unwritten: WriteBounds = WriteBounds()
    cluster_id: str = ""  # hex; "": not known, the name stands for it


class Replica:
    """Mutable; not thread-safe."""

    def __init__(
        self,
        config: ReplicaConfig,
        codec: EventCodec,
        rng: Random,
        incarnation: int,
        moderator: Moderator | None = None,  # of the policy, if there is one already
        pages: Pages | None = None,  # the journal to read from; without it all stays in memory
    ) -> None:
        self.node = config.node
        self.incarnation = incarnation
        self._config = config
        self._codec = codec
        self._store: EntryStore = (
            MemoryEntryStore() if pages is None else PagedEntryStore(pages, codec)
        )
        self.engine: Engine[Event] = Engine(
            node=config.node,
            cluster=cluster_hash(config.cluster, config.cluster_id),
            start=incarnation,
            peers=config.peers,
            config=config.gossip,
            rng=rng,
            store=self._store,
            strategy=Vector(),
            open_entry=partial(opened, codec),
        )
        self._emitter = Emitter(config.node, codec, moderator or Moderator(config.policy))
        self.projections = Projections(
            self._store, codec, self.engine, self._emitter, config.quiet_ms
        )
        self.timeline, self.presence = self.projections.timeline, self.projections.presence
        self.quiet = self.projections.quiet
        self._epochs = Epochs(self._emitter.own, self.engine.frontier, rng)
        self._commits = CommitTracker(config.unwritten)
        self._outbox = Outbox()
        self._now_ms = 0
        self._wall_ms = 0
        self._booted = False
        self._others_before: Stamp | None = None  # among the events that this life began with
        self._is_ahead = False  # own stamps run ahead of the clock, and that was told
        self._reported_phase = self._commits.write_state.phase  # as it was told last
        self._sleep_until_ms = 0  # after a drain, until the next step: before that no Tick matters
        self._forks = Forks(self.engine.frontier)
        self._counters = dict.fromkeys((*COUNTERS, "restored", "unwritable"), 0)
        self.verdicts: dict[tuple[str, str], int] = {}  # verdict and rule -> commands

    # --- before the first turn ------------------------------------------------------------------

    def recall(self, checkpoints: Iterable[Checkpoint]) -> None:
        """The first part of the node's own past, at once; before any record is restored."""
        assert not self._booted
        self._commits.inflight.handed = self.projections.recall(checkpoints)
        self._counters["restored"] = len(self.timeline)

    def restore(self, records: Iterable[Record]) -> None:
        """The node's own past, from the journal, in order. May be called many times."""
        assert not self._booted
        inflight = self._commits.inflight
        for record in records:
            inflight.handed += 1
            if type(record) is EpochRecord:
                self._emitter.own.open(record.epoch)
            elif type(record) is EventRecord:
                self._counters["restored"] += self.projections.restore(record, inflight.handed)
            else:
                assert_never(record)

    def boot(self, now_ms: int, wall_ms: int, must_open_epoch: str, unsynced: int = 0) -> None:
        """Begin to live. `must_open_epoch` is the reason why own events need a new epoch, or "".

        `unsynced` of the restored records are not durable yet: a `Persisted` will say when.
        """
        assert not self._booted
        self._commits.inflight.boot(unsynced)
        self.engine.receipts.vouched = not unsynced
        self._booted = True
        self._now_ms, self._wall_ms = now_ms, wall_ms
        self.quiet.watch(wall_ms)
        self._forks.boot()
        why = self._epochs.boot(must_open_epoch)
        self.frontier.places.write(self._emitter.own.log)
        if why:
            self._open_epoch(why)
        self.engine.start(now_ms)

    # --- a turn ---------------------------------------------------------------------------------

    def step(self, item: Input) -> None:
        assert self._booted
        if type(item) is Tick:
            self._on_tick(item)
            return
        self._sleep_until_ms = 0
        if type(item) is Received:
            self._on_received(item)
        elif type(item) is Submit:
            self._on_submit(item)
        elif type(item) is Persisted:
            self._on_persisted(item)
        elif type(item) is PersistFailed:
            self._on_persist_failed(item)
        else:
            assert_never(item)
        if self._commits.write_state.phase is not self._reported_phase:
            self._watch_write_state()

    def drain(self) -> Outbox:
        """Hand over what the steps since the last drain want done."""
        self.engine.awaits_receipts = bool(self._commits.pending_acks.replicated)
        out, self._outbox = self._outbox, Outbox()
        out.persist, out.send = self._commits.take_persist(), self.engine.flush()
        if self.engine.members.changes:
            out.note += map(membership_note, self.engine.members.take_changes())
        if (places := self.frontier.places).news:
            out.note += [places_note(whose, places) for whose in places.take_news()]
        self._sleep_until_ms = self._next_due_ms()
        return out

    @property
    def wake_at_ms(self) -> int:
        return self._sleep_until_ms or self._next_due_ms()

    def _next_due_ms(self) -> int:
        wake_ms = self.engine.wake_at_ms
        pending_ms, recover_ms = self._commits.wake_at_ms, self._epochs.until_ms
        if pending_ms is not None and pending_ms < wake_ms:
            wake_ms = pending_ms
        if recover_ms is not None and recover_ms < wake_ms:
            wake_ms = recover_ms
        return wake_ms

    # --- what others look at --------------------------------------------------------------------

    @property
    def frontier(self) -> Frontier:
        """What this node holds. Entries of others are in it before they are visible."""
        return self.engine.frontier

    @property
    def peers(self) -> tuple[str, ...]:
        """The configured ones."""
        return self._config.peers

    @property
    def root(self) -> bytes:
        """The root of what is visible here."""
        return self.frontier.root_without(self._commits.invisible())

    @property
    def epoch(self) -> int:
        return self._emitter.own.epoch

    @property
    def state(self) -> Health:
        if not self._booted:
            return "starting"
        if self._commits.write_state.refuses:
            return "read_only"
        return "running" if self._epochs.until_ms is None else "recovering"

    @property
    def taken_in(self) -> tuple[int, int]:
        """Entries of others, and how many of these are of logs that configured nodes write in."""
        counters = self.engine.counters
        return counters["entries_new"], counters["entries_current"]

    @property
    def strategy(self) -> str:
        """The name of the strategy of reconciliation."""
        return self.engine.strategy

    @property
    def counters(self) -> dict[str, int]:
        claims_refused = self.frontier.claims_refused
        return {**self._counters, **self.engine.counters, "claims_refused": claims_refused}

    def peer_states(self, now_ms: int) -> dict[str, PeerState]:
        return peer_states(self.engine, now_ms)

    def set_policy(self, policy: Policy) -> None:
        """From the next command on. What was said stays said."""
        self._emitter.set_policy(policy)

    # --- time -----------------------------------------------------------------------------------

    def _on_tick(self, tick: Tick) -> None:
        assert tick.now_ms >= self._now_ms, "monotonic time went back"
        self._now_ms, self._wall_ms = tick.now_ms, tick.wall_ms
        if tick.now_ms < self._sleep_until_ms:
            return
        self._sleep_until_ms = 0
        self.engine.tick(tick.now_ms)
        self._answer(self._commits.pending_acks.overdue(tick.now_ms))
        self._commits.retry(tick.now_ms)
        if why := self._epochs.pulled_back(tick.now_ms):
            self._open_epoch(why)

    # --- commands -------------------------------------------------------------------------------

    def _on_submit(self, submit: Submit) -> None:
        refusal = self._refusal()
        if refusal is not None:
            self._answer([(submit.ticket, refusal)])
            return
        self._follow_time()
        known = ExpectedPresence(self.presence, self._commits.inflight)
        emitted = self._emitter.emit(submit.command, known, self._wall_ms)
        if type(emitted) is Denied:
            self._counters["rejected" if emitted.by == "moderation" else "refused"] += 1
            self._count_verdict("rejected", emitted.rules)
            self._outbox.reply.append((submit.ticket, emitted))
        elif type(emitted) is Emitted:
            self._hand_out_own(submit, emitted)
        else:
            assert_never(emitted)

    def _hand_out_own(self, submit: Submit, emitted: Emitted) -> None:
        """Hand an own event out, and remember what its sender was promised."""
        arrival, entry = emitted.arrival, emitted.entry
        receipt = submit.ack is AckLevel.REPLICATED
        self._commits.hand_out(emitted.record, arrival, entry, own=True, receipt=receipt)
        self._commits.await_ack(submit, arrival.event, emitted.rules, self._now_ms)
        self._counters["censored"] += bool(emitted.rules)
        if emitted.rules:
            self._count_verdict("censored", emitted.rules)
        else:
            self._count_verdict("clean", ("",))

    def _count_verdict(self, verdict: str, rules: tuple[str, ...]) -> None:
        for rule in rules:
            key = (verdict, rule)
            if key not in self.verdicts and len(self.verdicts) >= VERDICTS_MAX:
                key = (verdict, "other")  # rules come and go with each reading of the file
            self.verdicts[key] = self.verdicts.get(key, 0) + 1

    @property
    def stamps_ahead_ms(self) -> int:
        """How far the own stamps run ahead of the clock."""
        return max(0, self._emitter.last_stamp.ms - self._wall_ms)

    def _follow_time(self) -> None:
        """The next own stamp: tell if it will be ahead of the clock, and go back if far ahead."""
        ahead_ms = self.stamps_ahead_ms
        if self._emitter.is_far_ahead(self._wall_ms) and self._others_are_near():
            limit_ms = self._wall_ms + FAR_MS
            pending = largest_stamp(self._commits.arrivals(), limit_ms)
            self._emitter.set_back(max(self._store.history.largest_stamp(limit_ms), pending))
            fields: dict[str, int] = {"were_ahead_ms": ahead_ms, "ahead_ms": self.stamps_ahead_ms}
            self._outbox.note.append(Note("stamps_set_back", "warning", {**fields}))
        elif ahead_ms > SKEW_MAX_MS and not self._is_ahead:
            self._outbox.note.append(Note("stamps_ahead", "warning", {"ahead_ms": ahead_ms}))
        self._is_ahead = self.stamps_ahead_ms > SKEW_MAX_MS

    def _others_are_near(self) -> bool:
        """Whether what others have said tells that the clock is right, and own stamps are not.

        A clock may as well be wrong now, and then own stamps are right. Where others have said
        nothing near to now, nobody knows, and the order is kept.
        """
        if self._others_before is None:
            self._others_before = self._store.history.largest_of_others()
        others = max(self._emitter.others, self._others_before)
        return abs(others.ms - self._wall_ms) <= FAR_MS

    def _refusal(self) -> Unmet | None:
        """Why no command can be taken now."""
        if self._epochs.until_ms is not None:
            return Unmet("busy", "own events are pulled back from peers: try again soon")
        return self._commits.refusal()

    # --- packets --------------------------------------------------------------------------------

    def _on_received(self, received: Received) -> None:
        packet = received.packet
        if (
            self._commits.write_state.holds
        ):  # it comes again by later rounds, for the roots will differ
            self._counters["unwritable"] += 1
            packet = without_runs(packet)
        learnt = self.engine.receive(packet, self._now_ms)
        via: Via = "rumor" if type(packet.body) is Push else "anti-entropy"
        for item in learnt:
            self._take_in(item, via, packet.sender)
        if learnt:
            self._outbox.note.append(received_note(packet.sender, via, learnt))
            self._outbox.note += self._forks.watch([item.entry for item in learnt])
        if self._commits.pending_acks.replicated:
            self._send_acks()
        self._watch_own_log(packet.sender)

    def _take_in(self, learnt: Learnt[Event], via: Via, sender: str) -> None:
        entry, event = learnt.entry, learnt.value
        if entry.dot.origin == self.node:
            via = "recovery"
        record = EventRecord(entry.data, self._wall_ms, via, sender)
        arrival = self._emitter.arrival(event, entry, self._wall_ms, via)
        self._commits.hand_out(record, arrival, entry)
        self._counters["received"] += 1
        self._counters["skewed"] += arrival.skewed

    # --- the journal ----------------------------------------------------------------------------

    def _on_persisted(self, persisted: Persisted) -> None:
        always = self._config.durability == "always"
        if self._commits.persisted(persisted, always=always):
            self._outbox.note.append(Note("writes_resumed", "info", {}))
        inflight = self._commits.inflight
        posted: list[Entry] = []
        for incoming in inflight.take_visible():
            if incoming.arrival is None or incoming.entry is None:
                continue  # an epoch was opened
            if incoming.own:
                self._emitter.own.show(incoming.entry.dot)
                self.engine.offer(incoming.entry, incoming.receipt)
                posted.append(incoming.entry)
            self.projections.evolve(incoming.arrival, incoming.entry, incoming.number)
            self._outbox.publish.append((len(self.timeline), incoming.arrival))
        self.engine.receipts.vouched = inflight.vouched
        for dot in inflight.take_durable():
            self.engine.receipts.durable(dot.log, dot.seq)
        if posted:
            self._counters["posted"] += len(posted)
            self._outbox.note.append(posted_note(posted))
            self._outbox.note += self._forks.watch(posted)
        self._send_acks()

    def _send_acks(self) -> None:
        if self._commits.pending_acks:
            copies = self.engine.receipts.copies
            self._answer(self._commits.reached_acks(lambda dot: copies(dot.log, dot.seq)))

    def _on_persist_failed(self, failure: PersistFailed) -> None:
        failing = self._commits.persist_failed(failure, self._now_ms)
        self._answer(failing.answers)
        for incoming in failing.own:
            assert incoming.entry is not None
            assert incoming.arrival is not None
            self._emitter.take_back(incoming.entry, incoming.arrival.event)
        fields: Fields = {"code": failure.code, "final": failure.final}
        self._outbox.note.append(Note("writes_refused", "error", fields))

    def _watch_write_state(self) -> None:
        """How writing goes has changed: peers hold back where nothing of them can be kept."""
        writing = self._commits.write_state
        before, self._reported_phase = self._reported_phase, writing.phase
        self.engine.holding = writing.holds
        fields: Fields = {"records": writing.records, "bytes": writing.bytes}
        if writing.phase is WritePhase.BEHIND:
            self._outbox.note.append(Note("writes_behind", "warning", fields))
        elif before is WritePhase.BEHIND and writing.phase is WritePhase.RUNNING:
            self._outbox.note.append(Note("writes_caught_up", "info", fields))

    def _answer(self, answers: list[Answer]) -> None:
        if answers:
            self._counters["unmet"] += sum(type(outcome) is Unmet for _, outcome in answers)
            self._outbox.reply += answers

    # --- the own log ----------------------------------------------------------------------------

    def _open_epoch(self, reason: str) -> None:
        record, note = self._epochs.open(reason, self._wall_ms)
        self.frontier.places.write(self._emitter.own.log)
        self._commits.hand_out(record)
        self._outbox.note.append(note)

    def _watch_own_log(self, peer: str) -> None:
        if note := self._epochs.watch(peer, self.engine.exchanges.get(peer, 0), self._now_ms):
            self._outbox.note.append(note)
        if why := self._epochs.pulled_back(self._now_ms):
            self._open_epoch(why)
        elif self._epochs.asking == peer:
            self.engine.call(peer)
