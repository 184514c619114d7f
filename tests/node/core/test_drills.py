"""Parts of the core do by themselves what plain models of them do (`lab.drills`)."""

from random import Random

import pytest

from lab.drills import DRILLS, drilled

SEEDS = range(1000, 1060)  # others than those of tests/lab


@pytest.mark.parametrize("name", DRILLS)
def test_a_part_does_what_its_model_does(name: str) -> None:
    for seed in SEEDS:
        assert drilled(name, Random(seed)) == ""
