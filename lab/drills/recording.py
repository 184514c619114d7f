"""Drill of `node.recording.recorder.Recorder`: the recording of one life of a replica.

The model is the list of entries that the file must hold. Random steps: inputs of every kind, calls
of `drain`, changes of link faults and of the policy, notes, dropped packets, an error, a file that
reaches its limit or cannot be written. After many steps the file is read by a plain reader and by
the real one; both must give the list. Left out: replaying a recording.
"""

from collections.abc import Mapping
from pathlib import Path
from random import Random

import msgspec

from domain.commands import Command, Join, Leave, PostMessage
from domain.moderation import Policy
from gossip.packets import PROTOCOL_VERSION, Packet, Receipt
from gossip.wire import encode
from lab.drills.beside import holds, same, scratch
from node.core.interface import (
    Input,
    Outbox,
    Persisted,
    PersistFailed,
    Received,
    Submit,
    Tick,
    Unmet,
)
from node.core.ports import AckLevel, EpochRecord, Note, Record
from node.network.link_faults import LinkFault
from node.recording.format import (
    BLOCKED,
    HEADER_BYTES,
    MAGIC,
    Began,
    Booted,
    Ended,
    Entry,
    Failed,
    InputIn,
    Links,
    PacketIn,
    PolicyIn,
    Restored,
    Said,
    SubmitIn,
    TickIn,
    Turn,
    UnwrittenIn,
    WrittenIn,
    outbox_digest,
    read_recording,
)
from node.recording.recorder import WAITING_MAX, RecordedFaults, Recorder
from node.storage.codec import encode_block

STEPS = 30
BEGAN = Began(
    node="n1",
    incarnation=3,
    pid=77,
    config=b"{}",
    rng_seed=5,
    clean=True,
    torn_bytes=0,
    quarantined=0,
)
POLICY = Policy((), ("one",))


class Bench:
    def __init__(self, rng: Random, path: Path) -> None:
        self.rng, self.path = rng, path
        self.t_ns = 100
        self.bytes_max = rng.choice((1 << 30, 1 << 30, rng.randint(200, 3000)))
        self.recorder = Recorder(path, bytes_max=self.bytes_max, now_ns=lambda: self.t_ns)
        self.faults = RecordedFaults(("n2", "n3"), rng, self.recorder)
        self.dropped: dict[str, dict[str, int]] = {"n2": {}, "n3": {}}
        self.seen: dict[str, dict[str, int]] = {"n2": {}, "n3": {}}
        self.file: list[Entry] = []  # what is in it
        self.waiting: list[Entry] = []
        self.inputs: list[InputIn] = []
        self.plans: dict[str, list[list[float]]] = {}
        self.began_ns = self.lost = 0
        self.size = HEADER_BYTES
        self.state = "+"
        self.ended = False
        self.notes: list[tuple[str, str]] = []
        self.told: list[tuple[str, str]] = []
        self.write = self.recorder.heard(self._hear)
        if rng.random() < 0.8:
            self.recorder.dropped_of = self._dropped_of
        self.watched = self.recorder.dropped_of is not None
        self.put([BEGAN])
        self.recorder.began(BEGAN)

    def _hear(self, note: Note, worker: str) -> None:
        self.notes.append((note.event, worker))

    def _dropped_of(self) -> Mapping[str, Mapping[str, int]]:
        return self.dropped

    def put(self, more: list[Entry]) -> None:
        entries, self.waiting = [*self.waiting, *more], []
        if self.lost:
            self.lost += len(entries)
            return
        try:
            data = [msgspec.msgpack.encode(one) for one in entries]
        except UnicodeEncodeError:
            self._stop(len(entries), "!")
            return
        size = sum(4 + len(one) for one in data)
        if self.size + size > self.bytes_max:
            self._stop(len(entries), "^")
            return
        self.size += size
        self.file += entries

    def _stop(self, lost: int, state: str) -> None:
        self.lost, self.state = lost, state
        self.told.append(("recording_stopped", "recorder"))

    # --- what happens ---------------------------------------------------------------------------

    def step(self) -> None:
        for _ in range(self.rng.randint(1, 4)):
            self.t_ns += 3
            item, entry = _input(self.rng)
            first = not self.inputs or isinstance(item, Tick)
            self.began_ns = self.t_ns if first else self.began_ns
            self.inputs.append(entry)
            self.recorder.stepped(item)

    def policy(self) -> None:
        self.began_ns = self.began_ns if self.inputs else self.t_ns
        self.inputs.append(PolicyIn(msgspec.json.encode(POLICY)))
        self.recorder.policy(POLICY)

    def drain(self, *, idle: bool = False) -> None:
        out, began_ns = Outbox(), self.began_ns if self.inputs else self.t_ns
        counts = [0] * 5
        if not idle and self.rng.random() < 0.6:
            packet = Packet(
                version=PROTOCOL_VERSION,
                cluster=7,
                sender="n1",
                incarnation=1,
                number=9,
                body=Receipt([]),
            )
            out.persist = [EpochRecord(1, "new log", 2)] * self.rng.randrange(3)
            out.send = [("n2", packet)] * self.rng.randrange(3)
            out.reply = [(1, Unmet("busy", "no"))] * self.rng.randrange(3)
            out.note = [Note("stamps_ahead", "info", {})] * self.rng.randrange(3)
            counts = [len(out.persist), len(out.send), 0, len(out.reply), len(out.note)]
        told = counts[0], counts[1], counts[2], counts[3], counts[4]
        turn = Turn(began_ns, self.inputs, outbox_digest(out), told)
        self.inputs = []
        if any(counts):
            self._links()
            self.put([turn])
        else:
            self.waiting.append(turn)
            if len(self.waiting) >= WAITING_MAX:
                self.put([])
        self.recorder.drained(out)

    def _links(self) -> None:
        dropped: dict[str, dict[str, int]] = {}
        if self.watched:
            for peer, counts in self.dropped.items():
                more = {why: count - self.seen[peer].get(why, 0) for why, count in counts.items()}
                more = {why: count for why, count in more.items() if count}
                dropped |= {peer: more} if more else {}
                self.seen[peer] = dict(counts)
        if dropped or self.plans:
            self.waiting.append(Links(self.t_ns, self.plans, dropped))
            self.plans = {}

    def fault(self) -> None:
        peer = self.rng.choice(("n2", "n3"))
        fault = self.rng.choice((LinkFault(), LinkFault(blocked=True), LinkFault(delay_ms=5.0)))
        self.faults.set({peer: fault})
        plan = self.faults.plan(peer)
        if not fault.none:
            self.plans.setdefault(peer, []).append(BLOCKED if fault.blocked else plan)
        if self.rng.random() < 0.5:
            why = self.rng.choice(("slow", "lost"))
            self.dropped[peer][why] = self.dropped[peer].get(why, 0) + self.rng.randint(1, 3)

    def say(self) -> None:
        worker = self.rng.choice(("replica", "transport"))
        half = self.rng.random() < 0.03
        note = Note("hung_up", "warning", {"door": "\ud800" if half else "gossip"})
        self.told.append((note.event, worker))
        if worker != "replica":
            self.waiting.append(Said(self.t_ns, worker, note.event, "warning", dict(note.fields)))
        self.write(note, worker)

    def fail(self) -> None:
        self.put([Failed(self.t_ns, self.inputs, "ValueError: oh")])
        self.inputs = []
        self.recorder.failed(ValueError("oh"))

    def restore(self) -> None:
        many = 1500 if self.rng.random() < 0.05 else self.rng.randrange(3)
        records: list[Record] = [EpochRecord(at + 1, "asked", at) for at in range(many)]
        for first in range(0, many, 1024):
            self.put([Restored(encode_block(records[first : first + 1024]))])
        self.recorder.restored(records)
        self.put([Booted(self.t_ns, 5, 6, "new log", 7)])
        self.recorder.booted(5, 6, "new log", 7)

    def end(self) -> None:
        if self.rng.random() < 0.6:
            self._links()
            self.put([Ended(self.t_ns, 5, 4)])
            self.recorder.ended(5, 4)
            self.state = "." if self.state == "+" else self.state
        else:
            self.put([])
            self.recorder.close()
        self.ended = True
        self.judge()
        self.recorder.close()  # again: it has ended
        self.judge()

    # --- what is in the file --------------------------------------------------------------------

    def judge(self) -> None:
        data = self.path.read_bytes()
        same("how long", (self.recorder.size, len(data)), (self.size, self.size))
        same("lost", (self.recorder.lost, self.recorder.complete), (self.lost, not self.lost))
        same("begins", data[: len(MAGIC) + 1], MAGIC + self.state.encode())
        same("told", self.notes, self.told)
        at, entries = HEADER_BYTES, []
        while at < len(data):
            end = at + 4 + int.from_bytes(data[at : at + 4], "big")
            entries.append(data[at + 4 : end])
            at = end
        same("entries", entries, [msgspec.msgpack.encode(one) for one in self.file])
        if self.file:
            read = read_recording(self.path)
            same("read", (read.began, read.entries, read.state), (BEGAN, self.file[1:], self.state))
            holds("why it is not whole", bool(read.why) is bool(self.lost))
            same("whole", read.complete, not self.lost)
            if self.ended:
                same("how many are lost", read.lost, self.lost)


