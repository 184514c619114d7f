"""A trusted peer that lies about this node's own log, or says that a node is dead for good."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from domain.dot import LogId
from gossip.incarnation import NUMBER_MAX, token_of
from gossip.membership import LEAP_MAX, State
from gossip.packets import Line, Opinion, Packet, Push, Run, Same, Syn, SynAck
from gossip.wire import cluster_hash
from node.core.epochs import FORGED_MAX, RECOVER_MS, REFUTED
from node.core.interface import Acked
from tests.gossip.engines import Net
from tests.node.replicas import Node, settle
from tests.reliability.test_bounds import event

LIES = Random(1)


def told_by(peer: str, body: Syn | Same | SynAck | Push, number: int = 1) -> Packet:
    return Packet(1, cluster_hash("test"), peer, 1 << 10, number, body)


def claim(node: Node) -> Line:
    return Line("n1", node.replica.epoch, 1000, b"\xff" * 8, [])


def lie(node: Node, peer: str, *, answers: bool) -> None:
    """Claim more of the node's current log than it has, and answer every call with the same."""
    node.receive(told_by(peer, Syn(LIES.randbytes(16), 10**6, [claim(node)])))
    while answers and node.sent:
        sent, node.sent = node.sent, []
        for to, packet in sent:
            if to == peer and type(packet.body) is Syn:
                root = LIES.randbytes(16)
                body = SynAck(
                    token_of(packet.incarnation, packet.number),
                    root,
                    10**6,
                    [claim(node)],
                    [],
                    more=True,
                )
                node.receive(told_by(peer, body))


