"""A node of another cluster at the address of a peer: nothing passes, either way."""

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

import lab.sim.world
from lab.plan.faults import Op, Plan
from lab.sim.world import World
from node.core.replica import ReplicaConfig

S = 1_000_000
NODES = ("n1", "n2", "n3")


def test_what_a_node_of_another_cluster_says_is_not_taken_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = lab.sim.world.configs

    def configs(plan: Plan) -> Iterable[ReplicaConfig]:
        """n3 has the id of another cluster: an address has changed hands."""
        for config in told(plan):
            theirs = "0123456789abcdef" if config.node == "n3" else ""
            yield replace(config, cluster_id=theirs)

    monkeypatch.setattr(lab.sim.world, "configs", configs)
    ops = tuple(
        Op(number, number * S // 2, f"c{number}", node, "post", "ann", f"word of {node}", "durable")
        for number, node in enumerate((*NODES, *NODES), start=1)
    )
    world = World(Plan("strangers", 1, NODES, 6 * S, 4 * S, ops, ()))
    world.start()
    world.agenda.run(6 * S)
    replicas = {name: host.process.replica for name, host in world.hosts.items() if host.process}
    held = {
        name: {arrival.event.dot.origin for arrival in one.timeline.select("arrival")}
        for name, one in replicas.items()
    }
    assert held == {"n1": {"n1", "n2"}, "n2": {"n1", "n2"}, "n3": {"n3"}}
    assert all(one.counters["strangers"] for one in replicas.values())
    states = {name: one.state for name, one in replicas["n1"].peer_states(6 * S // 1000).items()}
    assert states == {"n2": "alive", "n3": "dead"}, "a stranger is no sign of life of a peer"
