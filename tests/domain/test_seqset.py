"""A SeqSet is a set of numbers, kept as few ranges; dots name what the numbers count."""

from collections.abc import Iterable
from random import Random
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dot import Dot, LogId
from domain.seqset import SEQ_MAX, SeqSet

Op = tuple[Literal["add", "add_range", "discard"], int, int]

LIMIT = 24
seqs = st.integers(1, LIMIT)
pairs = st.tuples(seqs, seqs).map(lambda pair: (min(pair), max(pair)))
_VERBS: st.SearchStrategy[Literal["add", "add_range", "discard"]] = st.sampled_from(
    ["add", "add_range", "discard"]
)
ops = st.lists(
    st.tuples(_VERBS, pairs).map(lambda op: (op[0], *op[1])),
    max_size=20,
)


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """The same numbers as maximal ranges, one number at a time."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def run(seqset: SeqSet, model: set[int], op: Op) -> None:
    """Do the same to both; what is answered must agree."""
    verb, first, last = op
    before = set(model)
    if verb == "add":
        assert seqset.add(first) is (first not in model)
        model.add(first)
    elif verb == "add_range":
        model.update(range(first, last + 1))
        assert seqset.add_range(first, last) == len(model - before)
    else:
        assert seqset.discard(first) is (first in model)
        model.discard(first)


def built(numbers: Iterable[int]) -> SeqSet:
    return SeqSet((number, number) for number in numbers)


# --- the documented behaviour -------------------------------------------------------------------


def test_a_log_that_grows_at_its_end_is_one_range() -> None:
    held = SeqSet()
    assert (held.prefix, held.last, len(held), list(held.ranges())) == (0, 0, 0, [])
    for seq in (1, 2, 3):
        assert held.add(seq)
    assert not held.add(2)
    assert (held.prefix, held.last, len(held), list(held.ranges())) == (3, 3, 3, [(1, 3)])


def test_gaps_are_known_and_close_when_they_are_filled() -> None:
    held = SeqSet([(1, 3), (6, 7), (10, 10)])
    assert repr(held) == "SeqSet(1-3, 6-7, 10)"
    assert list(held.gaps()) == [(4, 5), (8, 9)]
    assert held.above_prefix() == [(6, 7), (10, 10)]
    assert list(held.missing_from(5, 12)) == [(5, 5), (8, 9), (11, 12)]
    assert held.add_range(4, 8) == 3
    assert repr(held) == "SeqSet(1-8, 10)"
    assert held.prefix == 8


def test_without_the_first_number_there_is_no_prefix() -> None:
    held = SeqSet([(2, 5)])
    assert held.prefix == 0
    assert held.above_prefix() == [(2, 5)]
    assert list(held.gaps()) == [(1, 1)]


def test_a_rewind_splits_a_range_again() -> None:
    held = SeqSet([(1, 5)])
    assert held.discard(3)
    assert not held.discard(3)
    assert not held.discard(9)
    assert list(held.ranges()) == [(1, 2), (4, 5)]


def test_numbers_beyond_any_log_are_a_bug_of_the_caller() -> None:
    held = SeqSet([(1, 1)])
    for first, last in ((0, 3), (-1, -1), (3, 2), (5, SEQ_MAX + 1)):
        with pytest.raises(AssertionError):
            held.add_range(first, last)
    assert 0 not in held
    assert not held.discard(0)
    assert list(held.ranges()) == [(1, 1)]


def test_the_largest_number_can_be_held_and_the_next_one_cannot() -> None:
    held = SeqSet()
    assert held.add_range(2, SEQ_MAX) == SEQ_MAX - 1
    assert SEQ_MAX in held
    assert held.add(1)
    assert (held.prefix, held.last) == (SEQ_MAX, SEQ_MAX)
    assert list(held.missing_from(1, SEQ_MAX)) == []
    with pytest.raises(AssertionError):
        held.add(SEQ_MAX + 1)
    assert held.last == SEQ_MAX


def test_a_seqset_equals_only_seqsets_and_has_no_hash() -> None:
    assert SeqSet([(1, 2)]) != {1, 2}
    assert SeqSet([(1, 2)]) == SeqSet([(2, 2), (1, 1)])
    assert SeqSet([(1, 2)]) != SeqSet([(1, 3)])
    with pytest.raises(TypeError, match="unhashable"):
        hash(SeqSet())


# --- against a plain set ------------------------------------------------------------------------


@given(ops)
def test_whatever_is_done_to_it_it_is_the_set_of_its_numbers(ops: list[Op]) -> None:
    held, model = SeqSet(), set[int]()
    for op in ops:
        run(held, model, op)
        assert list(held.ranges()) == runs(model)  # sorted, disjoint, and never two that touch
        assert len(held) == len(model)
        assert [n for n in range(LIMIT + 2) if n in held] == sorted(model)
        assert held.last == max(model, default=0)
        missing = set(range(1, LIMIT + 2)) - model
        assert held.prefix == min(missing) - 1
        assert held.above_prefix() == runs(n for n in model if n > min(missing))
        assert list(held.gaps()) == runs(n for n in missing if n < held.last)


@given(st.sets(seqs), st.lists(pairs, min_size=1, max_size=5))
def test_what_is_missing_from_any_range_is_named_in_as_few_ranges_as_can_be(
    model: set[int], asked: list[tuple[int, int]]
) -> None:
    held = built(model)
    for first, last in asked:
        missing = runs(set(range(first, last + 1)) - model)
        assert list(held.missing_from(first, last)) == missing
        assert list(held.within(first, last)) == runs(set(range(first, last + 1)) & model)
        if first < last:
            assert list(held.missing_from(last, first)) == []


@given(st.lists(seqs), st.randoms(use_true_random=False), st.sets(seqs))
def test_equality_is_that_of_the_sets_however_they_came_about(
    numbers: list[int], rng: Random, others: set[int]
) -> None:
    shuffled = list(numbers)
    rng.shuffle(shuffled)
    assert built(numbers) == built(shuffled)
    assert (built(numbers) == built(others)) is (set(numbers) == others)


# --- dots ---------------------------------------------------------------------------------------


def test_a_dot_reads_as_origin_epoch_and_seq() -> None:
    dot = Dot("n1", 0x5EED, 12)
    assert str(dot) == "n1.5eed:12"
    assert dot.log == LogId("n1", 0x5EED)
    assert str(dot.log) == "n1.5eed"


def test_dots_are_ordered_by_log_and_then_by_number() -> None:
    dots = [Dot("n1", 1, 2), Dot("n1", 1, 10), Dot("n1", 2, 1), Dot("n2", 1, 1)]
    assert sorted(reversed(dots)) == dots
    assert sorted({dot.log for dot in dots}) == [LogId("n1", 1), LogId("n1", 2), LogId("n2", 1)]


def test_a_dot_is_a_value() -> None:
    assert len({Dot("n1", 1, 2), Dot("n1", 1, 2), Dot("n1", 2, 2)}) == 2
    with pytest.raises(AttributeError):
        Dot("n1", 1, 2).seq = 3  # type: ignore[misc]
