"""Promises end once each: kept in record order, or overdue in the order of their deadlines."""

from random import Random

import pytest

from domain.dot import Dot
from node.core.interface import Acked, Unmet
from node.core.pending_acks import Answer, PendingAck, PendingAcks
from node.core.ports import AckLevel


def promise(ticket: int, deadline_ms: int, level: AckLevel = AckLevel.DURABLE) -> PendingAck:
    copies = 1 if level is AckLevel.REPLICATED else 0
    return PendingAck(ticket, ticket, Dot("n1", 7, ticket), level, copies, deadline_ms, "", ())


def tickets(answers: list[Answer]) -> list[int]:
    return [ticket for ticket, _ in answers]


@pytest.mark.parametrize("seed", range(20))
def test_deadlines_are_those_of_the_promises_that_are_open(seed: int) -> None:
    """Against a plain table, with timeouts of all lengths and the journal going on now and then."""
    rng, promises, table = Random(seed), PendingAcks(), dict[int, int]()
    now_ms = durable = 0
    for ticket in range(1, 400):
        deadline_ms = now_ms + rng.choice((50, 50, 50, 7, 400))
        promises.add(promise(ticket, deadline_ms))
        table[ticket] = deadline_ms
        if rng.random() < 0.3:
            durable = rng.randint(durable, ticket)
            kept = tickets(promises.reached(durable, durable, lambda _: 0))
            assert kept == [one for one in table if one <= durable]
            for one in kept:
                del table[one]
        now_ms += rng.randrange(6)
        late = sorted((at_ms, one) for one, at_ms in table.items() if at_ms <= now_ms)
        assert tickets(promises.overdue(now_ms)) == [one for _, one in late]
        for _, one in late:
            del table[one]
        assert promises.wake_at_ms == min(table.values(), default=None)
        assert len(promises) == len(table)
    assert promises._noted == sum(map(len, promises._due.values()))


def test_what_is_closed_is_not_remembered_for_its_deadline() -> None:
    promises = PendingAcks()
    promises.add(promise(1, 10**9, AckLevel.REPLICATED))  # stays open, with the last deadline
    for ticket in range(2, 5000):
        promises.add(promise(ticket, 10**8))
        promises.reached(ticket, ticket, lambda _: 0)
    assert promises._noted < 100
    assert promises.wake_at_ms == 10**9


def test_an_overdue_promise_says_what_was_not_reached_and_is_never_kept() -> None:
    promises = PendingAcks()
    promises.add(promise(1, 5))
    promises.add(promise(2, 5, AckLevel.REPLICATED))
    answers = promises.overdue(5)
    assert [type(outcome) for _, outcome in answers] == [Unmet, Unmet]
    reasons = [outcome.reason for _, outcome in answers if type(outcome) is Unmet]
    assert reasons == [
        "not durable in time; it may still become so",
        "not durable on 1 other nodes in time; it may still be",
    ]
    assert promises.reached(2, 2, lambda _: 1) == []
    assert not any(type(outcome) is Acked for _, outcome in answers)
