"""A frontier says what is held; its root names exactly that set, whatever the order of arrival."""

from hypothesis import given
from hypothesis import strategies as st

from domain.arrival import TAG_BYTES
from domain.dot import Dot, LogId
from gossip.entry import GENESIS, Entry
from gossip.frontier import RIVALS_MAX, Added, Frontier
from gossip.packets import ROOT_BYTES, TAGS_MAX, Line
from gossip.store import MemoryStore
from tests.gossip.builders import (
    chain,
    entry,
    held,
    holding,
    log_of,
    parts,
    take,
    worlds,
)

N1 = LogId("n1", 1)


def tags_of(entries: list[Entry]) -> bytes:
    return b"".join(one.tag for one in entries)


# --- the root -----------------------------------------------------------------------------------


def test_an_empty_frontier_has_a_root_and_an_entry_changes_it() -> None:
    frontier = holding()
    empty = frontier.root
    assert len(empty) == ROOT_BYTES
    assert empty == holding().root
    take(frontier, chain("n1", 1))
    assert frontier.root != empty


@given(st.data())
def test_the_same_entries_in_any_order_have_the_same_root(data: st.DataObject) -> None:
    world = data.draw(worlds())
    order = data.draw(st.permutations(world))
    one, other = holding(world), holding(order)
    assert one.root == other.root
    assert one.count == other.count == len(world)
    assert held(one) == held(other) == {entry.data for entry in world}


@given(st.data())
def test_roots_are_equal_if_and_only_if_the_sets_are(data: st.DataObject) -> None:
    world = data.draw(worlds())
    some, others = data.draw(parts(world)), data.draw(parts(world))
    one, other = holding(some), holding(others)
    assert (one.root == other.root) == (set(some) == set(others))
    assert one.count == len(set(some))


@given(st.data())
def test_what_is_said_of_forks_depends_on_the_set_alone(data: st.DataObject) -> None:
    world = data.draw(worlds())
    some = data.draw(parts(world))
    one, other = holding(some), holding(data.draw(st.permutations(some)))
    assert one.forked == other.forked
    assert one.dots_of_forks() == other.dots_of_forks()
    for line, their in zip(one.next_lines(), other.next_lines(), strict=True):
        assert (line.prefix, line.ranges) == (their.prefix, their.ranges)
        assert line.tags == their.tags
        if not line.tags:
            assert line == their


@given(worlds(forks=False), st.data())
def test_one_history_is_never_taken_for_a_fork(world: list[Entry], data: st.DataObject) -> None:
    frontier = holding(data.draw(parts(world)))
    assert frontier.forked == []
    assert frontier.dots_of_forks() == []


@given(st.data())
def test_the_root_without_some_entries_is_that_of_the_others(data: st.DataObject) -> None:
    world = data.draw(worlds())
    less = data.draw(st.sets(st.sampled_from(world)))
    rest = holding(one for one in world if one not in less)
    assert holding(world).root_without(list(less)) == rest.root


def test_repeating_an_entry_changes_nothing() -> None:
    entries = chain("n1", 3)
    frontier = holding(entries)
    root = frontier.root
    assert take(frontier, entries) == [Added.KNOWN] * 3
    assert (frontier.root, frontier.count) == (root, 3)


# --- one log ------------------------------------------------------------------------------------


def test_entries_in_order_lengthen_the_prefix() -> None:
    entries = chain("n1", 3)
    frontier = holding(entries)
    log = frontier.get(N1)
    assert log is not None
    assert (log.prefix, log.head, log.chain_hash) == (3, entries[2].tag, entries[2].chain_hash)
    assert (log.above, frontier.missing, len(frontier)) == (b"", 0, 1)


def test_entries_out_of_order_are_ranges_until_the_prefix_reaches_them() -> None:
    one, two, three, four, five = chain("n1", 5)
    frontier = holding([three, five])
    log = frontier.ensure(N1)
    assert (log.prefix, log.head, log.held.above_prefix()) == (0, b"", [(3, 3), (5, 5)])
    assert len(log.above) == TAG_BYTES
    assert log.missing == frontier.missing == 3
    take(frontier, [one])
    assert (log.prefix, log.head) == (1, one.tag)
    take(frontier, [two])
    assert (log.prefix, log.head, log.held.above_prefix()) == (3, three.tag, [(5, 5)])
    assert log.above == five.tag
    take(frontier, [four])
    assert (log.prefix, log.head, log.above) == (5, five.tag, b"")
    assert frontier.missing == 0


