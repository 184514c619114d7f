"""What one packet makes a node read and hash is bounded, whatever the packet asks for.

Work is measured, not time: the entries that the store gave, and their bytes.
"""

from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from domain.arrival import TAG_BYTES
from domain.dot import EPOCH_MAX, Dot, LogId
from gossip.delta import SOURCE_BYTES, WORK_BYTES_MAX, cut, runs_of
from gossip.entry import Entry, hash_of
from gossip.epoch_folds import LACKED_MAX, EpochFolds, FoldSummary
from gossip.frontier import NAMED_BYTES_MAX, RIVALS_MAX, Frontier
from gossip.meter import ENTRY_BYTES, READ_BYTES_MAX, STEP_BYTES, Meter
from gossip.packets import (
    ENTRIES_MAX,
    LINES_MAX,
    LOGS_BEGUN_MAX,
    STORED_PER_PACKET_MAX,
    Ack,
    EpochFold,
    Feedback,
    Line,
    Push,
    Run,
    Syn,
    SynAck,
)
from gossip.places import ORIGINS_MAX, STRANGE_LOGS_MAX, Places
from gossip.receipts import Receipts
from gossip.reconcile.vector import Vector
from gossip.rumor import Rumors
from gossip.store import AHEAD_BYTES, MemoryStore, read_ahead
from gossip.wire import WireError, decode, encode
from tests.gossip.builders import chain, compared_by, entry, lacks_of, packet
from tests.gossip.engines import Flying, Net, kinds, sent_by
from tests.work import steps

ROOT = bytes(16)
N1 = LogId("n1", 1)


class Counting(MemoryStore):
    """Counts what is read. `scattered`: each read of an entry fetches that much around it."""

    __slots__ = ("bytes", "entries", "scattered")

    def __init__(self, scattered: int = 0) -> None:
        super().__init__()
        self.entries = self.bytes = 0
        self.scattered = scattered

    def get(self, log: LogId, seq: int) -> bytes:
        return self.span(log, seq, seq)[0]

    def span(self, log: LogId, first: int, last: int) -> list[bytes]:
        found = [MemoryStore.get(self, log, seq) for seq in range(first, last + 1)]
        self.entries += len(found)
        self.bytes += sum(map(len, found))
        return found

    @property
    def fetched_bytes(self) -> int:
        return self.entries * self.scattered


def node(entries: list[Entry], scattered: int = 0) -> tuple[Net, Counting]:
    """n1 with these entries, in a store that counts."""
    net, store = Net("n1", "n2"), Counting(scattered)
    engine = net["n1"]
    engine.frontier.store = store
    engine.frontier.meter = Meter(store)
    engine.frontier._naming = Meter(store, NAMED_BYTES_MAX)
    net.hold("n1", entries)
    store.entries = store.bytes = 0
    return net, store


def ask(net: Net, body: Syn | Push | Ack) -> list[Flying]:
    net.arrive(Flying("n2", "n1", sent_by("n2", body)))
    flown = list(net.flying)
    net.flying.clear()
    return flown


def many(logs: int, each: int, size: int = 150) -> list[Entry]:
    return [one for log in range(logs) for one in chain("n3", each, epoch=1 + log, size=size)]


READ_MAX = 1 + (READ_BYTES_MAX + NAMED_BYTES_MAX) // (150 + ENTRY_BYTES)


def test_a_bogus_tag_for_each_log_makes_nobody_read_all_that_he_holds() -> None:
    net, store = node(many(10, 8000))
    lines = [Line("n3", log + 1, 1, bytes(8), [], b"\1" * 8) for log in range(10)]
    for _ in range(3):
        store.entries = 0
        ask(net, Syn(ROOT, 0, lines))
        assert 0 < store.entries < READ_MAX + 12 * AHEAD_BYTES // 150


def test_entries_that_lie_far_apart_count_for_what_is_fetched() -> None:
    net, store = node(many(10, 800), scattered=8192)
    lines = [Line("n3", log + 1, 1, bytes(8), [], b"\1" * 8) for log in range(10)]
    ask(net, Syn(ROOT, 0, lines))
    assert store.entries < 1000  # a span that was begun is read to its end


@pytest.mark.parametrize("budget_bytes", [0, 1])
def test_without_a_budget_no_log_is_opened_for_it(budget_bytes: int) -> None:
    net, store = node(many(200, 50))
    (answer,) = ask(net, Syn(ROOT, budget_bytes, []))
    assert kinds([answer]) == ["SynAck"]
    assert store.entries <= 8  # of the first log, to see that it does not fit


def test_lines_that_name_a_tag_inside_every_log_are_verified_up_to_a_bound() -> None:
    net, store = node(many(40, 20, size=100_000))
    lines = [Line("n3", log + 1, 5, bytes(8), []) for log in range(40)]
    ask(net, Syn(ROOT, 0, lines))
    assert store.bytes <= READ_BYTES_MAX + NAMED_BYTES_MAX + 40 * 100_000 // 10


