"""The exchange, leg by leg, and what a few engines make of it together."""

import pytest

from gossip.config import GossipConfig
from gossip.incarnation import NUMBER_MAX, token_of
from gossip.packets import (
    Ack,
    Feedback,
    Push,
    Receipt,
    Same,
    Stored,
    Syn,
)
from gossip.wire import decode
from tests.gossip.builders import chain, entry
from tests.gossip.engines import Flying, Net, kinds, run_of, sent_by

SMALL = GossipConfig(delta_bytes_max=144 * 1024)
RUMORS = GossipConfig(direct_peers_max=0)


# --- legs -----------------------------------------------------------------------------------------


def test_equal_roots_are_proved_in_two_packets() -> None:
    net = Net("n1", "n2")
    net.hold("n1", chain("n3", 5))
    net.hold("n2", chain("n3", 5))
    net.call("n1", "n2")
    assert kinds(net.settle()) == ["Syn", "Same"]
    assert net["n1"].rounds.agrees("n2", net["n1"].frontier.root)
    assert net["n2"].rounds.agrees("n1", net["n2"].frontier.root)
    assert net["n1"].exchanges["n2"] == 1


def test_a_late_answer_to_an_earlier_life_is_none_to_this_one() -> None:
    """The same numbers, the same peer, the same root: only the start tells the two apart."""
    before = Net("n1", "n2", start=1)
    before.call("n1", "n2")
    before.deliver()
    late = before.drop()
    now = Net("n1", "n2", start=2)
    now.call("n1", "n2")
    assert (kinds([late]), now.flying[0].packet.number) == (["Same"], 1)
    now.arrive(late)
    assert now["n1"].exchanges["n2"] == 0
    assert not now["n1"].rounds.agrees("n2", now["n1"].frontier.root)
    assert kinds(now.settle()) == ["Syn", "Same"]
    assert now["n1"].exchanges["n2"] == 1


def test_late_feedback_to_an_earlier_life_cools_no_rumor() -> None:
    config = GossipConfig(direct_peers_max=0, rumor_k=1)
    before, now = (Net("n1", "n2", config=config, start=start) for start in (1, 2))
    for net in (before, now):
        net.emit("n1")
    before.arrive(before.flying[0])
    before.deliver()  # told twice, it says that it knows
    late = next(one for one in reversed(before.flying) if one.sender == "n2")
    assert late.packet.body == Feedback(token_of(1024, 1), [False])
    now.arrive(late)
    assert len(now["n1"].rumors) == 1
    now.arrive(Flying("n2", "n1", sent_by("n2", Feedback(token_of(2048, 1), [False]))))
    assert len(now["n1"].rumors) == 0


def test_a_token_stays_a_number_that_can_be_sent() -> None:
    largest = token_of(NUMBER_MAX, NUMBER_MAX)
    assert largest == NUMBER_MAX
    assert decode(sent_by("n2", Same(largest, bytes(16)))).body == Same(largest, bytes(16))


@pytest.mark.parametrize("history", [10, 100_000])
def test_an_exchange_in_sync_costs_at_most_100_bytes_whatever_the_history(history: int) -> None:
    net = Net("n1", "n2", start=1000)
    entries = chain("n3", history)
    net.hold("n1", entries)
    net.hold("n2", entries)
    for _ in range(3):  # the first may say more, for it does not know yet what to expect
        net.call("n1", "n2")
        flown = net.settle()
    assert kinds(flown) == ["Syn", "Same"]
    assert sum(len(one.data) for one in flown) <= 100


def test_lines_said_at_once_save_a_leg_and_both_sides_get_what_they_lack() -> None:
    net = Net("n1", "n2")
    net.hold("n1", chain("n3", 4))
    net.hold("n2", chain("n4", 3))
    net.call("n1", "n2")
    assert kinds(net.settle()) == ["Syn", "SynAck", "Ack"]
    assert net.agreed
    assert [str(one.value) for one in net.learnt["n1"]] == ["n4.1:1", "n4.1:2", "n4.1:3"]
    assert len(net.learnt["n2"]) == 4


