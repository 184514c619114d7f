"""Nodes are killed and the network is spoilt while people talk; nothing acknowledged is ever lost.

CHATLAB_CLUSTER_SECONDS sets how long the talk lasts (default 6, the full form is 20), and
CHATLAB_CLUSTER_SEED which nodes are killed when.
"""

import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from domain.dot import Dot
from domain.events import MessagePosted
from lab.client.client import Client, RequestFailure, Unreachable
from lab.client.timeline_reader import read_timeline
from lab.cluster.network_faults import Fault, cut, heal_nodes, put
from node.control.messages import Accepted, Post

pytestmark = pytest.mark.cluster

SECONDS = float(os.environ.get("CHATLAB_CLUSTER_SECONDS", "6"))
SEED = int(os.environ.get("CHATLAB_CLUSTER_SEED", "1987"))
CLIENTS = 10
RATE = 500  # messages per second, all clients together
NODES = ("n1", "n2", "n3", "n4", "n5")


class Talker(threading.Thread):
    """One client: posts at its rate to whichever node answers, and remembers what was promised."""

    def __init__(
        self, lab: Any, number: int, nodes: tuple[str, ...], rate: float, seed: int
    ) -> None:
        super().__init__(daemon=True)
        self.places = lab.place.nodes
        self.number = number
        self.nodes = nodes
        self.period_s = 1 / rate
        self.random = random.Random(seed * 1000 + number)
        self.acked: dict[Dot, str] = {}
        self.took_s: list[float] = []  # from each send to its answer
        self.unknown: set[str] = set()  # sent, and nobody said what became of it
        self.stop = threading.Event()

    def run(self) -> None:
        client: Client | None = None
        at = time.monotonic()
        count = 0
        while not self.stop.is_set():
            at += self.period_s
            time.sleep(max(0.0, at - time.monotonic()))
            text = f"client {self.number} says {count}"
            try:
                if client is None:
                    name = self.random.choice(self.nodes)
                    client = Client(name, self.places[name].control, timeout_s=5.0)
                count += 1
                asked_s = time.monotonic()
                reply = client.expect(Post(client.new_id(), f"c{self.number}", text), Accepted)
                self.took_s.append(time.monotonic() - asked_s)
                self.acked[reply.dot] = text
            except (Unreachable, RequestFailure):
                if count:
                    self.unknown.add(text)
                if client is not None:
                    client.close()
                client = None
        if client is not None:
            client.close()


def talk(lab: Any, nodes: tuple[str, ...] = NODES, clients: int = CLIENTS) -> list[Talker]:
    talkers = [Talker(lab, i, nodes, RATE / CLIENTS, SEED) for i in range(clients)]
    for talker in talkers:
        talker.start()
    return talkers


def hush(talkers: list[Talker]) -> dict[Dot, str]:
    """Stop talking; returns everything that was acknowledged."""
    for talker in talkers:
        talker.stop.set()
    acked: dict[Dot, str] = {}
    for talker in talkers:
        talker.join(10)
        assert not talker.is_alive()
        assert not acked.keys() & talker.acked.keys(), "a dot was given twice"
        acked |= talker.acked
    return acked


def converge(lab: Any, seconds: float) -> float:
    """The measured time until `chatlab wait` is content."""
    began = time.monotonic()
    ran = lab.chatlab("wait", "--converged", "--timeout", str(seconds), "--json")
    assert ran.code == 0, (ran, lab.chatlab("status").out)
    return time.monotonic() - began


def check_everything(lab: Any, acked: dict[Dot, str], talkers: list[Talker]) -> None:
    """Acked exactly once everywhere, identical causal timelines, every journal verified."""
    unknown = {text for talker in talkers for text in talker.unknown}
    for name in NODES:
        with Client(name, lab.place.nodes[name].control) as client:
            items = read_timeline(client).items
        seen = Counter(item.event.dot for item in items)
        texts = {i.event.dot: i.event.text for i in items if type(i.event) is MessagePosted}
        assert max(seen.values()) == 1
        lost = acked.keys() - seen.keys()
        assert not lost, f"{name} lost {len(lost)} of {len(acked)}: {sorted(map(str, lost))[:5]}"
        assert all(texts[dot] == text for dot, text in acked.items())
        extra = {text for dot, text in texts.items() if dot not in acked}
        assert extra <= unknown, "something was said that nobody sent"
    printed = {lab.well("timeline", name, "--order", "causal").out for name in NODES}
    assert len(printed) == 1
    lab.well("cluster", "down")
    lab.well("journal", "verify", *(lab.place.nodes[name].journal_dir for name in NODES))


def test_no_acknowledged_message_is_lost_while_nodes_are_killed_and_restarted(five: Any) -> None:
    print(f"seed {SEED}: CHATLAB_CLUSTER_SEED={SEED} repeats the same kills")
    dice = random.Random(SEED)
    cluster = five.cluster
    talkers = talk(five)
    end = time.monotonic() + SECONDS
    kills = 0
    while time.monotonic() < end:
        time.sleep(dice.uniform(0.1, 0.5))
        down = [name for name in NODES if cluster.process(name) is None]
        alive = [name for name in NODES if name not in down]
        if len(alive) > 2 and dice.random() < 0.6:
            cluster.kill(dice.choice(alive))
            kills += 1
        elif down:
            started = cluster.up([dice.choice(down)])
            assert started[0].state == "running", started
    cluster.up()
    acked = hush(talkers)
    took_s = converge(five, 10)
    print(f"{kills} kills, {len(acked)} acked, converged {took_s:.2f} s after the last restart")
    assert kills >= 2
    assert len(acked) > RATE * SECONDS / 5
    check_everything(five, acked, talkers)


def test_a_healed_partition_converges(five: Any) -> None:
    cluster = five.cluster
    left, right = list(NODES[:2]), list(NODES[2:])
    assert cut(cluster, [left, right], one_way=False) == []
    talkers = talk(five, NODES[:2], 5) + talk(five, NODES[2:], 5)
    time.sleep(5 if SECONDS >= 20 else 2)
    acked = hush(talkers)
    assert five.chatlab("wait", "--converged", "--timeout", "0.3").code == 6
    diff = five.well("diff", "n1", "n3", "--json").json
    assert not diff["equal"] and diff["only_a"] and diff["only_b"]
    assert heal_nodes(cluster, list(NODES)) == []
    took_s = converge(five, 3)
    print(f"{len(acked)} acked, converged {took_s:.2f} s after the heal")
    check_everything(five, acked, talkers)


def test_a_bad_network_only_takes_longer(five: Any) -> None:
    cluster = five.cluster
    bad = Fault([], loss=0.2, duplicate=0.1, delay_ms=50, jitter_ms=20)
    for name in NODES:
        put(cluster, name, bad)
    talkers = talk(five)
    time.sleep(5 if SECONDS >= 20 else 2)
    acked = hush(talkers)
    took_s = converge(five, 10)
    print(f"{len(acked)} acked, converged {took_s:.2f} s after the talk ended")
    check_everything(five, acked, talkers)


def test_a_wiped_node_gets_everything_back_from_its_peers(five: Any) -> None:
    cluster = five.cluster
    talkers = talk(five)
    time.sleep(1)
    acked = hush(talkers)
    converge(five, 10)
    assert cluster.wipe(["n3"]) == ["n3"]
    assert not Path(five.place.nodes["n3"].journal_dir).exists()
    assert cluster.up(["n3"])[0].state == "running"
    converge(five, 10)
    check_everything(five, acked, talkers)
