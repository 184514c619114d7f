"""How fast the simulator is on one core, in the figures that it is held to.

    python -m lab.bench.sim            all of them
    python -m lab.bench.sim seeds      one: packets, seeds, thousand, ten-thousand
    scripts/bench sim                  the same, beside the goals, and the first two compiled

`packets`: a cluster of five that has nothing new to say and says so all the time, every packet in
the trace. `seeds`: fault seeds of four scenarios. Of these two the trace is hashed, and judged by
all checkers. `thousand`: one rumor to 1,000 nodes that all know each other. `ten-thousand`: 30
rounds of a second, 20 peers each.

Processor time is measured, not time on the wall. A figure says in its name that it was taken from
compiled code (`lab.compiled`); these are taken in a process of their own.
"""

import gc
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from time import process_time
from typing import TypeVar

import msgspec

from gossip.config import GossipConfig
from lab.bench.figures import Figure, figure
from lab.bench.scale import FULL
from lab.bench.session import Session
from lab.checkers import judge
from lab.compiled.build import build
from lab.compiled.tree import environment, is_compiled
from lab.faults import DiskOptions, NetworkOptions, Op, Plan
from lab.problem import Problem
from lab.scenario import named
from lab.sim import world as sim

Of = TypeVar("Of")

RUNS = 3
SEEDS = 60
COMPILED = ("packets", "seeds")
HELLO = (
    Op(id=1, at_us=1_000_000, session="c1", node="n1", action="post", author="ann", text="hello"),
)


def _nodes(count: int) -> tuple[str, ...]:
    return tuple([f"n{number}" for number in range(1, count + 1)])


def packets(scale: float) -> Figure:
    gossip = GossipConfig(round_ms=20, idle_round_ms=20)
    faults_us = max(int(50_000_000 * scale), 2_000_000)
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
    return figure("sim", _name("packet deliveries"), "1/s", rates, goal=60_000, at_most=False)


def seeds(scale: float) -> Figure:
    count = max(int(SEEDS * scale), 4)
    scenarios = [named(name) for name in ("lossy", "partition", "crash-storm", "power-cuts")]

    def all_of_them() -> None:
        for seed in range(count):
            _judged(sim.run(scenarios[seed % len(scenarios)], seed))

    rates = [count / _timed(all_of_them)[1] for _ in range(RUNS)]
    return figure("sim", _name("five-node fault seeds"), "1/s", rates, goal=80, at_most=False)


def _judged(result: sim.Result) -> sim.Result:
    assert result.trace.hash
    judge(result.trace)
    return result


def thousand(scale: float) -> Figure:
    count = max(int(1000 * scale), 10)
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
    return figure("sim", _name(f"{count:,} nodes, one rumor"), "s", spent_s, goal=20)


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


def ten_thousand(scale: float) -> Figure:
    count = max(int(10_000 * scale), 30)
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
    return figure("sim", _name(f"{count:,} nodes, 30 rounds"), "s", [spent_s], goal=60)


def _name(what: str) -> str:
    return f"{what}, compiled" if is_compiled() else what


def _timed(of: Callable[[], Of]) -> tuple[Of, float]:
    began_s = process_time()
    result = of()
    return result, process_time() - began_s


BENCHES: dict[str, Callable[[float], Figure]] = {
    "packets": packets,
    "seeds": seeds,
    "thousand": thousand,
    "ten-thousand": ten_thousand,
}


def run(session: Session, names: list[str] | None = None) -> list[Figure]:
    """As an explorer of seeds runs them: what is there stays, and cycles are rare."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    try:
        found = [BENCHES[name](session.scale.sim) for name in names or BENCHES]
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
    if session.scale.compiled and not names and not is_compiled():
        found += _compiled()
    return found


def _compiled() -> list[Figure]:
    """Some of them again, from the compiled tree. If there can be none, that is said."""
    try:
        tree = build(partial(print, "compile:", file=sys.stderr, flush=True))
    except Problem as problem:
        print(f"sim: no compiled figures: {problem}", file=sys.stderr)
        return []
    command = [sys.executable, "-m", "lab.bench.sim", "--json", *COMPILED]
    done = subprocess.run(command, env=environment(tree), stdout=subprocess.PIPE, check=True)
    return [msgspec.json.decode(line, type=Figure) for line in done.stdout.splitlines()]


def main(arguments: list[str] | None = None) -> None:
    names = [one for one in arguments or [] if one != "--json"]
    for one in run(Session(FULL), names):
        if names != arguments:
            print(msgspec.json.encode(one.as_json()).decode(), flush=True)
            continue
        sign = "<=" if one.at_most else ">="
        print(f"{one.name:32} {one.median:12,.1f} {one.unit:4} goal {sign} {one.goal:,g}")


if __name__ == "__main__":
    main(sys.argv[1:])