def test_what_a_peer_claims_to_hold_is_missing_here() -> None:
    frontier = holding(chain("n1", 3))
    frontier.ensure(N1).claimed = 10
    frontier.ensure(LogId("n2", 1)).claimed = 4
    assert frontier.missing == 11
    assert [log.missing for log in frontier] == [7, 4]


def test_positions_that_are_held_give_their_bytes_and_others_none() -> None:
    entries = chain("n1", 3)
    frontier = holding(entries[::2])
    assert frontier.data_if_held(N1, 1) == entries[0].data
    assert frontier.data_if_held(N1, 2) is None
    assert frontier.data_if_held(LogId("n2", 1), 1) is None
    assert frontier.get(LogId("n2", 1)) is None


def test_the_link_for_a_successor_is_that_of_the_entry_or_of_the_beginning() -> None:
    entries = chain("n1", 2)
    frontier = holding(entries)
    assert frontier.chain_hash_at(N1, 0) == GENESIS
    assert frontier.chain_hash_at(N1, 2) == entries[1].chain_hash
    assert frontier.tag_at(N1, 2) == entries[1].tag


def test_a_frontier_reads_from_the_store_it_was_given() -> None:
    store = MemoryStore()
    frontier = Frontier(store, 16)
    (one,) = chain("n1", 1)
    frontier.add(one)
    assert frontier.store is store
    assert store.get(N1, 1) == one.data


# --- too far ------------------------------------------------------------------------------------


def test_a_push_beyond_more_ranges_than_allowed_is_not_kept_and_comes_again_later() -> None:
    entries = chain("n1", 9)
    one, two, three, _, five, six, seven, _, nine = entries
    frontier = holding([three, five], ranges_max=2)
    root = frontier.root
    assert take(frontier, [seven, nine], pushed=True) == [Added.FAR, Added.FAR]
    assert (frontier.root, frontier.count) == (root, 2)
    assert take(frontier, [six, seven], pushed=True) == [Added.NEW, Added.NEW]  # they touch a range
    assert take(frontier, [one], pushed=True) == [Added.NEW]  # it is the prefix
    assert take(frontier, [two, nine], pushed=True) == [Added.NEW, Added.NEW]  # two became one
    assert take(frontier, entries, pushed=True)[-2:] == [Added.NEW, Added.KNOWN]
    assert frontier.root == holding(entries).root


@given(st.data())
def test_pushes_never_make_more_ranges_than_allowed(data: st.DataObject) -> None:
    ranges_max = data.draw(st.integers(1, 3))
    order = data.draw(st.permutations(chain("n1", 14)))
    frontier = holding(ranges_max=ranges_max)
    for one in order:
        frontier.add(one, pushed=True)
        assert frontier.ensure(N1).held.parts <= ranges_max
    while frontier.count < len(order):  # whoever offers all in order brings it home
        before = frontier.count
        take(frontier, sorted(order, key=lambda one: one.dot.seq), pushed=True)
        assert frontier.count > before
    assert frontier.root == holding(order).root


# --- forks --------------------------------------------------------------------------------------


def test_other_bytes_at_a_position_are_kept_beside_the_first() -> None:
    entries = chain("n1", 3)
    rivals = chain("n1", 2, after=entries[0], branch="b")
    frontier = holding(entries)
    assert take(frontier, rivals) == [Added.RIVAL, Added.RIVAL]
    assert take(frontier, rivals + entries) == [Added.KNOWN] * 5
    assert frontier.forked == ["n1"]
    assert frontier.dots_of_forks() == [Dot("n1", 1, 2), Dot("n1", 1, 3)]
    assert frontier.data_if_held(N1, 2) == entries[1].data
    assert held(frontier) == {one.data for one in entries + rivals}
    assert frontier.count == 5


def test_three_branches_are_three_histories() -> None:
    (one,) = chain("n1", 1)
    branches = [chain("n1", 1, after=one, branch=branch)[0] for branch in "abc"]
    frontier = holding([one], branches)
    assert frontier.count == 4
    assert frontier.dots_of_forks() == [Dot("n1", 1, 2)]


def test_a_link_that_does_not_fit_is_a_fork_even_without_the_rival() -> None:
    entries = chain("n1", 3)
    rivals = chain("n1", 2, after=entries[0], branch="b")
    for order in ([entries[0], entries[1], rivals[1]], [rivals[1], entries[1], entries[0]]):
        frontier = holding(order)
        assert frontier.forked == ["n1"], order
        assert frontier.dots_of_forks() == []


def test_a_link_is_not_judged_before_both_of_its_ends_are_here() -> None:
    entries = chain("n1", 3)
    stranger = entry("n1", 3, prev=b"x" * 16)
    frontier = holding([entries[0], stranger])
    assert frontier.forked == []
    take(frontier, [entries[1]])
    assert frontier.forked == ["n1"]


