"""A node without a process on a disk on which the nth call of one kind fails, and what it promised.

`Live` does with an Outbox what the committer and the runtime do: append, report written, sync,
report durable, and hand every failure on.
"""

import errno
import os
from collections.abc import Iterator
from random import Random

from msgspec import Struct

from domain.commands import PostMessage
from node.core.interface import Acked, Outcome, Persisted, PersistFailed, Submit, Tick, Unmet
from node.core.ports import AckLevel, Durability, EventRecord, Record
from node.core.replica import Replica, ReplicaConfig
from node.storage.codec import ProtobufCodec
from node.storage.files import DISK_FULL, DiskFull, MemoryStorage, StorageError
from node.storage.journal import Journal, JournalOptions

SHORT = 0  # the "error" of a write that takes a part and says so
KINDS = ("write", "fdatasync", "open", "rename", "directory fsync")
CODES = (errno.EIO, errno.ENOSPC, errno.EROFS)
WALL_MS = 1_700_000_000_000


class Fault(Struct, frozen=True):
    kind: str
    code: int
    nth: int
    always: bool

    def __str__(self) -> str:
        code = errno.errorcode.get(self.code, "short")
        return f"{self.kind} {self.nth}{'+' if self.always else ''} {code}"


def faults(nth_max: int = 20) -> Iterator[Fault]:
    for kind in KINDS:
        for code in (*CODES, SHORT) if kind == "write" else CODES:
            for nth in range(1, nth_max + 1):
                for always in (False, True):
                    yield Fault(kind, code, nth, always)