def held_ms(node: Node, peer: str, *, answers: bool, ms: int = 60_000) -> int:
    """How long commands were refused within this time, with a lie every 50 ms."""
    held = 0
    for at in range(ms // 50):
        lie(node, peer, answers=answers)
        before = node.is_("recovering")
        node.turn(ms=50)
        held += 50 * before
        if at % 20 == 0 and node.is_("running"):
            assert type(node.post(f"at {at}")) is Acked
    return held


def test_a_claim_with_nothing_behind_it_is_refuted_by_asking_twice_and_only_once() -> None:
    node = Node()
    node.post("mine")
    assert held_ms(node, "n2", answers=True) <= 100
    (_, opened) = node.said("epoch_opened")
    assert opened.fields["reason"] == REFUTED
    assert len(node.said("own_log_ahead")) == 1
    assert node.replica.frontier.claims_refused > 1000
    assert node.replica.frontier.missing == 0, "what it goes on to claim is forgotten"


def test_a_peer_that_claims_and_says_no_more_holds_commands_for_one_bounded_time_a_life() -> None:
    node = Node()
    node.post("mine")
    assert held_ms(node, "n2", answers=False) <= RECOVER_MS
    assert held_ms(node, "n2", answers=False) == held_ms(node, "n3", answers=False) == 0
    assert len(node.said("epoch_opened")) == 2
    again = node.restarted()
    assert held_ms(again, "n3", answers=False) <= RECOVER_MS


def test_forged_entries_of_the_own_log_open_a_new_epoch_and_hold_nothing_once_time_is_up() -> None:
    node = Node(seed=1)
    forger = Node(seed=1)  # draws the same epochs: its entries are what a forger would make
    forger.post("forged")
    assert held_ms(node, "n2", answers=False) <= RECOVER_MS
    stolen = Node(records=forger.journal)
    stolen.post("one more")
    epoch = stolen.replica.epoch
    node.replica._emitter.own.open(epoch)  # the node has just opened the log that is forged
    runs = [
        Run("n1", epoch, 1, stolen.replica.engine.frontier.store.span(LogId("n1", epoch), 1, 2))
    ]
    node.receive(told_by("n3", Push(runs, direct=True)))
    assert node.is_("running")
    assert node.replica.epoch != epoch
    assert type(node.post("mine")) is Acked


def test_an_honest_peer_is_still_believed_after_a_liar_was_found_out() -> None:
    old, two = Node("n1", ("n2", "n3")), Node("n2", ("n1", "n3"))
    old.post("before")
    settle(old, two, ms=500)
    backup = list(old.journal)
    old.post("after")
    settle(old, two, ms=500)
    one = Node("n1", ("n2", "n3"), records=backup, seed=2, start=2)
    one.sent.clear()
    lie(one, "n3", answers=True)
    settle(one, two)
    assert one.texts == ["before", "after"]
    assert type(one.post("new")) is Acked
    settle(one, two)
    assert two.replica.frontier.forked == []
    assert one.replica.root == two.replica.root


def test_nobody_can_be_called_dead_for_good() -> None:
    """n3 says it of n1, to n2, in ever higher incarnations, and in the last one of all."""
    net = Net("n1", "n2", "n3")
    liar = net.engines["n3"]
    number = 1000
    for at in range(40):
        known = net["n2"].members.get("n1")
        assert known is not None
        for height in (NUMBER_MAX, NUMBER_MAX - 1, known.incarnation + LEAP_MAX):
            number += 1
            for to, who in (("n2", "n1"), ("n1", "n1")):
                body = Syn(bytes(16), 1, members=[Opinion(who, State.DEAD, height)])
                packet = Packet(1, 0xC0FFEE, "n3", liar.members.incarnation, number, body)
                net[to].receive(packet, net.now_ms)
        if at < 20:
            net.run(500)
    net.run(10_000)
    known = net["n2"].members.get("n1")
    assert known is not None
    assert known.state is State.ALIVE
    assert net["n1"].members.incarnation < NUMBER_MAX // 2


# --- how many epochs that can cost ---------------------------------------------------------------


def told_of(node: Node, seq: int, branch: str) -> Push:
    """A forged entry of the node's current log."""
    epoch = node.replica.epoch
    return Push([Run("n1", epoch, seq, [event("n1", epoch, seq, text=branch)])], direct=True)


@given(st.lists(st.sampled_from(["claim", "settle", "wait", "post", "n3 claims"]), max_size=60))
def test_whatever_is_claimed_and_settled_opens_one_epoch_in_a_life(steps: list[str]) -> None:
    node = Node()
    node.post("mine")
    for step in steps:
        if step == "claim":
            lie(node, "n2", answers=False)
        elif step == "n3 claims":
            lie(node, "n3", answers=False)
        elif step == "settle":
            node.receive(told_by("n2", Syn(node.replica.frontier.root, 10**6)))
        elif step == "post":
            node.post("more")
        node.turn(ms=50 if step == "wait" else 0)
    assert len(node.said("epoch_opened")) <= 2, "the first is that of the new log"
    assert len(node.said("own_log_ahead")) <= 1
    node.turn(ms=RECOVER_MS)
    assert type(node.post("still here")) is Acked


@given(st.lists(st.sampled_from(["above", "far", "rival", "claim", "post", "wait"]), max_size=80))
def test_whatever_is_forged_opens_a_bounded_number_of_epochs_and_holds_nothing_up(
    steps: list[str],
) -> None:
    node = Node()
    node.post("mine")
    for number, step in enumerate(steps):
        seq = node.replica._emitter.own.seq
        if step == "above":
            node.receive(told_by("n3", told_of(node, seq + 1, f"forged {number}")))
        elif step == "far":
            node.receive(told_by("n3", told_of(node, seq + 3, f"forged {number}")))
        elif step == "rival" and seq:
            node.receive(told_by("n3", told_of(node, seq, f"forged {number}")))
        elif step == "claim":
            lie(node, "n3", answers=False)
        elif step == "post":
            node.post("more")
        node.turn(ms=500 if step == "wait" else 0)
    assert len(node.said("epoch_opened")) <= 2 + FORGED_MAX
    node.turn(ms=RECOVER_MS)
    for text in ("one", "two"):
        assert type(node.post(text)) is Acked
    assert node.texts[-2:] == ["one", "two"]
    again = node.restarted()
    assert again.replica.root == node.replica.root


def test_a_flood_of_forged_entries_ends_in_a_forked_log_that_goes_on() -> None:
    node = Node()
    node.post("mine")
    node.turn(ms=RECOVER_MS)
    for number in range(200):
        node.post(f"{number}")
        node.receive(told_by("n3", told_of(node, node.replica._emitter.own.seq, f"f {number}")))
        node.turn(ms=100)
    assert len(node.said("epoch_opened")) <= 2 + FORGED_MAX
    assert sum(text.isdigit() for text in node.texts) == 200 - node.replica.counters["unmet"]
    assert node.replica.frontier.forked == ["n1"]
