"""Mutants of identity and promises: dots, epochs, incarnations, forks, acknowledgements."""

from random import Random

from domain.commands import PostMessage
from domain.dot import LogId
from domain.events import Event
from domain.verdict import Clean
from gossip.admission import Learnt
from gossip.entry import Entry
from gossip.frontier import Added, Frontier
from gossip.log import Log
from gossip.receipts import Receipts
from node.core.emitter import Emitted, Emitter
from node.core.epochs import Epochs
from node.core.interface import Acked, Denied, Input, Submit, Tick
from node.core.pending_acks import PendingAck, PendingAcks
from node.core.ports import Note
from node.core.replica import Replica
from node.storage import recovery
from node.storage.files import Storage
from node.storage.headers import Identity
from node.storage.scan import ScanResult
from tests.mutants.planting import Bed, Swaps

BED = Bed()
planted = BED.planted

# --- dots and epochs ----------------------------------------------------------------------------


@planted(
    "seq-restarts",
    "After a restart own events count from 1 again, in the same epoch.",
    "node.core.epochs.Epochs.boot",
    "C3 C5",
    "crash-storm",
    "restarts",
)
def seq_restarts() -> Swaps:
    def boot(self: Epochs, must_open: str) -> str:
        return must_open if self._own.epoch else must_open or "new log"

    return [(Epochs, "boot", boot)]


@planted(
    "epoch-kept",
    "After an unclean stop in a relaxed mode own events go on in the same epoch.",
    "node.storage.recovery.epoch_reason",
    "C3 C5",
    "unsynced-power",
    "power-before-sync",
)
def epoch_kept() -> Swaps:
    def epoch_reason(identity: Identity | None, found: ScanResult, place: str) -> str:
        return "new log" if found.epoch is None else ""

    return [(recovery, "epoch_reason", epoch_reason)]


@planted(
    "epoch-not-persisted",
    "A new epoch is used and its record is never handed to the journal.",
    "node.core.replica.Replica._open_epoch",
    "C5",
    "crash-storm",
)
def epoch_not_persisted() -> Swaps:
    def open_epoch(self: Replica, reason: str) -> None:
        _, note = self._epochs.open(reason, self._wall_ms)
        self._outbox.note.append(note)

    return [(Replica, "_open_epoch", open_epoch)]


@planted(
    "epoch-by-rote",
    "Epochs are drawn from a generator with a constant seed: a lost epoch is opened again.",
    "node.core.epochs.Epochs.open",
    "C3 C5",
    "churn",
    "empty-disk",
)
def epoch_by_rote() -> Swaps:
    original = Epochs.open

    def open_epoch(self: Epochs, reason: str, wall_ms: int) -> object:
        self._rng = Random(5)
        return original(self, reason, wall_ms)

    return [(Epochs, "open", open_epoch)]


@planted(
    "peers-proof-ignored",
    "A peer that holds more of our log than we do is not believed: dots are used twice.",
    "node.core.epochs.Epochs.watch",
    "C3",
    "older-disk",
    "older-disk-and-peers",
)
def peers_proof_ignored() -> Swaps:
    def watch(self: Epochs, peer: str, finished: int, now_ms: int) -> Note | None:
        return None

    return [(Epochs, "watch", watch)]


@planted(
    "incarnation-stuck",
    "A restart does not count: every life has the incarnation of the first.",
    "node.storage.recovery.next_identity",
    "C14 C18",
    "crash-storm",
)
def incarnation_stuck() -> Swaps:
    original = recovery.next_identity

    def next_identity(
        storage: Storage,
        node: str,
        durability: str,
        identity: Identity | None,
        found: ScanResult,
        at_ms: int,
    ) -> Identity:
        made = original(storage, node, durability, identity, found, at_ms)
        return Identity(
            made.node,
            made.directory_id,
            made.place,
            1,
            made.durability,
            made.must_open_epoch,
            made.must_open_from,
            made.started_at_ms,
        )

    return [(recovery, "next_identity", next_identity)]


@planted(
    "taken-back-and-kept",
    "An own event whose write failed keeps its dot: the next one leaves a gap.",
    "node.core.emitter.Emitter.take_back",
    "C5",
    "full-disks",
    "full-for-a-while",
)
def taken_back_and_kept() -> Swaps:
    def take_back(self: Emitter, entry: Entry, event: Event) -> None:
        return

    return [(Emitter, "take_back", take_back)]


# --- forks --------------------------------------------------------------------------------------


@planted(
    "first-branch-wins",
    "Of two branches of a fork the second is dropped: nodes keep different ones.",
    "gossip.frontier.Frontier._rival",
    "C6",
    "older-disk",
    "forked-disk",
)
def first_branch_wins() -> Swaps:
    def rival(self: Frontier, log: Log, entry: Entry) -> bool:
        if self.store.get(log.id, entry.dot.seq) != entry.data:
            log.forked = True
        return False

    return [(Frontier, "_rival", rival)]