class BrokenDisk(MemoryStorage):
    """Fails the nth call of one kind, once or from then on. A full disk writes short first."""

    def __init__(self, fault: Fault | None = None, name: str = "mem") -> None:
        super().__init__(name)
        self.fault = fault
        self.calls = dict.fromkeys(KINDS, 0)
        self.fired = 0
        self._was_short = False

    def heal(self) -> None:
        self.fault = None

    def _due(self, kind: str) -> bool:
        self.calls[kind] += 1
        fault = self.fault
        if fault is None or fault.kind != kind:
            return False
        due = self.calls[kind] == fault.nth or (fault.always and self.calls[kind] > fault.nth)
        self.fired += due
        return due

    def _fail(self, kind: str, name: str) -> None:
        if self._due(kind):
            assert self.fault is not None
            raise OSError(self.fault.code, os.strerror(self.fault.code), name)

    def create(self, name: str) -> None:
        self._fail("open", name)
        super().create(name)

    def append(self, name: str, data: bytes) -> int:
        if not self._due("write"):
            return super().append(name, data)
        assert self.fault is not None
        short = self.fault.code == SHORT or (self.fault.code in DISK_FULL and not self._was_short)
        if short and len(data) > 1:
            self._was_short = True
            if self.fault.code != SHORT and not self.fault.always:
                self.calls["write"] -= 1  # the error itself comes when the rest is asked for
            return super().append(name, data[: len(data) // 2])
        if self.fault.code == SHORT:
            return super().append(name, data)
        raise OSError(self.fault.code, os.strerror(self.fault.code), name)

    def sync(self, name: str) -> None:
        self._fail("fdatasync", name)
        super().sync(name)

    def sync_dir(self) -> None:
        self._fail("directory fsync", "")
        super().sync_dir()

    def rename(self, old: str, new: str) -> None:
        self._fail("rename", new)
        super().rename(old, new)


class Live:
    """One life of n1 on a storage. Raises StorageError where a process would end with that line."""

    def __init__(self, storage: MemoryStorage, durability: Durability = "always") -> None:
        self.durability = durability
        options = JournalOptions(durability, "tail", segment_bytes=700)
        self.journal, self.found = Journal.open(storage, "n1", options, WALL_MS)
        config = ReplicaConfig("n1", "test", ("n2",), durability)
        seed = Random(f"n1 {self.found.incarnation}")
        self.replica = Replica(config, ProtobufCodec(), seed, self.found.incarnation)
        self.replica.restore(self.found.records)
        self.now_ms = self.tickets = 0
        self.outcomes: dict[int, Outcome] = {}
        self.shown: list[tuple[int, int]] = []  # what observers and peers were told of
        self.replica.boot(0, WALL_MS, self.found.must_open_epoch)
        self.turn()

    def turn(self, *items: object, ms: int = 10) -> None:
        self.now_ms += ms
        self.replica.step(Tick(self.now_ms, WALL_MS + self.now_ms))
        for item in items:
            self.replica.step(item)  # type: ignore[arg-type]
        out = self.replica.drain()
        self.outcomes |= dict(out.reply)
        dots = [arrival.event.dot for _, arrival in out.publish]
        self.shown += [(dot.epoch, dot.seq) for dot in dots]
        if out.persist:
            self._commit(out.persist)

    def _commit(self, records: list[Record]) -> None:
        journal = self.journal
        try:
            journal.append(records)
            if self.durability == "always":
                journal.sync()
        except StorageError as error:
            assert "\n" not in str(error)
            full = isinstance(error, DiskFull)
            kept = journal.written
            code = "disk_full" if full else "storage_error"
            self.turn(PersistFailed(kept, code, str(error), error.final))  # type: ignore[arg-type]
        else:
            self.turn(Persisted(journal.written, journal.durable))

    def post(self, text: str) -> Outcome:
        """Every command has its outcome at once: nothing hangs."""
        self.tickets += 1
        level = AckLevel.DURABLE if self.durability == "always" else AckLevel.WRITTEN
        self.turn(Submit(self.tickets, PostMessage("ana", text), level, 0, 1000))
        if self.tickets not in self.outcomes:
            self.turn(ms=2000)
        return self.outcomes[self.tickets]


def dots_in(storage: MemoryStorage) -> dict[tuple[int, int], bytes]:
    """What the next start finds, by position; no position twice."""
    live = Live(storage)
    found: dict[tuple[int, int], bytes] = {}
    codec = ProtobufCodec()
    for record in live.found.records:
        if type(record) is EventRecord:
            dot = codec.decode(record.data).event.dot
            assert found.get((dot.epoch, dot.seq), record.data) == record.data, f"{dot} twice"
            found[dot.epoch, dot.seq] = record.data
    return found


class Told(Struct, frozen=True):
    fired: bool
    refused_start: bool


def promises_hold(fault: Fault, durability: Durability = "always") -> Told:
    """Post, fail, post again; then a kill or a power cut: every ack was true, and all goes on."""
    disk = BrokenDisk(fault)
    acked: list[tuple[int, int]] = []
    live: Live | None = None
    refused = False
    try:
        live = Live(disk, durability)
    except StorageError as error:
        assert "\n" not in str(error) and "Traceback" not in str(error)
        refused = True
    if live is not None:
        for number in range(14):
            outcome = live.post(f"message {number} " + "x" * 40)
            if type(outcome) is Acked:
                acked.append((outcome.dot.epoch, outcome.dot.seq))
            else:
                assert type(outcome) is Unmet, outcome
                assert outcome.code in ("storage_error", "disk_full", "busy"), outcome
        if live.journal.failed:
            assert type(live.post("after the end")) is Unmet
            assert live.replica.state == "read_only"
        assert sorted(live.shown) == sorted(acked), "nothing was shown that was not safe"
    disk.heal()
    if live is not None and not live.journal.failed:
        outcome = live.post("the disk is well again")
        if type(outcome) is not Acked:
            live.turn(ms=1000)
            outcome = live.post("the disk is well again")
        assert type(outcome) is Acked, (fault, outcome)
        acked.append((outcome.dot.epoch, outcome.dot.seq))
    crashes = [disk.killed()]
    if durability == "always":
        crashes += [disk.power_cut(), disk.power_cut(Random(str(fault)))]
    for after in crashes:
        missing = set(acked) - dots_in(after).keys()
        assert not missing, (fault, missing)
    return Told(disk.fired > 0, refused)