def test_a_root_alone_that_differs_takes_one_leg_more() -> None:
    net = Net("n1", "n2")
    net.call("n1", "n2")
    net.settle()  # both empty: agreed
    net.hold("n2", chain("n4", 3))
    net.call("n1", "n2")
    flown = net.settle()
    assert kinds(flown) == ["Syn", "SynAck", "Ack", "Ack"]
    assert type(flown[0].packet.body) is Syn
    assert flown[0].packet.body.lines is None
    assert net.agreed


def test_nothing_to_answer_ends_with_the_second_leg() -> None:
    net = Net("n1", "n2")
    net.hold("n2", chain("n4", 3))
    net.call("n1", "n2")
    assert kinds(net.settle()) == ["Syn", "SynAck"]
    assert net.agreed


def test_an_ack_with_lines_that_lack_nothing_is_not_answered() -> None:
    net = Net("n1", "n2")
    net.call("n1", "n2")
    net.settle()
    net.hold("n1", chain("n4", 3))
    net["n1"].rounds.calm = True  # it expects agreement, and so says the root alone
    net.call("n1", "n2")
    assert kinds(net.settle()) == ["Syn", "SynAck", "Ack"]
    assert net.agreed


def test_a_backlog_above_the_budget_is_fetched_leg_after_leg_without_waiting() -> None:
    net = Net("n1", "n2", config=SMALL)
    net.hold("n2", chain("n3", 500, size=1000))
    net.call("n1", "n2")
    flown = net.settle()
    assert net.agreed
    assert kinds(flown).count("Syn") == 4
    assert max(len(one.data) for one in flown) < 148 * 1024


def test_a_backlog_of_the_caller_is_fetched_by_the_responder() -> None:
    net = Net("n1", "n2", config=SMALL)
    net.hold("n1", chain("n3", 300, size=1000))
    net.call("n1", "n2")
    net.settle()
    assert net.agreed


def test_who_fetches_a_backlog_is_not_sent_it_by_another_way_too() -> None:
    net = Net("n1", "n2", config=SMALL)
    net.hold("n1", chain("n3", 300, size=1000))
    net.call("n2", "n1")
    net.deliver()  # n1 has answered, and said that there is more
    net.call("n1", "n2")
    net.settle()
    assert net.agreed
    assert net["n2"].counters["entries_duplicate"] == 0


def test_who_stops_fetching_a_backlog_is_sent_it_after_a_while() -> None:
    net = Net("n1", "n2", config=SMALL)
    net.hold("n1", chain("n3", 300, size=1000))
    net.call("n2", "n1")
    net.deliver()
    net.flying.clear()  # the answer is lost, and its caller says nothing for a while
    net.call("n1", "n2")
    net.settle()
    assert not net.learnt["n2"]
    net.tick(SMALL.exchange_timeout_ms, "n2")
    net.flying.clear()  # lost again
    net.call("n1", "n2")
    net.settle()
    assert net.learnt["n2"]


def test_more_is_not_asked_for_by_a_side_that_learnt_nothing() -> None:
    net = Net("n1", "n2")
    net.hold("n1", chain("n3", 2))
    ack = Ack(1, [], True)
    net.arrive(Flying("n2", "n1", sent_by("n2", ack)))
    assert not net.flying


def test_a_late_answer_teaches_and_is_not_answered() -> None:
    net = Net("n1", "n2")
    net.hold("n1", chain("n3", 2))
    net.hold("n2", chain("n4", 2))
    net.call("n1", "n2")
    net.deliver()
    answer = net.flying[0]
    net.settle()
    assert net.agreed
    net.arrive(answer)
    assert not net.flying
    assert net["n1"].counters["entries_duplicate"] == 2


def test_who_is_calm_and_hears_late_of_another_root_says_lines_in_the_next_call() -> None:
    """Where all answers are late, calls without lines would bring nothing for ever."""
    net = Net("n1", "n2")
    net.call("n1", "n2")
    net.settle()
    assert net["n1"].rounds.calm
    net.hold("n2", chain("n4", 2))
    net.call("n1", "n2")
    net.deliver()
    late = net.drop()
    assert kinds([late]) == ["SynAck"]
    net["n1"].rounds.expire(10_000)
    net.arrive(late)
    net.call("n1", "n2")
    (call,) = net.flying
    assert type(call.packet.body) is Syn
    assert call.packet.body.lines is not None