def test_a_first_entry_with_a_predecessor_is_a_fork() -> None:
    assert holding([entry("n1", 1, prev=b"x" * 16)]).forked == ["n1"]


# --- lines --------------------------------------------------------------------------------------


def test_a_line_is_short_while_there_is_one_history() -> None:
    entries = chain("n1", 9)
    frontier = holding(entries[:4], entries[5:7], entries[8:])
    (line,) = frontier.next_lines()
    assert (line.origin, line.epoch, line.prefix, line.head) == ("n1", 1, 4, entries[3].tag)
    assert line.ranges == [(6, 7), (9, 9)]
    assert (line.tags, line.tags_first, line.tags_last) == (b"", 1, 0)
    assert len(line.above) == TAG_BYTES


def test_lines_come_in_a_fixed_order_and_only_of_logs_with_entries() -> None:
    frontier = holding(chain("n2", 1), chain("n1", 1, epoch=7), chain("n1", 1, epoch=3))
    frontier.ensure(LogId("n0", 1)).claimed = 9  # a peer says so; that is nothing of ours to say
    assert [(line.origin, line.epoch) for line in frontier.next_lines()] == [
        ("n1", 3),
        ("n1", 7),
        ("n2", 1),
    ]


def test_a_line_about_a_fork_names_every_entry() -> None:
    entries = chain("n1", 3)
    rivals = chain("n1", 1, after=entries[1], branch="b")
    frontier = holding(rivals, entries)
    (line,) = frontier.next_lines()
    last = sorted([entries[2], rivals[0]], key=lambda one: one.tag)
    assert line.tags == tags_of(entries[:2] + last)
    assert (line.tags_first, line.tags_last) == (1, 0)


def test_a_long_list_of_tags_goes_in_windows_that_name_everything() -> None:
    entries = chain("n1", 10)
    rivals = chain("n1", 2, after=entries[2], branch="b")
    frontier = holding(entries, rivals)
    log = frontier.ensure(N1)
    windows = [frontier.next_line(log, named_max=3) for _ in range(4)]
    bounds = [(line.tags_first, line.tags_last) for line in windows]
    assert bounds == [(1, 3), (4, 5), (6, 8), (9, 0)]
    assert b"".join(line.tags for line in windows) == frontier.next_line(log).tags
    assert frontier.next_line(log, named_max=3).tags_first == 1  # and again from the beginning


def test_a_window_begins_anew_if_its_log_ends_before_it() -> None:
    frontier = holding(chain("n1", 3))
    log = frontier.ensure(N1)
    log.disputed, log.named = True, 9
    assert frontier.next_line(log).tags_first == 1
    empty = frontier.ensure(LogId("n2", 1))
    empty.disputed = True
    assert frontier.next_line(empty).tags == b""


