"""Push-pull anti-entropy: the number of rounds until all nodes know one rumor, measured with real
engines beside published figures.

One node starts with an entry that nobody else has, and pushes it to nobody. In each round every
node calls one other, drawn uniformly, at the same instant; each pair ends up with what both had.
Known figures: about 9.1 rounds for 1,000 nodes and 11.6 for 10,000. To leading order it is log3 n
(Karp, Schindelhauer, Shenker and Voecking 2000).

What runs is `gossip.engine.Engine`, one for each node, with frontier, vector and delta, and every
packet as bytes. The harness only draws the partners and carries the packets.

Rules
- All calls of a round are made before any packet arrives. Then packets are carried leg by leg: all
  Syns, all answers, all Acks. So nothing travels two hops in one round: roots are compared as they
  were when it began, and a node that gives the rumor to another in a round had it before that
  round. This is asserted of each entry that arrives.
- A node's peers are those whom it will meet. An engine keeps a record of each peer, and 10,000
  records in each of 10,000 engines would measure nothing but memory.

The column `model` is the same process without any code of ours: which nodes know the rumor, and
which meet.
"""

import gc
from collections.abc import Callable
from math import log, sqrt
from random import Random
from statistics import mean, stdev
from time import process_time

from msgspec import Struct

from domain.dot import Dot
from gossip.config import GossipConfig
from gossip.engine import Engine
from gossip.entry import GENESIS, Entry, hash_of
from gossip.reconcile.vector import Vector
from gossip.store import MemoryStore
from gossip.wire import cluster_hash, decode, encode
from lab.terminal.tables import Paint, table

PUBLISHED = {25: 4.8, 100: 6.5, 1000: 9.1, 10_000: 11.6}
TOLERANCE = 0.05
SHORT = ((1000, 10),)
FULL = ((1000, 200), (10_000, 20))
ROUND_MS = 1000  # of simulated time; nothing in a round takes any

Partners = list[list[int]]  # by round, by node

CLUSTER = cluster_hash("pushpull")
CONFIG = GossipConfig(direct_peers_max=0)


class Row(Struct, frozen=True):
    """Means over trials. `error` is the standard error of `rounds`."""

    nodes: int
    trials: int
    rounds: float
    error: float
    least: int
    most: int
    model: float
    packets: float  # per node, until all know
    bytes: float
    seconds: float

    @property
    def published(self) -> float | None:
        return PUBLISHED.get(self.nodes)

    @property
    def met(self) -> bool | None:
        published = self.published
        if published is None:
            return None
        return abs(self.rounds - published) <= TOLERANCE * published


class Trial(Struct, frozen=True):
    rounds: int
    packets: int
    bytes: int
    spread: tuple[int, ...]  # how many know after each round, from 0


def run(nodes: int, trials: int, seed: int, tried: Callable[[], None] = lambda: None) -> Row:
    """One row of the table. `tried` is called after each trial."""
    began_s = process_time()
    done = []
    for number in range(trials):
        done.append(trial(nodes, Random(f"pushpull {nodes} {seed} {number}")))
        tried()
    took_s = process_time() - began_s
    rounds = [one.rounds for one in done]
    rng = Random(f"model {nodes} {seed}")
    return Row(
        nodes=nodes,
        trials=trials,
        rounds=mean(rounds),
        error=stdev(rounds) / sqrt(trials) if trials > 1 else 0.0,
        least=min(rounds),
        most=max(rounds),
        model=mean(model(nodes, rng) for _ in range(trials)),
        packets=mean(one.packets for one in done) / nodes,
        bytes=mean(one.bytes for one in done) / nodes,
        seconds=took_s,
    )


def tune() -> None:
    """Many objects live for a whole trial, and few make cycles: collect rarely."""
    gc.set_threshold(200_000, 50, 50)


def model(nodes: int, rng: Random) -> int:
    """Rounds until all know, of the bare process."""
    return len(model_spread(nodes, draw(nodes, rng))) - 1


def model_spread(nodes: int, rounds: Partners) -> tuple[int, ...]:
    """How many know after each round, from 0, until all do."""
    knows = [False] * nodes
    knows[0] = True
    spread = [1]
    for partners in rounds:
        if spread[-1] == nodes:
            break
        before = knows[:]
        for node, peer in enumerate(partners):
            if before[node] or before[peer]:
                knows[node] = knows[peer] = True
        spread.append(sum(knows))
    assert spread[-1] == nodes, "more rounds than were drawn"
    return tuple(spread)