def test_a_same_for_another_exchange_proves_nothing() -> None:
    net = Net("n1", "n2")
    net.arrive(Flying("n2", "n1", sent_by("n2", Same(99, bytes(16)))))
    assert net["n1"].exchanges["n2"] == 0
    assert not net["n1"].rounds.calm


def test_what_is_new_between_the_legs_keeps_same_from_being_believed() -> None:
    net = Net("n1", "n2")
    net.call("n1", "n2")
    net.deliver()
    net.hold("n1", chain("n3", 1))
    net.settle()
    assert not net["n1"].rounds.calm
    assert net["n1"].counters["rounds_differed"] == 1


def test_a_peer_with_an_open_exchange_is_not_called_again() -> None:
    net = Net("n1", "n2")
    net.call("n1", "n2")
    net.call("n1", "n2")
    assert len(net.flying) == 1


# --- pushes ---------------------------------------------------------------------------------------


def test_own_entries_go_straight_to_all_in_one_packet() -> None:
    net = Net("n1", "n2", "n3")
    net.emit("n1", 3)
    flown = net.settle()
    assert kinds(flown) == ["Push", "Push"]
    assert flown[0].data == flown[1].data
    assert net.agreed
    assert net["n1"].counters["entries_sent"] == 6


def test_the_dead_are_spared_and_the_suspect_are_not() -> None:
    net = Net("n1", "n2", "n3")
    for _ in range(2):
        net["n1"].members.missed("n2", net.now_ms)
        net["n1"].members.missed("n3", net.now_ms)
    net["n1"].members.tick(net.now_ms + 10_000)
    net["n1"].members.heard("n3", 1, net.now_ms)
    net.emit("n1")
    assert [one.receiver for one in net.flying] == ["n3"]


def test_a_large_batch_becomes_packets_within_the_budget() -> None:
    net = Net("n1", "n2", config=SMALL)
    net.emit("n1", 300, size=1000)
    flown = net.settle()
    assert len(flown) == 3
    assert all(len(one.data) <= 145 * 1024 for one in flown)
    assert net.agreed


def test_rumors_spread_from_peer_to_peer_and_cool() -> None:
    names = [f"n{i}" for i in range(1, 13)]
    net = Net(*names, config=RUMORS)
    net.emit("n1", 2)
    net.run(3000, until=lambda: net.agreed and not any(net[name].rumors for name in names))
    assert net.agreed
    assert not any(net[name].rumors for name in names)
    first = net.learnt["n2"][0]
    assert first.entry.dot.origin == "n1"


def test_a_rumor_is_answered_by_what_it_was_good_for() -> None:
    net = Net("n1", "n2", config=RUMORS)
    net.emit("n1")
    push, feedback = net.settle()
    assert type(push.packet.body) is Push
    assert not push.packet.body.direct
    assert feedback.packet.body == Feedback(token_of(1024, push.packet.number), [True])


def test_where_own_news_goes_straight_to_all_nobody_passes_a_rumor_on() -> None:
    """Or one peer makes each node send all that it says to all the others, time and again."""
    net = Net("n1", "n2", "n3")
    rumor = Push([run_of(*chain("n2", 3, size=60_000))], direct=False)
    net.arrive(Flying("n2", "n1", sent_by("n2", rumor)))
    assert kinds(net.settle()) == ["Feedback"]
    assert len(net.learnt["n1"]) == 3
    for _ in range(10):
        net.tick(50, "n1")
        assert "Push" not in kinds(list(net.flying))
        net.flying.clear()


# --- receipts -------------------------------------------------------------------------------------


def test_a_push_that_asks_is_answered_once_the_entry_is_durable_there() -> None:
    net = Net("n1", "n2")
    net.emit("n1", receipt=True)
    net.settle()
    log = net.logs["n1"][0].dot.log
    net["n2"].receipts.durable(log, 1)
    net.flush("n2")
    assert kinds(net.settle()) == ["Receipt"]
    assert net["n1"].receipts.copies(log, 1) == 1


