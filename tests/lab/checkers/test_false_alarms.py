"""What was once taken for a failure and is none; beside each, what looks like it and is one."""

from typing import Any

import msgspec
import pytest

from lab.checkers import SINGLE, Judge, Verdict
from lab.checkers.quiet import QuietPeriods
from lab.trace import kinds
from lab.trace.trace import Event, dot_of
from tests.lab.checkers.bad import said, shared, two
from tests.lab.checkers.edits import edited, places
from tests.lab.checkers.histories import QUIET_MS, Book


def outcome(rule: str, events: list[Event]) -> str:
    return verdict_of(rule, events).outcome


def verdict_of(rule: str, events: list[Event]) -> Verdict:
    return SINGLE[rule].check(events)


# --- C16 ------------------------------------------------------------------------------------------


def taken_back(*, restarted: bool) -> list[Event]:
    """An own event is not written, and the next one has an older stamp, for the clock went back."""
    book = two()
    book.post("n1", "no room for it")
    book.unwritten("n1")
    if restarted:
        book.crash("n1")
        book.boot("n1")
    node = book.nodes["n1"]
    node.stamp, node.offset_ms = (0, 0), -50
    said(book, "n1", "room again")
    return book.finish()


def test_a_restart_forgets_the_stamp_of_what_was_never_written() -> None:
    assert outcome("C16", taken_back(restarted=True)) == "pass"
    assert outcome("C16", taken_back(restarted=False)) == "fail"


def far_ahead(by_ms: int, *, skewed: bool) -> list[Event]:
    book = two()
    book.nodes["n1"].offset_ms = by_ms
    said(book, "n1")
    shared(book, "n1", "n2")
    events = book.finish()
    at = next(n for n in places(events, kinds.Visible, "n2"))
    return edited(events, at, skewed=skewed)


def test_what_is_too_far_ahead_must_not_be_followed_and_nothing_else() -> None:
    assert outcome("C16", far_ahead(400_000, skewed=True)) == "pass"
    assert outcome("C16", far_ahead(400_000, skewed=False)) == "fail"
    assert outcome("C16", far_ahead(200_000, skewed=False)) == "pass"
    assert outcome("C16", far_ahead(200_000, skewed=True)) == "fail"


# --- C5 -------------------------------------------------------------------------------------------


def older_and_flipped(*, flipped: bool) -> list[Event]:
    """An older copy is put back, and a record in its middle is not in it any more."""
    book = two()
    said(book, "n1", "one")
    said(book, "n1", "two")
    records = book.nodes["n1"].records[:]
    said(book, "n1", "three")
    book.crash("n1")
    book.put("n1", "older")
    node = book.nodes["n1"]
    node.records = [*records[:1], *records[2:]]
    if flipped:
        node.flipped = True
        book.fire("flip", "n1")
    book.boot("n1")
    book.sync("n1")
    return book.finish()


def test_an_older_copy_may_be_damaged_if_the_journal_says_so() -> None:
    events = older_and_flipped(flipped=True)
    assert outcome("C5", events) == "pass"
    assert outcome("C5", older_and_flipped(flipped=False)) == "fail"
    at = places(events, kinds.Boot, "n1")[-1]
    silent = edited(events, at, torn_bytes=0)
    assert outcome("C5", silent) == "fail"
    start = kinds.Crash("point", "mid_open", 0, 0)
    died = msgspec.structs.replace(silent[at], data=start)
    assert outcome("C5", [*silent[:at], died, *silent[at:]]) == "pass"
    data: Any = events[at].data
    swapped = (data.recovered[0], data.recovered[0], *data.recovered[1:])
    assert outcome("C5", edited(events, at, recovered=swapped)) == "fail"


def taken_and_back(*, harmed: bool = True, place: int = 2) -> list[Event]:
    """A sector is spoilt, and a record is gone; later another one lands there by mistake, with the
    very bytes. Meanwhile a peer has sent the event again.
    """
    book = two()
    said(book, "n1", "one")
    said(book, "n1", "two")
    shared(book, "n1", "n2")
    book.crash("n1")
    book.flip("n1")
    book.boot("n1")
    book.sync("n1")
    shared(book, "n2", "n1")
    said(book, "n1", "three")
    book.crash("n1")
    node = book.nodes["n1"]
    assert node.hole is not None
    at, lost = node.hole
    assert at == 2 and lost in node.records, "it was pulled back"
    if harmed:
        book.fire("misdirected", "n1")
    node.records.insert(place, lost)
    node.flipped = True
    book.boot("n1")
    book.sync("n1")
    return book.finish()


def test_what_a_sector_took_may_come_back_with_another_one_where_it_stood() -> None:
    assert outcome("C5", taken_and_back()) == "pass"
    assert outcome("C5", taken_and_back(harmed=False)) == "fail"
    for elsewhere in (0, 1, 3, 4, 5, 6):
        assert outcome("C5", taken_and_back(place=elsewhere)) == "fail", elsewhere


