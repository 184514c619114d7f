"""Drill of group commit (`node.storage.group_commit`) and of `node.core.write_state`.

Group commit gets a journal that fails at random, records and checkpoints to write, a request to
check, `resume` and `stop`, while a virtual clock advances in microseconds. The model keeps the list
of all records with their arrival times, has no state table, and derives the next action from all
that has happened. The second half gives `WriteState` records, commits and failures, and compares
its phase and its bounds with plain lists. Left out: threads, and real files (see `journals`).
"""

from collections.abc import Sequence
from random import Random
from typing import cast

from lab.drills.beside import holds, same
from node.core.checkpoint import Checkpoint
from node.core.interface import Persisted, PersistFailed
from node.core.ports import Durability, EpochRecord, EventRecord, Record
from node.core.write_state import RECORD_BYTES, WriteBounds, WritePhase, WriteState
from node.storage.files import DiskFull, StorageError
from node.storage.group_commit import (
    RENEW_US,
    Act,
    Code,
    CommitBounds,
    GroupCommit,
    comes_to_something,
)
from node.storage.group_commit import CommitLog as Journal

STEPS = 70
INTERVAL_US = 100_000
BOUNDS = CommitBounds(commit_bytes=400, checkpoints=2)
WAITING = WriteBounds(records=6, bytes=900)


def committing(rng: Random) -> None:
    Committed(rng).run()
    _writing(rng)


def _size(record: Record) -> int:
    return RECORD_BYTES + (len(record.data) if isinstance(record, EventRecord) else 0)


def _record(rng: Random) -> Record:
    if rng.random() < 0.1:
        return EpochRecord(1, "new log", 1)
    return EventRecord(rng.randbytes(rng.choice((1, 60, 200))), 7, "rumor", "n2")


