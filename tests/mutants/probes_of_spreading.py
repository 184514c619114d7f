"""Probes of `spreading` and `worlds`."""

import random
from random import Random

from gossip import engine as engines
from gossip import pushing
from gossip.config import GossipConfig
from gossip.frontier import Added
from gossip.membership import Membership, State
from gossip.packets import Push, Run, Syn
from gossip.rounds import Exchange, Rounds
from gossip.rumor import Rumors
from lab.plan.faults import Loss
from lab.sim.packet_rules import Fate, rule_of
from lab.sim.world import Result, World
from lab.trace.kinds import Totals
from lab.trace.trace import Event
from tests.gossip.builders import chain, entries_of, holding, lacks_of, offered
from tests.gossip.engines import Net
from tests.mutants import plans
from tests.mutants.planting import standing
from tests.mutants.probing import probes
from tests.node.replicas import Node, exchange

NAMES = tuple([f"n{number}" for number in range(2, 42)])


def rounds() -> Rounds:
    members = Membership("n1", 1, NAMES, suspect_after_misses=2, dead_ms=3000, trust_ms=1000)
    return Rounds(members, GossipConfig(), Random(1))


def three_nodes() -> tuple[Node, Node, Node]:
    return Node("n1"), Node("n2", ("n1", "n3")), Node("n3", ("n1", "n2"))


# --- what is held -------------------------------------------------------------------------------


@probes("no-dedup", "bounded-dedup")
def what_is_held_is_known() -> bool:
    made = chain("n1", 20)
    return holding(made).add(made[0]) is Added.KNOWN


@probes("dedup-by-text")
def two_may_say_the_same() -> bool:
    one, two, three = three_nodes()
    two.post("hello")
    three.post("hello")
    exchange(one, two, three)
    return one.texts == ["hello", "hello"]


@probes("claimed-as-held")
def a_gap_is_told_as_a_gap() -> bool:
    made = chain("n1", 5)
    frontier = holding(made[:1], made[2:])
    # The second time it is told from memory.
    return any(line.prefix == 1 for _ in range(2) for line in frontier.next_lines())


@probes("off-by-one-prefix")
def what_follows_a_prefix_is_sent() -> bool:
    made = chain("n1", 5)
    runs = offered(holding(made), holding(made[:2]).next_lines(), 10**5)
    return [entry.dot.seq for entry in entries_of(runs)] == [3, 4, 5]


@probes("off-by-one-range")
def what_follows_a_range_is_sent() -> bool:
    made = chain("n1", 5)
    theirs = holding([made[0], made[2]]).next_lines()
    (lack,) = lacks_of(holding(made), theirs)
    return lack.ranges == [(2, 2), (4, 5)]


@probes("counts-not-ids")
def roots_tell_sets_apart() -> bool:
    return holding(chain("n1", 1)).root != holding(chain("n2", 1)).root


def called(learns: str) -> bool:
    """n2 holds an entry of n1's; n3 calls n2, and `learns` shall get it."""
    net = Net("n1", "n2", "n3")
    net.hold("n2", chain("n1", 1))
    net.call("n3", "n2") if learns == "n3" else net.call("n2", "n3")
    net.settle()
    return len(net.learnt[learns]) == 1


@probes("always-the-same", "answers-dropped", "never-relay")
def whoever_calls_is_given_what_it_lacks() -> bool:
    return called("n3")


# --- who is told --------------------------------------------------------------------------------


@probes("never-push")
def own_events_are_pushed() -> bool:
    node = Node()
    node.post()
    return any(type(packet.body) is Push for _, packet in node.sent)


@probes("lost-leg-never-retried")
def an_exchange_without_an_answer_ends() -> bool:
    one = rounds()
    one.opened("n2", Exchange(1, 0, said_lines=True))
    return one.expire(10_000) == ["n2"]


@probes("dead-not-probed")
def the_dead_are_called_now_and_then() -> bool:
    node = Node()
    for _ in range(200):
        node.turn(ms=50)
    node.sent.clear()
    for _ in range(40):
        node.turn(ms=50)
    return any(type(packet.body) is Syn for _, packet in node.sent)


