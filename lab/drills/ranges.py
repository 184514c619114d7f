"""Drill of `domain.seqset.SeqSet`: a set of sequence numbers, kept as ranges.

The model is a plain set. Random steps: add a number, add a range, discard a number, and add the
number after the last one, with 24 numbers above 0, above 1000 or below `SEQ_MAX`. Results and
all queries must be equal after each step.
"""

from collections.abc import Iterable
from random import Random

from domain.seqset import SEQ_MAX, SeqSet
from lab.drills.beside import holds, same

STEPS = 16
TOP = 24  # numbers; few, so that ranges touch, melt and part


def ranges(rng: Random) -> None:
    base = rng.choice((0, 0, 0, 1000, SEQ_MAX - TOP))
    held, model = SeqSet(), set[int]()
    for _ in range(STEPS):
        seq, other = base + rng.randint(1, TOP), base + rng.randint(1, TOP)
        first, last = min(seq, other), max(seq, other)
        match rng.randrange(5):
            case 0 | 1:
                same(f"add {seq}", held.add(seq), seq not in model)
                model.add(seq)
            case 2:
                more = set(range(first, min(last, first + 4) + 1))
                same("add_range", held.add_range(min(more), max(more)), len(more - model))
                model |= more
            case 3:
                same(f"discard {seq}", held.discard(seq), seq in model)
                model.discard(seq)
            case _:
                after = max(model, default=base) + 1
                if after <= SEQ_MAX:
                    holds(f"add {after}", held.add(after))
                    model.add(after)
        _look(held, model, base, first, last)
    again = SeqSet(rng.sample(_runs(model), len(_runs(model))))
    holds("made of its ranges", again == held)
    gone = rng.choice(sorted(model)) if model else 0
    if gone:
        again.discard(gone)
        holds("with one less", again != held)


def _look(held: SeqSet, model: set[int], base: int, first: int, last: int) -> None:
    runs = _runs(model)
    prefix = runs[0][1] if runs and runs[0][0] == 1 else 0
    above = [one for one in runs if one[0] != 1]
    same("prefix", held.prefix, prefix)
    same("last", held.last, max(model, default=0))
    same("len", len(held), len(model))
    same("ranges", list(held.ranges()), runs)
    same("parts", held.parts, len(above))
    same("above_prefix", held.above_prefix(), above)
    same("above_prefix, a part", held.above_prefix(1, 3), above[1:3])
    asked = set(range(first, last + 1))
    same("within", list(held.within(first, last)), _runs(model & asked))
    same("missing_from", list(held.missing_from(first, last)), _runs(asked - model))
    if not base:
        missing = set(range(1, max(model, default=0) + 1)) - model
        same("gaps", list(held.gaps()), _runs(missing))
    for seq in (first, last):
        same("contains", seq in held, seq in model)
        if seq in model:
            (around,) = [one for one in runs if one[0] <= seq <= one[1]]
            same("range_of", held.range_of(seq), around)


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Consecutive numbers as (first, last), ascending."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] + 1 == number:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return found