def draw(nodes: int, rng: Random) -> Partners:
    """The partner of each node in each round, for more than twice as many rounds as needed."""
    rounds = 10 + int(2 * log(nodes, 3))
    return [[_other(node, nodes, rng) for node in range(nodes)] for _ in range(rounds)]


def _other(node: int, nodes: int, rng: Random) -> int:
    """Another node, uniformly."""
    peer = int(rng.random() * (nodes - 1))
    return peer + (peer >= node)


# --- with engines -------------------------------------------------------------------------------


def trial(nodes: int, rng: Random) -> Trial:
    return _Trial(nodes, draw(nodes, rng), rng).run()


class _Trial:
    """Mutable; for one run."""

    def __init__(self, nodes: int, rounds: Partners, rng: Random) -> None:
        self._rounds = rounds
        self._names = [f"n{number}" for number in range(nodes)]
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._engines = [self._engine(node, met, rng) for node, met in enumerate(self._met())]
        self._round = 0
        self._learnt = [-1] * nodes  # in which round; -1: not yet
        self._known = 0
        self._packets = self._bytes = 0

    def _met(self) -> list[dict[str, None]]:
        """Whom each node will call, and who will call it."""
        met: list[dict[str, None]] = [{} for _ in self._names]
        for partners in self._rounds:
            for node, peer in enumerate(partners):
                met[node][self._names[peer]] = None
                met[peer][self._names[node]] = None
        return met

    def _engine(self, node: int, met: dict[str, None], rng: Random) -> Engine[Dot]:
        return Engine(
            node=self._names[node],
            cluster=CLUSTER,
            start=1,
            peers=tuple(met),
            config=CONFIG,
            rng=rng,
            store=MemoryStore(),
            strategy=Vector(),
            open_entry=_open_entry,
        )

    def run(self) -> Trial:
        for engine in self._engines:
            engine.start(0)
        data = b"a rumor"
        self._engines[0].restore(Entry(Dot(self._names[0], 1, 1), GENESIS, hash_of(data), data))
        self._knows(0)
        spread = [1]
        for partners in self._rounds:
            if self._known == len(self._engines):
                break
            self._round += 1
            self._do_round(partners)
            spread.append(self._known)
        assert self._known == len(self._engines), "more rounds than were drawn"
        roots = {engine.frontier.root for engine in self._engines}
        assert len(roots) == 1, "all know, and their roots differ"
        return Trial(self._round, self._packets, self._bytes, tuple(spread))

    def _knows(self, node: int) -> None:
        self._learnt[node] = self._round
        self._known += 1

    def _do_round(self, partners: list[int]) -> None:
        flying: list[tuple[int, bytes]] = []
        for node, peer in enumerate(partners):
            self._engines[node].call(self._names[peer])
            self._collect(node, flying)
        while flying:  # one leg after the other
            leg, flying = flying, []
            for node, data in leg:
                packet = decode(data)
                learnt = self._engines[node].receive(packet, self._round * ROUND_MS)
                if learnt:
                    source = self._numbers[packet.sender]
                    assert 0 <= self._learnt[source] < self._round, "it travelled two hops"
                    self._knows(node)
                self._collect(node, flying)

    def _collect(self, node: int, flying: list[tuple[int, bytes]]) -> None:
        """Take up what a node sends, as bytes."""
        for peer, packet in self._engines[node].flush():
            data = encode(packet)
            self._packets += 1
            self._bytes += len(data)
            flying.append((self._numbers[peer], data))


def _open_entry(dot: Dot, _: bytes) -> tuple[bytes, Dot] | None:
    return GENESIS, dot


# --- the table ----------------------------------------------------------------------------------


def describe(rows: list[Row]) -> str:
    heads = ["NODES", "TRIALS", "ROUNDS", "+-", "SPAN", "KNOWN", "MODEL", "LOG3 N"]
    heads += ["PACKETS/NODE", "BYTES/NODE", "SECONDS", ""]
    lines = [
        [
            f"{row.nodes:,}",
            f"{row.trials}",
            f"{row.rounds:.2f}",
            f"{row.error:.2f}",
            f"{row.least}-{row.most}",
            "" if row.published is None else f"{row.published:.1f}",
            f"{row.model:.2f}",
            f"{log(row.nodes, 3):.2f}",
            f"{row.packets:.1f}",
            f"{row.bytes:.0f}",
            f"{row.seconds:.1f}",
            {None: "", True: "within 5 %", False: "NOT within 5 %"}[row.met],
        ]
        for row in rows
    ]
    return table(heads, lines, Paint(on=False))