class CommitLog:
    """The journal's stand-in: keeps the records, and fails when the drill says so."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.records: list[tuple[Record, int]] = []  # with the time of append, in µs
        self.durable = 0
        self.unrenewed = rng.random() < 0.5
        self.error: StorageError | None = None
        self.now_us = 0
        self.kept: list[Checkpoint] = []
        self.unkept = ""
        self.calls: list[str] = []

    @property
    def written(self) -> int:
        return len(self.records)

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.error is not None:
            raise self.error

    def append(self, records: Sequence[Record]) -> None:
        if self.rng.random() < 0.15:
            self.durable = self.written  # a rotation syncs what was there
        self._called("append")
        self.records += [(one, self.now_us) for one in records]

    def sync(self) -> None:
        self._called("sync")
        self.durable = self.written

    def renew(self) -> None:
        self._called("renew")
        self.unrenewed, self.durable = False, self.written

    def check(self) -> None:
        self._called("check")

    def keep(self, checkpoint: Checkpoint) -> str:
        self.calls.append("keep")
        self.kept.append(checkpoint)
        return self.unkept


class Committed:
    """A group commit, its journal, and the model of what it must do next."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.log = CommitLog(rng)
        self.mode: Durability = rng.choice(("always", "interval", "none"))
        self.group = GroupCommit(cast(Journal, self.log), self.mode, INTERVAL_US, BOUNDS)
        self.queue: list[list[Record]] = []
        self.checkpoints: list[Checkpoint] = []
        self.check = self.stopping = self.drain = self.dropping = self.turn = False
        self.failed: PersistFailed | None = None
        self.renewed_us = -RENEW_US  # tried last
        self.now_us = self.syncs = self.made = 0

    def run(self) -> None:
        for step in range(STEPS):
            self.now_us += self.rng.choice((0, 0, 0, 1, 30_000, INTERVAL_US, RENEW_US))
            self.log.now_us = self.now_us
            match self.rng.randrange(12):
                case 0 | 1 | 2:
                    self._submit()
                case 3:
                    self._keep()
                case 4 if self.rng.random() < 0.4:
                    self.group.check()
                    self.check = True
                case 5:
                    self.group.resume()
                    self.dropping = False
                case 6 if step > STEPS * 2 // 3 and self.rng.random() < 0.3:
                    self.drain, self.stopping = self.rng.random() < 0.7, True
                    self.group.stop(drain=self.drain)
                case _:
                    self._act()
            self._judge()

    def _submit(self) -> None:
        records = [_record(self.rng) for _ in range(self.rng.randint(1, 4))]
        taken = not (self.dropping or self.stopping or self.failed)
        same("taken", self.group.submit(records), taken)
        if taken:
            self.queue.append(records)

    def _keep(self) -> None:
        made = [cast(Checkpoint, f"c{self.made + at}") for at in range(self.rng.randint(1, 3))]
        self.made += len(made)
        dropped = 0
        if not (self.stopping or self.failed):
            room = BOUNDS.checkpoints - len(self.checkpoints)
            self.checkpoints += made[:room]
            dropped = len(made[room:])
        same("dropped", self.group.keep(made), dropped)

    def _wanted(self) -> tuple[Act, int | None]:
        """The next action by the model, and the time until which it waits, in µs, if it does."""
        if self.stopping and (not self.drain or self.failed):
            return Act.CLOSE, None
        if self.failed:
            return Act.WAIT, None
        log = self.log
        unsynced = [at_us for _, at_us in log.records[log.durable :]]
        due_us = unsynced[0] + INTERVAL_US if unsynced else 0
        dirty = bool(unsynced) and not log.unrenewed
        if dirty and self.mode != "none" and (self.mode == "always" or self.now_us >= due_us):
            return Act.SYNC, None
        if self.check:
            return Act.CHECK, None
        if self.checkpoints and (self.turn or not self.queue):
            return Act.KEEP, None
        if self.queue:
            return Act.APPEND, None
        if self.stopping:
            return Act.CLOSE, None
        if log.unrenewed:
            again_us = self.renewed_us + RENEW_US
            return (Act.RENEW, None) if self.now_us >= again_us else (Act.WAIT, again_us)
        return Act.WAIT, due_us if dirty and self.mode == "interval" else None

    def _act(self) -> None:
        wanted, until_us = self._wanted()
        act = self.group.next(self.now_us)
        same("next", act, wanted)
        if act is Act.CLOSE:
            return
        if act is Act.WAIT:
            same("until", self.group.until_us, until_us)
            return
        self.log.error = self._error(act)
        before, calls = self.log.written, len(self.log.calls)
        batch: list[Record] = []
        if act is Act.APPEND:
            batch = self._batch()
            same("batch", self.group.batch, batch)
        if act is Act.CHECK:
            self.check = False
        if act is Act.KEEP:
            self.turn = False
            self.log.unkept = self.rng.choice(("", "no room"))
        error = self.group.perform(act)
        same("what was done", self.log.calls[calls:], [act.name.lower()])
        same("error", error, self.log.error)
        if act is Act.KEEP:
            same("kept", self.log.kept[-1], self.checkpoints.pop(0))
            same("unkept", self.group.unkept, self.log.unkept)
        told = self.group.settle(act, error, self.now_us)
        same("told", told, self._told(act, error, before))
        if error is None and act is Act.APPEND:
            same("appended", [one for one, _ in self.log.records[before:]], batch)

    def _error(self, act: Act) -> StorageError | None:
        if act is Act.KEEP or self.rng.random() > 0.12:
            return None
        if act is Act.APPEND and self.rng.random() < 0.5:
            return DiskFull("no room")
        return StorageError("broken", final=act is not Act.APPEND or self.rng.random() < 0.3)

    def _batch(self) -> list[Record]:
        taken, sizes = 1, [sum(map(_size, records)) for records in self.queue]
        while taken < len(self.queue) and sum(sizes[: taken + 1]) <= BOUNDS.commit_bytes:
            taken += 1
        batch = [one for records in self.queue[:taken] for one in records]
        del self.queue[:taken]
        return batch

    def _told(self, act: Act, error: StorageError | None, kept: int) -> object:
        if act is Act.APPEND:
            self.turn = True
        if act is Act.RENEW:
            self.renewed_us = self.now_us
        if error is None:
            self.syncs += act is Act.SYNC
            quiet = act is Act.KEEP or act is Act.CHECK
            return None if quiet else Persisted(self.log.written, self.log.durable)
        if act is Act.RENEW:
            return None
        final = act is not Act.APPEND or error.final
        code: Code = "disk_full" if isinstance(error, DiskFull) else "storage_error"
        failure = PersistFailed(kept, code, str(error), final)
        self.queue.clear()
        if final:
            self.failed = failure
            self.checkpoints.clear()
        else:
            self.dropping = True
        return failure

    def _judge(self) -> None:
        group = self.group
        queued = [one for records in self.queue for one in records]
        waits = group.queued_records, group.queued_bytes
        same("queued", waits, (len(queued), sum(map(_size, queued))))
        same("failed", group.failed, self.failed)
        same("syncs", group.commits, self.syncs)
        log = self.log
        dirty = self.failed is None and log.durable < log.written and not log.unrenewed
        same("dirty", group.dirty, dirty)
        always = Persisted(log.written, log.durable), self.mode == "always"
        worth = not always[1] or log.durable == log.written
        same("worth telling", comes_to_something(always[0], always=always[1]), worth)
        holds("bounded", len(self.checkpoints) <= BOUNDS.checkpoints)


