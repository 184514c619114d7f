"""A delta keeps to its budget on the real wire, and no quiet voice waits behind a backlog."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.delta import QUANTUM_BYTES, cut, runs_of
from gossip.entry import Entry
from gossip.frontier import Frontier
from gossip.packets import ENTRIES_MAX, Run
from tests.gossip.builders import (
    chain,
    entries_of,
    entry,
    held,
    holding,
    lacks_of,
    parts,
    shipped,
    wire_bytes,
    worlds,
)

KIB = 1024


def delta(frontier: Frontier, budget_bytes: int, *known: Iterable[Entry]) -> tuple[list[Run], bool]:
    """What a node that holds `known` is sent first."""
    lacks = lacks_of(frontier, holding(*known).next_lines())
    return cut(lacks, frontier, budget_bytes)


def counts(runs: list[Run]) -> dict[str, int]:
    found: dict[str, int] = {}
    for run in runs:
        found[run.origin] = found.get(run.origin, 0) + len(run.data)
    return found


# --- what is in it ------------------------------------------------------------------------------


def test_with_room_enough_everything_goes_in_order_and_nothing_is_left_out() -> None:
    frontier = holding(chain("n2", 300), chain("n1", 600))
    runs, more = delta(frontier, 256 * KIB)
    assert [(run.origin, run.first, len(run.data)) for run in runs] == [
        ("n2", 1, 300),
        ("n1", 1, 600),
    ]
    assert not more
    assert holding(entries_of(runs)).root == frontier.root


def test_nobody_who_lacks_nothing_is_sent_anything() -> None:
    entries = chain("n1", 3)
    assert delta(holding(entries), 256 * KIB, entries) == ([], False)


@pytest.mark.parametrize("budget_bytes", [-1, 0, 1])
def test_without_room_nothing_goes_and_more_is_left(budget_bytes: int) -> None:
    assert delta(holding(chain("n1", 3)), budget_bytes) == ([], True)


def test_gaps_are_filled_by_runs_of_their_own() -> None:
    entries = chain("n1", 9)
    runs, _ = delta(holding(entries), 256 * KIB, entries[2:4], entries[6:7])
    assert [(run.first, len(run.data)) for run in runs] == [(1, 2), (5, 2), (8, 2)]


def test_both_branches_of_a_fork_go_as_runs_that_overlap() -> None:
    entries = chain("n1", 3)
    rivals = chain("n1", 2, after=entries[0], branch="b")
    frontier = holding(entries, rivals)
    known = holding(entries[:1])
    known.ensure(entries[0].dot.log).disputed = True
    runs, _ = cut(lacks_of(frontier, known.next_lines()), frontier, 256 * KIB)
    assert sorted(run.first for run in runs) == [2, 2, 3]
    assert {one.data for one in entries_of(runs)} == {one.data for one in entries[1:] + rivals}


def test_a_cut_log_goes_on_where_it_was_cut() -> None:
    entries = chain("n1", 500, size=100)
    frontier, other = holding(entries), holding()
    legs = 0
    more = True
    while more:
        runs, more = cut(lacks_of(frontier, other.next_lines()), frontier, 8 * KIB)
        for one in entries_of(runs):
            other.add(one)
        legs += 1
    assert other.root == frontier.root
    assert legs == 7  # 500 entries of 105 bytes, 8 KiB at a time


# --- fairness -----------------------------------------------------------------------------------


def test_a_log_with_three_entries_is_whole_in_the_first_leg_before_a_backlog() -> None:
    frontier = holding(chain("chatty", 10_000, size=200), chain("quiet", 3, size=200))
    runs, more = delta(frontier, 96 * KIB)
    assert runs[0].origin == "quiet"
    assert counts(runs)["quiet"] == 3
    assert counts(runs)["chatty"] > 300  # and the rest of the leg is not wasted
    assert more


def test_every_log_of_many_gets_its_share_of_the_first_leg() -> None:
    frontier = holding(
        *(chain(f"backlog-{i}", 1500, size=100) for i in range(4)),
        *(chain(f"quiet-{i}", 3, size=100) for i in range(20)),
    )
    found = counts(delta(frontier, 96 * KIB)[0])
    assert [found[f"quiet-{i}"] for i in range(20)] == [3] * 20
    shares = [found[f"backlog-{i}"] for i in range(4)]
    assert max(shares) - min(shares) <= QUANTUM_BYTES // 105 + 1


def test_a_long_text_does_not_wait_behind_a_backlog_of_short_ones() -> None:
    """It once did: it saved up its share of the budget, and the backlog took what was left."""
    frontier = holding(chain("chatty", 10_000, size=200), chain("quiet", 1, size=64 * KIB))
    found = counts(delta(frontier, 96 * KIB)[0])
    assert found["quiet"] == 1
    assert found["chatty"] > 0


def test_long_texts_pay_back_what_they_took() -> None:
    frontier = holding(chain("long", 90, size=16 * KIB), chain("short", 2000, size=1000))
    runs, _ = delta(frontier, 256 * KIB)
    bytes_of = dict.fromkeys(counts(runs), 0)
    for run in runs:
        bytes_of[run.origin] += sum(map(len, run.data))
    assert abs(bytes_of["long"] - bytes_of["short"]) <= 16 * KIB + QUANTUM_BYTES


# --- the budget ---------------------------------------------------------------------------------

NAMES = ["n", "n" * 31, "n" * 32, "é" * 32, "🙂" * 32]
SIZES = [0, 30, 31, 32, 33, 255, 256, 257, 65_535, 65_536]


@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(SIZES), st.integers(1, 40)), max_size=12
    ),
    st.sampled_from([1, 2**31, 2**63 - 50]),
    st.integers(0, 200 * KIB),
    st.integers(1, 5),
)
@settings(max_examples=60)
def test_a_delta_is_never_larger_on_the_wire_than_its_budget(
    logs: list[tuple[str, int, int]], epoch: int, budget_bytes: int, gap: int
) -> None:
    frontier = holding(
        *(
            [one for one in chain(name, count, size=size, epoch=epoch + i) if one.dot.seq % gap]
            for i, (name, size, count) in enumerate(logs)
        ),
        ranges_max=256,
    )
    runs, _ = delta(frontier, budget_bytes)
    assert wire_bytes(runs) <= budget_bytes


@given(st.data(), st.integers(0, 3000))
def test_a_delta_of_forks_keeps_to_its_budget_as_well(data: st.DataObject, budget: int) -> None:
    world = data.draw(worlds())
    frontier, known = holding(world), holding(data.draw(parts(world)))
    for log in known:
        log.disputed = True
    runs, _ = cut(lacks_of(frontier, known.next_lines()), frontier, budget)
    assert wire_bytes(runs) <= budget
    assert not {one.data for one in entries_of(runs)} & held(known)


@pytest.mark.parametrize("count", [1, 15])
def test_a_budget_that_fits_exactly_is_not_overdrawn(count: int) -> None:
    """The dearest headers there are: a long name, large numbers, and bytes of 32-bit length."""
    epoch = 2**63 - 1
    frontier = holding(chain("n" * 32, count, size=65_536, epoch=epoch))
    far = holding([entry("n" * 32, 2**63 - 2, size=65_536, epoch=epoch)])
    for budget_bytes in range(count * 65_541, count * 65_541 + 70):
        for one in (frontier, far):
            assert wire_bytes(delta(one, budget_bytes)[0]) <= budget_bytes


def test_the_smallest_entries_keep_to_the_budget_too() -> None:
    runs, more = delta(holding(chain("n1", 30_000)), 900 * KIB)
    assert more
    assert [len(run.data) for run in runs] == [ENTRIES_MAX], "no more than the receiver opens"
    assert wire_bytes(runs) <= 900 * KIB
    assert shipped(runs) == runs


# --- entries that were not asked for ------------------------------------------------------------


def test_consecutive_entries_of_a_batch_are_one_run() -> None:
    one, other = chain("n1", 5), chain("n2", 2)
    (runs,) = runs_of([*one[:3], *other, *one[3:]], 64 * KIB)
    assert [(run.origin, run.first, len(run.data)) for run in runs] == [
        ("n1", 1, 3),
        ("n2", 1, 2),
        ("n1", 4, 2),
    ]


def test_epochs_are_runs_of_their_own() -> None:
    (runs,) = runs_of([*chain("n1", 1), chain("n1", 2, epoch=2)[1]], 64 * KIB)
    assert [(run.epoch, run.first) for run in runs] == [(1, 1), (2, 2)]


def test_a_batch_above_the_budget_is_several_packets() -> None:
    entries = chain("n1", 100, size=1000)
    packets = runs_of(entries, 10 * KIB)
    assert len(packets) == 12
    assert all(wire_bytes(runs) <= 10 * KIB for runs in packets)
    assert [one for runs in packets for one in entries_of(runs)] == entries


def test_an_entry_above_the_budget_goes_alone() -> None:
    packets = runs_of(chain("n1", 2, size=5000), 1 * KIB)
    assert [len(runs[0].data) for runs in packets] == [1, 1]


def test_an_empty_batch_is_no_packet() -> None:
    assert runs_of([], KIB) == []
