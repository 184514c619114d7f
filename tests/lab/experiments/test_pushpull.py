"""Push-pull rounds: the engines do what the bare process does, and it takes as long as is known."""

from math import sqrt
from random import Random
from statistics import mean, stdev

import pytest

from lab.cli.main import main
from lab.experiments import pushpull
from lab.experiments.pushpull import PUBLISHED, describe, draw, model, model_spread, run, trial
from lab.terminal.errors import Exit

NODES = 1000
TRIALS = 10


@pytest.mark.parametrize("nodes", [2, 3, 7, 25, 100, 400])
def test_engines_spread_a_rumor_as_the_bare_process_does(nodes: int) -> None:
    """With the same partners: the same number of nodes know it after each round, in every trial."""
    for seed in range(200 // nodes + 2):
        done = trial(nodes, Random(seed))
        assert done.spread == model_spread(nodes, draw(nodes, Random(seed)))
        assert done.rounds == len(done.spread) - 1
        assert done.packets >= 2 * done.rounds * nodes


def test_a_round_doubles_or_triples_what_is_known_and_never_more() -> None:
    """The one who knows is met by whoever calls it, and calls one: nothing goes two hops."""
    partners = [[1, 0, 3, 2], [2, 3, 0, 1], [1, 0, 0, 0]]
    assert model_spread(4, partners) == (1, 2, 4)
    # n0 calls n1, n1 calls n2, n2 and n3 call each other: one step along the line each time.
    assert model_spread(4, [[1, 2, 3, 2]] * 3) == (1, 2, 3, 4)


def test_two_nodes_need_one_round() -> None:
    row = run(2, 5, seed=1)
    assert (row.rounds, row.error, row.least, row.most, row.model) == (1, 0, 1, 1, 1)
    assert row.published is None
    assert row.met is None


def test_a_thousand_nodes_take_as_many_rounds_as_is_known() -> None:
    """Within four standard errors of the published mean, which is rounded, and of the model's."""
    row = run(NODES, TRIALS, seed=1)
    rounded = 0.05
    assert abs(row.rounds - PUBLISHED[NODES]) <= 4 * row.error + rounded
    rng = Random(2)
    rounds = [model(NODES, rng) for _ in range(60)]
    both = sqrt(row.error**2 + stdev(rounds) ** 2 / len(rounds))
    assert abs(row.rounds - mean(rounds)) <= 4 * both
    assert row.met


@pytest.mark.parametrize("nodes", [25, 100])
def test_small_ones_too(nodes: int) -> None:
    row = run(nodes, 60, seed=3)
    assert abs(row.rounds - PUBLISHED[nodes]) <= 4 * row.error + 0.05


def test_the_same_seed_gives_the_same_row_and_another_another() -> None:
    one, again, other = run(50, 20, seed=1), run(50, 20, seed=1), run(50, 20, seed=2)
    for name in ("rounds", "error", "model", "packets", "bytes"):
        assert getattr(one, name) == getattr(again, name)
    assert one.bytes != other.bytes


def test_the_table_has_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pushpull, "SHORT", ((25, 30),))
    monkeypatch.setattr(pushpull, "tune", lambda: None)  # it is for a process of its own
    assert main(["lab", "table", "pushpull", "--seed", "4"]) == Exit.DONE
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["NODES", "TRIALS", "ROUNDS"]
    assert line.split()[:2] == ["25", "30"]
    assert "within 5 %" in line
    monkeypatch.setitem(pushpull.PUBLISHED, 25, 9.9)
    assert main(["lab", "table", "pushpull", "--trials", "5"]) == Exit.VERDICT_FALSE
    assert "NOT within 5 %" in capsys.readouterr().out
    assert describe([]).startswith("NODES")
