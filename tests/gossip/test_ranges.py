"""A bound on ranges never ends convergence: what was left for later comes from whoever has it.

The origin of the log is gone in all of these. Two copies hold any parts of it, tell few ranges in a
line, and end with the same set.
"""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.arrival import TAG_BYTES
from domain.dot import LogId
from domain.seqset import SEQ_MAX
from gossip.config import GossipConfig
from gossip.frontier import RANGES_SHARED, Frontier
from gossip.line_turns import LOGS_MAX, LineTurns
from gossip.packets import Line, Syn
from gossip.wire import decode
from tests.gossip.builders import chain, entry, exchange, held, holding, lacks_of
from tests.gossip.engines import Flying, Net, sent_by

N3 = LogId("n3", 1)
LOG = chain("n3", 60)
RIVALS = [entry("n3", seq, branch="b") for seq in range(2, 61)]


def nets(ranges_max: int, seed: int = 1) -> Net:
    return Net("n1", "n2", config=GossipConfig(ranges_max=ranges_max), seed=seed)


# --- converging ---------------------------------------------------------------------------------


@given(
    ranges_max=st.integers(1, 4),
    some=st.sets(st.integers(1, 60)),
    others=st.sets(st.integers(1, 60)),
    forked=st.sets(st.integers(0, 58), max_size=4),
    budget_bytes=st.integers(150, 2000),
)
@settings(max_examples=300, deadline=None)
def test_two_copies_of_any_parts_end_equal_in_a_bounded_number_of_exchanges(
    ranges_max: int, some: set[int], others: set[int], forked: set[int], budget_bytes: int
) -> None:
    one = holding([LOG[seq - 1] for seq in some], ranges_max=ranges_max)
    other = holding(
        [RIVALS[at] for at in forked], [LOG[seq - 1] for seq in others], ranges_max=ranges_max
    )
    all_ = held(one) | held(other)
    legs = 0
    while one.root != other.root:
        legs += 1
        # Every part of the ranges is told once in as many tellings, two in an exchange; each brings
        # an entry or a dispute, or is one of those that settle it.
        assert legs <= 60 + 2 * 30 + 8 * (len(forked) + 1) * 4
        exchange(one, other, budget_bytes)
    assert held(one) == held(other) == all_


