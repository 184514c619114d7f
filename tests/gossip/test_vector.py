"""Version vectors find what each side lacks, and exchanges of it converge, whatever gets lost."""

from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.dot import LogId
from domain.seqset import SEQ_MAX
from gossip.delta import ENTRY_OVERHEAD_BYTES, RUN_OVERHEAD_BYTES
from gossip.entry import Entry
from gossip.frontier import Frontier
from gossip.meter import Meter
from gossip.packets import TAGS_MAX, Line
from gossip.reconcile import Lack
from gossip.reconcile.vector import UNHELD_MAX
from tests.gossip.builders import (
    chain,
    entry,
    exchange,
    held,
    holding,
    lacks_of,
    parts,
    rounds_to_agree,
    take,
    worlds,
)

N1 = LogId("n1", 1)
ONE, _, THREE, _ = TRUNK = chain("n1", 4)
TWO_B, THREE_B, _ = BRANCH = chain("n1", 3, after=ONE, branch="b")
# The smallest leg: one of the longest entries of these worlds, in a run of its own.
BUDGET_MIN = RUN_OVERHEAD_BYTES + ENTRY_OVERHEAD_BYTES + len(entry("n1", 10, branch="b").data)


def lack_of(ours: Frontier, theirs: Frontier) -> Lack:
    (lack,) = lacks_of(ours, theirs.next_lines())
    return lack


# --- comparing ----------------------------------------------------------------------------------


def test_whoever_says_nothing_lacks_everything() -> None:
    (lack,) = lacks_of(holding(TRUNK), [])
    assert (lack.log.id, lack.ranges, lack.tagged, lack.count) == (N1, [(1, 4)], [], 4)


def test_whoever_holds_the_same_lacks_nothing() -> None:
    assert lacks_of(holding(TRUNK), holding(TRUNK).next_lines()) == []
    assert lacks_of(holding(), holding(TRUNK).next_lines()) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "ranges"),
    [
        ([1, 2, 3, 4], [1, 2], [(3, 4)]),
        ([1, 2, 3, 4], [1, 3], [(2, 2), (4, 4)]),
        ([1, 2, 3, 4], [2, 4], [(1, 1), (3, 3)]),
        ([1, 2], [1, 2, 3, 4], []),
        ([2, 4], [1, 3], [(2, 2), (4, 4)]),
        ([1, 2, 3, 4], [3], [(1, 2), (4, 4)]),
    ],
)
def test_ranges_say_exactly_what_is_lacking(
    ours: list[int], theirs: list[int], ranges: list[tuple[int, int]]
) -> None:
    one = holding(TRUNK[seq - 1] for seq in ours)
    other = holding(TRUNK[seq - 1] for seq in theirs)
    found = lacks_of(one, other.next_lines())
    assert [lack.ranges for lack in found] == ([ranges] if ranges else [])
    assert sum(lack.count for lack in found) == sum(b - a + 1 for a, b in ranges)
    assert one.forked == []


def test_comparing_learns_what_the_other_side_claims() -> None:
    frontier = holding(TRUNK[:1])
    lacks_of(frontier, holding(TRUNK, chain("n2", 2), chain("n3", 9)[7:]).next_lines())
    assert [log.missing for log in frontier] == [3, 2, 9]
    lacks_of(frontier, holding(TRUNK[:2]).next_lines())
    assert frontier.missing == 14  # an older line takes nothing back


def test_a_head_that_differs_starts_a_dispute_that_is_settled_by_tags() -> None:
    one, other = holding(TRUNK), holding([ONE], BRANCH[:2])
    # What they hold at no position they lack for sure; of the rest they must hear first.
    assert [lack.ranges for lack in lacks_of(one, other.next_lines())] == [[(4, 4)]]
    (line,) = one.next_lines()
    assert line.tags == b"".join(each.tag for each in TRUNK)
    lack = lack_of(other, one)  # the first to know what is meant
    assert lack.tagged == [(2, TWO_B.data), (3, THREE_B.data)]
    assert lack_of(one, other).tagged == [(seq, TRUNK[seq - 1].data) for seq in (2, 3, 4)]


@pytest.mark.parametrize(
    ("theirs", "lacking"),
    [(TRUNK[:2], [(3, 4)]), ([ONE, THREE], [(2, 2), (4, 4)]), (TRUNK, [])],
)
def test_a_made_up_tag_keeps_nothing_from_anybody(
    theirs: list[Entry], lacking: list[tuple[int, int]]
) -> None:
    """A third peer has told a head of this log that fits no history: the log is disputed. Whoever
    asks by position, for it knows of no dispute or had no room to name tags, is answered."""
    one = holding(TRUNK)
    lacks_of(one, [Line("n1", 1, 2, b"made up!", [])])
    assert one.ensure(N1).disputed
    found = lacks_of(one, holding(theirs).next_lines())
    assert [lack.ranges for lack in found] == ([lacking] if lacking else [])


