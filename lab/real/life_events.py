"""Events of one life: a recorded life of a real node is replayed by the core, and each of its steps
becomes a draft event, as the simulator would record it.

A turn of a real node takes many inputs and drains once. All events of a turn have the time of its
beginning, and this order: the inputs, then the Outbox in the order of its fields. That keeps causes
before effects, because a packet is sent after its sender's turn began and arrives before its
receiver's turn begins.
"""

from collections import deque
from collections.abc import Iterator

from domain.arrival import Arrival
from gossip.packets import WITH_RUNS, Packet
from gossip.wire import decode, encode
from lab.real.draft_event import Draft, name_of
from lab.real.packet_matching import Arrived, Transmission
from lab.real.snapshots import Snapshot, state_of
from lab.sim.conformance import Player, kind_of
from lab.sim.event_names import Named, NamingCodec
from lab.sim.network import described
from lab.sim.projection_checks import final_of
from lab.trace.kinds import (
    Boot,
    Crash,
    Data,
    Epoch,
    Fail,
    Got,
    Handed,
    Invoke,
    Note,
    Ok,
    Out,
    Quiet,
    Sent,
    Stopped,
    Unwritten,
    Visible,
    Written,
)
from lab.trace.trace import dot_of
from node.core.interface import Denied, Outbox, Unmet
from node.core.ports import EpochRecord, EventRecord, Record
from node.recording import format as raw
from node.storage.codec import decode_block

# Notes that repeat what other events of the trace say.
_SAID = frozenset({"events_received", "events_posted"})
_MILLION = 1_000_000


class Asked:
    """The ops of a run, to be matched with the commands that nodes recorded. Mutable."""

    def __init__(self, drafts: list[Draft]) -> None:
        self._waiting: dict[tuple[str, str, str, str], deque[Draft]] = {}
        self._over_ns: dict[int, int] = {}  # by id of the draft: when it had a certain answer
        for draft in drafts:
            data = draft.data
            if type(data) is Invoke and data.action != "read":
                key = (draft.node, data.action, data.author, data.text)
                self._waiting.setdefault(key, deque()).append(draft)
            elif type(data) is Ok or type(data) is Fail:
                self._over_ns[id(draft.cause)] = draft.t_ns

    def find(self, node: str, item: raw.SubmitIn, t_ns: int) -> Draft | None:
        """The oldest op that asked for this and is not matched yet; None if there is none."""
        waiting = self._waiting.get((node, item.action, item.author, item.text))
        while waiting:
            draft = waiting.popleft()
            if self._over_ns.get(id(draft), t_ns) >= t_ns:
                return draft
        return None


