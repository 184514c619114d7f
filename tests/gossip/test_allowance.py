"""What one peer makes a node compare, in all its packets, is bounded and costs nobody else."""

from hypothesis import given
from hypothesis import strategies as st

from gossip.allowance import BYTES_PER_MS, PACKET_BYTES, SAVED_BYTES_MAX, Allowance
from gossip.packets import Ack, Line, Run, Same, Syn, SynAck, Unfold
from tests.gossip.builders import chain
from tests.gossip.engines import Flying, Net, sent_by

ROOT = bytes(16)
BOGUS = Syn(ROOT, 0, [Line("n1", 1, 1, b"bogustag", [])])


def say(net: Net, body: Syn | SynAck | Ack | Unfold, sender: str = "n2") -> list[str]:
    """The kinds of what n1 answers."""
    net.arrive(Flying(sender, "n1", sent_by(sender, body)))
    answers = [type(one.packet.body).__name__ for one in net.flying if one.receiver == sender]
    net.flying.clear()
    return answers


def exhausted() -> Net:
    """n2 has used up what it may make n1 compare."""
    net = Net("n1", "n2", "n3")
    net.hold("n1", chain("n1", 50))
    for _ in range(SAVED_BYTES_MAX // PACKET_BYTES + 1):
        say(net, BOGUS)
    assert say(net, BOGUS) == []
    return net


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 4_000_000)), max_size=60))
def test_over_any_time_a_peer_gets_what_was_saved_up_what_grew_and_one_more(
    asked: list[tuple[int, int]],
) -> None:
    allowance = Allowance(["n2", "n3"])
    now_ms = spent = largest = 0
    for wait_ms, work in asked:
        now_ms += wait_ms
        if allowance.grants("n2", now_ms):
            allowance.spend("n2", work)
            spent += PACKET_BYTES + work
            largest = max(largest, PACKET_BYTES + work)
    assert spent <= SAVED_BYTES_MAX + now_ms * BYTES_PER_MS + largest
    assert allowance.grants("n3", now_ms)


def test_who_asks_without_a_pause_is_not_compared_for_a_while_and_others_are() -> None:
    net = exhausted()
    assert net["n1"].counters["comparisons_refused"] >= 1
    assert say(net, BOGUS, "n3") == ["SynAck"]
    net.now_ms += 1 + PACKET_BYTES // BYTES_PER_MS
    assert say(net, BOGUS) == ["SynAck"]


def test_equal_roots_are_answered_all_the_same() -> None:
    net = exhausted()
    assert say(net, Syn(net["n1"].frontier.root, 0)) == [Same.__name__]


def test_entries_are_taken_in_all_the_same() -> None:
    net = exhausted()
    one, two, three, four = chain("n2", 4)
    say(net, SynAck(1, ROOT, 0, [], [Run("n2", 1, 1, [one.data])], more=False))
    say(net, Ack(1, [Run("n2", 1, 2, [two.data])], more=False, lines=[]))
    say(net, Ack(1, [Run("n2", 1, 3, [three.data])], more=False))
    say(net, Unfold(1, [Run("n2", 1, 4, [four.data])], False, [], [], 0, 1))
    assert [one.entry.dot.seq for one in net.learnt["n1"]] == [1, 2, 3, 4]
    assert net["n1"].counters["comparisons_refused"] >= 4


def test_an_answer_that_is_not_compared_still_ends_its_exchange() -> None:
    net = exhausted()
    net.call("n1", "n2")
    syn = net.flying.pop().packet
    assert net["n1"].rounds.busy("n2")
    token = syn.number << 8 | 1
    say(net, SynAck(token, ROOT, 0, [], [], more=False))
    assert not net["n1"].rounds.busy("n2")
