"""Small journals for tests: real events with true chains, in memory."""

import errno
import os
from collections.abc import Sequence

from msgspec.structs import replace

from domain.clock import Stamp
from domain.dot import Dot
from domain.events import MessagePosted
from gossip.entry import GENESIS, PREV_BYTES, hash_of
from node.core.ports import Durability, EpochRecord, EventRecord, Record
from node.storage.codec import ProtobufCodec
from node.storage.files import MemoryStorage, Storage
from node.storage.journal import Journal, JournalOptions
from node.storage.recovered import Recovery
from node.storage.recovery import Mode, load_identity, save_identity

EPOCH = 0x5EED


class Crowded(MemoryStorage):
    """While `full`, there is room for the small file IDENTITY, and for no segment."""

    full = False
    too_large = ".seg"  # what is in the names of the files that do not fit

    def append(self, name: str, data: bytes) -> int:
        if self.full and self.too_large in name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().append(name, data)


class Writer:
    """Makes the records of one origin's log, chained as a real node chains them."""

    def __init__(self, origin: str = "n1", epoch: int = EPOCH) -> None:
        self.origin, self.epoch = origin, epoch
        self.seq = 0
        self.prev = GENESIS
        self._codec = ProtobufCodec()

    def event(self, text: str = "", via: str = "local") -> EventRecord:
        self.seq += 1
        dot = Dot(self.origin, self.epoch, self.seq)
        text = text or f"message {self.seq}"
        event = MessagePosted(dot, Stamp(1000 + self.seq, 0), (), "ann", text)
        data = self._codec.encode(event, self.prev)
        self.prev = hash_of(data)[:PREV_BYTES]
        sender = "" if via == "local" else self.origin
        return EventRecord(data, 2000 + self.seq, via, sender)  # type: ignore[arg-type]

    def events(self, count: int) -> list[Record]:
        return [self.event() for _ in range(count)]

    def opening(self) -> EpochRecord:
        return EpochRecord(self.epoch, "new log", 2000)


def open_journal(
    storage: Storage,
    *,
    node: str = "n1",
    durability: Durability = "always",
    recover: Mode = "tail",
    segment_bytes: int = 16 * 1024 * 1024,
) -> tuple[Journal, Recovery]:
    options = JournalOptions(durability, recover, segment_bytes)
    return Journal.open(storage, node, options, wall_ms=5000)


def commit(journal: Journal, records: Sequence[Record]) -> None:
    journal.append(records)
    journal.sync()


def small_journal(
    segments: int = 3, commits: int = 4, records: int = 2, *, clean: bool = False
) -> tuple[MemoryStorage, list[Record]]:
    """A journal of n1 with so many segments of so many commits, and the records in it."""
    storage = MemoryStorage()
    journal, _ = open_journal(storage)
    writer = Writer()
    held: list[Record] = [writer.opening()]
    commit(journal, held)
    for segment in range(segments):
        for number in range(commits):
            batch = writer.events(records)
            # Options are frozen, and sizes here are not the point: seal where it suits the test.
            full = segment > 0 and number == 0
            journal._options = JournalOptions(segment_bytes=1 if full else 2**30)
            commit(journal, batch)
            held += batch
    journal.close(clean=clean)
    return storage, held


def forgetful(storage: MemoryStorage) -> MemoryStorage:
    """A copy whose IDENTITY knows of nothing that was durable, as that of a process that was
    killed before it sealed anything.
    """
    after = storage.killed()
    identity = load_identity(after)
    assert identity is not None
    save_identity(after, replace(identity, next_number=1, last_segment=0))
    return after


def damaged(storage: MemoryStorage, name: str, at: int, flip: int = 0xFF) -> MemoryStorage:
    """A copy with one byte damaged."""
    after = storage.killed()
    data = bytearray(after.read(name, 0, 10**9))
    data[at] ^= flip
    after.set(name, bytes(data))
    return after
