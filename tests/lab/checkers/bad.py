"""What known-bad histories are made from, by hand, and how they are looked at."""

from collections.abc import Callable
from typing import Any

from lab.checkers import SINGLE, Thresholds, Verdict
from lab.trace import kinds
from lab.trace.trace import Event
from tests.lab.checkers.edits import edited, places
from tests.lab.checkers.histories import Book

Case = Callable[[], list[Event]]


def two(**options: Any) -> Book:
    book = Book("n1", "n2", **options)
    for name in book.nodes:
        book.boot(name)
        book.sync(name)
    return book


def said(book: Book, name: str, text: str = "hello") -> str:
    ref = book.post(name, text)
    book.sync(name)
    return ref


def shared(book: Book, source: str, target: str) -> None:
    book.carry(source, target)
    book.sync(target)


def calm() -> list[Event]:
    """A good history with a bit of everything."""
    book = two()
    said(book, "n1", "")
    shared(book, "n1", "n2")
    said(book, "n2", "0")
    shared(book, "n2", "n1")
    book.read("n1")
    said(book, "n1", "oh darn it")
    book.read("n1")
    book.refuse("n2")
    return book.finish()


def last_final(events: list[Event], node: str = "n2") -> int:
    return places(events, kinds.Final, node)[-1]


def lacking(events: list[Event], node: str, ref: str) -> list[Event]:
    """At the end this node has not got it."""
    at = last_final(events, node)
    data: Any = events[at].data
    kept = tuple([one for one in data.arrivals if one != ref])
    causal = tuple([one for one in data.causal if one != ref])
    return edited(events, at, arrivals=kept, causal=causal)


def first_of(events: list[Event], kind: type, node: str = "") -> Any:
    return events[places(events, kind, node)[0]].data


def first_seen(event: Event) -> bool:
    data: Any = event.data
    return bool(data.seen)


def cases_of(module: dict[str, Any]) -> list[Case]:
    """Those that are named after a checker."""
    return [value for name, value in module.items() if name[0] == "c" and name[1].isdigit()]


def broken(case: Case, limits: Thresholds | None = None) -> Verdict:
    events = case()
    rule = case.__name__.partition("_")[0].upper()
    verdict = SINGLE[rule].check(events, limits)
    assert verdict.outcome == "fail", verdict
    assert verdict.witnesses, verdict
    assert all(0 <= one < len(events) for one in verdict.witnesses), verdict
    return verdict


def verdict_of(rule: str, events: list[Event], limits: Thresholds | None = None) -> Verdict:
    verdict = SINGLE[rule].check(events, limits)
    assert bool(verdict.witnesses) == (verdict.outcome == "fail"), verdict
    assert all(0 <= one < len(events) for one in verdict.witnesses), verdict
    return verdict


def outcome(rule: str, events: list[Event], limits: Thresholds | None = None) -> str:
    return verdict_of(rule, events, limits).outcome
