"""Whatever is invented, a configured node is heard; and what that costs is bounded."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.dot import LogId
from gossip import places as limits
from gossip.delta import TURNS, cut
from gossip.epoch_folds import EpochFolds
from gossip.frontier import CLAIMED_LOGS_MAX, Added, Frontier
from gossip.packets import Push, Syn, SynAck
from gossip.places import Places
from gossip.reconcile.vector import Vector
from gossip.store import MemoryStore
from tests.gossip.builders import chain, entries_of, entry, holding, lacks_of, offered, take
from tests.gossip.engines import Flying, Net, run_of, sent_by

NODES = ("n1", "n2", "n3")
NAMES = (*NODES, "n4", "x", "y", "z")
EACH, STRANGE, ORIGINS = 3, 4, 6


@contextmanager
def small() -> Iterator[None]:
    """Limits that a few logs reach."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "EACH_MIN", EACH)
        patch.setattr(limits, "EACH_SHARED", 0)
        patch.setattr(limits, "STRANGE_LOGS_MAX", STRANGE)
        patch.setattr(limits, "ORIGINS_MAX", ORIGINS)
        yield


logs = st.lists(
    st.builds(LogId, st.sampled_from(NAMES), st.integers(1, 40)), unique=True, max_size=60
)


# --- properties ---------------------------------------------------------------------------------


@given(logs)
def test_whatever_is_told_the_logs_of_each_are_bounded_and_the_configured_have_theirs(
    told: list[LogId],
) -> None:
    kept = []
    with small():
        places = Places(NODES)
        for log in told:
            if places.room(log):
                places.take(log)
                kept.append(log)
            else:
                places.refuse(log.origin, 1)
        of = {name: [log for log in kept if log.origin == name] for name in NAMES}
        for name in NODES:  # they depend on nobody else
            assert of[name] == [log for log in told if log.origin == name][:EACH]
        strange = [log for log in kept if log.origin not in NODES]
        assert len(strange) <= STRANGE
        assert len({log.origin for log in strange}) <= ORIGINS - len(NODES)
        assert len(places) == len(kept)
        assert places.origins == len({log.origin for log in kept})
        assert places.refused == len(told) - len(kept)
        refused = {log.origin for log in set(told) - set(kept)}
        full = {origin if origin in NODES else limits.STRANGE for origin in refused}
        assert set(places.full) == set(places.take_news()) == full
        assert places.take_news() == []


@given(logs, st.integers(1, 3 * EACH))
def test_a_node_that_says_where_it_writes_has_as_many_places_more(
    told: list[LogId], lives: int
) -> None:
    with small():
        places = Places(NODES)
        for log in told:
            if places.room(log):
                places.take(log)
        by_others = min(sum(log.origin == "n1" for log in told), EACH)
        before = len(places)
        for life in range(lives):
            log = LogId("n1", 100 + life)
            places.write(log)
            assert places.writes(log) and places.written("n1") == log
            room = by_others + life < 2 * EACH
            assert places.room(log) == room
            if room:
                places.take(log)
        assert len(places) == before + min(lives, 2 * EACH - by_others)


def test_a_strange_node_is_not_asked_where_it_writes() -> None:
    places = Places(NODES)
    places.write(LogId("x", 7))
    assert not places.writes(LogId("x", 7))
    assert places.written("x") == LogId("x", 0)


def test_the_fewer_are_configured_the_more_logs_each_can_have() -> None:
    assert Places(NODES).each == 8192 // 3
    assert Places([f"n{number}" for number in range(100)]).each == 512
    assert Places().each == 8192


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(NODES), logs), max_size=4),
    st.lists(st.sampled_from(NODES), min_size=1, max_size=3, unique=True),
)
def test_what_configured_nodes_write_reaches_all_whatever_has_been_invented_where(
    invented: list[tuple[str, list[LogId]]], lost: list[str]
) -> None:
    """n4 tells each of the others what it likes; then some have lost their disks and write."""
    with small():
        net = Net(*NODES, "n4")
        for number, (where, some) in enumerate(invented, 1):
            runs = [run_of(entry(log.origin, 1, epoch=log.epoch)) for log in some]
            net.arrive(Flying("n4", where, sent_by("n4", Push(runs, direct=True), number)))
        net.flying.clear()
        net.run(3000, arrives=lambda one: "n4" not in (one.sender, one.receiver))
        for name in lost:  # all that it held is gone, and what it holds now is a new log
            net.engines[name] = Net(*NODES, "n4", start=2)[name]
            net.engines[name].start(net.now_ms)
        said = {name: chain(name, 3, epoch=1000) for name in lost}
        for name, entries in said.items():
            for one in entries:
                net[name].offer(one, receipt=False)
        net.run(6000, arrives=lambda one: "n4" not in (one.sender, one.receiver))
        for name, entries in said.items():
            for holder in NODES:
                log = net[holder].frontier.get(entries[0].dot.log)
                assert log is not None and log.prefix == 3, (name, holder)


