"""Known-good histories, by hand: what looks bad and is allowed, and what proves nothing."""

from typing import Any

import msgspec
import pytest

from lab.checkers import RULES, SINGLE, Thresholds, judge, overall
from lab.trace import kinds
from lab.trace.trace import Event, Trace
from tests.lab.checkers.edits import edited, places
from tests.lab.checkers.histories import Book


def three(**options: Any) -> Book:
    book = Book("n1", "n2", "n3", **options)
    for name in book.nodes:
        book.boot(name)
        book.sync(name)
    return book


def said(book: Book, name: str, text: str = "hello") -> str:
    ref = book.post(name, text)
    book.sync(name)
    return ref


def judged(events: list[Event], limits: Thresholds | None = None) -> dict[str, str]:
    return {one.rule: one.outcome for one in judge(events, limits)}


def figures(rule: str, events: list[Event]) -> dict[str, int | float]:
    verdict = SINGLE[rule].check(events)
    assert verdict.outcome == "pass", verdict
    return verdict.figures


def all_pass(events: list[Event]) -> None:
    assert [one for one in judge(events) if one.outcome != "pass"] == []


def test_a_crash_loses_what_was_not_acknowledged() -> None:
    book = three()
    said(book, "n2")
    book.post("n1", "never synced")
    book.crash("n1", "power")
    book.boot("n1")
    said(book, "n1", "the same number, and nobody saw the other")
    book.read("n1")
    all_pass(book.finish())


def test_the_only_disk_of_an_acknowledged_event_may_be_destroyed() -> None:
    book = three()
    said(book, "n2", "kept")
    book.carry("n2", "n1")
    book.sync("n1")
    said(book, "n1", "lost with its disk")
    book.read("n1")
    book.crash("n1")
    book.put("n1", "empty")
    book.boot("n1")
    book.sync("n1")
    book.read("n1")
    events = book.finish()
    told = figures("C1", events)
    assert (told["acked"], told["permitted_loss"]) == (2, 1)
    assert "fail" not in judged(events).values()


def test_power_takes_what_was_acknowledged_as_written_only() -> None:
    book = three(durability="interval")
    said(book, "n2", "kept")
    book.post("n1", "written")
    book.sync("n1", durable=False)
    book.read("n1")
    book.crash("n1", "power")
    book.boot("n1")
    book.sync("n1")
    book.read("n1")
    events = book.finish()
    assert figures("C1", events)["permitted_loss"] == 1
    assert "fail" not in judged(events).values()


def test_what_only_a_node_that_is_down_holds_is_out_of_reach() -> None:
    book = three()
    said(book, "n2", "kept")
    said(book, "n1", "alone")
    book.crash("n1")
    book.fire("flip", "n1")
    book.add("n1", kinds.StartRefused("the journal is damaged"))
    book.phase("heal")
    book.phase("liveness", 1_000_000)
    book.agree()
    book.end()
    events = book.trace.events
    assert figures("C1", events)["unreachable"] == 1
    assert "fail" not in judged(events).values()


def test_flipped_bits_may_take_an_event_if_the_journal_says_so() -> None:
    book = three()
    said(book, "n2", "kept")
    said(book, "n1", "alone")
    book.crash("n1")
    book.flip("n1")
    book.boot("n1")
    book.sync("n1")
    events = book.finish()
    assert figures("C1", events)["permitted_loss"] == 1
    all_pass(events)


def forked(*, flagged: bool) -> list[Event]:
    """An older copy of the disk is put back, and the node goes on from there: a declared fork."""
    book = three()
    said(book, "n1", "one")
    book.carry("n1", "n2")
    book.sync("n2")
    book.crash("n1")
    book.put("n1", "older")
    node = book.nodes["n1"]
    node.records = node.records[:1]
    book.boot("n1")
    book.sync("n1")
    node.log, node.seq = "n1.1", 0
    events = book.trace.events
    boot: Any = events[places(events, kinds.Boot, "n1")[-1]].data
    epoch = places(events, kinds.Epoch, "n1")[-1]
    assert boot.disk == "older"
    assert epoch
    said(book, "n1", "another one")
    told = book.finish()
    for name in ("n1", "n2", "n3") if flagged else ():
        told = edited(told, places(told, kinds.Final, name)[0], forked=("n1",))
    return told


def test_a_fork_after_an_older_disk_is_declared_and_must_be_flagged() -> None:
    assert figures("C3", forked(flagged=True))["declared_forks"] == 1
    assert SINGLE["C3"].check(forked(flagged=False)).outcome == "fail"


def test_a_refused_write_leaves_no_trace_and_its_number_is_used_again() -> None:
    book = three()
    said(book, "n1", "first")
    book.post("n1", "no room for it")
    book.unwritten("n1")
    said(book, "n1", "room again")
    all_pass(book.finish())


