"""R1, R2: whatever is cut, flipped, doubled or gone, nothing wrong is read and nothing is lost
without a word. A sample here; `scripts/evidence cuts flips --long` takes every byte."""

import errno
from random import Random

import pytest

from node.storage.files import FaultyStorage, MemoryStorage, StorageError
from node.storage.recovery import IDENTITY_FILE
from node.storage.repair import repair_storage
from node.storage.scan import RecoveryRefused
from node.storage.verify import examine_storage
from tests.node.journals import open_journal
from tests.reliability.journals import (
    BIG,
    Peer,
    cut_at,
    cut_sealed_at,
    epochs,
    flip_at,
    flipped,
    foreign_frame,
    hashes,
    repaired,
    sampled,
    stranger_is_not_read,
    strangers,
    tail_is_cut,
    tails,
    total_bytes,
    whole,
)


def test_the_journal_is_large_enough_to_mean_something() -> None:
    assert len(whole().held) >= 200
    assert len(whole().names) == 3
    assert total_bytes() >= 20_000


def test_cut_anywhere_exactly_the_whole_frames_before_it_are_read() -> None:
    for name, at in sampled(whole().places(), 1500, 1):
        cut_at(name, at)


def test_a_sealed_segment_cut_anywhere_costs_what_was_cut() -> None:
    one = whole()
    sealed = [(name, at) for name, at in one.places() if name != one.names[-1]]
    for name, at in sampled(sealed, 1500, 2):
        cut_sealed_at(name, at)


def test_a_bit_flipped_anywhere_costs_its_frame_and_no_other() -> None:
    for name, at in sampled(whole().places(), 1500, 3):
        flip_at(name, at)


def test_one_healthy_peer_repairs_all_of_it() -> None:
    peer = Peer()
    lost = 0
    for name, at in sampled(whole().places(), 60, 4):
        after, found, journal = flip_at(name, at)
        lost += repaired(peer, journal, found, after)
    assert lost


def test_zeros_and_garbage_behind_the_last_frame_are_a_torn_tail() -> None:
    for tail in tails(Random(5)):
        tail_is_cut(tail)


def test_whole_frames_that_do_not_belong_here_are_kept_and_not_read() -> None:
    for what, data in strangers(Random(6)):
        try:
            stranger_is_not_read(data)
        except AssertionError as error:
            raise AssertionError(what) from error


def test_a_frame_that_is_too_far_ahead_to_be_of_this_journal_is_not_read() -> None:
    """Else one frame could use up all record numbers, or stand for more losses than can be told."""
    for number in (2**32 + 1000, 2**40, 2**63 - 1, 2**64 - 1):
        stranger_is_not_read(foreign_frame(number)[0])


@pytest.mark.parametrize("ahead", [0, 1, 2**32 - 1])
def test_a_frame_of_another_journal_in_the_very_place_of_the_next_is_noticed(ahead: int) -> None:
    """Its CRCs, offset and number fit; only the chain tells. Its event is a fact like any other."""
    one = whole()
    data, event = foreign_frame(len(one.held) + 1 + ahead)
    after = one.storage.killed()
    after.append(one.names[-1], data)
    _, found = open_journal(after.killed())
    assert list(found.records) == [*one.held, event]
    assert found.new_holes
    assert found.lost == ahead
    assert found.must_open_epoch


@pytest.mark.parametrize("gone", range(3))
def test_a_missing_segment_is_refused_untouched_and_read_around_by_salvage(gone: int) -> None:
    one = whole()
    name = one.names[gone]
    after = one.storage.killed()
    after.remove(name)
    after = after.killed()
    before = {file: after.read(file, 0, BIG) for file in after.names()}
    expected = one.without(*[f for f in one.frames if f.name == name])
    if gone < 2:
        for mode in ("tail", "strict"):
            with pytest.raises(RecoveryRefused, match=name):
                open_journal(after, recover=mode)
        assert {file: after.read(file, 0, BIG) for file in after.names()} == before
    # The last one leaves no gap: that is a log that ends sooner, and peers know better.
    _, found = open_journal(after, recover="salvage")
    assert list(found.records) == expected
    assert found.missing == ((name,) if gone < 2 else ())


@pytest.mark.parametrize("first", range(3))
@pytest.mark.parametrize("second", range(3))
def test_renamed_segments_are_told_by_their_headers(first: int, second: int) -> None:
    if first == second:
        return
    one = whole()
    a, b = one.names[first], one.names[second]
    after = one.storage.killed()
    data = {name: after.read(name, 0, BIG) for name in (a, b)}
    after.set(a, data[b])
    after.set(b, data[a])
    with pytest.raises(RecoveryRefused, match="belongs to another journal"):
        open_journal(after)
    _, found = open_journal(after, recover="salvage")
    assert list(found.records) == one.without(*[f for f in one.frames if f.name in (a, b)])


def test_a_segment_of_another_directory_is_told_by_its_id() -> None:
    other = MemoryStorage("elsewhere")
    open_journal(other)
    one = whole()
    after = one.storage.killed()
    after.set(one.names[1], other.read(one.names[0], 0, BIG))
    with pytest.raises(RecoveryRefused, match="belongs to another journal"):
        open_journal(after)


def test_a_crash_inside_a_recovery_and_inside_the_next_one_changes_nothing() -> None:
    """Torn, damaged and without IDENTITY at once; two crashes in a row, at every pair of calls."""
    one = whole()
    start = flipped(one.names[1], one.sizes[one.names[1]] // 2, 3)
    start.append(one.names[-1], b"torn" * 300)
    start.remove(IDENTITY_FILE)
    start = start.killed()
    _, expected = open_journal(start.killed())
    rng = Random(8)
    for first in range(1, 40):
        middle = crashed(start, first, rng)
        second = rng.randint(1, 20)
        after = crashed(middle, second, rng)
        _, found = open_journal(after)
        assert hashes(found.records) == hashes(expected.records)
        assert epochs(found.records) == epochs(expected.records)
        assert found.must_open_epoch, (first, second)
        kept = [name for name in after.names() if ".torn-" in name]
        assert any(after.read(name, 0, BIG) == b"torn" * 300 for name in kept), (first, second)


def crashed(storage: MemoryStorage, nth: int, rng: Random) -> MemoryStorage:
    """What is there after a recovery that died at its nth call, by kill or by power cut."""
    faulty = FaultyStorage(nth, errno.EIO, always=True, name=storage.name)
    for name in storage.names():
        faulty.set(name, storage.read(name, 0, BIG))
    try:
        open_journal(faulty)
    except StorageError as error:
        assert "\n" not in str(error)
    return faulty.power_cut(rng) if rng.getrandbits(1) else faulty.killed()


def test_verify_finds_every_flip_and_an_offline_repair_leaves_none() -> None:
    for name, at in sampled(whole().places(), 40, 9):
        after = flipped(name, at, at % 8)
        (found, *_) = [f for f in examine_storage(after).findings if f.severity != "note"]
        assert found.file == name
        assert found.offset <= at < found.offset + found.length
        repair_storage(after)
        assert examine_storage(after).whole
        _, opened = open_journal(after)
        assert list(opened.records) == whole().without(whole().hit(name, at))
