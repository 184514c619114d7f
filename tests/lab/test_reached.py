"""What scenarios reach: each corner has one that comes there in at least one of three seeds.

A floor, on few seeds: `chatlab lab explore --reached` tells of as many as one likes.
"""

import pytest

from lab.explore import Options, explore
from lab.rows import EPOCHS, RARE, ROWS
from lab.scenario import named

SEEDS = 12
CORNERS = {
    "few-ranges": ("range above the cap", "ranges above the prefix", "empty disk"),
    "forks": ("fork", "rival entry", "disputed log named", "older disk", "own log ahead"),
    "full-disk": ("disk full", "writes refused", "writes resumed", "told to hold back"),
    "long-backlog": ("backlog leg", "receipt late"),
    "many-epochs": ("epoch: unclean stop, none", "epoch: unclean stop, interval", "fold sent"),
    "replicated-all": ("replicated by all", "receipt lost", "receipt late"),
    "rotten-checkpoints": ("checkpoints believed", "checkpoints found rotten", "scrub repaired"),
    "rumors": ("rumor", "rumor feedback"),
    "slow-disk": ("behind: queue full", "caught up", "told to hold back"),
    "stop-on-bad-disk": ("read_only", "storage failed for good"),
}


@pytest.mark.parametrize("name", sorted(CORNERS))
def test_each_corner_has_a_scenario_that_comes_there(name: str) -> None:
    found = explore(Options((named(name),), 1, SEEDS, 1, reached=True))
    assert found.failures == []
    runs = {row: found.reached[row].runs.total() for row in CORNERS[name] if row in found.reached}
    few = {row: runs.get(row, 0) for row in CORNERS[name] if runs.get(row, 0) * 3 < SEEDS}
    assert few == {}


def test_rows_have_names_of_their_own() -> None:
    assert len(set(ROWS)) == len(ROWS)
    assert not RARE & set(ROWS)
    assert set(EPOCHS.values()) <= RARE | set(ROWS)
    assert {row for rows in CORNERS.values() for row in rows} <= set(ROWS)