def test_packets_may_be_lost_repeated_and_late() -> None:
    book = three()
    said(book, "n1", "one")
    said(book, "n1", "two")
    book.carry("n1", "n2", fate="loss")
    book.carry("n1", "n2", most=1, fate="copy")
    book.sync("n2")
    book.carry("n2", "n3", fate="flying")
    said(book, "n3", "meanwhile")
    all_pass(book.finish())


def early() -> list[Event]:
    """An effect is shown before its cause."""
    book = three()
    said(book, "n1", "one")
    ref = said(book, "n1", "two")
    book._hand(book.nodes["n2"], ref, "rumor", None, "n1")
    book.sync("n2")
    return book.finish()


def test_an_effect_before_its_cause_is_counted_and_broken_only_where_it_is_claimed() -> None:
    assert figures("C7", early())["early"] == 1
    assert judged(early(), Thresholds(causal=True))["C7"] == "fail"


def test_a_roaming_session_is_surprised_and_that_is_counted() -> None:
    book = three()
    book.post("n1", "hello", "roamer")
    book.sync("n1")
    book.read("n1", "roamer")
    book.read("n2", "roamer")
    told = figures("C8", book.finish())
    assert (told["roaming_own_missing"], told["roaming_went_back"]) == (1, 1)


def test_a_failed_sync_may_take_back_what_was_only_written() -> None:
    book = three(durability="interval")
    said(book, "n2")
    book.post("n1", "x")
    book.sync("n1", durable=False)
    durable = book.nodes["n1"].durable
    book.add("n1", kinds.Unwritten(durable, "storage_error", "EIO", final=True))
    del book.nodes["n1"].records[durable:]
    book.nodes["n1"].shown = durable
    book.crash("n1", "storage")
    book.boot("n1")
    assert judged(book.finish())["C5"] == "pass"


def test_replicated_means_durable_on_so_many_others() -> None:
    book = three()
    ref = book.post("n1")
    node = book.nodes["n1"]
    waiting, node.waiting = node.waiting, {}
    book.sync("n1")
    book.carry("n1", "n2")
    book.sync("n2")
    (op,) = waiting
    ok = kinds.Ok(op, "s-n1", ref, "replicated:1", "hello")
    at = book.add("n1", ok, book.invokes[op])
    events = book.finish()
    assert judged(events)["C1"] == "pass"
    assert judged(edited(events, at, level="replicated:2"))["C1"] == "fail"


# --- what proves nothing --------------------------------------------------------------------------


def all_crashed() -> list[Event]:
    book = three()
    said(book, "n1")
    for name in book.nodes:
        book.crash(name)
    book.phase("heal")
    book.phase("liveness", 1_000_000)
    book.end()
    return book.trace.events


def test_a_run_in_which_everybody_crashed_is_unknown() -> None:
    verdicts = judge(all_crashed())
    assert overall(verdicts, RULES.values()) == "unknown"
    told = judged(all_crashed())
    unknown = [rule for rule in told if told[rule] == "unknown"]
    assert unknown == ["C1", "C2", "C3", "C6", "C10", "C12", "C14", "C17", "C18"]


@pytest.mark.parametrize("finished", [True, False])
def test_an_empty_run_is_unknown(finished: bool) -> None:
    book = Book("n1", "n2")
    events = book.finish() if finished else book.trace.events
    assert set(judged(events).values()) <= {"unknown", "pass"}
    assert overall(judge(events), RULES.values()) == "unknown"
    told = judged(events)
    passed = {rule for rule in told if told[rule] == "pass"}
    assert passed <= {"C5", "C11", "C13", "C14", "C18", "C21"}


def test_no_trace_at_all_is_unknown() -> None:
    assert set(judged(Trace().events).values()) == {"unknown"}


def test_the_first_op_fails_and_nothing_else_happens() -> None:
    book = three()
    book.refuse("n1", text="")
    told = judged(book.finish())
    assert "fail" not in told.values()
    assert (told["C1"], told["C2"]) == ("unknown", "pass")


def test_without_a_bound_convergence_is_unknown() -> None:
    book = three()
    said(book, "n1")
    events = book.finish()
    at = next(n for n in places(events, kinds.Phase) if events[n].data == LIVENESS)
    events = edited(events, at, bound_us=0)
    assert judged(events)["C6"] == "unknown"
    assert judged(events, Thresholds(bound_us=1_000_000))["C6"] == "pass"
    told = SINGLE["C6"].check(events, Thresholds(bound_us=1_000_000)).figures
    assert told["healed_us"] > told["agreed_us"] > 0
    assert judged(events, Thresholds(bound_us=int(told["healed_us"])))["C6"] == "pass"
    assert judged(events, Thresholds(bound_us=int(told["agreed_us"])))["C6"] == "fail"


