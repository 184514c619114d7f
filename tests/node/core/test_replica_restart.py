"""What a replica knows after a restart, and how it keeps its identity."""

import pytest

from gossip.packets import Syn, SynAck, without_runs
from node.core.interface import Acked, Unmet
from node.core.ports import AckLevel, Durability, EpochRecord
from tests.node.replicas import WALL_MS, Node, exchange, settle

# --- the past -------------------------------------------------------------------------------------


@pytest.mark.parametrize("durability", ["always", "interval", "none"])
def test_a_restart_knows_everything_and_goes_on_in_the_same_log(durability: Durability) -> None:
    one, two = Node("n1", ("n2",), durability=durability), Node("n2", ("n1",))
    one.join("ana")
    one.post("hello", ack=AckLevel.WRITTEN)  # type: ignore[arg-type]
    two.post("hi", author="bea")
    settle(one, two)
    again = one.restarted()
    for name in ("timeline", "presence", "quiet"):
        before = getattr(one.replica, name).fingerprint()
        assert getattr(again.replica, name).fingerprint() == before
    assert again.texts == one.texts
    assert again.replica.root == one.replica.root
    assert again.replica.epoch == one.replica.epoch
    assert again.journal == one.journal
    acked = again.post("again", ack=AckLevel.WRITTEN)  # type: ignore[arg-type]
    assert type(acked) is Acked
    assert acked.dot.seq == 3
    stamps = [arrival.event.stamp for arrival in again.replica.timeline.select("arrival")]
    assert stamps[-1] == max(stamps)


def test_a_reason_for_a_new_epoch_opens_one_before_the_first_event() -> None:
    node = Node()
    node.post("old")
    again = node.restarted(must_open="tail repaired")
    assert again.replica.epoch != node.replica.epoch
    assert type(again.journal[-1]) is EpochRecord
    acked = again.post("new")
    assert type(acked) is Acked
    assert (acked.dot.epoch, acked.dot.seq) == (again.replica.epoch, 1)
    assert again.said("epoch_opened")[0].fields["reason"] == "tail repaired"


def test_the_first_event_of_a_new_epoch_names_the_head_of_the_old_one() -> None:
    node = Node()
    for text in ("a", "b"):
        node.post(text)
    again = node.restarted(must_open="tail repaired")
    for text in ("c", "d"):
        again.post(text)
    third, fourth = [a.event for a in again.replica.timeline.select("arrival")][2:]
    assert [(dot.epoch, dot.seq) for dot in third.parents] == [(node.replica.epoch, 2)]
    assert fourth.parents == ()


def test_own_events_of_a_closed_log_that_were_not_written_are_taken_back_quietly() -> None:
    old, two, one = restored_backup()
    one.persist = False
    one.write()
    one.post("lost")
    one.turn(ms=100)
    exchange(one, two)  # n2 proves that the log was longer: a new epoch is opened
    assert one.replica.epoch != old.replica.epoch
    one.fail()
    unmet = one.outcomes[1]
    assert type(unmet) is Unmet
    one.persist = True
    settle(one, two)
    assert type(one.post("new")) is Acked
    settle(one, two)
    assert one.replica.root == two.replica.root
    assert two.replica.frontier.forked == []


def test_a_hole_in_the_own_log_asks_for_a_new_epoch_even_if_the_journal_does_not() -> None:
    node = Node()
    for text in ("a", "b", "c"):
        node.post(text)
    del node.journal[2]
    again = node.restarted()
    assert again.replica.epoch != node.replica.epoch
    assert again.replica.frontier.missing == 1


def test_a_record_written_twice_counts_once() -> None:
    node = Node()
    node.post("hello")
    node.journal.append(node.journal[-1])
    again = node.restarted()
    assert again.texts == ["hello"]
    acked = again.post("next")
    assert type(acked) is Acked
    assert acked.dot.seq == 2


# --- identity -------------------------------------------------------------------------------------