class LifeTale:
    """The draft events of one life of one node. Mutable; call `tell` once."""

    def __init__(
        self, player: Player, known: NamingCodec, disk: str, origin_ns: int, *, full: bool
    ) -> None:
        began = player.recording.began
        self.node, self.inc = began.node, began.incarnation
        self.player = player
        self.drafts: list[Draft] = []
        self.sent: list[Transmission] = []
        self.got: list[Arrived] = []
        self.drops: list[tuple[int, str, str, int]] = []  # when noticed, peer, reason, packets
        self.refs: dict[str, str] = {}  # by name
        self.own: dict[str, list[Draft]] = {}  # by dot: where own events are handed out
        self.begin_ns = self.last_ns = next(
            one.t_ns for one in player.recording.entries if type(one) is raw.Booted
        )
        self.end_ns: int | None = None
        self.written = self.durable = 0
        self._known = known
        self._disk = disk
        self._origin_ns = origin_ns
        self._full = full
        self._looks: deque[Snapshot] = deque()
        self._quiet_ms = player.replica.quiet.quiet_ms
        self._handed = 0
        self._wall_ms = 0  # of the last tick
        self._quiet_ns = -1  # since when it holds itself to be quiet, or will; -1: never
        self._turn_sent: list[Transmission] = []

    # --- the whole ------------------------------------------------------------------------------

    def tell(self, asked: Asked, looks: list[Snapshot]) -> None:
        self._looks = deque(looks)
        self._boot()
        ending: raw.Entry | None = None
        for entry, outbox in self.player.drains():
            if type(entry) is raw.Turn:
                self._look_until(entry.t_ns)
                if outbox is not None:
                    self._turn(entry, outbox, asked)
                self.last_ns = max(self.last_ns, entry.t_ns)
            elif type(entry) is raw.Links:
                self._links(entry)
            elif type(entry) is raw.Said:
                fields = {"worker": entry.worker, **entry.fields}
                self._add(entry.t_ns, Note(entry.event, entry.level, dict(fields)))
            elif type(entry) is raw.Ended or type(entry) is raw.Failed:
                ending = entry
        if type(ending) is raw.Ended:
            self._end(ending.t_ns, Stopped(ending.written, ending.durable))
        elif type(ending) is raw.Failed:
            self._end(ending.t_ns, Crash("core", ending.error, self.written, self.durable))

    def killed(self, t_ns: int) -> None:
        """The driver killed it, after everything that is recorded."""
        self._end(max(t_ns, self.last_ns + 1), Crash("kill", "", self.written, self.durable))

    def vanished(self) -> None:
        """It ended without a record, and the driver did not end it."""
        self._end(self.last_ns + 1, Crash("kill", "by nobody", self.written, self.durable))

    def survived(self, t_ns: int) -> None:
        """It was still running at this time."""
        self._look_until(t_ns)

    def _end(self, t_ns: int, data: Crash | Stopped) -> None:
        self._look_until(t_ns)
        self._close_quiet(t_ns)
        self._add(t_ns, data)
        self.end_ns = t_ns

    def _look_until(self, t_ns: int) -> None:
        while self._looks and self._looks[0].t_ns < t_ns:
            self._look(self._looks.popleft())

    def _look(self, look: Snapshot) -> None:
        if look.t_ns < self.begin_ns:
            return
        replica = self.player.replica
        if look.phase == "end":
            self._close_quiet(look.t_ns)
            now_ms = look.t_ns // _MILLION
            self._add(look.t_ns, final_of(replica, self._known, now_ms))
        else:
            self._add(look.t_ns, state_of(replica))

    # --- a life ---------------------------------------------------------------------------------

    def _boot(self) -> None:
        life, began = self.player.life, self.player.recording.began
        replica, known = self.player.replica, self._known
        records = [one for block in life.records for one in decode_block(block)]
        names = tuple([self._named(one) for one in records])
        self._handed = self.written = len(records)
        self.durable = self.written - life.unsynced
        arrivals = replica.timeline.select("arrival")
        self._listen(self.begin_ns, life.wall_ms)
        self._wall_ms = life.wall_ms
        if self._full:
            self._add(self.begin_ns, life)
        self._add(
            self.begin_ns,
            Boot(
                disk=self._disk,  # type: ignore[arg-type]
                recovered=names,
                arrivals=known.refs_of(arrivals),
                clean=began.clean,
                must_open_epoch=life.must_open_epoch,
                log=f"{self.node}.{replica.epoch:x}",
                torn_bytes=began.torn_bytes,
                quarantined=began.quarantined,
                wall_ms=life.wall_ms,
                quiet_ms=self._quiet_ms,
                durability=self.player.durability,
                skewed=known.refs_of([one for one in arrivals if one.skewed]),
                unsynced=life.unsynced,
                holes=began.holes,
            ),
        )

    def _named(self, record: Record) -> str:
        if type(record) is EventRecord:
            self._name(self._known.named(record.data))
        return self._known.record_name(record, self.node)

    def _name(self, named: Named) -> None:
        facts = named.facts
        name = name_of(dot_of(named.ref), facts.stamp_ms, facts.stamp_counter)
        self.refs[name] = named.ref

    def _turn(self, turn: raw.Turn, outbox: Outbox, asked: Asked) -> None:
        t_ns = turn.t_ns
        ways: dict[bytes, Draft] = {}  # by data of an event: the receipt that brought it
        submits: dict[int, Draft | None] = {}  # by ticket
        cause = written = None
        for item in turn.inputs:
            if self._full:
                self._add(t_ns, kind_of(item))
            if type(item) is raw.TickIn:
                self._wall_ms = item.wall_ms
            elif type(item) is raw.PacketIn:
                cause = self._receive(t_ns, item.data, ways)
            elif type(item) is raw.SubmitIn:
                cause = submits[item.ticket] = asked.find(self.node, item, t_ns)
            elif type(item) is raw.WrittenIn:
                self.written, self.durable = item.written, item.durable
                cause = written = self._add(t_ns, Written(item.written, item.durable))
            elif type(item) is raw.UnwrittenIn:
                self._handed = item.kept
                told = Unwritten(item.kept, item.code, item.reason, item.final)
                cause = self._add(t_ns, told)
        if self._full:
            self._add(t_ns, Out(turn.hash.hex()))
        denied = {
            ticket
            for ticket, outcome in outbox.reply
            if type(outcome) is Denied or (type(outcome) is Unmet and outcome.dot is None)
        }
        makers = deque([made for ticket, made in submits.items() if ticket not in denied])
        for record in outbox.persist:
            self._hand(t_ns, record, makers, ways)
        if outbox.send:
            self._turn_sent = list(self._send(t_ns, outbox.send, cause))
            self.sent += self._turn_sent
        if outbox.publish:
            self._publish(t_ns, outbox.publish, written)
        for note in outbox.note:
            if note.event not in _SAID:
                self._add(t_ns, Note(note.event, note.level, dict(note.fields)), cause)

    def _receive(self, t_ns: int, data: bytes, ways: dict[bytes, Draft]) -> Draft:
        packet = decode(data)
        draft = self._add(t_ns, Got(type(packet.body).__name__))
        draft.peer, draft.size, draft.msg_id = packet.sender, len(data), _id_of(packet)
        self.got.append(Arrived(draft))
        body = packet.body
        if isinstance(body, WITH_RUNS):
            for run in body.runs:
                for one in run.data:
                    ways.setdefault(one, draft)
        return draft

    def _hand(
        self, t_ns: int, record: Record, makers: deque[Draft | None], ways: dict[bytes, Draft]
    ) -> None:
        self._handed += 1
        if type(record) is EpochRecord:
            log = f"{self.node}.{record.epoch:x}"
            self._add(t_ns, Epoch(self._handed, log, record.reason))
            return
        assert type(record) is EventRecord
        named = self._known.named(record.data)
        self._name(named)
        op: int | None = None
        if record.via == "local":
            cause = makers.popleft() if makers else None
            if cause is not None and type(cause.data) is Invoke:
                op = cause.data.op
        else:
            cause = ways.get(record.data)
        wall_ms, facts = record.received_at_ms, named.facts
        handed = Handed(
            number=self._handed,
            ref=named.ref,
            via=record.via,
            wall_ms=wall_ms,
            facts=facts,
            sender=record.sender,
            op=op,
        )
        draft = self._add(t_ns, handed, cause)
        draft.size = len(record.data)
        if record.via == "local":
            self.own.setdefault(dot_of(named.ref), []).append(draft)

    def _send(
        self, t_ns: int, sends: list[tuple[str, Packet]], cause: Draft | None
    ) -> Iterator[Transmission]:
        packet: Packet | None = None
        wire, size = Sent("", 0, 0, 0, 0), 0
        for peer, following in sends:
            if following is not packet:
                packet = following
                data = encode(packet)
                wire, size = described(packet, data), len(data)
            draft = self._add(t_ns, wire, cause)
            draft.peer, draft.size, draft.msg_id = peer, size, _id_of(packet)
            yield Transmission(draft)

    def _publish(
        self, t_ns: int, published: list[tuple[int, Arrival]], cause: Draft | None
    ) -> None:
        self._close_quiet(t_ns)
        self._listen(t_ns, self._wall_ms)
        for index, arrival in published:
            ref = self._known.ref_of(arrival)
            self._add(t_ns, Visible(index, ref, arrival.via, arrival.skewed), cause)

    def _links(self, links: raw.Links) -> None:
        """Plans are of the last turn that sent something."""
        for peer, plans in links.plans.items():
            to_peer = [one for one in self._turn_sent if one.draft.peer == peer]
            for transmission, plan in zip(to_peer, plans, strict=False):
                transmission.plan = plan
        for peer, counts in links.dropped.items():
            for why, count in counts.items():
                if why not in ("blocked", "lost"):  # those are planned
                    self.drops.append((links.t_ns, peer, why, count))

    def _listen(self, t_ns: int, wall_ms: int) -> None:
        """From when on the replica will hold itself to be quiet, if nothing more comes."""
        quiet = self.player.replica.quiet
        wait_ms = max(quiet.quiet_ms - quiet.quiet_for_ms(wall_ms), 0)
        self._quiet_ns = t_ns + wait_ms * _MILLION if len(quiet) else -1

    def _close_quiet(self, now_ns: int) -> None:
        if 0 <= self._quiet_ns < now_ns:
            from_us = (self._quiet_ns - self._origin_ns) // 1000
            to_us = (now_ns - self._origin_ns) // 1000
            self._add(now_ns, Quiet(from_us, to_us, self._quiet_ms))

    def _add(self, t_ns: int, data: Data, cause: Draft | None = None) -> Draft:
        draft = Draft(t_ns, self.node, self.inc, data, cause)
        self.drafts.append(draft)
        return draft


def _id_of(packet: Packet) -> tuple[str, int, int]:
    return (packet.sender, packet.incarnation, packet.number)