def test_many_forked_logs_share_the_room_for_tags() -> None:
    frontier = holding()
    for epoch in range(1, 101):
        entries = chain("n1", 100, epoch=epoch)
        take(frontier, [*entries, *chain("n1", 1, branch="b", epoch=epoch)])
    named = sum(len(line.tags) // TAG_BYTES for line in frontier.next_lines())
    assert 0 < named <= TAGS_MAX // 2 + 100  # a window never cuts a position in two


def test_rivals_without_end_at_one_position_do_not_burst_a_line() -> None:
    rivals = [entry("n1", 1, branch=f"-{i}") for i in range(TAGS_MAX + 10)]
    (line,) = holding(rivals).next_lines()
    assert len(line.tags) == TAGS_MAX // 2 * TAG_BYTES


def test_where_the_first_one_of_a_position_has_to_go_it_is_named_no_more() -> None:
    made = sorted(
        (entry("n1", 1, branch=f"-{i}") for i in range(RIVALS_MAX + 2)), key=lambda one: one.tag
    )
    frontier = holding([made[-1], *made[1:-1]])
    (line,) = frontier.next_lines()
    assert made[-1].tag in tags_in(line)
    take(frontier, made[:1])
    (line,) = frontier.next_lines()
    assert tags_in(line) == [one.tag for one in made[:-1]]


def test_what_is_added_to_a_forked_log_is_named_without_reading_it() -> None:
    entries = chain("n1", 300)
    frontier = holding(entries[:100], chain("n1", 1, branch="b"))
    frontier.next_lines()
    take(frontier, entries[100:])
    log = frontier.ensure(N1)
    assert [data for _, _, data in frontier.tags(log, 1)] == [b""] * 300
    assert log.tags.tobytes() == tags_of(entries)


def tags_in(line: Line) -> list[bytes]:
    return [line.tags[at : at + TAG_BYTES] for at in range(0, len(line.tags), TAG_BYTES)]


@given(worlds(), st.integers(1, 5))
def test_windows_name_each_entry_once_a_turn(world: list[Entry], named_max: int) -> None:
    frontier = holding(world)
    for log in frontier:
        log.disputed = True
        for _ in range(2):  # they are read, and then they are at hand
            tags, last = b"", 1
            while last:
                line = frontier.next_line(log, named_max)
                named = frontier.tagged(log, line.tags_first, line.tags_last or 10**9)
                assert line.tags == b"".join(tag for _, tag, _ in named)
                tags, last = tags + line.tags, line.tags_last
            assert tags == b"".join(tag for _, tag, _ in frontier.tagged(log))


@given(worlds(), st.integers(1, 9), st.integers(1, 9), st.sets(st.integers(1, 9)), st.data())
def test_tags_in_runs_are_the_same_tags(
    world: list[Entry], first: int, last: int, read: set[int], data: st.DataObject
) -> None:
    frontier = holding(world)
    for log in frontier:
        log.disputed = True
        for seq in read & set(range(1, log.prefix + 1)):
            assert list(frontier.tags(log, seq, seq))
        found = []
        most = 0

        def draw() -> int:
            nonlocal most
            most = data.draw(st.integers(0, 4))
            return most

        for seq, tags, _ in frontier.runs_of_tags(log, first, last, draw):
            if isinstance(tags, list):
                found.append((seq, tags))
                continue
            assert 0 < len(tags) <= most
            raw = tags.tobytes()
            for at in range(len(tags)):
                assert log.rivals.get(seq + at) is None
                found.append((seq + at, [raw[at * TAG_BYTES : (at + 1) * TAG_BYTES]]))
        assert found == [(seq, tags) for seq, tags, _ in frontier.tags(log, first, last)]


def test_reading_a_part_of_a_log_by_tag_reads_across_spans_and_gaps() -> None:
    entries = chain("n1", 700)
    frontier = holding(entries[:600], entries[650:])
    log = frontier.ensure(log_of(entries))
    rows = [seq for seq, _, _ in frontier.tagged(log, 200, 660)]
    assert rows == [*range(200, 601), *range(651, 661)]


# --- filled at once -------------------------------------------------------------------------------


@given(
    seqs=st.sets(st.integers(1, 14)),
    more=st.lists(st.integers(1, 14), max_size=6),
    told=st.booleans(),
)
def test_a_frontier_that_is_filled_at_once_is_one_that_was_told_entry_by_entry(
    seqs: set[int], more: list[int], told: bool
) -> None:
    entries = {one.dot.seq: one for one in chain("n1", 14)}
    slowly = holding([entries[seq] for seq in sorted(seqs, key=lambda seq: (seq % 3, seq))])
    store = MemoryStore()
    for seq in seqs:
        store.put(entries[seq])
    quickly = Frontier(store, 16)
    for third in range(3):  # as parts of a past, each with holes that others fill
        part = [seq for seq in sorted(seqs) if seq % 3 == third]
        total = sum(int.from_bytes(entries[seq].hash, "big") for seq in part)
        if part:
            quickly.fill(N1, [(seq, seq) for seq in part], total)
    for log in quickly:
        if told:
            quickly.next_line(log)
        loose = [(seq, entries[seq].prev, entries[seq].chain_hash) for seq in sorted(seqs)]
        loose = [one for one in loose if one[0] > log.prefix]
        log.settle(entries[log.prefix].chain_hash if log.prefix else GENESIS, loose)
    for seq in [*more, *range(1, 15)]:
        assert quickly.root == slowly.root
        assert quickly.next_lines() == slowly.next_lines()
        assert quickly.add(entries[seq]) is slowly.add(entries[seq])
    (log,) = quickly
    assert not log.forked
    assert (log.head, log.above, log.total) == (entries[14].tag, b"", log_total(slowly))


def log_total(frontier: Frontier) -> int:
    return sum(log.total for log in frontier)


def test_another_entry_with_the_same_tag_is_taken_for_the_same() -> None:
    """It takes 2^32 hashes to make one. Kept, it could not be asked for, nor shown in any order."""
    one, *_ = entries = chain("n1", 2)
    twin = entry("n1", 1, branch="b")
    twin = Entry(twin.dot, twin.prev, one.tag + twin.hash[len(one.tag) :], twin.data)
    frontier = holding(entries)
    root = frontier.root
    assert frontier.add(twin) is Added.KNOWN
    assert (frontier.root, frontier.forked, held(frontier)) == (root, [], {e.data for e in entries})