def test_positions_that_are_held_are_read_up_to_a_bound() -> None:
    entries = chain("n3", 200, size=100_000)
    net, store = node(entries)
    runs = [Run("n3", 1, 1, [b"n"] * 200)]
    ask(net, Push(runs, direct=True))
    assert store.bytes <= READ_BYTES_MAX + 100_000
    assert net["n1"].counters["entries_unread"] > 150
    again = [Run("n3", 1, 1, [one.data for one in entries[:5]])]
    ask(net, Push(again, direct=True))
    assert net["n1"].counters["entries_duplicate"] == 5


def test_a_delta_fetches_no_more_than_its_bound_and_goes_on() -> None:
    net, store = node(many(3, 2000), scattered=64 * 1024)
    (answer,) = ask(net, Syn(ROOT, 256 * 1024, []))
    assert store.entries < 3 * (AHEAD_BYTES // 150 + 8)
    net.arrive(Flying("n1", "n2", answer.data))
    assert 0 < net["n2"].frontier.count < 200
    net.run(60_000, until=lambda: net.agreed)
    assert net.agreed


def test_tags_of_a_disputed_log_are_read_once_while_the_dispute_lasts() -> None:
    store = Counting()
    frontier = Frontier(store, 16)
    entries = chain("n1", 500)
    for one in entries:
        frontier.add(one)
    log = frontier.ensure(N1)
    frontier.dispute(log)
    (line,) = frontier.next_lines()
    assert store.entries == 500
    theirs = [Line("n1", 1, 400, entries[399].tag, [], line.tags[: 400 * TAG_BYTES], 1, 400)]
    assert frontier.next_lines() == [line]
    assert frontier.confirm(log, 400, entries[399].tag)
    lacks_of(frontier, theirs)
    assert store.entries == 600, "what they lack is read, to be sent"
    frontier.settled()
    assert not log.tags


def test_what_was_not_looked_at_is_looked_at_later() -> None:
    """A fork at the end of a log, and one packet may read but a little of it."""
    trunk = chain("n3", 300)
    one, other = holding_with(trunk, chain("n3", 1, after=trunk[-1], branch="a"))
    other.add(entry("n3", 301, trunk[-1].chain_hash, "b"))
    vector = Vector()
    legs, found = 0, [(0, b"")]
    while 301 not in {seq for seq, _ in found}:
        legs += 1
        lines = vector.next_lines(one)
        found = [row for lack in lacks_of(other, lines) for row in lack.tagged]
    assert 3 < legs < 100


def holding_with(*parts: list[Entry]) -> tuple[Frontier, Frontier]:
    """Two frontiers with the first part; one has all parts. Packets make them read little."""
    made: list[Frontier] = []
    for entries in ([one for part in parts for one in part], parts[0]):
        store = Counting()
        frontier = Frontier(store, 16)
        frontier.meter = Meter(store, 4000)
        frontier._naming = Meter(store, 6000)
        for one in entries:
            frontier.add(one)
        log = frontier.get(entries[0].dot.log)
        assert log is not None
        frontier.dispute(log)
        made.append(frontier)
    return made[0], made[1]


def test_a_crowded_position_is_looked_through_a_bounded_number_of_times() -> None:
    crowd = [entry("n3", 1, branch=f"b{at}", size=60) for at in range(6000)]
    crowd.sort(key=lambda one: one.tag, reverse=True)
    net, _ = node(crowd[:1])
    for at in range(1, 6000, 3000):
        ask(net, Push([Run("n3", 1, 1, [one.data]) for one in crowd[at : at + 3000]], direct=True))
    assert net["n1"].counters["entries_unread"] > 0
    replaced = net["n1"].counters["entries_rival"] - RIVALS_MAX
    assert 0 < replaced < READ_BYTES_MAX // RIVALS_MAX


def test_receipts_that_are_owed_for_many_logs_are_told_in_parts() -> None:
    net, _ = node([])
    entries = [one for log in range(200) for one in chain("n2", 2, epoch=1 + log)]
    net.hold("n1", entries)
    receipts: Receipts = net["n1"].receipts
    for one in entries:
        receipts.durable(one.dot.log, one.dot.seq)
        receipts.owe(one.dot.log, 2)
    told = [len(stored) for _ in range(4) for stored in receipts.take_due().values()]
    assert told == [STORED_PER_PACKET_MAX] * 3 + [8]
    assert not receipts.touched


def test_reading_ahead_is_measured_in_bytes() -> None:
    store = Counting()
    for one in chain("n1", 40, size=60_000):
        store.put(one)
    for seq, data in read_ahead(store, N1, 1, 40):
        assert hash_of(data)
        assert store.entries <= max(8, seq)
    assert store.entries == 40


def test_ranges_that_a_peer_lacks_are_listed_up_to_a_bound() -> None:
    entries = [entry("n3", seq) for seq in range(2, 400, 2)]
    frontier = Frontier(MemoryStore(), 256)
    frontier.meter = Meter(frontier.store, 100 * STEP_BYTES)
    for one in entries:
        frontier.add(one)
    (lack,) = lacks_of(frontier, [Line("n3", 1, 1, bytes(8), [])])
    assert len(lack.ranges) == lack.count == 50


@pytest.mark.parametrize("nonsense", [False, True])
@pytest.mark.parametrize("each", [3, 5000, 12_000])
def test_of_one_packet_so_many_entries_are_opened_in_order(each: int, nonsense: bool) -> None:
    """The smallest entries that there are: a packet of 1 MiB holds tens of thousands."""
    net, _ = node([])
    opened: list[Dot] = []
    engine = net["n1"]
    open_entry = engine._open_entry

    def count(dot: Dot, data: bytes) -> tuple[bytes, str] | None:
        opened.append(dot)
        return open_entry(dot, data)

    engine._open_entry = count
    logs = [chain("n2", min(each, 12_000 - at), epoch=1 + at) for at in range(0, 12_000, each)]
    runs = [
        Run("n2", one[0].dot.epoch, 1, [b"x" if nonsense else entry.data for entry in one])
        for one in logs
    ]
    sent = [entry.dot for one in logs for entry in one]
    for body in (Push(runs, direct=True), Ack(1, runs, False)):
        opened.clear()
        ask(net, body)
        assert len(opened) == ENTRIES_MAX
        if nonsense:
            assert opened == sent[:ENTRIES_MAX]
    if not nonsense:
        assert engine.frontier.count == 2 * ENTRIES_MAX
    assert engine.counters["entries_unread"] > 0


def test_of_one_packet_so_many_runs_are_looked_at() -> None:
    runs = [Run("n2", 1 + at, 1, [b"x", b"y"]) for at in range(3 * ENTRIES_MAX)]
    bodies = (Push(runs, direct=True), Push(runs, direct=False, receipt=True), Ack(1, runs, False))
    for body in bodies:
        net, _ = node([])
        sent = ask(net, body)
        counters = net["n1"].counters
        assert counters["entries_bad"] == ENTRIES_MAX
        assert counters["entries_unread"] == 5 * ENTRIES_MAX
        useful = [one.packet.body.useful for one in sent if isinstance(one.packet.body, Feedback)]
        assert useful == ([[False] * len(runs)] if type(body) is Push and not body.direct else [])


def test_one_packet_begins_so_many_logs_and_lengthens_others_all_the_same() -> None:
    net, _ = node([])
    engine = net["n1"]
    held, more = chain("n3", 2)
    net.hold("n1", [held])
    logs = [chain("n2", 1, epoch=1 + at) for at in range(LOGS_BEGUN_MAX + 10)]
    runs = [Run("n2", one[0].dot.epoch, 1, [one[0].data]) for one in logs]
    ask(net, Ack(1, [*runs, Run("n3", more.dot.epoch, 2, [more.data])], False))
    assert len(engine.frontier) == LOGS_BEGUN_MAX + 1
    assert engine.frontier.count == LOGS_BEGUN_MAX + 2
    assert engine.counters["entries_unread"] == 10


def test_what_one_packet_could_not_bring_the_next_ones_do() -> None:
    """Whoever lacks more of the smallest entries than one packet may bring calls again at once."""
    net, _ = node([])
    net.hold("n1", chain("n3", 3 * ENTRIES_MAX))
    net.call("n2", "n1")
    flown = net.settle()
    assert net.agreed
    runs = [one.packet.body.runs for one in flown if isinstance(one.packet.body, SynAck)]
    assert max(sum(len(run.data) for run in told) for told in runs) <= ENTRIES_MAX


def test_no_push_carries_more_entries_than_are_opened() -> None:
    entries = chain("n1", 3 * ENTRIES_MAX)
    pushes = runs_of(entries, 900 * 1024)
    assert [sum(len(run.data) for run in runs) for runs in pushes] == [ENTRIES_MAX] * 3
    rumors = Rumors(2, 900 * 1024)
    rumors.learn([Run("n1", 1, 1, [one.data for one in entries])])
    rumors.learn([Run("n2", 1, 1, [b"x"] * 100)])
    told = [rumors.tell(token, 900 * 1024) for token in range(8)]
    assert all(sum(len(run.data) for run in runs) <= ENTRIES_MAX for runs in told)
    assert {run.first for runs in told for run in runs if run.origin == "n1"} == {
        1 + at * ENTRIES_MAX for at in range(3)
    }


def test_what_is_said_of_many_logs_costs_what_is_said_and_not_what_is_held() -> None:
    """Four origins at two nodes, all of whose logs are different: packets that teach nothing."""
    needed: list[list[int]] = []
    for logs in (300, 3000):
        ours, theirs = (invented(logs, seed) for seed in (1, 2))
        mine, others = EpochFolds(Vector()), EpochFolds(Vector())
        said = others.next_summary(theirs)
        differing = compared_by(mine, ours, said).differing
        assert len(differing) == 4
        work: list[Callable[[], object]] = [
            partial(mine.next_summary, ours),
            partial(mine.next_comparison, ours, said),
            partial(mine.next_summary, ours, differing),
            partial(mine.unfold, ours, differing),
        ]
        counted = []
        for one in work:
            one()
            counted.append(steps(one))
        ours.add(entry("n1", 1, epoch=9))
        counted += map(steps, work[:2])  # after one change
        needed.append(counted)
    for few, many_logs in zip(*needed, strict=True):
        assert many_logs < 1.3 * few + 200, needed


def invented(logs: int, seed: int) -> Frontier:
    rng = Random(seed)
    frontier = Frontier(MemoryStore(), 16)
    for origin in ("n1", "n2", "n3", "n4"):
        for _ in range(logs // 4):
            frontier.add(entry(origin, 1, epoch=rng.getrandbits(62) + 10))
    return frontier


def test_of_thousands_of_logs_that_a_peer_lacks_a_share_is_looked_at_in_turns() -> None:
    frontier = invented(3 * LACKED_MAX, 1)
    frontier.places = Places(("n1",))
    own = entry("n1", 1, epoch=1)
    frontier.add(own)
    frontier.places.write(own.dot.log)
    folding, seen = EpochFolds(Vector()), set[LogId]()
    for _ in range(4):
        compared = compared_by(folding, frontier, FoldSummary([], []))
        lacked = {lack.log.id for lack in compared.lacks}
        assert own.dot.log in lacked, "what is written in now is never left for later"
        assert LACKED_MAX <= len(compared.lacks) == len(lacked) <= LACKED_MAX + 1
        assert compared.partial, "so whoever is told something calls again"
        seen |= lacked
    assert len(seen) == len(frontier)


@pytest.mark.parametrize("each", [2, 3, 6])
def test_no_summary_has_more_lines_than_a_packet_may_have(each: int) -> None:
    """The most origins that there are places for, or the most logs for a line each; forks, too."""
    frontier = Frontier(MemoryStore(), 16, ("n1",))
    origins = min(ORIGINS_MAX - 1, STRANGE_LOGS_MAX // each)
    for at in range(origins):
        for epoch in range(1, 1 + each):
            frontier.add(entry(f"x{at}", 1, epoch=epoch))
            if at % 8 == 0:
                frontier.add(entry(f"x{at}", 1, branch="b", epoch=epoch))
    for epoch in range(1, frontier.places.each + 1):
        frontier.add(entry("n1", 1, epoch=epoch))
    folding = EpochFolds(Vector())
    differing = [
        EpochFold(fold.origin, 1, EPOCH_MAX, 0, bytes(16))
        for fold in folding.next_summary(frontier).folds
    ]
    summary = folding.next_summary(frontier, differing)
    assert 1500 < len(summary.lines) < LINES_MAX * 3 // 4
    body = Syn(bytes(16), 1, summary.lines, folds=summary.folds)
    assert decode(encode(packet(body))).body == body
    line = summary.lines[0]
    with pytest.raises(WireError):
        decode(encode(packet(Syn(bytes(16), 1, [line] * (LINES_MAX + 1)))))


def test_what_one_packet_costs_in_all_is_bounded_after_an_attack() -> None:
    """The dearest packets known: small ones, to a node with thousands of made-up logs.

    The bound is some 23 ms, half of what a turn may take. It was 3.9 million.
    """
    net, _ = node([one for log in range(3) for one in chain("n3", 6000, epoch=1 + log, size=90)])
    net.hold("n1", [entry("n2", 1, epoch=1000 + at) for at in range(3000)])
    net.hold("n1", [entry(f"x{at}", 1, epoch=5) for at in range(1000)])
    more = [Line("n3", log + 1, 2**62, bytes(8), []) for log in range(3)]
    tags = [Line("n3", log + 1, 5000, bytes(8), [], b"\1" * 8) for log in range(3)]
    for lines in (more, tags, more, tags):
        assert steps(partial(ask, net, Syn(ROOT, 2**40, lines))) < 2_600_000


def test_a_delta_begins_so_many_logs_and_no_more() -> None:
    frontier = invented(2 * LACKED_MAX, 1)
    lacks = lacks_of(frontier, [])
    runs, more = cut(lacks, frontier, 900 * 1024)
    assert (len(runs), more) == (WORK_BYTES_MAX // SOURCE_BYTES, True)