def test_a_lost_receipt_is_told_in_the_answer_to_a_syn_that_asks() -> None:
    net = Net("n1", "n2")
    net.emit("n1")
    net.settle()
    log = net.logs["n1"][0].dot.log
    net["n2"].receipts.durable(log, 1)
    net["n1"].awaits_receipts = True
    net.call("n1", "n2")
    net.settle()
    assert net["n1"].receipts.copies(log, 1) == 1
    net.hold("n2", chain("n9", 1))
    net.emit("n1")
    net.flying.clear()
    net.hold("n2", net.logs["n1"][1:])
    net["n2"].receipts.durable(log, 2)
    net.call("n1", "n2")
    net.settle()
    assert net["n1"].receipts.copies(log, 2) == 1, "a SynAck tells it, too"


def test_a_push_relayed_for_a_stranger_owes_nothing() -> None:
    net = Net("n1", "n2")
    one = entry("x", 1)
    net.arrive(Flying("n2", "n1", sent_by("n2", Push([run_of(one)], False, True))))
    net["n1"].receipts.durable(one.dot.log, 1)
    assert [type(p.body) for _, p in net["n1"].flush()] == []
    assert len(net.learnt["n1"]) == 1


def test_a_receipt_for_an_origin_that_is_no_peer_goes_nowhere() -> None:
    net = Net("n1", "n2")
    one = entry("x", 1)
    log = one.dot.log
    net.hold("n1", [one])
    net["n1"].receipts.owe(log, 1)
    net["n1"].receipts.durable(log, 1)
    assert net["n1"].flush() == []


def test_a_receipt_about_what_the_log_was_before_an_older_copy_came_back_is_no_copy() -> None:
    """The peer holds three entries; the origin has lost two of them, and has written another."""
    net = Net("n1", "n2")
    old = chain("n1", 3)
    net.hold("n1", old[:1])
    log = old[0].dot.log
    ahead, other = (Stored("n1", 1, one.dot.seq, one.tag) for one in (old[2], old[1]))
    net.arrive(Flying("n2", "n1", sent_by("n2", Receipt([ahead]))))
    held = net["n1"].frontier.get(log)
    assert held is not None and held.claimed == 3, "it is known that more exists"
    net.hold("n1", chain("n1", 1, after=old[0], branch="b"))
    net.arrive(Flying("n2", "n1", sent_by("n2", Receipt([other]))))
    assert held.disputed, "and that it is another history"
    assert [net["n1"].receipts.copies(log, seq) for seq in (1, 2, 3)] == [0, 0, 0]


def test_a_receipt_about_a_log_that_is_known_to_be_forked_is_no_copy() -> None:
    """Its head is held here, for the old branch came back: it says nothing of the new branch."""
    net = Net("n1", "n2")
    old = chain("n1", 3)
    log = old[0].dot.log
    net.hold("n1", old[:1])
    net.hold("n1", chain("n1", 1, after=old[0], branch="b"))
    net.hold("n1", old[1:])
    held = net["n1"].frontier.get(log)
    assert held is not None and held.forked and held.prefix == 3
    told = Stored("n1", 1, 3, old[2].tag)
    assert net["n1"].frontier.head_at(held, told.prefix) == told.head
    net.arrive(Flying("n2", "n1", sent_by("n2", Receipt([told]))))
    assert [net["n1"].receipts.copies(log, seq) for seq in (1, 2, 3)] == [0, 0, 0]


def test_a_receipt_about_somebody_elses_log_is_ignored() -> None:
    net = Net("n1", "n2")
    net.arrive(Flying("n2", "n1", sent_by("n2", Receipt([Stored("x", 1, 9, b"tag")]))))
    assert net["n1"].receipts.copies(entry("x", 1).dot.log, 1) == 0


def test_what_is_new_of_logs_that_configured_nodes_write_in_is_counted() -> None:
    net = Net("n1", "n2")
    written, old, strange = chain("n1", 3), chain("n1", 2, epoch=7), chain("x", 2)
    net["n2"].frontier.places.write(written[0].dot.log)
    runs = [run_of(*old), run_of(*strange), run_of(*written)]
    for _ in range(2):
        net.arrive(Flying("n1", "n2", sent_by("n1", Push(runs, direct=True))))
    assert net["n2"].counters["entries_new"] == 7
    assert net["n2"].counters["entries_current"] == 3


def test_hot_rumors_wake_the_node() -> None:
    net = Net("n1", "n2", config=GossipConfig(direct_peers_max=0, rumor_ms=7))
    net.emit("n1")
    net.tick(0, "n1")
    assert net["n1"].wake_at_ms <= net.now_ms + 7