def test_a_window_of_tags_that_ends_before_it_begins_asks_for_nothing_in_it() -> None:
    one = holding(TRUNK)
    found = lacks_of(one, [Line("n1", 1, 2, TWO_B.tag, [], b"some tag", 9, 3)])
    assert [lack.tagged for lack in found] == [[(seq, TRUNK[seq - 1].data) for seq in (3, 4)]]


def test_what_they_hold_at_no_position_beside_a_window_is_listed_up_to_a_bound() -> None:
    entries = chain("n1", 2 * UNHELD_MAX + 9)[::2]
    window = Line("n1", 1, 1, entries[0].tag, [], b"some tag", SEQ_MAX, SEQ_MAX)
    (found,) = lacks_of(holding(entries), [window])
    assert [seq for seq, _ in found.tagged] == [*range(3, 2 * UNHELD_MAX + 3, 2)]


def test_ranges_of_logs_that_come_after_the_meter_has_run_out_wait() -> None:
    one = holding(TRUNK, chain("n2", 4))
    one.meter = Meter(one.store, 400)
    theirs = holding([ONE, THREE], chain("n2", 4)[::2]).next_lines()
    assert [lack.log.id.origin for lack in lacks_of(one, theirs)] == ["n1"]


def test_different_entries_above_equal_prefixes_start_a_dispute_too() -> None:
    one, other = holding([ONE, THREE]), holding([ONE, THREE_B])
    for _ in range(2):
        exchange(one, other)
    assert held(one) == held(other) == {each.data for each in (ONE, THREE, THREE_B)}
    assert one.forked == other.forked == ["n1"]


def test_the_rivals_of_a_fork_reach_those_who_hold_one_branch() -> None:
    knows, blind = holding(TRUNK, BRANCH), holding(TRUNK)
    assert lacks_of(knows, blind.next_lines()) == []
    exchange(knows, blind)
    exchange(knows, blind)
    assert blind.root == knows.root
    assert blind.forked == ["n1"]


def test_a_newcomer_is_served_while_a_dispute_is_on() -> None:
    """It once got nothing: it had heard of the log, so it said a line, and named no tag in it."""
    one = holding(TRUNK)
    lacks_of(one, holding([ONE], BRANCH).next_lines())
    assert one.ensure(N1).disputed
    newcomer = holding()
    lacks_of(newcomer, one.next_lines())  # the entries that should have come along were lost
    assert lack_of(one, newcomer).ranges == [(1, 4)]
    assert lacks_of(one, [Line("n1", 1, 0, b"", [])])[0].ranges == [(1, 4)]


def test_a_fork_far_behind_the_end_of_a_long_log_is_found() -> None:
    """It once was not: a line named the newest entries only."""
    trunk = chain("n1", TAGS_MAX + 1000)
    short = [*trunk[:50], *chain("n1", 5, after=trunk[49], branch="b")]
    one, other = holding(trunk), holding(short)
    assert rounds_to_agree([one, other], Random(1)) < 12
    assert one.count == len(trunk) + 5


def test_only_what_a_window_could_have_named_is_lacking() -> None:
    one, other = holding(TRUNK), holding([ONE], BRANCH)
    log = one.ensure(N1)
    log.disputed = True
    found = []
    for _ in TRUNK:
        lines = [one.next_line(log, named_max=1)]
        found.append([seq for lack in lacks_of(other, lines) for seq, _ in lack.tagged])
    assert found == [[], [2], [3], [4]]


def test_two_long_branches_come_in_parts() -> None:
    trunk = chain("n1", 10)
    branches = [chain("n1", 6000, after=trunk[-1], branch=branch) for branch in "ab"]
    one, other = holding(trunk, branches[0]), holding(trunk, branches[1])
    assert rounds_to_agree([one, other], Random(1), budget_bytes=960 * 1024) < 20
    assert one.count == 12_010


def test_of_a_long_unnamed_backlog_one_leg_lists_a_part() -> None:
    one = holding(chain("n1", TAGS_MAX + 5), chain("n1", 1, branch="b"))
    theirs = holding(chain("n1", 1, branch="b"))
    theirs.ensure(N1).disputed = True
    assert TAGS_MAX // 4 < lack_of(one, theirs).count < TAGS_MAX // 3, "what the meter affords"


def test_ranges_are_compared_in_a_later_exchange_once_a_meter_has_run_out() -> None:
    entries = chain("n1", 9)
    ours, theirs = holding(entries), holding(entries[0:5:2])
    ours.meter = Meter(ours.store, 0)
    assert lacks_of(ours, theirs.next_lines()) == []
    ours.meter = Meter(ours.store)
    assert lack_of(ours, theirs).ranges == [(2, 2), (4, 4), (6, 9)]


