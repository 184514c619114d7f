"""A trusted peer that lies about this node's own log, or says that a node is dead for good."""

from random import Random

from domain.dot import LogId
from gossip.incarnation import NUMBER_MAX, token_of
from gossip.membership import LEAP_MAX, State
from gossip.packets import Line, Opinion, Packet, Push, Run, Same, Syn, SynAck
from gossip.wire import cluster_hash
from node.epochs import RECOVER_MS, REFUTED
from node.turn import Acked
from tests.gossip.engines import Net
from tests.node.replicas import Node, settle

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
