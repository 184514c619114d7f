"""The simulated network: what is sent arrives, or is accounted for; in order, unless said."""

from collections import Counter
from random import Random
from statistics import mean

import pytest

from gossip.packets import Packet, Push, Run, Same
from gossip.wire import encode
from lab.plan.faults import (
    Burst,
    Corrupt,
    Duplicate,
    Latency,
    Loss,
    Narrow,
    NetworkOptions,
    Plan,
    Reorder,
)
from lab.plan.partition_shapes import cuts_of
from lab.plan.scenario import named, names
from lab.sim.network import Flight, Network, described, quantiles
from lab.sim.scheduler import Scheduler
from lab.sim.world import run
from lab.trace.kinds import Copied, Dropped, Got, Sent
from lab.trace.trace import Trace
from node.network.link_faults import FaultTable

NODES = tuple([f"n{number}" for number in range(1, 8)])


class Box:
    """A host that keeps what it is sent; it is its own process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.incarnation = 1
        self.paused = False
        self.process: Box | None = self
        self.got: list[int] = []

    def arrive(self, packet: Packet, size: int, payload: int, cause: int | None) -> None:
        assert size == len(encode(packet))
        self.got.append(packet.number)

    def put_off(self, flight: Flight) -> bool:
        return False


def packet(number: int, size: int = 0) -> Packet:
    if size:
        return Packet(1, 7, "n1", 1, number, Push([Run("n1", 5, 1, [bytes(size)])], True))
    return Packet(1, 7, "n1", 1, number, Same(number, bytes(16)))


def net(**options: int) -> tuple[Scheduler, Trace, Network, Box, Box]:
    agenda, trace = Scheduler(), Trace()
    network = Network(
        agenda, trace, NetworkOptions("uniform", 100, 5000), Random(1), packets_traced=True
    )
    boxes = Box("n1"), Box("n2")
    for box in boxes:
        network.join(box)
    return agenda, trace, network, *boxes


def send(network: Network, agenda: Scheduler, box: Box, count: int, size: int = 0) -> None:
    for number in range(count):
        agenda.at(
            number * 100, lambda n: network.send(box, [("n2", packet(n, size))], None), number
        )
    agenda.run(10**9)


def test_links_deliver_in_order() -> None:
    agenda, _, network, one, two = net()
    send(network, agenda, one, 500)
    assert two.got == list(range(500))


def test_faults_of_packets_do_what_they_say() -> None:
    for fault, check in (
        (Loss(0.3), lambda got: 500 < len(got) < 900 and got == sorted(got)),
        (Burst(0.05, 0.2, 1.0), lambda got: 500 < len(got) < 990),
        (Duplicate(0.5, 9), lambda got: 1300 < len(got) < 1700 and set(got) == set(range(1000))),
        (Reorder(0.2, 90_000), lambda got: sorted(got) == list(range(1000)) != got),
        (Corrupt(0.2), lambda got: 700 < len(got) < 900),
        (Latency(10**6), lambda got: got == list(range(1000))),
        (Narrow(100_000, 2000), lambda got: 100 < len(got) < 900),
    ):
        agenda, trace, network, one, two = net()
        rule = network.begin(fault, Random(2))
        send(network, agenda, one, 1000)
        assert check(two.got), fault
        assert network.ledger.fired, fault
        network.end(rule)
        before = len(two.got)
        network.send(one, [("n2", packet(1))], None)
        agenda.run(2 * 10**9)
        assert len(two.got) == before + 1
        assert conserved(trace, network)


def conserved(trace: Trace, network: Network) -> bool:
    kinds = [type(event.data) for event in trace]
    came = kinds.count(Sent) + kinds.count(Copied)
    return came == kinds.count(Got) + kinds.count(Dropped) + network.in_flight


def test_a_held_link_keeps_its_packets_and_their_order() -> None:
    agenda, trace, network, one, two = net()
    network.hold((("n1", "n2"),))
    send(network, agenda, one, 20)
    assert two.got == []
    assert network.in_flight == 20
    network.release((("n1", "n2"),))
    assert conserved(trace, network)
    agenda.run(2 * 10**9)
    assert two.got == list(range(20))


def test_a_cut_link_loses_them_one_way() -> None:
    agenda, _, network, one, two = net()
    network.block((("n1", "n2"),), 1)
    network.block((("n1", "n2"),), 1)
    network.block((("n1", "n2"),), -1)
    send(network, agenda, one, 3)
    network.send(two, [("n1", packet(7))], None)
    agenda.run(2 * 10**9)
    assert (one.got, two.got) == ([7], [])
    assert network.ledger.dropped == {"partition": 3}


def test_nobody_receives_while_down() -> None:
    agenda, _, network, one, two = net()
    two.process = None
    send(network, agenda, one, 3)
    assert network.ledger.dropped == {"down": 3}


def test_bytes_are_counted_by_what_they_are_for() -> None:
    sent = described(packet(1, 100), encode(packet(1, 100)))
    assert (sent.body, sent.payload, sent.digest, sent.entries) == ("Push", 100, 0, 1)
    assert sent.framing == len(encode(packet(1, 100))) - 100


@pytest.mark.parametrize("kind", ["constant", "uniform", "exponential", "lognormal"])
def test_delays_have_their_minimum_and_mean(kind: str) -> None:
    delays = quantiles(NetworkOptions(kind, 1000, 5000))  # type: ignore[arg-type]
    assert min(delays) >= 1000
    assert mean(delays) == pytest.approx(6000, rel=0.03)


@pytest.mark.parametrize("name", names())
def test_runs_conserve_packets(name: str) -> None:
    for seed in range(400, 404):
        result = run(named(name), seed)
        ledger, kinds = result.ledger, [event.kind for event in result.trace]
        in_flight = next(e.data.counts["in_flight"] for e in result.trace if e.kind == "totals")  # type: ignore[union-attr]
        assert ledger.sent == kinds.count("send")
        assert ledger.copied == kinds.count("copy")
        assert ledger.delivered == kinds.count("recv")
        assert sum(ledger.dropped.values()) == kinds.count("drop")
        assert ledger.sent + ledger.copied == (
            ledger.delivered + sum(ledger.dropped.values()) + in_flight
        )
        assert ledger.bytes == sum(e.bytes or 0 for e in result.trace if e.kind == "send")
        assert ledger.bytes == ledger.digest_bytes + ledger.payload_bytes + ledger.framing_bytes


# --- shapes ---------------------------------------------------------------------------------------


def apart(cuts: tuple[tuple[str, str], ...], a: str, b: str) -> bool:
    return (a, b) in cuts and (b, a) in cuts


def test_partitions_have_their_shapes() -> None:
    rng = Random(5)
    one = cuts_of("one", NODES, rng)
    assert len(one) == 12 and len({a for a, b in one if apart(one, a, b)}) == 7
    assert len(cuts_of("halves", NODES, rng)) == 2 * 3 * 4
    assert len(cuts_of("minority-third", NODES, rng)) == 2 * 2 * 5
    ring = cuts_of("ring", NODES, rng)
    assert all(sum((a, b) not in ring for b in NODES if b != a) == 2 for a in NODES)
    bridge = cuts_of("bridge", NODES, rng)
    assert len([a for a in NODES if all((a, b) not in bridge for b in NODES)]) == 1
    one_way = cuts_of("one-way", NODES, rng)
    assert one_way and not any(apart(one_way, a, b) for a, b in one_way)
    assert cuts_of("halves", ("n1",), rng) == ()
    assert Plan("x", 1, NODES, 1, 1).faults == ()


def test_loss_copies_delays_and_cuts_are_decided_by_the_table_of_a_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever a run counts of these was in the answer of a table."""
    asked: Counter[str] = Counter()
    plan_of = FaultTable.plan

    def counted(self: FaultTable, peer: str) -> list[float]:
        delays_ms = plan_of(self, peer)
        fault = self.get(peer)
        asked["cut"] += fault.blocked and not delays_ms
        asked["lost"] += not fault.blocked and not delays_ms
        asked["copied"] += len(delays_ms) > 1
        asked["late"] += any(delays_ms)
        return delays_ms

    monkeypatch.setattr(FaultTable, "plan", counted)
    monkeypatch.setattr("lab.sim.world.differences", lambda rng: ())  # drills ask tables, too
    fired: Counter[str] = Counter()
    for name in ("lossy", "partition"):
        for seed in range(6):
            fired.update(run(named(name), seed).ledger.fired)
    for what, word in (("cut", "partition"), ("copied", "duplicate"), ("late", "latency")):
        assert asked[what] == fired[word] > 0
    assert asked["lost"] == fired["loss"] > 0