def test_what_is_written_after_a_fork_does_not_wait_for_its_window_of_tags() -> None:
    fork = chain("n1", 1, branch="b")
    entries = chain("n1", 6000)
    one, theirs = holding(entries, fork), holding(entries[:5000], entries[5500:5600], fork)
    (line,) = theirs.next_lines()
    assert 0 < line.tags_last < 5000
    (theirs_told,) = lacks_of(one, [line])
    seqs = [seq for seq, _ in theirs_told.tagged]
    assert seqs == [*range(5001, 5501), *range(5601, 6001)]


def test_where_a_part_of_the_ranges_is_told_what_is_not_held_is_found_by_tag() -> None:
    fork = chain("n1", 1, branch="b")
    entries = chain("n1", 6000)
    one, theirs = holding(entries, fork), holding(entries[:5000], fork)
    for at in range(5010, 5090, 2):
        theirs.add(entries[at])
    (line,) = theirs.next_lines()
    assert line.ranges
    assert not line.above
    assert lacks_of(one, [line]) == []


# --- converging ---------------------------------------------------------------------------------

budgets = st.integers(BUDGET_MIN, 2000)
seeds = st.integers(0, 2**32)


@given(st.data(), budgets, seeds, st.sampled_from([0.0, 0.3, 0.6]))
@settings(max_examples=400)
def test_two_nodes_with_any_parts_of_any_history_converge(
    data: st.DataObject, budget_bytes: int, seed: int, loss: float
) -> None:
    world = data.draw(worlds())
    some, others = data.draw(parts(world)), data.draw(parts(world))
    one, other = holding(some), holding(others)
    rounds_to_agree([one, other], Random(seed), budget_bytes, loss)
    assert held(one) == held(other) == {each.data for each in some + others}
    assert one.forked == other.forked
    assert one.dots_of_forks() == other.dots_of_forks()


@given(st.data(), budgets, seeds)
@settings(max_examples=150)
def test_several_nodes_converge_by_talking_in_pairs(
    data: st.DataObject, budget_bytes: int, seed: int
) -> None:
    world = data.draw(worlds())
    shares = [data.draw(parts(world)) for _ in range(4)]
    frontiers = [holding(share) for share in shares]
    rounds_to_agree(frontiers, Random(seed), budget_bytes, loss=0.2)
    assert held(frontiers[0]) == {each.data for share in shares for each in share}


@given(st.data(), budgets, seeds, st.integers(1, 3))
@settings(max_examples=150)
def test_few_ranges_and_many_gaps_converge_where_nothing_is_lost_for_ever(
    data: st.DataObject, budget_bytes: int, seed: int, ranges_max: int
) -> None:
    world = data.draw(worlds())
    whole = holding(world, ranges_max=ranges_max)
    some = holding(data.draw(parts(world)), ranges_max=ranges_max)
    while whole.count < len(world):  # what was too far comes again
        take(whole, world)
    rounds_to_agree([whole, some], Random(seed), budget_bytes, loss=0.2)
    assert held(some) == {each.data for each in world}


@given(worlds(forks=False), st.data(), budgets)
def test_without_forks_each_exchange_brings_something_and_nothing_twice(
    world: list[Entry], data: st.DataObject, budget_bytes: int
) -> None:
    one, other = holding(data.draw(parts(world))), holding(data.draw(parts(world)))
    while one.root != other.root:
        before = one.count + other.count
        for ours, theirs in ((one, other), (other, one)):
            for lack in lacks_of(ours, theirs.next_lines()):
                for first, last in lack.ranges:
                    assert all(seq in lack.log.held for seq in range(first, last + 1))
                    found = theirs.ensure(lack.log.id)
                    assert not any(seq in found.held for seq in range(first, last + 1))
        exchange(one, other, budget_bytes)
        assert one.count + other.count > before


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10), seeds)
@example(40, 3, 0, 1)
@settings(max_examples=25)
def test_windows_of_any_size_converge(ours: int, theirs: int, common: int, seed: int) -> None:
    """As with long logs, but with windows of one to three positions."""
    trunk = chain("n1", common)
    after = trunk[-1] if trunk else None
    rng = Random(seed)
    one = holding(trunk, chain("n1", ours, after=after, branch="a"))
    other = holding(trunk, chain("n1", theirs, after=after, branch="b"))
    for _ in range(300):
        if one.root == other.root:
            break
        for asks, answers in ((one, other), (other, one)):
            lines = [asks.next_line(log, rng.randint(1, 3)) for log in asks]
            for lack in lacks_of(answers, lines):
                take(asks, [reborn(lack.log.id, seq, data) for seq, data in lack.tagged])
    assert one.root == other.root
    assert one.count == common + ours + theirs


def reborn(log: LogId, seq: int, data: bytes) -> Entry:
    branch = data.split(b":")[-1].strip().decode().lstrip("0123456789")
    found = entry(log.origin, seq, data[:16], branch, epoch=log.epoch)
    assert found.data == data
    return found