def test_a_record_does_not_come_and_go_by_itself() -> None:
    """Nothing was damaged between the last three starts; one of them says that it is gone again."""
    events = taken_and_back()
    at = places(events, kinds.Boot, "n1")[-1]
    data: Any = events[at].data
    boot, crash = events[at], events[places(events, kinds.Crash, "n1")[-1]]
    without = edited(events, at, recovered=(*data.recovered[:2], *data.recovered[3:]))[at]
    assert outcome("C5", [*events[:at], boot, crash, boot, crash, *events[at:]]) == "pass"
    assert outcome("C5", [*events[:at], boot, crash, without, crash, *events[at:]]) == "fail"


# --- C7 -------------------------------------------------------------------------------------------


def late(*, named: bool) -> list[Event]:
    """An own event names n2's second event; two own events on, n2's first one comes."""
    book = two()
    first = said(book, "n2", "one")
    second = said(book, "n2", "two")
    node = book.nodes["n1"]
    book._hand(node, second, "rumor", None, "n2")
    book.sync("n1")
    if not named:
        node.heads = []
    said(book, "n1", "it names the second one")
    said(book, "n1", "it has nothing to name")
    book._hand(node, first, "rumor", None, "n2")
    book.sync("n1")
    node.heads = []
    said(book, "n1", "nor has this")
    return book.finish()


def test_what_a_chain_covers_need_not_be_named() -> None:
    assert outcome("C7", late(named=True)) == "pass"
    verdict = verdict_of("C7", late(named=False))
    assert (verdict.outcome, verdict.figures["violations"]) == ("fail", 2)


def unnamed(what_happens: str, *, forgets: bool) -> list[Event]:
    book = two()
    said(book, "n2")
    shared(book, "n2", "n1")
    if what_happens == "unwritten":
        book.post("n1", "it names what n2 said")
        book.unwritten("n1")
    else:
        book.crash("n1")
        book.boot("n1")
    if forgets:
        book.nodes["n1"].heads = []
    said(book, "n1", "it has to name that")
    return book.finish()


@pytest.mark.parametrize("what_happens", ["unwritten", "restart"])
def test_parents_are_remembered(what_happens: str) -> None:
    assert outcome("C7", unnamed(what_happens, forgets=False)) == "pass"
    assert outcome("C7", unnamed(what_happens, forgets=True)) == "fail"


def forked() -> list[Event]:
    """n1 says one, two, three, and only one and three reach n2. An older copy of its disk is put
    back, and n1 says another two, later than three, and another three.
    """
    book = two()
    said(book, "n1", "one")
    shared(book, "n1", "n2")
    said(book, "n1", "two")
    three = said(book, "n1", "three")
    book._hand(book.nodes["n2"], three, "rumor", None, "n1")
    book.sync("n2")
    book.crash("n1")
    node = book.nodes["n1"]
    node.disk, node.records = "older", node.records[:2]
    book.boot("n1")
    book.sync("n1")
    node.log, node.seq = "n1.1", 1
    said(book, "n1", "another two")
    said(book, "n1", "another three")
    return book.finish()


def test_of_a_fork_the_parent_is_the_branch_that_the_author_held() -> None:
    events = forked()
    assert outcome("C7", events) == "pass"
    for node in ("n1", "n2"):
        at = places(events, kinds.Final, node)[0]
        data: Any = events[at].data
        two_, three = data.causal[-2:]
        assert dot_of(two_).endswith(":2") and dot_of(three).endswith(":3")
        assert dot_of(data.causal[1]) == dot_of(three) and data.causal[1] != three
        swapped = (*data.causal[:-2], three, two_)
        assert outcome("C7", edited(events, at, causal=swapped)) == "fail"


# --- C2, C3, C9 -----------------------------------------------------------------------------------


def deferred() -> tuple[list[Event], int]:
    """Two ask for the same. One is refused; the other's event is handed out in a later turn."""
    book = two()
    refused = book.refuse("n1", "busy", "same")
    op = book.invoke("n1", "post", "same")
    cause = book.add("n1", kinds.Note("writes_resumed", "info", {}))
    book.hand_own("n1", op, cause=cause)
    book.sync("n1")
    return book.finish(), refused


def test_the_op_that_made_an_event_is_the_one_that_is_named() -> None:
    events, refused = deferred()
    assert {outcome(rule, events) for rule in ("C2", "C3", "C9")} == {"pass"}
    at = next(n for n in places(events, kinds.Handed) if getattr(events[n].data, "op", None))
    other = edited(events, at, op=refused)
    assert (outcome("C2", other), outcome("C3", other)) == ("fail", "fail")
    for op in (None, 99):
        reason = verdict_of("C3", edited(events, at, op=op)).reason
        assert "nobody asked" in reason


