"""Measures how fast the simulator is on one core, in processor time and not in elapsed time.

- `packet deliveries`: five nodes have nothing new and gossip all the time; each packet is traced.
- `five-node fault seeds`: seeds of four scenarios.
- One rumor to 1,000 nodes that all know each other.
- 30 rounds, of one second each, of 10,000 nodes with 20 peers each.

In the first two the trace is hashed and judged by all checkers. They are measured again from
compiled code, by `scripts/compile python -m lab.bench.sim SHARE`, which prints JSON lines.
"""

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import process_time
from typing import TypeVar

import msgspec

from gossip.config import GossipConfig
from lab.bench.figures import Figure, figure
from lab.bench.machine_facts import ROOT
from lab.bench.session import Session
from lab.checkers import judge
from lab.plan.faults import DiskOptions, NetworkOptions, Op, Plan
from lab.plan.scenario import named
from lab.sim import world as sim

Of = TypeVar("Of")

RUNS = 3
SEEDS = 60
HELLO = (
    Op(id=1, at_us=1_000_000, session="c1", node="n1", action="post", author="ann", text="hello"),
)


def run(session: Session) -> list[Figure]:
    share = session.scale.sim
    with _few_collections():
        found = [packets(share), seeds(share), thousand(share), ten_thousand(share)]
    return [*found, *_compiled(share)] if session.scale.compiled else found


@contextmanager
def _few_collections() -> Iterator[None]:
    """As an explorer of seeds runs them: what is there stays, and cycles are rare."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def packets(share: float) -> Figure:
    gossip = GossipConfig(round_ms=20, idle_round_ms=20)
    faults_us = max(int(50_000_000 * share), 2_000_000)
    plan = Plan(
        scenario="packets",
        seed=1,
        nodes=_nodes(5),
        faults_us=faults_us,
        liveness_us=10_000_000,
        ops=HELLO,
        gossip=gossip,
    )
    rates = []
    for _ in range(RUNS):
        result, spent_s = _timed(lambda: _judged(sim.run_plan(plan)))
        rates.append(result.deliveries / spent_s)
    return figure("packet deliveries", "1/s", rates, at_least=60_000)


def seeds(share: float) -> Figure:
    count = max(int(SEEDS * share), 4)
    scenarios = [named(name) for name in ("lossy", "partition", "crash-storm", "power-cuts")]

    def all_of_them() -> None:
        for seed in range(count):
            _judged(sim.run(scenarios[seed % len(scenarios)], seed))

    rates = [count / _timed(all_of_them)[1] for _ in range(RUNS)]
    return figure("five-node fault seeds", "1/s", rates, at_least=80)


def thousand(share: float) -> Figure:
    count = max(int(1000 * share), 10)
    plan = Plan(
        scenario="thousand",
        seed=1,
        nodes=_nodes(count),
        faults_us=2_000_000,
        liveness_us=4_000_000,
        ops=HELLO,
        gossip=GossipConfig(round_ms=1000, idle_round_ms=2000),
        disk=DiskOptions(model=False),
    )
    spent_s = [_timed(lambda: _until_all_know(plan))[1] for _ in range(RUNS)]
    return figure(f"{count:,} nodes, one rumor", "s", spent_s, at_most=20)


def _until_all_know(plan: Plan) -> None:
    world = sim.World(plan, detail="lean")
    world.start()
    known = at_us = 0
    while known < len(plan.nodes) and at_us < 60_000_000:
        at_us += 10_000
        world.agenda.run(at_us)
        processes = [host.process for host in world.hosts.values()]
        known = sum(one is not None and len(one.replica.timeline) > 0 for one in processes)
    assert known == len(plan.nodes), f"only {known} know"


def ten_thousand(share: float) -> Figure:
    count = max(int(10_000 * share), 30)
    plan = Plan(
        scenario="ten-thousand",
        seed=1,
        nodes=_nodes(count),
        faults_us=25_000_000,
        liveness_us=4_000_000,
        ops=HELLO,
        views=20,
        boot_spread_us=1_000_000,
        gossip=GossipConfig(round_ms=1000, idle_round_ms=1000, direct_peers_max=0),
        network=NetworkOptions("constant", 1000, 1000),
        disk=DiskOptions(model=False),
    )
    _, spent_s = _timed(lambda: sim.run_plan(plan, detail="lean"))
    return figure(f"{count:,} nodes, 30 rounds", "s", [spent_s], at_most=60)


def _compiled(share: float) -> list[Figure]:
    """The first two again, from compiled code. If there can be none, that is said."""
    command = [f"{ROOT}/scripts/compile", "python", "-m", "lab.bench.sim", str(share)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        print("sim: there are no compiled figures", file=sys.stderr)
        return []
    found = [msgspec.json.decode(line, type=Figure) for line in done.stdout.splitlines()]
    return [msgspec.structs.replace(one, name=f"{one.name}, compiled") for one in found]


def _judged(result: sim.Result) -> sim.Result:
    assert result.trace.hash
    judge(result.trace)
    return result


def _timed(of: Callable[[], Of]) -> tuple[Of, float]:
    began_s = process_time()
    result = of()
    return result, process_time() - began_s


def _nodes(count: int) -> tuple[str, ...]:
    return tuple([f"n{number}" for number in range(1, count + 1)])


def main(share: float) -> None:
    with _few_collections():
        for one in (packets(share), seeds(share)):
            print(msgspec.json.encode(one.as_json()).decode(), flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]))