@probes("stale-peers", "pairs-repeat")
def each_peer_is_called_once_before_any_twice() -> bool:
    one = rounds()
    return len({one._pick(0) for _ in NAMES}) == len(NAMES)


@probes("news-no-hurry")
def news_makes_rounds_fast() -> bool:
    one = rounds()
    for number in range(20):
        one.agreed("n2", b"", number)
    slow = one._pause_ms
    one.news(1000)
    return one._pause_ms < slow


@probes("rounds-never-calm")
def agreement_makes_rounds_slow() -> bool:
    one = rounds()
    fast = one._pause_ms
    one.agreed("n2", b"", 0)
    return one._pause_ms > fast and one.calm


@probes("timer-forgotten")
def a_node_wants_to_be_woken() -> bool:
    return Node().replica.wake_at_ms < 60_000


@probes("once-suspect-always")
def who_is_heard_is_alive() -> bool:
    members = rounds()._members
    members.missed("n2", 0)
    members.missed("n2", 0)
    members.heard("n2", 1, 10)
    return "n2" in members.names(State.ALIVE)


@probes("nobody-suspected")
def who_does_not_answer_is_suspected() -> bool:
    members = rounds()._members
    members.missed("n2", 0)
    members.missed("n2", 0)
    return members.names(State.SUSPECT) == ["n2"]


@probes("backlog-first")
def quiet_voices_come_first() -> bool:
    frontier = holding(chain("n1", 100, size=3000), chain("n2", 2))
    lacks = lacks_of(frontier, [])
    runs, _ = standing(engines, "cut")(lacks, frontier, 20_000)
    return "n2" in {run.origin for run in runs}


def told_once(useful: bool) -> int:
    rumors = Rumors(1)
    rumors.learn([Run("n1", 1, 1, [b"x"])])
    rumors.tell(1, 10**5)
    rumors.feedback(1, [useful])
    return len(rumors)


@probes("rumors-never-cool")
def a_rumor_that_is_no_news_cools() -> bool:
    return told_once(useful=False) == 0


@probes("rumors-die-young")
def a_rumor_that_is_news_stays_hot() -> bool:
    return told_once(useful=True) == 1


# --- worlds -------------------------------------------------------------------------------------


def lossy() -> Result:
    return World(plans.planned_loss(1)).run()


@probes("fault-never-fires")
def certain_loss_loses() -> bool:
    return rule_of(Loss(1.0), Random(1)).meet(Fate(("n1", "n2"), 10, 0))


@probes("drops-unsaid")
def packets_are_accounted_for() -> bool:
    result = lossy()
    (totals,) = [event.data for event in result.trace if type(event.data) is Totals]
    ledger = result.ledger
    gone = sum(ledger.dropped.values()) + totals.counts["in_flight"]
    return ledger.sent + ledger.copied == ledger.delivered + gone


@probes("bytes-miscounted")
def bytes_are_accounted_for() -> bool:
    ledger = lossy().ledger
    return ledger.bytes == ledger.digest_bytes + ledger.payload_bytes + ledger.framing_bytes


@probes("never-comes-back")
def a_node_comes_back() -> bool:
    world = World(plans.restarts(1))
    world.run()
    return world.hosts["n1"].up


@probes("observer-meddles", "observer-writes")
def whoever_looks_on_changes_nothing() -> bool:
    plan, seen = plans.restarts(1), list[Event]()
    return World(plan).run().trace.hash == World(plan, observers=[seen.append]).run().trace.hash


@probes("set-order")
def peers_are_taken_in_their_order() -> bool:
    one = rounds()
    one._order = list(NAMES)
    return one._pick(0) == NAMES[-1] and one._order == list(NAMES[:-1])


@probes("global-chance", "real-clock")
def chance_is_injected() -> bool:
    drawn = []
    for salt in (1, 2):
        random.seed(salt)
        one = rounds()
        pauses = [one._jittered(1000) for _ in range(200)]
        drawn.append((pauses, standing(pushing, "sample")(Random(1), NAMES, 5)))
    return drawn[0] == drawn[1]