# --- cases --------------------------------------------------------------------------------------


def test_a_refused_entry_is_counted_and_not_opened_and_its_log_not_begun() -> None:
    with small():
        net = Net("n1", "n2")
        for epoch in range(1, EACH + 3):
            run = run_of(*chain("n2", 2, epoch=epoch))
            net.arrive(Flying("n2", "n1", sent_by("n2", Push([run], direct=True), epoch)))
        engine = net["n1"]
        assert len(engine.frontier) == EACH
        assert engine.counters["entries_full"] == 4
        assert engine.counters["entries_far"] == engine.counters["entries_duplicate"] == 0
        assert engine.frontier.places.full == {"n2": 4}
        assert not engine.frontier.room(LogId("n2", 99)) and engine.frontier.room(LogId("n2", 1))


def test_who_refuses_a_senders_own_log_calls_it_and_hears_that_it_writes_there() -> None:
    with small():
        net = Net("n1", "n2")
        told = [run_of(*chain("n2", 1, epoch=epoch)) for epoch in range(1, EACH + 1)]
        net.arrive(Flying("n2", "n1", sent_by("n2", Push(told, direct=True))))
        mine = chain("n2", 1, epoch=77)
        net["n2"].offer(mine[0], receipt=False)
        net.flush("n2")
        flown = [type(one.packet.body) for one in net.settle()]
        assert flown[:3] == [Push, Syn, SynAck]
        assert net["n1"].frontier.get(LogId("n2", 77)) is not None


def test_a_claim_takes_no_place_and_is_refused_where_there_is_none() -> None:
    with small():
        frontier = Frontier(MemoryStore(), 16, NODES)
        for epoch in range(1, EACH + 1):
            assert frontier.claim(LogId("n1", epoch), 5) is not None
        assert (len(frontier), len(frontier.places), frontier.origins) == (EACH, 0, 0)
        take(frontier, [entry("n1", 1, epoch=epoch) for epoch in range(11, 11 + EACH)])
        assert len(frontier.places) == EACH
        assert frontier.claim(LogId("n1", 50), 5) is None
        assert frontier.add(entry("n1", 1, epoch=1)) is Added.FULL, "claimed, and no place left"
        assert frontier.claims_refused == 1 < CLAIMED_LOGS_MAX


def test_what_is_in_the_journal_is_kept_and_counts() -> None:
    with small():
        frontier = Frontier(MemoryStore(), 16, NODES)
        for epoch in range(1, 2 * EACH + 3):
            assert frontier.add(entry("n1", 1, epoch=epoch), always=True) is Added.NEW
        frontier.fill(LogId("x", 1), [(1, 2)], 5)
        frontier.fill(LogId("x", 1), [(3, 4)], 5)
        assert len(frontier.places) == 2 * EACH + 3
        assert not frontier.room(LogId("n1", 99))
        assert frontier.room(LogId("n2", 99)) and frontier.room(LogId("y", 1))


def test_the_log_that_is_written_has_a_line_however_many_began_later() -> None:
    frontier = Frontier(MemoryStore(), 16, NODES)
    take(frontier, [entry("n1", 1, epoch=epoch) for epoch in range(1, 50)])
    frontier.places.write(LogId("n1", 7))
    summary = EpochFolds(Vector()).next_summary(frontier)
    assert 7 in [line.epoch for line in summary.lines]
    assert len(summary.lines) == 4 and len(summary.folds) == 1


def test_what_is_written_goes_first_then_a_log_of_each_origin() -> None:
    frontier = Frontier(MemoryStore(), 16, NODES)
    take(frontier, [entry("x", 1, epoch=epoch) for epoch in (1, 2)])
    take(frontier, [entry("n2", 1, epoch=epoch) for epoch in (1, 2)])
    take(frontier, [entry("n1", 1, epoch=5)])
    take(frontier, chain("n1", 3, epoch=9))
    frontier.places.write(LogId("n1", 9))
    found = offered(frontier, [], 100_000)
    assert [(run.origin, run.epoch) for run in found] == [
        ("n1", 9),
        ("n2", 1),
        ("n1", 5),
        ("x", 1),
        ("n2", 2),
        ("x", 2),
    ]


def test_of_an_origin_with_many_logs_another_one_comes_first_in_each_packet() -> None:
    frontier = holding([entry("x", 1, epoch=epoch) for epoch in range(1, 10 * TURNS)])
    told: set[int] = set()
    for _ in range(20):
        runs, more = cut(lacks_of(frontier, []), frontier, 4000)
        assert more
        told.update(one.dot.epoch for one in entries_of(runs))
    assert len(told) == 10 * TURNS - 1