def test_an_op_makes_one_event_of_the_kind_that_it_asked_for() -> None:
    book = two()
    one, other = said(book, "n1", "one"), said(book, "n1", "other")
    events = book.finish()
    first, second = places(events, kinds.Handed, "n1")[:2]
    verdict = verdict_of("C3", edited(events, second, op=1))
    assert f"made {one}, and then {other}" in verdict.reason
    data: Any = events[first].data
    for change in ({"author": "eve"}, {"what": "joined"}):
        facts = msgspec.structs.replace(data.facts, **change)
        verdict = verdict_of("C3", edited(events, first, facts=facts))
        assert "is not what op 1 asked for" in verdict.reason


# --- forks ----------------------------------------------------------------------------------------


def put_back(*, lacks: bool, knows: bool) -> list[Event]:
    """n1 goes on from an older copy, in the log that was open, and gives out a dot again."""
    book = two()
    said(book, "n1", "one")
    shared(book, "n1", "n2")
    node = book.nodes["n1"]
    records, log = node.records[:], node.log
    book.crash("n1")
    book.put("n1", "older")
    node.records = records[:1] if lacks else records
    book.boot("n1")
    book.sync("n1")
    if knows:
        shared(book, "n2", "n1")
    node.log, node.seq = log, 0
    said(book, "n1", "another one")
    events = book.finish()
    for name in book.nodes:
        events = edited(events, places(events, kinds.Final, name)[0], forked=("n1",))
    return events


def test_only_what_an_older_copy_lacked_explains_a_fork() -> None:
    verdict = verdict_of("C3", put_back(lacks=True, knows=False))
    assert (verdict.outcome, verdict.figures["declared_forks"]) == ("pass", 1)
    verdict = verdict_of("C3", put_back(lacks=False, knows=False))
    assert (verdict.outcome, verdict.figures["declared_forks"]) == ("fail", 0)


def test_who_was_given_more_of_its_log_writes_nothing_there() -> None:
    verdict = verdict_of("C3", put_back(lacks=True, knows=True))
    assert verdict.outcome == "fail"
    assert "more of that log came back" in verdict.reason


# --- C10, C11 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["timeline_half", "presence_half", "presence_half_again"])
def test_what_is_left_of_an_undone_half_is_judged_too(name: str) -> None:
    book = two()
    said(book, "n1")
    events = book.finish()
    at = places(events, kinds.Final, "n2")[0]
    assert outcome("C10", events) == "pass"
    assert outcome("C10", edited(events, at, **{name: "00"})) == "fail"


def test_a_silence_begins_anew_with_a_restart() -> None:
    book = Book("n1")
    book.boot("n1")
    book.sync("n1")
    said(book, "n1")
    heard_us = book.t_us
    book.wait(50_000)
    book.crash("n1")
    book.wait(50_000)
    book.boot("n1")
    booted_us = book.t_us
    events = book.finish()
    end_us = events[-1].t_us
    judging = Judge(only=("C11",))
    judging.see_all(events)
    checker = judging.checkers["C11"]
    assert isinstance(checker, QuietPeriods)
    crashed_us = next(e.t_us for e in events if type(e.data) is kinds.Crash)
    (point,) = checker.curve((QUIET_MS,))
    alive_us = (crashed_us - heard_us) + (end_us - booted_us)
    assert point.claimed_us == alive_us - 2 * QUIET_MS * 1000


DAY_MS = 86_400_000


def gone_behind(ahead_ms: int) -> list[Event]:
    """A node whose clock was ahead, and is right again, and which stamps by it at once."""
    book = two()
    for node in book.nodes.values():
        node.offset_ms = ahead_ms
    said(book, "n1")
    shared(book, "n1", "n2")
    node = book.nodes["n1"]
    node.stamp, node.offset_ms = (0, 0), 0
    said(book, "n1", "right again")
    return book.finish()


def test_a_node_may_go_back_behind_a_stamp_that_was_never_the_time_and_behind_no_other() -> None:
    assert outcome("C16", gone_behind(10 * DAY_MS)) == "pass"
    assert outcome("C16", gone_behind(DAY_MS // 2)) == "fail"


@pytest.mark.parametrize(("ahead_ms", "expected"), [(10 * DAY_MS, "pass"), (200_000, "fail")])
def test_an_effect_may_stand_above_a_cause_that_was_never_the_time(
    ahead_ms: int, expected: str
) -> None:
    """Two clocks were equally wrong, so that one followed the other; then one is right again."""
    book = two()
    for node in book.nodes.values():
        node.offset_ms = ahead_ms
    said(book, "n1")
    shared(book, "n1", "n2")
    node = book.nodes["n2"]
    node.stamp, node.offset_ms = (0, 0), 0
    said(book, "n2", "an answer")
    shared(book, "n2", "n1")
    events = book.finish()
    assert (outcome("C7", events), outcome("C16", events)) == (expected, expected)
