"""Whatever crashes when: the outcome is the same, promises hold, and no dot is used twice."""

import errno
from pathlib import Path
from random import Random

import pytest

from gossip.entry import hash_of
from node.core.ports import Durability, EventRecord, Record
from node.storage.codec import ProtobufCodec
from node.storage.files import FaultyStorage, MemoryStorage, Storage, StorageError
from node.storage.journal import Journal, JournalOptions
from node.storage.recovered import Recovery
from node.storage.recovery import IDENTITY_FILE
from node.storage.segments import list_segments
from tests.node.journals import EPOCH, Writer, damaged, open_journal, small_journal

BIG = 10**9


# --- crash during recovery ----------------------------------------------------------------------


def scenarios() -> dict[str, MemoryStorage]:
    whole, _ = small_journal()
    last = list_segments(whole)[-1].name
    torn = whole.killed()
    torn.append(last, b"torn" * 200)
    torn = torn.killed()
    both = damaged(torn, "00000002.seg", 300)
    lost = torn.killed()
    lost.remove(IDENTITY_FILE)
    empty = whole.killed()
    empty.set(f"{len(list_segments(whole)) + 1:08d}.seg", b"")
    return {"torn": torn, "torn and damaged": both, "identity lost": lost, "empty segment": empty}


@pytest.mark.parametrize("name", scenarios())
def test_a_crash_at_any_point_of_a_recovery_changes_nothing_of_its_outcome(name: str) -> None:
    storage = scenarios()[name]
    outcome = storage.killed()
    _, expected = open_journal(outcome)
    nth = 0
    finished = False
    while not finished:
        nth += 1
        faulty = FaultyStorage(nth, errno.EIO, always=True, name=storage.name)
        for file in storage.names():
            faulty.set(file, storage.read(file, 0, BIG))
        try:
            open_journal(faulty)
            finished = True
        except StorageError as error:
            assert "\n" not in str(error)
        for seed in range(4):
            after = faulty.power_cut(Random(seed)) if seed else faulty.killed()
            _, found = open_journal(after)
            assert list(found.records) == list(expected.records)
            assert found.must_open_epoch.startswith(expected.must_open_epoch.split(";")[0])
            # A cut that was under way may leave a shorter tail, which is kept beside the whole.
            if expected.kept_as:
                whole = outcome.read(expected.kept_as, 0, BIG)
                assert after.read(expected.kept_as, 0, BIG) == whole
            assert not [file for file in after.names() if file.endswith(".part")]
    assert nth > 3


# --- power cuts under load ----------------------------------------------------------------------


class Life:
    """A node's life of crashes: what it promised must hold, and no dot gets a second meaning."""

    def __init__(self, seed: int, mode: Durability) -> None:
        self.rng = Random(seed)
        self.mode = mode
        self.storage = MemoryStorage()
        self.promised: dict[bytes, None] = {}  # durable: must survive, in order
        self.shown: dict[str, bytes] = {}  # dot -> hash, as peers may have seen it
        self.codec = ProtobufCodec()

    def run(self, starts: int) -> None:
        for _ in range(starts):
            journal, found = open_journal(self.storage, durability=self.mode, segment_bytes=1500)
            writer = self.check(found)
            if found.must_open_epoch:
                writer = Writer(epoch=self.rng.getrandbits(62) + 1)
                journal.append([writer.opening()])
            self.work(journal, writer)
            ending = self.rng.randrange(4)
            if ending == 0:
                journal.close(clean=True)
                self.storage = self.storage.power_cut(self.rng)
            elif ending == 1:
                self.storage = self.storage.killed()
            else:
                self.storage = self.storage.power_cut(self.rng)

    def check(self, found: Recovery) -> Writer:
        writer = Writer(epoch=found.epoch or 1)
        held = [r for r in found.records if type(r) is EventRecord]
        hashes = dict.fromkeys(hash_of(record.data) for record in held)
        missing = [h for h in self.promised if h not in hashes]
        assert not missing, f"{len(missing)} durable records are lost"
        for record in held:
            dot = self.codec.decode(record.data).event.dot
            if dot.epoch == writer.epoch and dot.seq > writer.seq:
                writer.seq, writer.prev = dot.seq, hash_of(record.data)[:16]
        return writer

    def work(self, journal: Journal, writer: Writer) -> None:
        pending: list[EventRecord] = []
        for _ in range(self.rng.randrange(12)):
            batch = [
                writer.event(f"{self.rng.random()}" * self.rng.randrange(1, 20))
                for _ in range(self.rng.randrange(1, 4))
            ]
            records: list[Record] = list(batch)
            journal.append(records)
            pending += batch
            if self.mode != "always":
                self.show(batch)
            if self.mode == "always" or self.rng.random() < 0.2:
                if self.rng.random() < 0.9:
                    journal.sync()
                    self.show(pending)
                    self.promised.update((hash_of(r.data), None) for r in pending)
                    pending = []
                elif self.mode == "always":
                    return  # the crash comes before the sync

    def show(self, records: list[EventRecord]) -> None:
        for record in records:
            dot = str(self.codec.decode(record.data).event.dot)
            known = self.shown.setdefault(dot, hash_of(record.data))
            assert known == hash_of(record.data), f"{dot} was used twice"


@pytest.mark.parametrize("mode", ["always", "interval", "none"])
@pytest.mark.parametrize("seed", range(40))
def test_power_cuts_lose_nothing_durable_and_reuse_no_dot(seed: int, mode: Durability) -> None:
    Life(seed, mode).run(starts=8)


# --- the golden journal -------------------------------------------------------------------------

GOLDEN = Path(__file__).parents[2] / "golden"


def golden(version: str) -> MemoryStorage:
    storage = MemoryStorage("golden")
    for file in sorted(GOLDEN.glob(f"{version}/journal/*")):
        storage.set(file.name, file.read_bytes())
    return storage


def test_the_golden_journal_is_written_byte_for_byte() -> None:
    """Since v1, IDENTITY also knows how far the journal was durable."""
    storage = golden("v1-identity")
    again = MemoryStorage("golden")
    write_golden(again)
    assert again.names() == storage.names()
    for name in again.names():
        assert again.read(name, 0, BIG) == storage.read(name, 0, BIG), name
        if name != IDENTITY_FILE:
            assert again.read(name, 0, BIG) == golden("v1").read(name, 0, BIG), name


@pytest.mark.parametrize("version", sorted(path.name for path in GOLDEN.iterdir()))
def test_every_golden_journal_is_read(version: str) -> None:
    _, found = open_journal(golden(version))
    assert (found.count, found.segments, found.epoch, found.clean) == (13, 2, EPOCH, True)
    assert (found.torn_bytes, found.quarantined, found.must_open_epoch) == (0, (), "")


def write_golden(storage: Storage) -> None:
    """The journal in tests/golden. Never change one there: add a new one beside it."""
    journal, _ = Journal.open(storage, "n1", JournalOptions(segment_bytes=600), wall_ms=5000)
    mine, theirs = Writer(), Writer("n2", 0xFEED)
    journal.append([mine.opening()])
    journal.sync()
    for number in range(4):
        journal.append([mine.event(), theirs.event(via="rumor"), mine.event("é" * number or "x")])
        journal.sync()
    journal.close(clean=True)
