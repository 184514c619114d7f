"""Checkers on runs of the simulator: what they once said wrongly, and bugs that they missed."""

from unittest.mock import patch

import pytest

from domain.quiet import Quiet
from gossip.engine import Engine
from lab.campaign.judged_run import JudgedRun, run_judged
from lab.plan.scenario import named
from lab.trace.kinds import Handed, Invoke
from node.core.epochs import Epochs
from node.storage import recovery
from tests.mutants.planting import swapped
from tests.mutants.projections import undo_forgets


def verdicts(scenario: str, seeds: range) -> list[JudgedRun]:
    return [run_judged(named(scenario), seed) for seed in seeds]


def failing(runs: list[JudgedRun]) -> set[str]:
    return {one.rule for run in runs for one in run.verdicts if one.outcome == "fail"}


def figure(runs: list[JudgedRun], rule: str, name: str) -> float:
    figures = [one.figures for run in runs for one in run.verdicts if one.rule == rule]
    return sum(one.get(name, 0) for one in figures) / len(figures)


@pytest.mark.parametrize(
    ("scenario", "seed"),
    [
        ("all", 280),  # C16: a stamp that was taken back, and a restart
        ("all", 7390),  # C5: an older disk, and a flipped bit
        ("all", 501500),
        # C5: a record that a spoilt sector took stood there again: a sector written to the wrong
        # place brought the very bytes (its own, by way of another file; text of the same letters).
        ("bad-hardware", 20065695),
        ("bad-hardware", 20073384),
        ("all", 702880),  # C16: a disk was empty, and own events of a fast clock came back
        ("all", 702090),  # C8: so fast a clock is not followed, nor after a crash before showing
        ("hot-origin", 2296),  # C7: an event came late, and was covered already
        ("hot-origin", 336),  # C2, C3, C9: a command that waited was taken for a refused one
    ],
)
def test_a_sound_run_is_not_accused(scenario: str, seed: int) -> None:
    assert failing(verdicts(scenario, range(seed, seed + 1))) == set()


@pytest.mark.parametrize("scenario", ["hot-origin", "crash-storm", "power-cuts"])
def test_each_own_event_names_the_op_that_asked_for_it(scenario: str) -> None:
    for run in verdicts(scenario, range(5)):
        invokes = {one.data.op: one for one in run.trace if type(one.data) is Invoke}
        own = [one for one in run.trace if type(one.data) is Handed and one.data.via == "local"]
        assert own
        for event in own:
            assert type(event.data) is Handed
            assert event.data.op is not None
            assert invokes[event.data.op].seq == event.cause


def test_who_does_not_watch_its_log_forks_it() -> None:
    seeds = range(24)
    assert failing(verdicts("churn", seeds)) == set()
    with patch.object(Epochs, "watch", lambda self, peer, finished, now_ms: None):
        assert "C3" in failing(verdicts("churn", seeds))


def test_who_does_not_see_that_the_end_of_its_journal_is_lost_is_found() -> None:
    """It loses records without a word, and gives what it says next the places of what it said."""
    seeds = range(8)
    assert failing(verdicts("directories", seeds)) == set()
    with patch.object(recovery, "_lost_end", lambda identity, found: None):
        assert "C5" in failing(verdicts("directories", seeds))


def test_who_goes_on_asking_for_what_it_cannot_keep_is_found() -> None:
    """A node with a full disk is sent its backlog in each round, as long as the disk is full."""
    seeds = range(18, 21)
    assert failing(verdicts("full-disk", seeds)) == set()
    deaf = property(lambda self: False, lambda self, value: None)
    with patch.object(Engine, "holding", deaf, create=True):
        assert failing(verdicts("full-disk", seeds)) == {"C12"}


def test_a_broken_undo_is_seen() -> None:
    with swapped(undo_forgets()):
        assert "C10" in failing(verdicts("calm", range(3)))


def test_quiet_is_what_the_replica_says() -> None:
    seeds = range(4)
    sound = figure(verdicts("partition", seeds), "C11", "claimed_us")
    with patch.object(Quiet, "is_quiet", lambda self, wall_ms: False):
        assert figure(verdicts("partition", seeds), "C11", "claimed_us") == 0
    with patch.object(Quiet, "quiet_for_ms", lambda self, wall_ms: 10**6):
        assert figure(verdicts("partition", seeds), "C11", "claimed_us") > 1.2 * sound
