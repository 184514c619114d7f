"""A journal of 240 records in 3 segments, every way to damage it, and what must hold afterwards."""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import accumulate
from random import Random

from msgspec import Struct

from gossip.entry import hash_of
from node.core.ports import EpochRecord, EventRecord, Record
from node.storage import frames
from node.storage.codec import encode_block
from node.storage.files import MemoryStorage
from node.storage.journal import Journal
from node.storage.recovered import Recovery
from node.storage.recovery import load_identity
from node.storage.scan import scan_journal
from node.storage.segments import list_segments, read_frames
from tests.node.journals import Writer, commit, open_journal
from tests.node.replicas import Node, exchange

RECORDS = 240
SEGMENTS = 3
BIG = 10**9


class Layout(Struct, frozen=True):
    """A frame: its file, where it is, and which of the records are in it."""

    name: str
    offset: int
    end: int
    first: int
    last: int


class Whole:
    """The journal of n1 as it was: own events and those of n2, in commits of one to three."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()
        rng = Random(7)
        n1, n2 = Writer("n1"), Writer("n2", 0xBEE)
        self.theirs: list[Record] = [n2.opening()]
        self.held: list[Record] = [n1.opening()]
        journal, _ = open_journal(self.storage)
        commit(journal, self.held)
        while len(self.held) < RECORDS:
            batch: list[Record] = []
            for _ in range(rng.randint(1, 3)):
                words = " ".join(["word"] * rng.randint(4, 18))
                own = bool(rng.getrandbits(1))
                made = n1.event(words) if own else n2.event(words, via="rumor")
                batch.append(made)
                via = "rumor" if own else "local"
                self.theirs.append(EventRecord(made.data, 9, via, "n1" if own else ""))  # type: ignore[arg-type]
            full = len(self.held) * SEGMENTS >= RECORDS * journal._segment
            journal._options = type(journal._options)(segment_bytes=1 if full else 2**30)
            commit(journal, batch)
            self.held += batch
        journal.close(clean=False)
        self.storage = self.storage.killed()
        self.names = [segment.name for segment in list_segments(self.storage)]
        assert len(self.names) == SEGMENTS
        self.sizes = {name: self.storage.size(name) for name in self.names}
        self.frames: list[Layout] = []
        for segment in scan_journal(self.storage).segments:
            for frame, _ in read_frames(self.storage, segment):
                at = self.frames[-1].last if self.frames else 0
                made_of = Layout(segment.name, frame.offset, frame.end, at, at + frame.count)
                self.frames.append(made_of)
        assert self.frames[-1].last == len(self.held) >= RECORDS

    def places(self) -> list[tuple[str, int]]:
        """Every byte."""
        return [(name, at) for name in self.names for at in range(self.sizes[name])]

    def hit(self, name: str, at: int) -> Layout:
        return next(f for f in self.frames if f.name == name and f.offset <= at < f.end)

    def without(self, *gone: Layout) -> list[Record]:
        lost = {index for frame in gone for index in range(frame.first, frame.last)}
        return [record for index, record in enumerate(self.held) if index not in lost]


@cache
def whole() -> Whole:
    return Whole()


def sampled(places: list[tuple[str, int]], count: int | None, seed: int) -> list[tuple[str, int]]:
    """All of them, or so many, and then each frame's fields are more likely than its payload."""
    if count is None:
        return places
    return Random(seed).sample(places, count)


# --- one damage each ----------------------------------------------------------------------------


def cut_at(name: str, at: int) -> None:
    """The log ends here: exactly the whole frames before the cut are read, and nothing else.

    What was durable and is not there is counted, as far as IDENTITY knows of it.
    """
    one = whole()
    identity = load_identity(one.storage)
    assert identity is not None
    after = one.storage.killed()
    for later in one.names[one.names.index(name) + 1 :]:
        after.remove(later)
    after.truncate(name, at)
    kept = [f for f in one.frames if f.name < name or (f.name == name and f.end <= at)]
    start = max((f.end for f in kept if f.name == name), default=0)
    tail = after.read(name, start, BIG)
    _, found = open_journal(after)
    left = kept[-1].last if kept else 0
    assert list(found.records) == one.held[:left]
    assert found.torn_bytes == len(tail)
    missed = max(identity.next_number - 1 - left, 0)
    ends_early = missed > 0 or name < one.names[-1]
    assert [(hole.length, hole.records) for hole in found.quarantined] == [(0, missed)] * ends_early
    assert ends_early == ("the end of the journal is lost" in found.must_open_epoch)
    assert not tail or after.read(found.kept_as, 0, BIG) == tail
    assert bool(tail) == ("tail repaired" in found.must_open_epoch)
    _, again = open_journal(after.killed())
    assert list(again.records) == list(found.records)
    assert (again.torn_bytes, again.must_open_epoch) == (0, found.must_open_epoch)


def cut_sealed_at(name: str, at: int) -> None:
    """A sealed segment ends here: later segments are read all the same, and the gap is counted."""
    one = whole()
    after = one.storage.killed()
    after.truncate(name, at)
    after.sync(name)
    gone = [f for f in one.frames if f.name == name and f.end > at]
    expected = one.without(*gone)
    _, found = open_journal(after)
    assert list(found.records) == expected
    assert found.lost == len(one.held) - len(expected)
    assert (found.torn_bytes, bool(found.must_open_epoch)) == (0, bool(found.lost))


