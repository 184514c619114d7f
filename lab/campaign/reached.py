"""Coverage of the core: which of its states and transitions a run reached, counted as rows of a
table.

    reached = Reached()
    World(plan, watch=reached).run()
    reached.look(world.trace); reached.counts     row -> times in this run

`chatlab lab explore --reached` adds up the counts of all runs: a row at zero is a state that no
seed tests. Three sources are read, and none is changed: the packets that are sent, a replica when
its process ends, and the trace when the run is over. Counts are approximate where only the core
knows more: a row says that a state was reached, and not whether the core behaved correctly there.
"""

from collections import Counter
from collections.abc import Iterable

from gossip.packets import Ack, EpochFold, Line, Packet, Push, Receipt, Run, Syn, SynAck, Unfold
from lab.campaign.reached_rows import COUNTERS, EPOCHS, NOTES
from lab.sim.reach_hooks import Watched
from lab.trace.kinds import (
    Boot,
    Crash,
    Dropped,
    Epoch,
    Fired,
    Got,
    Handed,
    Info,
    Note,
    Ok,
    Sent,
    StartRefused,
    Stopped,
    Unwritten,
    Visible,
)
from lab.trace.kinds import Run as RunEvent
from lab.trace.trace import Event
from node.core.replica import Replica
from node.storage.checkpoint_files import CHECKPOINT_SUFFIX
from node.storage.journal import Journal
from node.storage.recovered import Recovery
from node.storage.segments import SEGMENT_SUFFIX