# --- the write state ------------------------------------------------------------------------------


class Handed:
    """Each record that was handed out, and all that has happened to it."""

    def __init__(self) -> None:
        self.fresh: list[Record] = []
        self.groups: list[tuple[int, list[Record]]] = []
        self.state = WritePhase.RUNNING
        self.trouble: PersistFailed | None = None

    @property
    def all(self) -> list[Record]:
        return [one for _, group in self.groups for one in group] + self.fresh

    @property
    def bytes(self) -> int:
        return sum(map(_size, self.all))

    def over(self) -> None:
        if len(self.all) > WAITING.records or self.bytes > WAITING.bytes:
            if self.state is WritePhase.RUNNING:
                self.state = WritePhase.BEHIND
            elif self.state is WritePhase.DOUBTED:
                self.state = WritePhase.STUCK


def _writing(rng: Random) -> None:
    writing, model = WriteState(WAITING), Handed()
    upto = written = 0
    for _ in range(STEPS):
        match rng.randrange(9):
            case 0 | 1 | 2:
                record = _record(rng)
                writing.handed_out(record)
                model.fresh.append(record)
                upto += 1
                model.over()
            case 3 | 4:
                writing.sent(upto)
                model.groups.append((upto, model.fresh))
                model.fresh = []
            case 5 if rng.random() < 0.4:
                final = rng.random() < 0.1
                failure = PersistFailed(written, "disk_full", "no room", final)
                waits = rng.random() < 0.5
                writing.failed(failure, waits=waits)
                model.fresh, model.groups, model.trouble = [], [], failure
                upto = written
                if model.state is not WritePhase.READ_ONLY:
                    model.state = WritePhase.STUCK if waits else WritePhase.DOUBTED
                if final:
                    model.state = WritePhase.READ_ONLY
            case _:
                sent = [last for last, _ in model.groups]
                written = rng.choice([written, *sent])
                resumed = writing.written(written)
                model.groups = [one for one in model.groups if one[0] > written]
                troubled = model.state is WritePhase.DOUBTED or model.state is WritePhase.STUCK
                better = troubled and model.trouble is not None and written > model.trouble.kept
                same("resumed", resumed, better)
                if better:
                    model.state, model.trouble = WritePhase.RUNNING, None
                model.over()
                few = 2 * len(model.all) <= WAITING.records and 2 * model.bytes <= WAITING.bytes
                if few and model.state is WritePhase.BEHIND:
                    model.state = WritePhase.RUNNING
        _look(writing, model)


def _look(writing: WriteState, model: Handed) -> None:
    same("state", writing.phase, model.state)
    same("waits", (writing.records, writing.bytes), (len(model.all), model.bytes))
    same("trouble", writing.trouble, model.trouble)
    taking = model.state is WritePhase.RUNNING or model.state is WritePhase.DOUBTED
    refused = model.state is WritePhase.STUCK or model.state is WritePhase.READ_ONLY
    same("holds, refuses", (writing.holds, writing.refuses), (not taking, refused))
    full = len(model.all) >= 2 * WAITING.records or model.bytes >= 2 * WAITING.bytes
    same("full", writing.full, full)
