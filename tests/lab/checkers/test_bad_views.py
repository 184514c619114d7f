"""Known-bad histories, by hand, for C6 to C10: each breaks one promise, and is found out."""

from typing import Any

import msgspec
import pytest

from lab.checkers import SINGLE
from lab.trace import kinds
from lab.trace.trace import Event
from tests.lab.checkers.bad import (
    Case,
    broken,
    calm,
    cases_of,
    last_final,
    said,
    shared,
    two,
)
from tests.lab.checkers.edits import edited, places

# --- C6 to C10 ------------------------------------------------------------------------------------


def c6_never_agreed() -> list[Event]:
    book = two()
    said(book, "n1")
    return book.finish(agree=False)


def c6_agreed_too_late() -> list[Event]:
    book = two()
    said(book, "n1")
    book.phase("heal")
    book.phase("liveness", 1000)
    book.wait(5000)
    book.agree()
    book.end()
    return book.trace.events


def c6_roots_differ() -> list[Event]:
    events = calm()
    return edited(events, last_final(events), root="00")


def c6_different_sets_under_one_root() -> list[Event]:
    book = two()
    said(book, "n1")
    events = book.finish(agree=False)
    data: Any = events[last_final(events, "n1")].data
    return edited(events, last_final(events), root=data.root)


def c6_projections_differ() -> list[Event]:
    events = calm()
    at = last_final(events)
    return edited(events, at, presence="00", presence_again="00", presence_back="00")


def c7_answer_above_its_question() -> list[Event]:
    events = calm()
    for node in ("n1", "n2"):
        data: Any = events[last_final(events, node)].data
        events = edited(events, last_final(events, node), causal=data.causal[::-1])
    return events


def c7_a_parent_is_not_named() -> list[Event]:
    book = two()
    said(book, "n1", "question")
    shared(book, "n1", "n2")
    book.nodes["n2"].heads = []
    said(book, "n2", "answer")
    return book.finish()


def c7_hole_in_silence() -> list[Event]:
    book = two()
    said(book, "n1", "one")
    ref = said(book, "n1", "two")
    book._hand(book.nodes["n2"], ref, "rumor", None, "n1")
    book.sync("n2")
    events = book.finish(agree=False)
    return edited(events, last_final(events), holes=0)


def c7_hole_that_is_none() -> list[Event]:
    events = calm()
    return edited(events, last_final(events), holes=1)


def c8_own_first_post_not_read() -> list[Event]:
    book = two()
    said(book, "n1", "")
    book.read("n1")
    events = book.finish()
    at = places(events, kinds.Ok)[1]
    return edited(events, at, seen=())


def c8_sees_less_than_before() -> list[Event]:
    book = two()
    said(book, "n1")
    shared(book, "n1", "n2")
    book.read("n2")
    book.read("n2")
    events = book.finish()
    return edited(events, places(events, kinds.Ok)[2], seen=())


def c8_own_posts_in_the_wrong_order() -> list[Event]:
    book = two()
    said(book, "n1", "one")
    said(book, "n1", "two")
    events = book.finish()
    for node in ("n1", "n2"):
        data: Any = events[last_final(events, node)].data
        events = edited(events, last_final(events, node), causal=data.causal[::-1])
    return events


def c8_answer_above_what_was_read() -> list[Event]:
    book = two()
    said(book, "n2", "question")
    shared(book, "n2", "n1")
    book.read("n1")
    said(book, "n1", "answer")
    events = book.finish()
    for node in ("n1", "n2"):
        data: Any = events[last_final(events, node)].data
        events = edited(events, last_final(events, node), causal=data.causal[::-1])
    return events


def c8_loses_it_in_a_restart() -> list[Event]:
    book = two()
    said(book, "n1")
    book.crash("n1", "kill")
    book.nodes["n1"].records.pop()
    book.boot("n1")
    book.sync("n1")
    book.read("n1")
    return book.finish()


def c9_receiver_censors() -> list[Event]:
    events = calm()
    at = places(events, kinds.Handed, "n2")[0]
    data: Any = events[at].data
    return edited(events, at, facts=msgspec.structs.replace(data.facts, text="****"))


def c9_other_bytes() -> list[Event]:
    events = calm()
    at = places(events, kinds.Handed, "n2")[0]
    event = msgspec.structs.replace(events[at], bytes=1)
    return [*events[:at], event, *events[at + 1 :]]


def c9_another_text_acked() -> list[Event]:
    events = calm()
    return edited(events, places(events, kinds.Ok)[0], text="hello")


def c9_changed_without_a_rule() -> list[Event]:
    events = calm()
    for at in places(events, kinds.Handed):
        data: Any = events[at].data
        if data.facts.text == "":
            events = edited(events, at, facts=msgspec.structs.replace(data.facts, text="?"))
    return events


def c9_two_verdicts_for_one_text() -> list[Event]:
    book = two()
    said(book, "n1", "0")
    book.refuse("n2", text="0")
    return book.finish()


def c9_forbidden_word_let_through() -> list[Event]:
    events = calm()
    for at in places(events, kinds.Handed):
        data: Any = events[at].data
        if data.facts.censored_by:
            facts = msgspec.structs.replace(data.facts, text="oh darn it")
            events = edited(events, at, facts=facts)
    return events


def c9_a_disguise_is_let_through() -> list[Event]:
    book = two()
    said(book, "n1", "oh D.4.r.n it")
    return book.finish()


def c9_plain_words_are_refused() -> list[Event]:
    book = two()
    book.refuse("n1", text="what darnings are")
    return book.finish()


def censored_as(text: str) -> list[Event]:
    """What became of `oh darn it`, wherever it is told."""
    events = calm()
    for at in places(events, kinds.Handed):
        data: Any = events[at].data
        if data.facts.censored_by:
            events = edited(events, at, facts=msgspec.structs.replace(data.facts, text=text))
    for at in places(events, kinds.Ok):
        told: Any = events[at].data
        if told.rules:
            events = edited(events, at, text=text)
    return events


def c9_a_letter_stays() -> list[Event]:
    return censored_as("oh ***n it")


def c9_a_letter_changes() -> list[Event]:
    return censored_as("ah **** it")


def c9_censored_to_another_length() -> list[Event]:
    return censored_as("oh * it")


def c9_censored_twice() -> list[Event]:
    book = two()
    said(book, "n1", "oh darn it")
    said(book, "n1", "oh **** it")
    events = book.finish()
    for at in places(events, kinds.Handed):
        data: Any = events[at].data
        if not data.facts.censored_by:
            facts = msgspec.structs.replace(data.facts, text="*", censored_by=("r",))
            events = edited(events, at, facts=facts)
    return events


def c10_no_fold() -> list[Event]:
    events = calm()
    return edited(events, last_final(events), timeline_again="00")


def c10_undo_forgets() -> list[Event]:
    events = calm()
    return edited(events, last_final(events), presence_back="00")


def c10_two_orders() -> list[Event]:
    events = calm()
    data: Any = events[last_final(events)].data
    return edited(events, last_final(events), causal=data.causal[::-1])


def c10_another_history_than_shown() -> list[Event]:
    events = calm()
    data: Any = events[last_final(events)].data
    return edited(events, last_final(events), arrivals=data.arrivals[::-1])


@pytest.mark.parametrize("case", cases_of(dict(globals())), ids=lambda case: case.__name__)
def test_a_bad_history_is_found_out(case: Case) -> None:
    broken(case)


def test_the_history_that_bad_ones_are_made_from_is_good() -> None:
    for single in SINGLE.values():
        verdict = single.check(calm())
        assert verdict.outcome == "pass", verdict