class Reached:
    """The counts of one run. Mutable."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._cut: dict[tuple[str, str], set[tuple[str, int, int]]] = {}
        self._segments: dict[str, int] = {}  # by node: at its last start
        self._unrenewed: set[str] = set()
        self._recalled: dict[str, tuple[int, int, bool]] = {}  # start, records, fewer than before

    # --- while it runs --------------------------------------------------------------------------

    def packet(self, sender: str, peer: str, packet: Packet) -> None:
        """This one is sent."""
        body, counts = packet.body, self.counts
        kind = type(body)
        if kind is Push:
            assert isinstance(body, Push)
            counts["rumor"] += not body.direct
        elif isinstance(body, Receipt):
            counts["receipt"] += 1
        if isinstance(body, Syn | SynAck | Ack | Unfold):
            self._lines(body.lines or ())
            folds: list[EpochFold] = body.folds
            counts["fold sent"] += bool(folds)
            counts["fold opened"] += kind is Unfold
        if isinstance(body, Syn | SynAck):
            counts["told to hold back"] += not body.budget
        if isinstance(body, SynAck | Ack):
            counts["backlog leg"] += body.more
            self._runs(sender, peer, body.runs, more=body.more)

    def _lines(self, lines: Iterable[Line]) -> None:
        counts = self.counts
        for line in lines:
            if line.ranges:
                counts["ranges above the prefix"] += 1
            if line.tags:
                counts["disputed log named"] += 1

    def _runs(self, sender: str, peer: str, runs: list[Run], *, more: bool) -> None:
        """A run that goes on where the last delta to this peer was cut was cut inside."""
        cut = self._cut.get((sender, peer))
        if cut:
            inside = sum((run.origin, run.epoch, run.first) in cut for run in runs)
            self.counts["delta cut inside a run"] += inside
        if more or cut:
            ends = {(run.origin, run.epoch, run.first + len(run.data)) for run in runs}
            self._cut[sender, peer] = ends if more else set()

    def opened(self, host: Watched, journal: Journal, recovery: Recovery) -> None:
        counts, node = self.counts, host.name
        self._segments[node] = _segments(host)
        counts["checkpoints believed"] += bool(recovery.recalled)
        started, before, doubted = self._recalled.get(node, (0, 0, False))
        there = any(CHECKPOINT_SUFFIX in name for name in host.disk.names())
        if recovery.incarnation >= started:  # else it is another disk
            if doubted and recovery.recalled > before:
                counts["checkpoints rebuilt"] += 1
            # Rot was found, or a power cut took some of them, or the first.
            fewer = recovery.recalled < before or (there and not recovery.recalled)
            doubted = fewer or (doubted and recovery.recalled == before)
        self._recalled[node] = (recovery.incarnation, recovery.recalled, doubted)
        if journal.unrenewed:
            counts["unrenewed"] += 1
            self._unrenewed.add(node)

    def ended(self, host: Watched, replica: Replica, log: object) -> None:
        counts, node, counters = self.counts, host.name, replica.counters
        for name, row in COUNTERS.items():
            counts[row] += counters.get(name, 0)
        counts["read_only"] += replica.state == "read_only"
        begun = _segments(host)
        counts["segment begun"] += begun - self._segments.get(node, begun)
        counts["rotation failed"] += host.disk.unbegun
        host.disk.unbegun = 0
        if node in self._unrenewed and not (isinstance(log, Journal) and log.unrenewed):
            counts["renewed"] += 1
        self._unrenewed.discard(node)

    # --- when it is over ------------------------------------------------------------------------

    def look(self, events: Iterable[Event]) -> None:
        """Count the rows that the trace shows."""
        told = _Told(self.counts)
        for event in events:
            told.see(event)
        self.counts = +self.counts  # without the rows that stand at zero


def _segments(host: Watched) -> int:
    return sum(name.endswith(SEGMENT_SUFFIX) for name in host.disk.names())


class _Told:
    """What the rows need to know of a trace as it goes by. Mutable."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts
        self._nodes = 0
        self._bodies: dict[int, str] = {}  # receipts, by the seq of their sending
        self._late: set[str] = set()  # nodes with an op that waited for receipts in vain
        self._suspected: set[tuple[str, str]] = set()
        self._holed: dict[str, set[str]] = {}  # by node: what it held before it lost some of it
        self._held: dict[str, set[str]] = {}
        self._damaged: set[str] = set()  # nodes whose scrub has found something
        self._disk_error: tuple[str, int, str] = ("", -1, "")  # node, time, call
        self._table = {
            RunEvent: self._on_run,
            Epoch: self._on_epoch,
            Note: self._on_note,
            Sent: self._on_sent,
            Dropped: self._on_dropped,
            Got: self._on_got,
            Info: self._on_info,
            Ok: self._on_ok,
            Visible: self._on_visible,
            Handed: self._on_handed,
            Boot: self._on_boot,
            Fired: self._on_fired,
            Unwritten: self._on_unwritten,
            Crash: self._on_crash,
            Stopped: self._on_stopped,
            StartRefused: self._on_refused,
        }

    def see(self, event: Event) -> None:
        see = self._table.get(type(event.data))
        if see is not None:
            see(event)

    def _on_run(self, event: Event) -> None:
        assert type(event.data) is RunEvent
        self._nodes = len(event.data.nodes)

    def _on_epoch(self, event: Event) -> None:
        assert type(event.data) is Epoch
        for reason in event.data.reason.split("; "):
            self.counts[EPOCHS.get(reason, reason)] += 1

    def _on_note(self, event: Event) -> None:
        data = event.data
        assert type(data) is Note
        row = NOTES.get(data.event)
        if row is not None:
            self.counts[row] += 1
        pair = (event.node, str(data.fields.get("peer", "")))
        if data.event == "peer_suspect":
            self._suspected.add(pair)
        elif data.event == "peer_alive" and pair in self._suspected:
            self._suspected.discard(pair)
            self.counts["suspicion refuted"] += 1
        elif data.event == "journal_damaged":
            self._damaged.add(event.node)

    def _on_sent(self, event: Event) -> None:
        assert type(event.data) is Sent
        if event.data.body == "Receipt":
            self._bodies[event.seq] = "Receipt"
        elif event.data.body == "Feedback":
            self.counts["rumor feedback"] += 1

    def _on_dropped(self, event: Event) -> None:
        self.counts["receipt lost"] += event.cause in self._bodies

    def _on_got(self, event: Event) -> None:
        if event.cause in self._bodies and event.node in self._late:
            self.counts["receipt late"] += 1

    def _on_info(self, event: Event) -> None:
        assert type(event.data) is Info
        if event.data.code == "ack_timeout":
            self._late.add(event.node)

    def _on_ok(self, event: Event) -> None:
        assert type(event.data) is Ok
        level, _, copies = event.data.level.partition(":")
        if level == "replicated" and int(copies) == self._nodes - 1:
            self.counts["replicated by all"] += 1

    def _on_visible(self, event: Event) -> None:
        assert type(event.data) is Visible
        self.counts["stamp skewed"] += event.data.skewed

    def _on_handed(self, event: Event) -> None:
        data, node = event.data, event.node
        assert type(data) is Handed
        lost = self._holed.get(node)
        if lost and data.ref in lost:
            lost.discard(data.ref)
            self.counts["hole filled again"] += 1
            if node in self._damaged:
                self.counts["scrub repaired"] += 1
        self._held.setdefault(node, set()).add(data.ref)

    def _on_boot(self, event: Event) -> None:
        data, node, counts = event.data, event.node, self.counts
        assert type(data) is Boot
        counts["torn tail"] += bool(data.torn_bytes)
        counts["older disk"] += data.disk == "older"
        counts["empty disk"] += data.disk == "empty"
        if data.holes:
            counts["hole"] += data.holes
            self._holed[node] = self._held.get(node, set()) - set(data.recovered)
        self._held[node] = set(data.recovered)

    def _on_fired(self, event: Event) -> None:
        data = event.data
        assert type(data) is Fired
        if data.what == "disk_errors":
            self._disk_error = (event.node, event.t_us, data.detail)

    def _on_unwritten(self, event: Event) -> None:
        data = event.data
        assert type(data) is Unwritten
        self.counts["disk full" if data.code == "disk_full" else "write failed"] += 1
        self.counts["storage failed for good"] += data.final
        self.counts["journal taken away"] += "while the node ran" in data.reason

    def _on_crash(self, event: Event) -> None:
        data = event.data
        assert type(data) is Crash
        self.counts["died at a site"] += data.how == "point"
        node, at_us, call = self._disk_error
        if data.how == "storage" and (node, at_us) == (event.node, event.t_us):
            self.counts["stop whose sync failed"] += call.startswith("sync")

    def _on_stopped(self, event: Event) -> None:
        assert type(event.data) is Stopped
        self.counts["clean stop"] += 1

    def _on_refused(self, event: Event) -> None:
        assert type(event.data) is StartRefused
        self.counts["start refused"] += 1
        self.counts["other disk refused"] += "belongs to" in event.data.reason
