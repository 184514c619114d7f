"""The journal read from: a sparse index, chunks that are checked, bodies that leave memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.arrival import Arrival
from domain.clock import Stamp
from domain.dot import LogId
from domain.events import MessagePosted
from gossip.entry import GENESIS, Entry, hash_of
from node.core.entry_store import MemoryEntryStore, PagedEntryStore
from node.core.ports import EpochRecord, EventRecord, Record
from node.storage.codec import ProtobufCodec
from node.storage.files import MemoryStorage, StorageError
from node.storage.journal import Journal, JournalOptions
from node.storage.offset_index import CHUNK_BYTES, OffsetIndex
from node.storage.record_reader import RecordPages
from tests.gossip.builders import chain
from tests.node.replicas import Node


def records_of(entries: list[Entry]) -> list[Record]:
    return [EventRecord(one.data, 7, "rumor", "n2") for one in entries]


class Shelf:
    """A journal that grows, and pages over it."""

    def __init__(self, segment_bytes: int = 1 << 20, cache_bytes: int = 1 << 20) -> None:
        self.storage = MemoryStorage()
        options = JournalOptions(segment_bytes=segment_bytes)
        self.journal, recovery = Journal.open(self.storage, "n1", options, 0)
        self.index = recovery.index
        self.pages = RecordPages(self.storage, self.index, cache_bytes)

    def append(self, records: list[Record]) -> None:
        self.journal.append(records)
        self.journal.sync()
        self.pages.placed(self.journal.take_placed())


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=12),
    segment_bytes=st.sampled_from([600, 5000, 1 << 20]),
    cache_bytes=st.sampled_from([0, 1000, 1 << 20]),
    data=st.data(),
)
def test_every_record_is_found_however_commits_and_segments_fall(
    sizes: list[int], segment_bytes: int, cache_bytes: int, data: st.DataObject
) -> None:
    shelf = Shelf(segment_bytes, cache_bytes)
    entries = chain("n2", sum(sizes))
    done = 0
    for size in sizes:
        shelf.append(records_of(entries[done : done + size]))
        done += size
        asked = data.draw(st.lists(st.integers(1, done), max_size=8))
        assert shelf.pages.events(asked) == [entries[number - 1].data for number in asked]
    shelf.journal.close(clean=True)
    storage = shelf.storage.killed()
    _, recovery = Journal.open(storage, "n1", JournalOptions(), 0)
    again = RecordPages(storage, recovery.index)
    assert again.events(range(1, done + 1)) == [one.data for one in entries]


def test_the_index_costs_a_point_per_chunk_and_not_per_commit() -> None:
    shelf = Shelf()
    entries = chain("n2", 400)
    for one in entries:
        shelf.append(records_of([one]))
    written = sum(shelf.storage.size(name) for name in shelf.storage.names())
    assert len(shelf.index) <= written // CHUNK_BYTES + 2
    assert shelf.pages.events([400, 1, 200]) == [entries[i].data for i in (399, 0, 199)]


def test_what_is_no_event_has_a_number_and_no_bytes() -> None:
    shelf = Shelf()
    first, second = chain("n2", 2)
    shelf.append([*records_of([first]), EpochRecord(5, "new log", 0), *records_of([second])])
    assert shelf.pages.events([1, 3]) == [first.data, second.data]


def test_what_was_taken_back_is_forgotten() -> None:
    index = OffsetIndex()
    index.add(3, 1, 100, 900)
    index.add(2, 1, 900, 1200)
    index.add(4, 2, 40, 400)
    index.cut(4)
    assert index.last == 4
    index.add(1, 2, 40, 90)
    assert (index.find(5).segment, index.find(4).offset) == (2, 100)
    index.cut(0)
    assert len(index) == index.last == 0


def test_what_was_read_and_then_taken_back_is_not_given_out() -> None:
    shelf = Shelf()
    entries = chain("n2", 3)
    shelf.append(records_of(entries))
    assert shelf.pages.events([2, 3]) == [entries[1].data, entries[2].data]
    shelf.pages.cut(2)
    with pytest.raises(AssertionError):
        shelf.pages.events([3])


def test_a_disk_that_changes_under_a_running_node_is_noticed() -> None:
    shelf = Shelf(cache_bytes=0)
    entries = chain("n2", 3)
    shelf.append(records_of(entries))
    (name,) = [one for one in shelf.storage.names() if one.endswith(".seg")]
    whole = shelf.storage.read(name, 0, shelf.storage.size(name))
    shelf.storage.set(name, whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
    with pytest.raises(StorageError, match=r"offset \d+: damaged while the node runs: payload CRC"):
        shelf.pages.events([2])
    shelf.storage.remove(name)
    with pytest.raises(StorageError, match="cannot read"):
        shelf.pages.events([2])


def test_a_record_that_is_not_there_any_more_is_an_error_of_the_disk() -> None:
    shelf = Shelf(cache_bytes=0)
    shelf.append(records_of(chain("n2", 3)))
    (name,) = [one for one in shelf.storage.names() if one.endswith(".seg")]
    shelf.storage.truncate(name, shelf.storage.size(name) // 2)
    with pytest.raises(StorageError):
        shelf.pages.events([3])


# --- bodies -------------------------------------------------------------------------------------


def arrival_of(entry: Entry) -> Arrival:
    """Of an entry whose bytes are no event: only its place in the history matters here."""
    event = MessagePosted(entry.dot, Stamp(1, entry.dot.seq), (), "ana", "x")
    return Arrival(event, entry.tag, 7, "rumor")


@given(order=st.permutations(range(8)), recent_bytes=st.sampled_from([0, 300, 1 << 20]))
def test_bodies_are_a_store_whatever_has_left_memory(order: list[int], recent_bytes: int) -> None:
    shelf, memory = Shelf(cache_bytes=0), MemoryEntryStore()
    bodies = PagedEntryStore(shelf.pages, ProtobufCodec(), recent_bytes)
    entries, log = chain("n2", 8), LogId("n2", 1)
    held: set[int] = set()
    for number, position in enumerate(order, 1):
        one = entries[position]
        held.add(one.dot.seq)
        for store in (bodies, memory):
            store.put(one)
        assert bodies.get(log, one.dot.seq) == one.data
        shelf.append(records_of([one]))
        for store in (bodies, memory):
            store.take(arrival_of(one), one, number)
        for seq in held:
            assert bodies.get(log, seq) == memory.get(log, seq)
    assert bodies.span(log, 1, 8) == memory.span(log, 1, 8)
    assert bodies.span(log, 3, 5) == [one.data for one in entries[2:5]]
    keys = [[one.history.key(i) for i in range(8)] for one in (bodies, memory)]
    assert keys[0] == keys[1]


def test_a_rival_does_not_take_the_place_of_what_is_settled() -> None:
    """Of a fork the frontier decides who stands at the position; records stay what they are."""
    shelf = Shelf(cache_bytes=0)
    bodies = PagedEntryStore(shelf.pages, ProtobufCodec(), 0)
    (first,), log = chain("n2", 1), LogId("n2", 1)
    (rival,) = chain("n2", 1, branch="b")
    bodies.put(first)
    shelf.append(records_of([first, rival]))
    bodies.take(arrival_of(first), first, 1)
    bodies.take(arrival_of(rival), rival, 2)
    assert bodies.get(log, 1) == first.data
    bodies.put(rival)
    assert bodies.get(log, 1) == rival.data
    assert bodies.span(log, 1, 1) == [rival.data]
    assert shelf.pages.events([1]) == [first.data]


def test_an_arrival_is_found_by_its_index_whatever_records_lie_between() -> None:
    node = Node("n1")
    node.post("one")
    node.post("two")
    arrivals = node.replica.timeline.select("arrival")
    shelf = Shelf()
    bodies = PagedEntryStore(shelf.pages, ProtobufCodec(), 0)
    data = [record.data for record in node.journal if type(record) is EventRecord]
    for number, (arrival, one) in enumerate(zip(arrivals, data, strict=True), 1):
        shelf.append([EpochRecord(6 + number, "again", 0), EventRecord(one, 7, "rumor", "n2")])
        entry = Entry(arrival.event.dot, GENESIS, hash_of(one), one)
        bodies.put(entry)
        bodies.take(arrival, entry, 2 * number)
    assert [bodies.history[index] for index in range(2)] == arrivals


def test_of_a_chunk_that_has_grown_only_what_is_new_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shelf = Shelf()
    entries = chain("n2", 3)
    read: list[tuple[int, int]] = []
    whole = shelf.storage.read

    def counted(name: str, offset: int, length: int) -> bytes:
        read.append((offset, length))
        return whole(name, offset, length)

    monkeypatch.setattr(shelf.storage, "read", counted)
    for number, one in enumerate(entries, 1):
        shelf.append(records_of([one]))
        assert shelf.pages.events([number, 1]) == [one.data, entries[0].data]
    ends = [offset + length for offset, length in read]
    assert [offset for offset, _ in read][1:] == ends[:-1]


def test_what_is_in_memory_is_not_read_from_the_journal() -> None:
    shelf = Shelf()
    bodies = PagedEntryStore(shelf.pages, ProtobufCodec())
    entries = chain("n2", 3)
    for number, one in enumerate(entries, 1):
        bodies.put(one)
        bodies.take(arrival_of(one), one, number)  # and nothing was placed
    log = entries[0].dot.log
    assert bodies.span(log, 1, 3) == [one.data for one in entries]
