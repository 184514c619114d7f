"""What follows when a life of a node ends, by a table; and what a finding leads to."""

from random import Random

import pytest

from node.process.lives import Again, Lives, Over, not_restored, reopening, stopped_instead
from node.process.restart_budget import RestartBudget
from node.process.settings import Ending
from node.storage.scan import scan_journal
from tests.node.journals import damaged, small_journal

CRASH = Ending("the replica failed", 1, ValueError("an impossible state"))
REOPEN = Ending("00000001.seg is damaged at offset 300", reopen=True)
GAVE_UP = Ending("worker transport crashed too often: OSError", 1)
STOPPED = Ending("SIGTERM")


def lives(budget: int = 2) -> Lives:
    return Lives(RestartBudget(Random(1), budget, 60.0))


def test_only_the_first_life_believes_checkpoints() -> None:
    for ending in (CRASH, REOPEN):
        one = lives()
        assert one.trust
        one.after(ending, 0.0)
        assert not one.trust


def test_a_journal_is_opened_anew_at_once_and_as_often_as_it_takes() -> None:
    one = lives(budget=0)
    for _ in range(100):
        assert one.after(REOPEN, 0.0) == Again(None)


def test_a_core_begins_again_after_a_wait_until_its_budget_is_used_up() -> None:
    one = lives(budget=2)
    waits = [one.after(CRASH, now_s) for now_s in (0.0, 1.0, 2.0, 61.5)]
    first, second, third, later = waits
    assert type(first) is Again and first.wait_s is not None and 0.05 <= first.wait_s <= 0.1
    assert type(second) is Again and second.wait_s is not None and 0.1 <= second.wait_s <= 0.2
    assert type(third) is Over and third.gave_up
    assert third.ending.code == 1 and "ValueError: an impossible state" in third.ending.reason
    assert type(later) is Again, "what is long ago does not count"


@pytest.mark.parametrize("ending", [STOPPED, GAVE_UP])
def test_what_ends_the_process_ends_it(ending: Ending) -> None:
    assert lives().after(ending, 0.0) == Over(ending)


def test_whoever_was_asked_to_stop_begins_no_other_life() -> None:
    assert lives().after(REOPEN, 0.0, "SIGTERM") == Over(STOPPED)
    what = lives().after(CRASH, 0.0, "SIGTERM")
    assert type(what) is Over and what.ending.code == 1 and not what.gave_up
    assert lives().after(GAVE_UP, 0.0, "SIGTERM") == Over(GAVE_UP)
    unclean = Ending("a finding", reopen=True, unclean="the disk is full")
    assert stopped_instead(unclean, "SIGTERM").code == 5


def test_a_past_that_is_not_taken_in_is_read_record_by_record_and_once() -> None:
    error = ValueError("a frame is damaged")
    believed = not_restored(error, 12, "")
    assert believed is not None and believed.reopen and "damaged" in believed.reason
    assert not_restored(error, 0, "") is None


def test_a_finding_reopens_the_journal_but_in_mode_strict() -> None:
    storage, _ = small_journal()
    holes = scan_journal(damaged(storage, "00000001.seg", 300)).holes
    assert reopening(holes, "strict") == ""
    for mode in ("tail", "salvage"):
        assert reopening(holes, mode) == (f"00000001.seg is damaged at offset {holes[0].offset}")