@planted(
    "root-without-rivals",
    "The root leaves out the second branch of a fork: unequal sets look equal.",
    "gossip.frontier.Frontier.add",
    "C6",
    "older-disk",
    "forked-disk",
)
def root_without_rivals() -> Swaps:
    original = Frontier.add

    def add(self: Frontier, entry: Entry, **how: bool) -> Added:
        before = (self._sum, self.count, self._root)
        added = original(self, entry, **how)
        if added is Added.RIVAL:
            self._sum, self.count, self._root = before
        return added

    return [(Frontier, "add", add)]


@planted(
    "fork-unsaid",
    "A fork is kept and not flagged: people do not hear of it.",
    "gossip.frontier.Frontier.forked",
    "C3",
    "older-disk",
    "forked-disk",
)
def fork_unsaid() -> Swaps:
    return [(Frontier, "forked", property(lambda self: []))]


# --- promises -----------------------------------------------------------------------------------


@planted(
    "ack-at-once",
    "A command is acknowledged when its event is handed out, before any disk has seen it.",
    "node.core.replica.Replica._hand_out_own",
    "C1",
    "calm",
)
def ack_at_once() -> Swaps:
    original = Replica._hand_out_own

    def promise(self: Replica, submit: Submit, emitted: Emitted) -> None:
        original(self, submit, emitted)
        self._answer(
            self._commits.pending_acks.reached(self._commits.inflight.handed, 2**62, lambda dot: 9)
        )

    return [(Replica, "_hand_out_own", promise)]


@planted(
    "receipt-before-durable",
    "A receipt is given for what has come and is not on disk yet.",
    "node.core.replica.Replica._take_in",
    "C1",
    "lossy",
    "slow-disks",
)
def receipt_before_durable() -> Swaps:
    original = Replica._take_in

    def take_in(self: Replica, learnt: "Learnt[Event]", via: object, sender: str) -> None:
        original(self, learnt, via, sender)  # type: ignore[arg-type]
        dot = learnt.entry.dot
        self.engine.receipts.durable(dot.log, dot.seq)

    return [(Replica, "_take_in", take_in)]


@planted(
    "own-copy-counted",
    "The copy on the node's own disk counts as one of the k replicas.",
    "gossip.receipts.Receipts.copies",
    "C1",
    "lossy",
)
def own_copy_counted() -> Swaps:
    original = Receipts.copies

    def copies(self: Receipts, log: LogId, seq: int) -> int:
        return 1 + original(self, log, seq)

    return [(Receipts, "copies", copies)]


@planted(
    "refused-and-emitted",
    "A command that a rule refuses is refused, and its event is emitted all the same.",
    "node.core.replica.Replica._on_submit",
    "C2 C9",
    "calm",
)
def refused_and_emitted() -> Swaps:
    original = Replica._on_submit

    def on_submit(self: Replica, submit: Submit) -> None:
        before = len(self._outbox.reply)
        original(self, submit)
        answered = self._outbox.reply[before:]
        command = submit.command
        if not (answered and type(answered[0][1]) is Denied and type(command) is PostMessage):
            return
        moderator = self._emitter._moderator
        self._emitter._moderator = _Lenient()  # type: ignore[assignment]
        emitted = self._emitter.emit(command, self.presence, self._wall_ms)
        self._emitter._moderator = moderator
        if type(emitted) is Emitted:
            self._commits.hand_out(emitted.record, emitted.arrival, emitted.entry, own=True)

    return [(Replica, "_on_submit", on_submit)]


class _Lenient:
    """Finds nothing wrong with anything."""

    def judge(self, text: str) -> object:
        return Clean()


@planted(
    "promise-kept-twice",
    "A promise that was kept is answered once more when its time is over.",
    "node.core.pending_acks.PendingAcks._answer",
    "C2",
    "lossy",
)
def promise_kept_twice() -> Swaps:
    original = PendingAcks._answer

    def keep(self: PendingAcks, promise: PendingAck, answers: list[tuple[int, object]]) -> None:
        original(self, promise, answers)  # type: ignore[arg-type]
        acked = Acked(promise.dot, promise.level, promise.copies, promise.text, promise.rules)
        answers.append((promise.ticket, acked))

    return [(PendingAcks, "_answer", keep)]


# --- a life -------------------------------------------------------------------------------------


@planted(
    "served-before-replay",
    "After a restart reads are served at once, and the history is shown 300 ms later.",
    "node.core.replica.Replica.boot",
    "C8 C5",
    "crash-storm",
)
def served_before_replay() -> Swaps:
    boot, step = Replica.boot, Replica.step
    waiting: dict[int, tuple[int, object]] = {}

    def late_boot(self: Replica, now_ms: int, wall_ms: int, why: str, unsynced: int = 0) -> None:
        boot(self, now_ms, wall_ms, why, unsynced)
        if len(self.timeline):
            waiting[id(self)] = (now_ms + 300, self.timeline)
            self.timeline = type(self.timeline)()

    def late_step(self: Replica, item: Input) -> None:
        found = waiting.get(id(self))
        if found and type(item) is Tick and item.now_ms >= found[0]:
            del waiting[id(self)]
            newer = self.timeline
            self.timeline = found[1]  # type: ignore[assignment]
            self.timeline.extend(newer.select("arrival"))
        step(self, item)

    return [(Replica, "boot", late_boot), (Replica, "step", late_step)]
