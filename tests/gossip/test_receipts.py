"""Receipts: who is told what is durable where, and when."""

from collections.abc import Iterable

from domain.dot import LogId
from gossip.entry import Entry
from gossip.packets import STORED_PER_PACKET_MAX, Stored
from gossip.receipts import Receipts
from tests.gossip.builders import chain, holding

N1, N2 = LogId("n1", 1), LogId("n2", 9)
WRITTEN = chain("n1", 5)


def receipts_of(*held: Iterable[Entry]) -> Receipts:
    """Of a node that holds n1's first five entries, or other ones."""
    return Receipts(holding(*held or (WRITTEN,)))


def stored(prefix: int) -> Stored:
    """A word about these five."""
    return Stored("n1", 1, prefix, WRITTEN[prefix - 1].tag)


def test_an_origin_that_waits_is_told_as_the_prefix_grows_and_not_again() -> None:
    receipts = receipts_of()
    receipts.owe(N1, 3)
    assert receipts.take_due() == {}
    receipts.durable(N1, 1)
    receipts.durable(N1, 3)
    assert receipts.take_due() == {"n1": [stored(1)]}
    assert receipts.take_due() == {}
    receipts.durable(N1, 2)
    assert receipts.take_due() == {"n1": [stored(3)]}
    receipts.durable(N1, 4)
    assert receipts.take_due() == {}, "nobody waits any more"


def test_who_waits_is_not_told_what_it_has_heard_before() -> None:
    receipts = receipts_of()
    receipts.durable(N1, 1)
    receipts.owe(N1, 2)
    assert receipts.take_due() == {}, "2 is on its way to the disk, and 1 was told"
    receipts.durable(N1, 2)
    assert receipts.take_due() == {"n1": [stored(2)]}


def test_what_is_durable_behind_a_gap_is_no_prefix_to_tell() -> None:
    receipts = receipts_of()
    receipts.owe(N1, 3)
    receipts.durable(N1, 3)
    assert receipts.take_due() == {}


def test_what_was_durable_before_anybody_asked_is_told_at_once() -> None:
    receipts = receipts_of()
    for seq in (1, 2, 3):
        receipts.durable(N1, seq)
    receipts.owe(N1, 2)
    assert receipts.take_due() == {"n1": [stored(3)]}


def test_the_answer_to_a_question_names_all_that_is_durable_of_its_origin() -> None:
    others = [chain("n1", 1, epoch=epoch) for epoch in range(10, 10 + 2 * STORED_PER_PACKET_MAX)]
    receipts = receipts_of(WRITTEN, chain("n2", 1, epoch=9), *others)
    receipts.durable(N1, 1)
    receipts.durable(N2, 1)
    receipts.durable(LogId("n1", 2), 7)
    assert receipts.stored_of("n1") == [stored(1)], "no prefix, nothing to say"
    for epoch in range(10, 10 + 2 * STORED_PER_PACKET_MAX):
        receipts.durable(LogId("n1", epoch), 1)
    told = receipts.stored_of("n1")
    assert len(told) == STORED_PER_PACKET_MAX
    assert told[-1].epoch == 9 + 2 * STORED_PER_PACKET_MAX


def test_a_peers_word_only_rises_and_copies_are_counted_by_peer() -> None:
    receipts = receipts_of()
    assert receipts.copies(N1, 1) == 0
    receipts.receive("n2", stored(5))
    receipts.receive("n2", stored(3))
    receipts.receive("n3", stored(4))
    assert [receipts.copies(N1, seq) for seq in (3, 4, 5, 6)] == [2, 2, 1, 0]
    assert receipts.copies(LogId("n1", 2), 1) == 0


def test_a_range_that_is_durable_is_every_position_in_it() -> None:
    receipts = receipts_of()
    receipts.durable(N1, 2, 5)
    assert receipts.stored_of("n1") == []
    receipts.durable(N1, 1)
    assert receipts.stored_of("n1") == [stored(5)]


def test_a_log_with_two_histories_is_not_vouched_for() -> None:
    """What is durable is counted by position, and a position no longer says which branch."""
    rival = chain("n1", 1, after=WRITTEN[3], branch="b")
    receipts = receipts_of(WRITTEN, rival)
    receipts.owe(N1, 5)
    receipts.durable(N1, 1, 5)
    assert receipts.take_due() == {}
    assert receipts.stored_of("n1") == []


def test_nothing_is_told_until_the_nodes_past_is_durable() -> None:
    receipts = receipts_of()
    receipts.vouched = False
    receipts.owe(N1, 2)
    receipts.durable(N1, 1, 2)
    assert receipts.touched
    assert receipts.take_due() == {}
    assert receipts.stored_of("n1") == []
    receipts.vouched = True
    assert receipts.take_due() == {"n1": [stored(2)]}, "it was not forgotten"
    assert receipts.stored_of("n1") == [stored(2)]