@given(
    ranges_max=st.integers(1, 16),
    some=st.sets(st.integers(1, 60)),
    others=st.sets(st.integers(1, 60)),
    loss=st.sampled_from((0.0, 0.3)),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_two_nodes_with_any_parts_agree_soon(
    ranges_max: int, some: set[int], others: set[int], loss: float, seed: int
) -> None:
    net, rng = nets(ranges_max, seed), Random(seed)
    net.hold("n1", [LOG[seq - 1] for seq in some])
    net.hold("n2", [LOG[seq - 1] for seq in others])
    net.run(60_000, arrives=lambda _: int(rng.random() >= loss), until=lambda: net.agreed)
    assert net.agreed
    assert net.holdings()[0] == {LOG[seq - 1].data for seq in some | others}


def test_what_two_nodes_hold_of_a_log_whose_origin_is_gone_is_held_by_both() -> None:
    """Each held as many ranges as it was to remember, and took nothing of the other for ever."""
    net = Net("n1", "n2")
    log = chain("n3", 80)
    net.hold("n1", [one for one in log if one.dot.seq % 2 == 0 and one.dot.seq <= 32])
    net.hold("n2", [one for one in log if one.dot.seq % 2 == 0 and 40 <= one.dot.seq <= 70])
    assert net.run(5_000, until=lambda: net.agreed) < 3_000
    assert net.agreed
    assert net["n1"].frontier.count == 32


def test_the_last_of_many_ranges_is_told_in_its_turn() -> None:
    """All lines but one are equal: only the part that tells it brings it across."""
    evens = [one for one in chain("n3", 400) if one.dot.seq % 2 == 0]
    net = nets(ranges_max=4)
    net.hold("n1", evens)
    net.hold("n2", evens[:-1])
    net.run(30_000, until=lambda: net.agreed)
    assert net.agreed


def test_a_backlog_behind_many_gaps_comes_at_the_pace_of_exchanges_and_not_of_rounds() -> None:
    net = nets(ranges_max=2)
    log = chain("n3", 3000)
    net.hold("n1", log)
    net.hold("n2", [one for one in log[:200] if one.dot.seq % 3 == 0])
    net.call("n2", "n1")
    assert net.run(5_000, until=lambda: net.agreed) < 1_500  # by rounds: 33 * 200 ms
    assert net.agreed


def test_all_that_lies_in_a_journal_is_held_however_many_holes_it_has() -> None:
    net = nets(ranges_max=1)
    net.hold("n1", [one for one in LOG if one.dot.seq % 2])
    assert net["n1"].frontier.count == 30


def test_a_fork_far_above_a_gap_is_found_among_many_ranges() -> None:
    left = [entry("n3", seq) for seq in range(10, 200, 2)]
    right = [*left[:-3], entry("n3", left[-3].dot.seq, branch="b"), *left[-2:]]
    net = nets(ranges_max=3)
    net.hold("n1", left)
    net.hold("n2", right)
    net.run(60_000, until=lambda: net.agreed)
    assert net.agreed
    assert net["n1"].frontier.forked == ["n3"]


# --- lines --------------------------------------------------------------------------------------


@given(held_=st.sets(st.integers(1, 40), min_size=1), ranges_max=st.integers(1, 5))
def test_the_parts_of_a_line_tell_each_position_once(held_: set[int], ranges_max: int) -> None:
    frontier = holding([LOG[seq - 1] for seq in held_], ranges_max=ranges_max)
    log = frontier.ensure(N3)
    parts = max(-(-log.held.parts // ranges_max), 1)
    lines = [frontier.next_lines()[0] for _ in range(parts)]
    assert [rng for line in lines for rng in line.ranges] == log.held.above_prefix()
    assert all(len(line.ranges) <= ranges_max for line in lines)
    at = 1
    for line in lines:
        assert line.tags_first == at
        assert line.partial is (parts > 1)
        at = line.tags_last + 1
    assert lines[-1].tags_last == 0
    total = sum(int.from_bytes(line.above, "big") for line in lines) % 2 ** (8 * TAG_BYTES)
    assert total == int.from_bytes(log.above or b"\0", "big")
    again = decode(sent_by("n1", Syn(bytes(16), 1, lines))).body
    assert isinstance(again, Syn)
    assert again.lines == lines


def test_each_listener_is_told_all_parts_whoever_else_is_told_some() -> None:
    frontier = holding([LOG[seq - 1] for seq in range(2, 10, 2)], ranges_max=2)
    told: dict[str, set[int]] = {"n1": set(), "n2": set()}
    for listener in ("n1", "n2", "n1", "n2"):
        frontier.listener = listener
        (line,) = frontier.next_lines()
        told[listener] |= {first for first, _ in line.ranges}
    assert told == {"n1": {2, 4, 6, 8}, "n2": {2, 4, 6, 8}}


def test_each_listener_is_told_all_parts_of_each_log_in_whichever_packets_they_are() -> None:
    """Every other packet tells this log: a count of packets would tell one part again and again."""
    frontier = holding([LOG[seq - 1] for seq in range(2, 10, 2)], chain("n9", 1), ranges_max=2)
    parted, whole = frontier.ensure(N3), frontier.ensure(LogId("n9", 1))
    told = set()
    for _ in range(2):
        frontier.next_lines([whole])
        (line,) = frontier.next_lines([parted])
        told |= {first for first, _ in line.ranges}
    assert told == {2, 4, 6, 8}


def test_turns_are_remembered_of_a_bounded_number_of_logs() -> None:
    tellings = LineTurns()
    logs = [LogId("n3", epoch) for epoch in range(1, LOGS_MAX + 2)]
    assert [tellings.turn("n1", log) for log in logs] == [0] * len(logs)
    assert [tellings.turn("n1", log) for log in logs[-3:]] == [1] * 3
    tellings.begin("n1")
    tellings.begin("n1")
    assert tellings.turn("n1", logs[0]) == 1  # forgotten: it goes on with the count of packets
    assert tellings.turn("n2", logs[0]) == 0


@pytest.mark.parametrize("caller", ["n1", "n2"])
def test_an_old_log_with_many_ranges_is_told_in_all_its_parts(caller: str) -> None:
    """It has no line in a summary, so it is told in one of two packets of an exchange."""
    logs = [chain("n9", 8, epoch=epoch) for epoch in range(1, 12)]
    net = nets(ranges_max=1)
    net.hold("n1", [one for log in logs for one in log])
    net.hold("n2", [one for log in logs[1:] for one in log])
    net.hold("n2", [one for one in logs[0] if one.dot.seq in (3, 4, 5, 7, 8)])
    net["n2"].frontier.of("n9").by_age.sort(key=lambda log: log.id.epoch)
    for _ in range(4):
        net.call(caller, "n2" if caller == "n1" else "n1")
        net.settle()
    assert net.agreed


def test_of_a_part_only_what_it_speaks_of_is_lacking() -> None:
    frontier = holding(LOG)
    line = Line("n3", 1, 1, LOG[0].tag, [(10, 12)], b"", 8, 20)
    (lack,) = lacks_of(frontier, [line])
    assert lack.ranges == [(8, 9), (13, 20)]


def test_a_line_is_told_again_as_it_was_while_it_has_room() -> None:
    frontier = holding([LOG[seq - 1] for seq in range(2, 10, 2)], ranges_max=4)
    log = frontier.ensure(N3)
    line = frontier.next_line(log)
    assert frontier.next_line(log) is line
    assert len(frontier.next_line(log, ranges_max=2).ranges) == 2


def test_the_ranges_of_all_lines_have_a_bound_together() -> None:
    logs = [entry(f"x{at}", seq) for at in range(300) for seq in range(2, 40, 2)]
    frontier = holding(logs)
    ranges = [len(line.ranges) for line in frontier.next_lines()]
    assert max(ranges) == RANGES_SHARED // 300
    assert sum(ranges) <= RANGES_SHARED


@pytest.mark.parametrize("order", [1, -1])
def test_a_range_remembers_two_links_however_long_it_is(order: int) -> None:
    frontier = holding(LOG[3:50][::order], LOG[55:])
    log = frontier.ensure(N3)
    assert list(log._spans) == [4, 56]
    assert not log.forked
    frontier.add(entry("n3", 51, prev=b"x" * 16))
    assert log.forked


def test_a_past_that_is_filled_at_once_remembers_the_same_links() -> None:
    told, filled = holding(LOG[3:9], LOG[20:30]), Frontier(holding(LOG).store, 16)
    total = told.ensure(N3).total
    filled.fill(N3, [(4, 9), (21, 30)], total)
    rows = [(one.dot.seq, one.prev, one.chain_hash) for one in [*LOG[3:9], *LOG[20:30]]]
    filled.ensure(N3).settle(bytes(16), rows)
    assert filled.ensure(N3)._spans == told.ensure(N3)._spans
    assert filled.next_lines() == told.next_lines()


def test_a_part_with_nonsense_for_positions_asks_for_nothing() -> None:
    net = Net("n1", "n2")
    net.hold("n1", LOG)
    for first, last in ((50, 3), (SEQ_MAX, SEQ_MAX), (70, 0)):
        line = Line("n3", 1, 1, LOG[0].tag, [(10, 12)], b"", first, last)
        net.arrive(Flying("n2", "n1", sent_by("n2", Syn(bytes(16), 10**6, [line]))))
        body = net.flying.pop().packet.body
        assert not getattr(body, "runs")  # noqa: B009
