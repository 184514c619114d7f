"""The scoreboard's own arithmetic, and that a mutant leaves nothing behind."""

from math import comb

import pytest

from tests.mutants import ablation
from tests.mutants.catalogue import CATALOGUE
from tests.mutants.evidence import ablation_text, with_ablation
from tests.mutants.planting import Swaps, applied, swapped
from tests.mutants.scoreboard import (
    SURE,
    Floor,
    Look,
    Row,
    cells,
    floor_of,
    record,
    thrifty,
    wilson,
)


def row(*caught: int, mutant: str = "m", looks: int = 0) -> Row:
    """Caught under these seeds, of so many."""
    seeds = range(looks or max(caught, default=0) + 1)
    found = [Look(s, ("C1", "C6"), "C1", "why") if s in caught else Look(s) for s in seeds]
    return Row(mutant, "bench", False, tuple(found), 1.0)


def test_wilson_is_what_the_books_say() -> None:
    low, high = wilson(23, 300)
    assert (round(low, 4), round(high, 4)) == (0.0516, 0.1124)
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_row_counts_looks_to_detection_and_who_was_first() -> None:
    one = row(2, 3, 7, looks=10)
    assert (one.caught, one.runs, one.seeds_to_detection) == (3, 10, [1, 3, 4])
    assert one.first == {"C1": 3}
    assert one.failing == {"C1": 3, "C6": 3}
    assert cells(one)[2] == "3 of 10"
    assert record(one)["example"] == "why"
    assert cells(row(mutant=""))[4] == "nobody"


@pytest.mark.parametrize("caught", [3, 6, 12, 24])
def test_a_floor_is_missed_by_a_sound_checker_once_in_a_thousand(caught: int) -> None:
    floor = floor_of(row(*range(caught), looks=24))
    if caught <= 6:
        assert floor is None, "too rare to be held to anything in few looks"
        return
    assert floor is not None
    below = sum(
        comb(floor.looks, k) * floor.rate**k * (1 - floor.rate) ** (floor.looks - k)
        for k in range(floor.at_least)
    )
    assert below <= 1.05 * SURE
    assert 1 <= floor.at_least <= floor.looks


def test_what_is_caught_always_needs_few_looks() -> None:
    assert floor_of(row(*range(60))) == Floor(0.9398, 3, 1)


def test_dear_looks_are_few() -> None:
    looks = thrifty(CATALOGUE, 20)
    assert looks(("never-push", "spread")) == 2
    assert looks(("ack-at-once", "calm")) == 20


class Place:
    def method(self) -> int:
        return 1

    @property
    def value(self) -> int:
        return 1


def test_what_stood_there_comes_back_whatever_happens() -> None:
    before = dict(vars(Place))
    swaps: Swaps = [(Place, "method", lambda self: 2), (Place, "value", property(lambda self: 2))]

    def fail() -> None:
        with swapped(swaps, "m"):
            assert (Place().method(), Place().value, applied()) == (2, 2, "m")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert dict(vars(Place)) == before
    assert not applied()


def test_the_section_of_ablation_takes_the_place_of_an_older_one() -> None:
    rows = [
        ablation.Row("needy", ("b",), ablation.Seen(6, 6), {"loss": ablation.Seen(0, 6)}),
        ablation.Row("sure", ("b",), ablation.Seen(6, 6), {"loss": ablation.Seen(6, 6)}),
    ]
    text = ablation_text(rows)
    assert "| loss | `needy` |" in text
    assert "| `needy` | 6 of 6 | loss | - |" in text
    assert "1 of 2 mutants need" in text
    page = with_ablation("# Page\n\nwords\n", text)
    assert with_ablation(page, text) == page
    assert with_ablation(page, ablation_text([])) == "# Page\n\nwords\n"
