"""One seed, one run: in whatever process, whoever looks on, however much is told."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from gossip.packets import WITH_RUNS, Packet
from gossip.wire import encode
from lab.plan.draw import draw
from lab.plan.scenario import named, names
from lab.sim import network
from lab.sim.world import run
from lab.trace.kinds import Final
from lab.trace.trace import Event
from tests.lab.sim.judged import wrong

ROOT = Path(__file__).parents[3]
SEEDS = 8  # for each scenario: more than 200 in all
SCRIPT = """
import sys
from lab.plan.scenario import named, names
from lab.sim.world import run
for name in names():
    for seed in range(int(sys.argv[1])):
        print(name, seed, run(named(name), seed).trace.hash)
"""


def hashes(hash_seed: str) -> "subprocess.Popen[str]":
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, str(SEEDS)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def test_two_processes_with_other_hash_seeds_give_the_same_traces() -> None:
    both = [hashes("1"), hashes("4242")]
    first, second = (process.communicate()[0].splitlines() for process in both)
    assert all(process.returncode == 0 for process in both)
    assert len(first) == SEEDS * len(names())
    assert first == second
    assert len({line.split()[2] for line in first}) == len(first)


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_observers_change_nothing(seed: int) -> None:
    seen: list[Event] = []
    kinds: Counter[str] = Counter()

    def count(event: Event) -> None:
        kinds[event.kind] += 1

    alone = run(named("all"), seed)
    watched = run(named("all"), seed, observers=[seen.append, count, lambda _: None])
    assert watched.trace.hash == alone.trace.hash
    assert seen == watched.trace.events
    assert kinds.total() == len(seen)


@pytest.mark.parametrize("name", ["lossy", "all"])
def test_comparing_every_packet_changes_nothing(name: str) -> None:
    for seed in range(5):
        usual, paranoid = run(named(name), seed), run(named(name), seed, paranoid=True)
        assert paranoid.trace.hash == usual.trace.hash
        assert paranoid.ledger == usual.ledger
        # Each is read once: fewer than arrive, for one goes to several peers, and some come twice.
        assert 0 < usual.ledger.decoded <= usual.ledger.delivered


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_telling_less_changes_nothing(seed: int) -> None:
    normal, lean = run(named("all"), seed), run(named("all"), seed, detail="lean")
    assert lean.ledger == normal.ledger
    assert lean.acts == normal.acts
    assert len(lean.trace) < len(normal.trace)

    def roots(events: list[Event]) -> dict[str, tuple[str, str]]:
        return {e.node: (e.data.root, e.data.timeline) for e in events if type(e.data) is Final}

    assert roots(lean.trace.events) == roots(normal.trace.events)


def test_a_plan_is_drawn_alike_each_time_and_differs_by_seed() -> None:
    for name in names():
        plans = [draw(named(name), seed) for seed in range(5)]
        assert plans == [draw(named(name), seed) for seed in range(5)]
        assert len(set(map(repr, plans))) == 5


def test_what_the_wire_loses_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """No replica ever sees the object that another one made, but only what its bytes say."""

    def forgetful(packet: Packet) -> bytes:
        body = packet.body
        if isinstance(body, WITH_RUNS):
            packet = replace(packet, body=replace(body, runs=[]))
        return encode(packet)

    monkeypatch.setattr(network, "COMPARE_EVERY", 1_000_000)
    monkeypatch.setattr(network, "encode", forgetful)
    assert any(one.startswith("C6: ") for one in wrong(run(named("calm"), 1)))
