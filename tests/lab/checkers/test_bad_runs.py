"""Known-bad histories, by hand, for those that look at a run from outside: C11 to C18, but C14."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from lab.checkers import Judge, Thresholds
from lab.checkers.quiet import QuietPeriods
from lab.trace import kinds
from lab.trace.trace import Event
from tests.lab.checkers.bad import outcome, said, two, verdict_of
from tests.lab.checkers.edits import edited, places, renumbered
from tests.lab.checkers.histories import Book


def calm() -> list[Event]:
    book = two()
    for _ in range(3):
        book.post("n1")
        book.sync("n1")
        book.carry("n1", "n2")
        book.sync("n2")
    return book.finish()


# --- C11 ------------------------------------------------------------------------------------------


def behind_a_partition() -> list[Event]:
    book = two()
    book.post("n1")
    book.sync("n1")
    book.carry("n1", "n2")
    book.sync("n2")
    book.wait(10_000)
    book.post("n1")
    book.sync("n1")
    book.wait(50_000)
    book.carry("n1", "n2")
    book.sync("n2")
    return book.finish()


def test_a_quiet_period_lies_behind_a_partition_and_is_not_judged() -> None:
    verdict = verdict_of("C11", behind_a_partition())
    assert verdict.outcome == "pass"
    assert 0.4 < verdict.figures["precision"] < 0.8


def test_the_curve_at_the_width_of_the_run_is_what_the_nodes_told() -> None:
    judging = Judge(only=("C11",))
    judging.see_all(behind_a_partition())
    checker = judging.checkers["C11"]
    assert isinstance(checker, QuietPeriods)
    (verdict,) = judging.verdicts()
    short, told, long = checker.curve((1, 5, 1000))
    assert (told.claimed_us, told.both_us) == (
        verdict.figures["claimed_us"],
        verdict.figures["both_us"],
    )
    assert short.claimed_us > told.claimed_us
    assert (long.claimed_us, long.precision, long.recall) == (0, None, 0)


# --- C12, C13 -------------------------------------------------------------------------------------


def test_who_lacks_something_and_waits_for_nothing_is_stuck() -> None:
    events = calm()
    at = places(events, kinds.Final)[0]
    assert outcome("C12", edited(events, at, missing=1, wake_ms=3_600_000)) == "fail"
    assert outcome("C12", edited(events, at, missing=1)) == "pass"
    assert outcome("C12", edited(events, at, wake_ms=3_600_000)) == "pass"


def answered_with(
    info: kinds.Info, *, fault: bool = False, durability: str = "always"
) -> list[Event]:
    """An op of n1 that nobody answers for a second, but so."""
    book = two()
    book.durability = durability
    op = book.invoke("n1", "post", "hello")
    if fault:
        book.fire("loss")
    book.phase("heal")
    book.phase("liveness", 1_000_000)
    book.agree()
    book.wait(1_000_000)
    book.add("n1", msgspec.structs.replace(info, op=op, session="s-n1"), book.invokes[op])
    book.end()
    return book.trace.events


def test_an_op_that_nobody_answers_is_found() -> None:
    events = answered_with(kinds.Info(0, "", "end"))
    verdict = verdict_of("C12", events, Thresholds(answer_us=900_000))
    assert verdict.outcome == "fail" and "was not answered at n1" in verdict.reason
    assert outcome("C12", events, Thresholds(answer_us=1_100_000)) == "pass"
    assert outcome("C12", events) == "pass"


def test_a_promise_is_kept_in_time_where_nothing_goes_wrong() -> None:
    late = kinds.Info(0, "", "ack_timeout")
    verdict = verdict_of("C12", answered_with(late), Thresholds(answer_us=900_000))
    assert verdict.outcome == "fail" and "nothing went wrong" in verdict.reason
    assert outcome("C12", answered_with(late, fault=True), Thresholds(answer_us=900_000)) == "pass"
    unsynced = Thresholds(answer_us=900_000, syncs=False)  # then nothing need be durable in time
    assert outcome("C12", answered_with(late), unsynced) == "pass"
    assert outcome("C12", answered_with(late, durability="none"), unsynced) == "fail"


def noisy(entries: int = 0) -> list[Event]:
    """Everybody agrees, and still talks a lot for two seconds, perhaps of what all know."""
    book = two()
    book.post("n1")
    book.phase("heal")
    book.phase("liveness", 1_000_000)
    book.agree()
    for _ in range(100):
        book.wait(20_000)
        if entries:
            sent = book.send("n1", "n2", 40, entries)
            book.counts["delivered"] += 1
            name = book.trace.events[sent].msg_id
            book.add("n2", kinds.Got("Push"), sent, "n1", 70, name)
        else:
            book.carry("n1", "n2")
    book.end()
    return book.trace.events


def test_traffic_that_does_not_calm_down_is_found_where_a_rate_is_declared() -> None:
    figures = verdict_of("C12", noisy()).figures
    assert 20 < figures["idle_packets_s"] < 30
    assert outcome("C12", noisy(), Thresholds(idle_packets_s=30)) == "pass"
    assert outcome("C12", noisy(), Thresholds(idle_packets_s=20)) == "fail"


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Thresholds(idle_rounds_s=20), "rounds/s of a node"),
        (Thresholds(idle_bytes_s=600), "bytes/s of a node"),
        (Thresholds(idle_packets_s=20, calm_us=500_000), "packets/s of a node"),
    ],
)
def test_each_rate_of_what_is_sent_once_all_agree_has_a_limit(
    limits: Thresholds, says: str
) -> None:
    verdict = verdict_of("C12", noisy(), limits)
    assert verdict.outcome == "fail" and says in verdict.reason
    assert outcome("C12", noisy(), replace(limits, idle_us_min=5_000_000)) == "pass"


def test_entries_that_are_sent_though_nothing_changes_any_more_are_found() -> None:
    """As two copies do that each refuse to keep what the other one sends, for ever."""
    verdict = verdict_of("C12", noisy(entries=3), Thresholds(calm_us=1_000_000))
    assert verdict.outcome == "fail"
    assert "sends n2 a Push, though nothing has changed for 1.0 s" in verdict.reason
    assert outcome("C12", noisy(), Thresholds(calm_us=1_000_000)) == "pass"
    assert outcome("C12", noisy(entries=3), Thresholds(calm_us=10_000_000)) == "pass"


def refusing(times: int, body: str = "SynAck") -> list[Event]:
    """n2 cannot keep what n1 sends it, again and again; then it can."""
    book = two()
    said(book, "n1")
    for _ in range(times):
        sent = book.send("n1", "n2", 40, 1)
        book.counts["delivered"] += 1
        book.add("n2", kinds.Got(body), sent, "n1", 70, book.trace.events[sent].msg_id)
        book.wait(200_000)
    return book.finish()


def test_entries_that_a_node_is_sent_again_and_again_and_never_takes_are_found() -> None:
    """As a node with a full disk is, if nobody is told that it can keep nothing."""
    limits = Thresholds(useless_max=20)
    verdict = verdict_of("C12", refusing(22), limits)
    assert verdict.outcome == "fail"
    assert "n2 was sent entries 21 times in a row, and took none" in verdict.reason
    assert verdict_of("C12", refusing(19), limits).figures["useless_max"] == 19
    assert outcome("C12", refusing(19), limits) == "pass"
    assert outcome("C12", refusing(22)) == "pass"


def test_answers_are_counted_once_whoever_sends_them_could_know() -> None:
    """From a second after the first one on: six of them came before."""
    limits = Thresholds(useless_max=10, useless_us=1_000_000)
    assert outcome("C12", refusing(16), limits) == "pass"
    verdict = verdict_of("C12", refusing(18), limits)
    assert verdict.outcome == "fail" and "11 times in a row" in verdict.reason


def test_pushes_come_from_peers_that_may_hear_nothing_and_are_not_counted() -> None:
    limits = Thresholds(useless_max=2)
    assert outcome("C12", refusing(6, "Push"), limits) == "pass"
    assert outcome("C12", refusing(6, "Ack"), limits) == "fail"


def test_a_storm_is_found_where_a_rate_is_declared() -> None:
    events = calm()
    assert outcome("C12", events, Thresholds(packets_per_event=2)) == "pass"
    assert outcome("C12", events, Thresholds(packets_per_event=0.4)) == "fail"


def suspicions() -> list[Event]:
    book = two()
    book.post("n1")
    book.sync("n1")
    book.add("n1", kinds.Note("peer_suspect", "warning", {"peer": "n2"}))
    book.add("n1", kinds.Note("peer_alive", "info", {"peer": "n2"}))
    book.crash("n2")
    book.wait(2_000)
    book.add("n1", kinds.Note("peer_suspect", "warning", {"peer": "n2"}))
    book.add("n1", kinds.Note("peer_dead", "warning", {"peer": "n2"}))
    book.boot("n2")
    return book.finish()


def test_suspicions_are_counted_and_judged_within_a_bound_only() -> None:
    verdict = verdict_of("C13", suspicions())
    assert verdict.outcome == "pass"
    assert verdict.figures["false_suspicions"] == 1
    assert verdict.figures["found_out_us_max"] == 2_000
    assert verdict.figures["suspected_at_end"] == 1
    assert outcome("C13", suspicions(), Thresholds(unsuspected_us=1_000)) == "fail"
    assert outcome("C13", suspicions(), Thresholds(unsuspected_us=10_000_000)) == "pass"


# --- C16 ------------------------------------------------------------------------------------------


def stamped(events: list[Event], at: int, stamp_ms: int) -> list[Event]:
    """The same stamp wherever it is told."""
    data: Any = events[at].data
    facts = msgspec.structs.replace(data.facts, stamp_ms=stamp_ms)
    for one in places(events, kinds.Handed):
        other: Any = events[one].data
        if other.ref == data.ref:
            events = edited(events, one, facts=facts)
    return events


def test_a_stamp_ahead_of_every_clock_is_found() -> None:
    events = calm()
    last = places(events, kinds.Handed, "n1")[-1]
    data: Any = events[last].data
    assert outcome("C16", stamped(events, last, data.facts.stamp_ms + 5)) == "pass"
    assert outcome("C16", stamped(events, last, data.facts.stamp_ms + 600_000)) == "fail"


def test_a_stamp_that_goes_back_is_found() -> None:
    events = calm()
    own = places(events, kinds.Handed, "n1")
    assert outcome("C16", stamped(events, own[1], 1)) == "fail"


def test_a_stamp_below_its_parents_is_found_unless_that_was_skewed() -> None:
    book = two()
    book.post("n1")
    book.sync("n1")
    book.carry("n1", "n2")
    book.sync("n2")
    book.post("n2")
    events = book.finish()
    answer = places(events, kinds.Handed, "n2")[1]
    data: Any = events[answer].data
    assert data.via == "local"
    bad = stamped(events, answer, 1)
    assert outcome("C16", bad) == "fail"
    shown = places(bad, kinds.Visible, "n2")[0]
    skewed = edited(bad, shown, skewed=True)
    reasons = verdict_of("C16", skewed).reason
    assert "parent" not in reasons


def test_an_order_that_is_not_that_of_stamps_is_found() -> None:
    events = calm()
    at = places(events, kinds.Final)[0]
    data: Any = events[at].data
    assert outcome("C16", edited(events, at, causal=data.causal[::-1])) == "fail"


# --- C17, C18 -------------------------------------------------------------------------------------


def test_a_fault_that_never_fired_proves_nothing() -> None:
    events = calm()
    at = places(events, kinds.Totals)[0]
    silent = edited(events, at, enabled=("loss",))
    assert outcome("C17", events) == "pass"
    assert outcome("C17", silent) == "unknown"
    assert outcome("C17", silent, Thresholds(swarm=True)) == "unknown"
    both = edited(events, at, enabled=("loss", "kill"), fired={"kill": 1})
    assert outcome("C17", both) == "unknown"
    assert outcome("C17", both, Thresholds(swarm=True)) == "pass"


def test_a_run_in_which_nothing_travels_proves_nothing() -> None:
    book = two()
    book.post("n1")
    book.sync("n1")
    assert outcome("C17", book.finish(agree=False)) == "unknown"


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (kinds.Sent, {"framing": 29}),
        (kinds.Sent, {"framing": -10, "digest": 40}),
        (kinds.Totals, {"counts": {"sent": 0}}),
    ],
)
def test_parts_and_ledgers_that_do_not_sum_up_are_found(
    kind: type, changes: dict[str, Any]
) -> None:
    events = calm()
    assert outcome("C18", edited(events, places(events, kind)[0], **changes)) == "fail"


@pytest.mark.parametrize("header", [{"peer": "n9"}, {"bytes": 7}, {"msg_id": ("n1", 1, 99)}])
def test_what_arrives_is_what_was_sent(header: dict[str, Any]) -> None:
    events = calm()
    at = places(events, kinds.Got)[0]
    other = msgspec.structs.replace(events[at], **header)
    assert outcome("C18", [*events[:at], other, *events[at + 1 :]]) == "fail"


@pytest.mark.parametrize("kind", [kinds.Sent, kinds.Got])
def test_a_packet_more_or_less_is_found(kind: type) -> None:
    events = calm()
    at = places(events, kind)[0]
    assert outcome("C18", renumbered([*events[:at], *events[at + 1 :]])) == "fail"
    assert outcome("C18", renumbered([*events[: at + 1], events[at], *events[at + 1 :]])) == "fail"


def named_again(*, restart: bool, disk: str = "") -> list[Event]:
    """Two packets of n1 have one name, with a start between them or not."""
    book = two()
    first = book.send("n1", "n2")
    book.counts["in_flight"] += 1
    if restart:
        book.crash("n1")
        if disk:
            book.put("n1", disk)
            book.nodes["n1"].inc = 0  # what counts its lives is gone with it
        book.boot("n1")
        book.sync("n1")
    second = book.send("n1", "n2")
    book.counts["in_flight"] += 1
    events = book.finish()
    name = events[first].msg_id
    return [
        *events[:second],
        msgspec.structs.replace(events[second], msg_id=name),
        *events[second + 1 :],
    ]


def test_a_name_is_given_to_one_packet() -> None:
    assert outcome("C18", named_again(restart=False)) == "fail"
    assert outcome("C18", named_again(restart=True)) == "fail"
    assert outcome("C18", named_again(restart=True, disk="empty")) == "pass"


@pytest.mark.parametrize("name", [("n2", 1, 1), ("n1", 0, 1)])
def test_a_name_is_that_of_its_sender_and_its_life(name: tuple[str, int, int]) -> None:
    book = two()
    sent = book.send("n1", "n2")
    book.counts["in_flight"] += 1
    events = book.finish()
    events[sent] = msgspec.structs.replace(events[sent], msg_id=name)
    assert outcome("C18", events) == "fail"


def test_one_packet_goes_to_several_peers_under_one_name() -> None:
    book = Book("n1", "n2", "n3")
    for name in book.nodes:
        book.boot(name)
        book.sync(name)
    first, second = book.send("n1", "n2"), book.send("n1", "n3")
    book.counts["in_flight"] += 2
    events = book.finish()
    events[second] = msgspec.structs.replace(events[second], msg_id=events[first].msg_id)
    assert outcome("C18", events) == "pass"
    data: Any = events[second].data
    parts = {"framing": data.framing - 1, "digest": data.digest + 1}
    assert outcome("C18", edited(events, second, **parts)) == "fail"


@pytest.mark.parametrize("kind", [kinds.Copied, kinds.Dropped])
def test_copies_and_drops_of_nothing_are_found(kind: Any) -> None:
    events = calm()
    data = kind("loss") if kind is kinds.Dropped else kind()
    at = places(events, kinds.Sent)[0]
    extra = msgspec.structs.replace(events[at], data=data, cause=0)
    assert outcome("C18", renumbered([*events, extra])) == "fail"
