"""Receipts: who is told what is durable where, and when."""

from domain.dot import LogId
from gossip.packets import Stored
from gossip.receipts import STORED_PER_PACKET_MAX, Receipts

N1, N2 = LogId("n1", 1), LogId("n2", 9)


def test_an_origin_that_waits_is_told_as_the_prefix_grows_and_not_again() -> None:
    receipts = Receipts()
    receipts.owe(N1, 3)
    assert receipts.due() == {}
    receipts.durable(N1, 1)
    receipts.durable(N1, 3)
    assert receipts.due() == {"n1": [Stored("n1", 1, 1)]}
    assert receipts.due() == {}
    receipts.durable(N1, 2)
    assert receipts.due() == {"n1": [Stored("n1", 1, 3)]}
    receipts.durable(N1, 4)
    assert receipts.due() == {}, "nobody waits any more"


def test_who_waits_is_not_told_what_it_has_heard_before() -> None:
    receipts = Receipts()
    receipts.durable(N1, 1)
    receipts.owe(N1, 2)
    assert receipts.due() == {}, "2 is on its way to the disk, and 1 was told"
    receipts.durable(N1, 2)
    assert receipts.due() == {"n1": [Stored("n1", 1, 2)]}


def test_what_is_durable_behind_a_gap_is_no_prefix_to_tell() -> None:
    receipts = Receipts()
    receipts.owe(N1, 3)
    receipts.durable(N1, 3)
    assert receipts.due() == {}


def test_what_was_durable_before_anybody_asked_is_told_at_once() -> None:
    receipts = Receipts()
    for seq in (1, 2, 3):
        receipts.durable(N1, seq)
    receipts.owe(N1, 2)
    assert receipts.due() == {"n1": [Stored("n1", 1, 3)]}


def test_the_answer_to_a_question_names_all_that_is_durable_of_its_origin() -> None:
    receipts = Receipts()
    receipts.durable(N1, 1)
    receipts.durable(N2, 1)
    receipts.durable(LogId("n1", 2), 7)
    assert receipts.stored_of("n1") == [Stored("n1", 1, 1)], "no prefix, nothing to say"
    for epoch in range(10, 10 + 2 * STORED_PER_PACKET_MAX):
        receipts.durable(LogId("n1", epoch), 1)
    told = receipts.stored_of("n1")
    assert len(told) == STORED_PER_PACKET_MAX
    assert told[-1].epoch == 9 + 2 * STORED_PER_PACKET_MAX


def test_a_peers_word_only_rises_and_copies_are_counted_by_peer() -> None:
    receipts = Receipts()
    assert receipts.copies(N1, 1) == 0
    receipts.told("n2", Stored("n1", 1, 5))
    receipts.told("n2", Stored("n1", 1, 3))
    receipts.told("n3", Stored("n1", 1, 4))
    assert [receipts.copies(N1, seq) for seq in (3, 4, 5, 6)] == [2, 2, 1, 0]
    assert receipts.copies(LogId("n1", 2), 1) == 0


def test_a_range_that_is_durable_is_every_position_in_it() -> None:
    receipts = Receipts()
    receipts.durable(N1, 2, 5)
    assert receipts.stored_of("n1") == []
    receipts.durable(N1, 1)
    assert receipts.stored_of("n1") == [Stored("n1", 1, 5)]
