"""Known-bad histories, by hand, for C14: lives, starts and workers."""

import pytest

from lab.trace import kinds
from lab.trace.trace import Event
from tests.lab.checkers.bad import outcome, two
from tests.lab.checkers.edits import edited, places


def test_a_core_that_fails_is_a_bug_though_it_is_restarted() -> None:
    book = two()
    book.post("n1")
    book.sync("n1")
    book.crash("n1", "core")
    book.boot("n1")
    assert outcome("C14", book.finish()) == "fail"


def never_back(*, refused: bool, harmed: bool) -> list[Event]:
    book = two()
    book.post("n1")
    book.sync("n1")
    book.crash("n2")
    if harmed:
        book.fire("flip", "n2")
    if refused:
        book.add("n2", kinds.StartRefused("the journal belongs to another node"))
    book.phase("heal")
    book.phase("liveness", 1_000_000)
    book.end()
    return book.trace.events


def test_a_node_comes_back_unless_its_disk_was_harmed() -> None:
    assert outcome("C14", never_back(refused=False, harmed=False)) == "fail"
    assert outcome("C14", never_back(refused=True, harmed=False)) == "fail"
    assert outcome("C14", never_back(refused=True, harmed=True)) == "pass"


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        (["worker_crashed"], "fail"),
        (["worker_crashed", "worker_restarted"], "pass"),
        (["worker_crashed", "worker_gave_up"], "pass"),
        (["worker_crashed", "worker_restarted"] * 5, "pass"),
        (["worker_crashed", "worker_restarted"] * 6, "fail"),
        (["core_crashed", "core_restarts"], "fail"),
    ],
)
def test_a_worker_is_restarted_within_its_budget(notes: list[str], expected: str) -> None:
    book = two()
    book.post("n1")
    for note in notes:
        book.wait()
        book.add("n1", kinds.Note(note, "error", {"worker": "feed"}))
    assert outcome("C14", book.finish()) == expected


def lives(*numbers: int, disk: str = "") -> list[Event]:
    """n1 starts once for each number; before the last time another disk is put in."""
    book = two()
    node = book.nodes["n1"]
    for number in numbers:
        book.crash("n1")
        node.inc = number - 1
        if disk and number == numbers[-1]:
            book.put("n1", disk)
        book.boot("n1")
        book.sync("n1")
    book.post("n1")
    return book.finish()


@pytest.mark.parametrize(
    ("numbers", "disk", "expected"),
    [
        ((2, 3), "", "pass"),
        ((2, 9), "", "pass"),
        ((1,), "", "fail"),
        ((5, 5), "", "fail"),
        ((5, 4), "", "fail"),
        ((5, 4, 5), "", "fail"),
        ((5, 1), "empty", "pass"),
        ((5, 5), "older", "pass"),
    ],
)
def test_lives_are_counted_upwards(numbers: tuple[int, ...], disk: str, expected: str) -> None:
    assert outcome("C14", lives(*numbers, disk=disk)) == expected


@pytest.mark.parametrize(
    ("health", "code", "restarted", "expected"),
    [
        ("running", "disk_full", False, "pass"),
        ("running", "storage_error", False, "pass"),
        ("read_only", "storage_error", False, "pass"),
        ("read_only", "storage_error", True, "fail"),  # of an earlier life
        ("read_only", "disk_full", False, "fail"),  # there is room again: it must have gone on
        ("read_only", "", False, "fail"),
        ("recovering", "storage_error", False, "fail"),
    ],
)
def test_who_is_up_at_the_end_runs(health: str, code: str, restarted: bool, expected: str) -> None:
    book = two()
    book.post("n1")
    if code:
        book.unwritten("n1", code)
    if restarted:
        book.crash("n1")
        book.boot("n1")
    events = book.finish()
    at = places(events, kinds.Final, "n1")[0]
    assert outcome("C14", edited(events, at, health=health)) == expected