def flipped(name: str, at: int, bit: int) -> MemoryStorage:
    after = whole().storage.killed()
    data = bytearray(after.read(name, 0, BIG))
    data[at] ^= 1 << bit
    after.set(name, bytes(data))
    return after


def flip_at(name: str, at: int) -> tuple[MemoryStorage, Recovery, Journal]:
    """One bit is wrong: the frame that it is in is missing and counted, all others are read."""
    one = whole()
    after = flipped(name, at, at % 8)
    before = after.read(name, 0, BIG)
    hit = one.hit(name, at)
    journal, found = open_journal(after)
    assert list(found.records) == one.without(hit)
    assert found.must_open_epoch
    if hit is one.frames[-1]:
        assert found.torn_bytes == hit.end - hit.offset
        assert after.read(found.kept_as, 0, BIG) == before[hit.offset :]
    else:
        (hole,) = found.quarantined
        assert hole.name == name and hole.offset <= at < hole.offset + hole.length
        assert found.lost == hole.records == hit.last - hit.first
        assert after.read(name, 0, len(before)) == before, "nothing was cut off"
    return after, found, journal


class Peer:
    """n2, which is healthy and holds everything."""

    def __init__(self) -> None:
        self.node = Node("n2", ("n1",), records=whole().theirs)

    def repair(self, records: Iterable[Record], why: str) -> Node:
        """n1 starts with what could be read, and talks with n2 until both hold the same."""
        node = Node("n1", ("n2",), records=list(records), must_open=why)
        for _ in range(200):
            if node.replica.root == self.node.replica.root:
                return node
            node.turn(ms=50)
            exchange(node, self.node)
        raise AssertionError("not repaired")


def repaired(peer: Peer, journal: Journal, found: Recovery, after: MemoryStorage) -> int:
    """The events come back, are written behind what is there, and the next start has them all."""
    one = whole()
    node = peer.repair(found.records, found.must_open_epoch)
    commit(journal, node.journal[found.count :])
    _, again = open_journal(after.killed())
    events = {r.data for r in again.records if type(r) is EventRecord}
    assert events == {r.data for r in one.held if type(r) is EventRecord}
    assert not again.must_open_epoch
    return len(one.held) - found.count


# --- tails, strangers, files ---------------------------------------------------------------------


def tails(rng: Random) -> Iterator[bytes]:
    """What a write that was cut short, or a disk that lies, can leave behind the last frame."""
    yield from (bytes(size) for size in (1, 39, 40, 41, 512, 4096, 70_000))
    yield from (rng.randbytes(size) for size in (1, 40, 333, 4096))
    yield b"\xff" * 100
    yield frames.MAGIC
    yield frames.MAGIC * 30
    frame, _ = frames.encode(b"x" * 50, type=2, offset=0, previous=0, number=1, count=1)
    yield frame[:40]
    yield frame[:60]
    yield frame[:32] + rng.randbytes(20)
    yield rng.randbytes(100) + bytes(900)


def tail_is_cut(tail: bytes) -> None:
    one = whole()
    after = one.storage.killed()
    last = one.names[-1]
    after.append(last, tail)
    after = after.killed()
    _, found = open_journal(after)
    assert list(found.records) == one.held
    assert (found.torn_bytes, found.quarantined) == (len(tail), ())
    assert after.read(found.kept_as, 0, BIG) == tail


def strangers(rng: Random) -> Iterator[tuple[str, bytes]]:
    """Whole frames that do not belong at the end: a name, and the bytes put there."""
    one = whole()
    last = one.names[-1]
    data = one.storage.read(last, 0, BIG)
    own = [f for f in one.frames if f.name == last]
    for frame in rng.sample(own, min(len(own), 12)):
        yield "a frame of this file again", data[frame.offset : frame.end]
    other = one.storage.read(one.names[0], 0, BIG)
    for frame in rng.sample([f for f in one.frames if f.name == one.names[0]], 12):
        yield "a frame of another segment", other[frame.offset : frame.end]
    for number in (1, 100, len(one.held)):
        yield f"a stale frame in place, number {number}", foreign_frame(number)[0]


def foreign_frame(number: int) -> tuple[bytes, Record]:
    """A block of another journal, exactly where the next frame is due; and the event in it."""
    event = Writer("n9", 0xF0).event("from elsewhere", via="rumor")
    at = whole().sizes[whole().names[-1]]
    payload = encode_block([event])
    data, _ = frames.encode(payload, type=2, offset=at, previous=1, number=number, count=1)
    return data, event


def stranger_is_not_read(data: bytes) -> None:
    """Not one record of it is read, and it is not cut off: it is no unfinished write."""
    one = whole()
    last = one.names[-1]
    after = one.storage.killed()
    after.append(last, data)
    after = after.killed()
    _, found = open_journal(after)
    assert list(found.records) == one.held
    assert after.read(last, one.sizes[last], len(data)) == data
    assert found.new_holes


def hashes(records: Iterable[Record]) -> set[bytes]:
    return {hash_of(r.data) for r in records if type(r) is EventRecord}


def epochs(records: Iterable[Record]) -> list[int]:
    return [r.epoch for r in records if type(r) is EpochRecord]


def total_bytes() -> int:
    return list(accumulate(whole().sizes.values()))[-1]