def _input(rng: Random) -> tuple[Input, InputIn]:
    kind = rng.randrange(5)
    if kind == 0:
        return Tick(5, 6), TickIn(5, 6)
    if kind == 1:
        packet = Packet(
            version=PROTOCOL_VERSION,
            cluster=7,
            sender="n2",
            incarnation=1,
            number=8,
            body=Receipt([]),
        )
        return Received(packet, 99), PacketIn(encode(packet))
    if kind == 2:
        return Persisted(7, 6), WrittenIn(7, 6)
    if kind == 3:
        failure = PersistFailed(4, "disk_full", "no room", final=rng.random() < 0.5)
        return failure, UnwrittenIn(4, "disk_full", "no room", failure.final)
    level = rng.choice(list(AckLevel))
    commands: tuple[Command, ...] = (PostMessage("ann", "hi"), Join("ann"), Leave("ann"))
    at = rng.randrange(3)
    submit = Submit(9, commands[at], level, 2, 700)
    action = ("post", "join", "leave")[at]
    text = "hi" if at == 0 else ""
    return submit, SubmitIn(
        ticket=9,
        action=action,  # type: ignore[arg-type]
        author="ann",
        text=text,
        ack=str(level),
        copies=2,
        timeout_ms=700,
    )


def recording(rng: Random) -> None:
    with scratch() as folder:
        bench = Bench(rng, folder / "trace" / "1.rec")
        same("mode", bench.path.stat().st_mode & 0o777, 0o600)
        bench.restore()
        for _ in range(STEPS):
            bench.t_ns += 10
            match rng.randrange(12):
                case 0 | 1 | 2 | 3:
                    bench.step()
                case 4 | 5 | 6:
                    bench.drain()
                case 7:
                    bench.fault()
                case 8:
                    bench.say()
                case 9:
                    bench.policy()
                case 10 if rng.random() < 0.1:
                    for _ in range(WAITING_MAX):
                        bench.drain(idle=True)
                case _ if rng.random() < 0.2:
                    bench.fail()
            if rng.random() < 0.4:
                bench.judge()
        bench.end()
