"""What scenarios reach: each corner has one that comes there in at least one of three seeds.

A floor, on few seeds: `chatlab lab explore --reached` tells of as many as one likes.
"""

import pytest

from lab.campaign.explore import REACHED_RUNS, ExploreResult, ExploreRow, Options, explore
from lab.campaign.reached_rows import EPOCHS, RARE, ROWS
from lab.plan.scenario import named, names

SEEDS = 12
CORNERS = {
    "directories": ("epoch: copied directory", "epoch: IDENTITY lost", "lost end found"),
    "few-ranges": ("range above the cap", "ranges above the prefix", "empty disk"),
    "forks": ("fork", "rival entry", "disputed log named", "older disk", "own log ahead"),
    "full-at-start": ("unrenewed", "renewed", "start refused"),
    "full-disk": ("disk full", "writes refused", "writes resumed", "told to hold back"),
    "long-backlog": ("backlog leg", "delta cut inside a run", "receipt late"),
    "lost-checkpoints": ("checkpoints rebuilt",),
    "many-epochs": ("epoch: unclean stop, none", "epoch: unclean stop, interval", "fold sent"),
    "opened-folds": ("fold sent", "fold opened"),
    "replicated-all": ("replicated by all", "receipt lost", "receipt late"),
    "rotations": ("rotation failed", "segment begun"),
    "rotten-checkpoints": ("checkpoints believed", "checkpoints found rotten", "scrub repaired"),
    "rumors": ("rumor", "rumor feedback"),
    "slow-disk": ("behind: queue full", "caught up", "told to hold back"),
    "stop-on-bad-disk": ("read_only", "storage failed for good"),
    "taken-away": ("journal taken away", "lost end found"),
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


def test_many_runs_of_all_scenarios_fail_where_a_row_stands_at_zero() -> None:
    scenarios = tuple([named(name) for name in names()])
    found = ExploreResult(Options(scenarios, reached=True), runs=REACHED_RUNS)
    found.outcomes["pass"] = REACHED_RUNS
    found.ran.update(dict.fromkeys(names(), 1))
    found.reached = {row: ExploreRow() for row in ROWS[1:]}
    assert (found.missed, found.outcome) == ([ROWS[0]], "fail")
    found.reached[ROWS[0]] = ExploreRow()
    assert (found.missed, found.outcome) == ([], "pass")


def test_few_runs_or_some_scenarios_may_leave_a_row_at_zero() -> None:
    found = ExploreResult(Options((named("calm"),), reached=True), runs=REACHED_RUNS)
    found.outcomes["pass"] = REACHED_RUNS
    found.ran["calm"] = REACHED_RUNS
    assert found.never
    assert (found.missed, found.outcome) == ([], "pass")
    found.ran.update(dict.fromkeys(names(), 1))
    found.runs = REACHED_RUNS - 1
    assert (found.missed, found.outcome) == ([], "pass")