LIVENESS = kinds.Phase("liveness", 1_000_000)


def test_a_run_without_time_to_agree_is_unknown() -> None:
    book = three()
    said(book, "n1")
    told = judged(book.finish(liveness=False, agree=False))
    assert (told["C1"], told["C6"]) == ("unknown", "unknown")


def test_an_unknown_op_that_had_no_time_to_spread_is_unknown() -> None:
    book = three()
    said(book, "n1")
    events = book.finish(liveness=False, agree=False)
    at = places(events, kinds.Ok)[0]
    info = kinds.Info(1, "s-n1", "ack_timeout")
    unknown = msgspec.structs.replace(events[at], data=info)
    assert judged([*events[:at], unknown, *events[at + 1 :]])["C2"] == "unknown"


def lean(events: list[Event]) -> list[Event]:
    """As a lean trace tells it."""
    dropped = (kinds.Handed, kinds.Written, kinds.Sent, kinds.Got, kinds.Dropped, kinds.Copied)
    told: list[Event] = []
    for event in events:
        data: Any = event.data
        if type(data) in dropped:
            continue
        if type(data) is kinds.Run:
            data = msgspec.structs.replace(data, detail="lean")
        if type(data) is kinds.Final:
            data = msgspec.structs.replace(data, arrivals=(), causal=(), holes=0)
        told.append(msgspec.structs.replace(event, data=data, seq=len(told), cause=None))
    return told


def test_a_lean_trace_is_judged_as_far_as_it_goes() -> None:
    book = three()
    ref = said(book, "n1")
    book.crash("n2")
    book.boot("n2")
    book.read("n1")
    events = book.finish()
    told = judged(lean(events))
    assert "fail" not in told.values()
    assert [told[rule] for rule in ("C1", "C2", "C3", "C4", "C6", "C18")] == ["pass"] * 6
    gone = [e for e in lean(events) if getattr(e.data, "ref", "") != ref or e.kind != "visible"]
    assert judged(gone)["C1"] in ("fail", "unknown")


# --- what a plan or a person did ------------------------------------------------------------------


def with_options(events: list[Event], **changes: object) -> list[Event]:
    return edited(events, 0, **changes)


def test_a_clock_that_the_plan_set_ahead_excuses_a_stamp_that_far_ahead() -> None:
    book = three()
    said(book, "n1")
    events = book.finish()
    for at in places(events, kinds.Handed):
        data: Any = events[at].data
        ahead = msgspec.structs.replace(data.facts, stamp_ms=data.facts.stamp_ms + 900)
        events = edited(events, at, facts=ahead)
    assert judged(events)["C16"] == "fail"
    fault = '{"faults": [{"fault": {"what": "clock_offset", "by_ms": 1000}}]}'
    assert judged(with_options(events, options=fault))["C16"] == "pass"
    assert judged(with_options(events, options="no JSON"))["C16"] == "fail"


def test_new_rules_may_judge_an_old_text_anew() -> None:
    book = three()
    said(book, "n1", "0")
    changed = book.add("n1", kinds.Note("policy_read", "info", {}))
    book.refuse("n1", text="0")
    events = book.finish()
    assert judged(events)["C9"] == "pass"
    silent = edited(events, changed, event="telemetry")
    assert judged(silent)["C9"] == "fail"


def test_nodes_of_a_real_cluster_may_have_rules_of_their_own() -> None:
    book = three()
    said(book, "n1", "0")
    book.refuse("n2", text="0")
    events = book.finish()
    assert judged(events)["C9"] == "fail"
    assert judged(with_options(events, source="real", options=""))["C9"] == "pass"


def test_ops_that_ask_for_the_same_are_told_apart_by_their_answers() -> None:
    book = three()
    one = book.invoke("n1", "post", "same", "twin")
    other = book.invoke("n1", "post", "same", "twin")
    book.hand_own("n1", other, cause=book.invokes[one])  # a turn knows one cause
    book.sync("n1")
    book.add("n1", kinds.Fail(one, "twin", "busy"), book.invokes[one])
    all_pass(book.finish())


def test_who_saw_what_in_another_order_is_found_also_on_the_way() -> None:
    book = three()
    said(book, "n1", "one")
    said(book, "n1", "two")
    book.read("n1")
    events = book.finish()
    at = next(n for n in places(events, kinds.Ok) if len(getattr(events[n].data, "seen", ())) == 2)
    data: Any = events[at].data
    assert judged(edited(events, at, seen=data.seen[::-1]))["C10"] == "fail"