def restored_backup() -> tuple[Node, Node, Node]:
    """n1 goes on from an old copy of its journal; n2 holds what came after the copy was made."""
    one, two = Node("n1", ("n2",)), Node("n2", ("n1",))
    one.post("before")
    settle(one, two, ms=500)
    backup = list(one.journal)
    one.post("after")
    settle(one, two, ms=500)
    return one, two, Node("n1", ("n2",), records=backup, seed=2, start=2)


def test_own_events_are_pulled_back_and_then_a_new_epoch_is_opened() -> None:
    old, two, one = restored_backup()
    assert one.replica.epoch == old.replica.epoch
    settle(one, two)
    assert one.texts == ["before", "after"]
    assert one.replica.epoch != old.replica.epoch
    assert one.said("own_log_ahead")
    assert one.is_("running")
    arrival = one.replica.timeline.select("arrival")[-1]
    assert arrival.via == "recovery"
    acked = one.post("new")
    assert type(acked) is Acked
    settle(one, two)
    assert two.replica.frontier.forked == []
    assert one.replica.root == two.replica.root


def test_no_command_is_taken_while_own_events_are_pulled_back_but_not_for_ever() -> None:
    old, two, one = restored_backup()
    one.turn(ms=100)
    two.sent.clear()
    two.receive(next(packet for _, packet in one.sent if type(packet.body) is Syn))
    answer = two.sent[0][1]
    assert type(answer.body) is SynAck
    one.receive(without_runs(answer))  # n2 says what it holds, and then it is gone
    assert one.is_("recovering")
    refused = one.post("now?")
    assert type(refused) is Unmet
    assert refused.code == "busy"
    assert one.replica.wake_at_ms <= one.now_ms + 5000
    one.turn(ms=5000)
    assert one.is_("running")
    assert one.replica.epoch != old.replica.epoch


def test_a_cloned_directory_forks_the_log_and_everybody_sees_it() -> None:
    one, two = Node("n1", ("n2",)), Node("n2", ("n1",))
    one.post("common")
    settle(one, two, ms=500)
    clone = Node("n1", ("n2",), records=list(one.journal), seed=2, start=2)
    one.post("original")
    clone.post("copy")
    settle(one, two)
    settle(clone, two)
    settle(one, two)
    for node in (one, clone, two):
        assert node.replica.frontier.forked == ["n1"]
        assert sorted(node.texts) == ["common", "copy", "original"]
        assert node.said("fork_found")
    assert one.replica.root == clone.replica.root == two.replica.root
    assert len({one.replica.epoch, clone.replica.epoch}) == 2


def test_time_that_it_was_down_is_no_silence() -> None:
    one = Node("n1", ())
    one.post("hello")
    one.turn(ms=2000)
    assert one.replica.quiet.is_quiet(WALL_MS + one.now_ms)
    again = one.restarted()
    quiet = again.replica.quiet
    assert quiet.quiet_for_ms(WALL_MS) == 0  # though the message came long before
    again.turn(ms=1999)
    assert not quiet.is_quiet(WALL_MS + again.now_ms)
    again.turn(ms=1)
    assert quiet.is_quiet(WALL_MS + again.now_ms)


def test_no_receipt_is_given_while_the_past_may_not_be_durable() -> None:
    """The journal could not write anew what it found. Reading and gossip go on, promises wait."""
    one, two = Node("n1", ("n2",)), Node("n2", ("n1",), durability="interval")
    one.post("hello")
    settle(one, two)
    two = two.restarted(unsynced=1)
    one = one.restarted()
    assert one.post("more", ack=AckLevel.REPLICATED, copies=1) is None  # type: ignore[arg-type]
    two.persist = False
    settle(one, two, ms=1000)
    assert two.texts == ["hello"]  # "more" waits for the disk
    assert one.outcomes == {}
    two.write()
    settle(one, two, ms=1000)
    assert two.texts == ["hello", "more"]
    assert type(one.outcomes[1]) is Acked
