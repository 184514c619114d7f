"""Table 1 of Demers et al.: residue, traffic and last arrival, within what chance allows."""

from math import exp
from random import Random

import pytest

from gossip import rumor
from lab.experiments.demers import PUBLISHED, Mean, describe, run, table_1, trial

TRIALS = 30
# The last digit that the paper gives, in s, m and t_last.
ROUNDED = {1: (0.005, 0.05, 0.05), 2: (0.0005, 0.05, 0.05), 3: (0.0005, 0.05, 0.05)}


def near(found: Mean, published: float, rounded: float) -> bool:
    return abs(found.value - published) <= 4 * found.error + rounded


@pytest.mark.parametrize("k", sorted(ROUNDED))
def test_the_published_figures_come_out(k: int) -> None:
    row, paper = run(k, TRIALS, seed=1), PUBLISHED[k]
    s, m, t_last = ROUNDED[k]
    assert near(row.residue, paper.residue, s)
    assert near(row.traffic, paper.traffic, m)
    assert near(row.t_last, paper.t_last, t_last)


def test_the_residue_follows_from_the_traffic() -> None:
    for k in (1, 2):
        row = run(k, TRIALS, seed=2)
        assert row.residue.value == pytest.approx(exp(-row.traffic.value), rel=0.1)


def test_the_residue_that_the_rumors_name_is_the_measured_one() -> None:
    row = run(2, TRIALS, seed=4, judged="arrival")
    assert row.residue.value == pytest.approx(0.045, abs=4 * row.residue.error)
    assert "leave 4.5 % at 3.1 pushes" in " ".join((rumor.__doc__ or "").split())


def test_who_judges_by_arrival_leaves_more_behind() -> None:
    """An engine cannot know that two pushes were of one cycle; the paper's sites can."""
    by_start, by_arrival = (run(1, TRIALS, seed=3, judged=how) for how in ("start", "arrival"))
    assert by_arrival.residue.value > by_start.residue.value + 4 * by_start.residue.error
    assert by_arrival.traffic.value < by_start.traffic.value


def test_two_sites_by_hand() -> None:
    """Useful once, then k useless pushes from each of the two."""
    for k in (1, 2, 3):
        found = trial(k, 2, Random(1))
        assert (found.residue, found.t_last, found.t_ave) == (0, 1, 1)
        assert found.traffic == (1 + 2 * k) / 2


def test_the_same_seed_gives_the_same_row() -> None:
    assert run(2, 3, seed=1, sites=100) == run(2, 3, seed=1, sites=100)
    assert run(2, 3, seed=1, sites=100) != run(2, 3, seed=2, sites=100)


def test_the_table_has_both_judgements() -> None:
    lines = describe(table_1(1, seed=1)).splitlines()
    assert len(lines) == 1 + 2 * len(PUBLISHED) + 1
    assert "by start" in lines[1]
    assert "by arrival" in lines[6]
