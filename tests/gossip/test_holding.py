"""A node that cannot keep entries asks for none, and its peers send it none until it says so."""

import pytest

from gossip.config import GossipConfig
from gossip.packets import Ack, Push, Syn, SynAck, Unfold
from tests.gossip.builders import chain
from tests.gossip.engines import Flying, Net, kinds, sent_by

RUMORS = GossipConfig(direct_peers_max=0)
ROOT = bytes(16)


def runs_to(net: Net, name: str, ms: int) -> int:
    """How many packets with entries went to this node in this time. None of them arrives."""
    carried = 0

    def arrives(one: Flying) -> int:
        nonlocal carried
        body = one.packet.body
        loaded = isinstance(body, Push | SynAck | Ack | Unfold) and bool(body.runs)
        carried += one.receiver == name and loaded
        return not (one.receiver == name and loaded)

    net.run(ms, arrives=arrives)
    return carried


def test_whoever_holds_is_sent_no_entries_and_gets_them_all_afterwards() -> None:
    net = Net("n1", "n2")
    net.hold("n1", chain("n3", 5))
    net["n2"].holding = True
    assert runs_to(net, "n2", 5_000) == 0
    assert net["n2"].frontier.count == 0
    assert net["n1"].counters["entries_sent"] == 0
    net["n2"].holding = False
    net.run(2_000, until=lambda: net.agreed)
    assert net.agreed


def test_every_leg_of_a_holder_asks_for_nothing() -> None:
    net = Net("n1", "n2")
    net.hold("n1", chain("n3", 5))
    net.hold("n2", chain("n4", 5))
    net["n2"].holding = True
    net.call("n2", "n1")
    net.call("n1", "n2")
    budgets = {
        type(body).__name__: body.budget
        for one in net.settle()
        if one.sender == "n2" and isinstance(body := one.packet.body, Syn | SynAck | Ack)
    }
    assert budgets == {"Syn": 0, "SynAck": 0, "Ack": 0}
    assert net["n1"].frontier.count == 10  # it gives all the same


@pytest.mark.parametrize("config", [GossipConfig(), RUMORS])
def test_nothing_is_pushed_to_a_holder(config: GossipConfig) -> None:
    net = Net("n1", "n2", "n3", config=config)
    net["n2"].holding = True
    net.call("n2", "n1")
    net.settle()
    net.hold("n2", chain("n4", 1))
    net.call("n2", "n1")
    assert kinds(net.settle())[-1] == "Ack"
    net.emit("n1", 3)
    assert {one.receiver for one in net.flying} == {"n3"}
    assert net["n1"].counters["pushes_held"] >= 1


def test_the_first_word_to_the_contrary_ends_it() -> None:
    net = Net("n1", "n2")
    net["n2"].holding = True
    net.call("n2", "n1")
    net.settle()
    net.emit("n1")
    assert not net.flying
    net["n2"].holding = False
    net.call("n2", "n1")
    net.settle()
    net.emit("n1")
    assert kinds(list(net.flying)) == ["Push"]


def test_a_proof_of_agreement_ends_it_too() -> None:
    net = Net("n1", "n2")
    net["n2"].holding = True
    net.call("n2", "n1")
    net.settle()
    net.call("n1", "n2")
    assert kinds(net.settle()) == ["Syn", "Same"]
    net.emit("n1")
    assert kinds(list(net.flying)) == ["Push"]


def test_an_ack_without_lines_says_nothing_of_a_budget() -> None:
    net = Net("n1", "n2")
    net.arrive(Flying("n2", "n1", sent_by("n2", Ack(1, [], False))))
    net.emit("n1")
    assert kinds(list(net.flying)) == ["Push"]


@pytest.mark.parametrize(
    "body", [Ack(1, [], False, [], 0), Unfold(1, [], False, [], [], 0, 0), Syn(ROOT, 0)]
)
def test_every_body_with_a_budget_is_heeded(body: Ack | Unfold | Syn) -> None:
    net = Net("n1", "n2")
    net.arrive(Flying("n2", "n1", sent_by("n2", body)))
    net.flying.clear()
    net.emit("n1")
    assert not net.flying


def test_an_answer_that_could_carry_nothing_does_not_pass_for_a_backlog() -> None:
    """Else the node would get nothing on our calls for a while after it takes entries again."""
    net = Net("n1", "n2")
    net.hold("n1", chain("n3", 5))
    net["n2"].holding = True
    net.call("n2", "n1")
    net.settle()
    net["n2"].holding = False
    net.call("n1", "n2")
    net.settle()
    assert net.agreed
