"""Drill of `gossip.engine.Engine`: a few engines exchange packets until all hold the same.

The model is the set of entries that each node holds, with its own counts. The engines begin with
different parts of one history, write entries and collect receipts. One of them may be cut off, may
stop accepting entries, or receives malformed packets; packets may be lost. Every packet is encoded
and decoded, and an engine is called only when its own timer is due. Then the faults end, and all
nodes must hold the same entries and must have counted what the drill saw. Left out: restarts.
"""

from collections import Counter
from random import Random

from domain.dot import Dot, LogId
from gossip.config import GossipConfig
from gossip.engine import Engine
from gossip.entry import GENESIS, PREV_BYTES, Entry
from gossip.incarnation import token_of
from gossip.membership import State
from gossip.packets import (
    WITH_RUNS,
    Ack,
    Feedback,
    Packet,
    Push,
    Receipt,
    Run,
    Same,
    Syn,
    SynAck,
    Unfold,
)
from gossip.reconcile.vector import Vector
from gossip.store import MemoryStore
from gossip.wire import cluster_hash, decode, encode
from lab.drills.beside import Difference, holds, same
from lab.drills.chains import BRANCHES, chain, logs_of, opened, root_of_all

NAMES = ("n1", "n2", "n3")
CLUSTER = cluster_hash("drill")
CONFIG = GossipConfig(round_ms=100, idle_round_ms=300, dead_ms=600, exchange_timeout_ms=150)
RUMORS = GossipConfig(
    round_ms=100, idle_round_ms=300, dead_ms=600, exchange_timeout_ms=150, direct_peers_max=1,
    fanout=1,
)  # fmt: skip
OWN = 777  # the epoch that each writes in
FAULTS_MS, PEACE_MS, QUIET_MS, LATE_MS = 450, 900, 500, 3000
LATENCY_MS = 3
WITH_ROOT, WITH_BUDGET, WITH_STORED = (Syn, Same, SynAck), (Syn, SynAck), (Receipt, Same, SynAck)
ANSWERS_TO_SYN, GOING_ON, IN_EXCHANGE = (Same, SynAck), (Ack, Unfold), (SynAck, Ack, Unfold)
ANSWERS = {Syn: (Same, SynAck), SynAck: (Ack, Unfold, Syn), Ack: (Ack, Unfold, Syn),
           Unfold: (Unfold, Ack, Syn), Same: (Syn,)}  # fmt: skip


class Node:
    """An engine, and the model of what it holds and has counted."""

    def __init__(self, name: str, rng: Random, config: GossipConfig, start: int) -> None:
        self.name = name
        self.engine: Engine[str] = Engine(
            node=name,
            cluster=CLUSTER,
            start=start,
            peers=tuple(one for one in NAMES if one != name),
            config=config,
            rng=Random(rng.getrandbits(64)),
            store=MemoryStore(),
            strategy=Vector(),
            open_entry=opened,
        )
        self.start = start
        self.held: set[bytes] = set()
        self.own: list[Entry] = []
        self.numbers: set[int] = set()
        self.sent: Counter[str] = Counter()
        self.learnt = 0
        self.undurable: list[Entry] = []
        self.durable: set[bytes] = set()
        self.asked: set[str] = set()  # peers for whom receipts were asked

        self._root = 0, root_of_all(set())

    @property
    def root(self) -> bytes:
        if self._root[0] != len(self.held):  # it only grows
            self._root = len(self.held), root_of_all(self.held)
        return self._root[1]

    def take(self, entry: Entry) -> None:
        self.engine.restore(entry)
        self.held.add(entry.data)


class Net:
    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.now_ms = 1000
        self.config = rng.choice((CONFIG, CONFIG, RUMORS))
        self.flying: list[tuple[int, str, str, bytes]] = []
        self.nodes = {name: Node(name, rng, self.config, rng.choice((1, 300))) for name in NAMES}
        self.cut: set[str] = set()
        self.loss = 0.0
        self.strangers: Counter[str] = Counter()
        self.bad: Counter[str] = Counter()
        self.forked = rng.random() < 0.25
        for node in self.nodes.values():
            node.engine.start(self.now_ms)

    # --- what happens ---------------------------------------------------------------------------

    def write(self, node: Node, count: int, *, receipt: bool) -> None:
        last = node.own[-1] if node.own else None
        dot = Dot(node.name, OWN, last.dot.seq + 1 if last else 1)
        for entry in chain(dot, count, last.chain_hash if last else GENESIS):
            node.engine.offer(entry, receipt)
            node.own.append(entry)
            node.held.add(entry.data)
        self.flush(node)

    def sync(self, node: Node) -> None:
        """All entries that have arrived become durable."""
        for entry in node.undurable:
            node.engine.receipts.durable(entry.dot.log, entry.dot.seq)
            node.durable.add(entry.data)
        node.undurable = []
        self.flush(node)

    def flush(self, node: Node) -> list[Packet]:
        sent = []
        for peer, packet in node.engine.flush():
            self._judge(node, peer, packet)
            sent.append(packet)
            gone = {node.name, peer} & self.cut or self.rng.random() < self.loss
            if not gone:
                data = encode(packet)
                self.flying.append((self.now_ms + LATENCY_MS, node.name, peer, data))
        return sent

    def run(self, ms: int) -> None:
        """Timers and arrivals, in the order of their times."""
        end_ms = self.now_ms + ms
        wakes = {name: node.engine.wake_at_ms for name, node in self.nodes.items()}
        while True:
            wake_ms, name = min((at_ms, name) for name, at_ms in wakes.items())
            arrives_ms = self.flying[0][0] if self.flying else end_ms
            if min(wake_ms, arrives_ms) >= end_ms:
                self.now_ms = end_ms
                return
            self.now_ms = max(min(wake_ms, arrives_ms), self.now_ms)
            if arrives_ms <= wake_ms:
                _, sender, receiver, data = self.flying.pop(0)
                self.arrive(sender, receiver, data)
                wakes[receiver] = self.nodes[receiver].engine.wake_at_ms
                continue
            node = self.nodes[name]
            node.engine.tick(self.now_ms)
            self.flush(node)
            wakes[name] = node.engine.wake_at_ms
            if wakes[name] <= self.now_ms:
                raise Difference(f"{name} is to be woken for what it has just done")

    def arrive(self, sender: str, receiver: str, data: bytes) -> None:
        node, packet = self.nodes[receiver], decode(data)
        body = packet.body
        if isinstance(body, Syn) and body.receipt:
            node.asked.add(sender)
        elif isinstance(body, Push) and body.receipt:  # a rumor asks for its origin
            node.asked.update([run.origin for run in body.runs])
        new = node.engine.receive(packet, self.now_ms)
        wanted = _entries(body.runs) if isinstance(body, WITH_RUNS) else []
        fresh = {one for one in wanted if one not in node.held}
        told = [one.entry.data for one in new]
        learnt_here = fresh.intersection(told)
        same("what is learnt", told, [one for one in wanted if one in learnt_here])
        if not isinstance(body, Push):  # of a push what lies far ahead may be left
            same("all of it is learnt", learnt_here, fresh)
        for learnt in new:
            same("its name", learnt.value, str(learnt.entry.dot))
            node.held.add(learnt.entry.data)
            node.undurable.append(learnt.entry)
        node.learnt += len(new)
        self._judge_answer(node, packet, self.flush(node))

    # --- what must be seen ----------------------------------------------------------------------

    def _judge(self, node: Node, peer: str, packet: Packet) -> None:
        body, engine = packet.body, node.engine
        kind = type(body).__name__
        node.sent[kind] += 1
        same("sender", (packet.sender, packet.cluster), (node.name, CLUSTER))
        same("incarnation", packet.incarnation, engine.members.incarnation)
        if isinstance(body, Push):
            node.numbers.add(packet.number)
        else:
            holds("a number of its own", packet.number not in node.numbers)
            node.numbers.add(packet.number)
        if isinstance(body, WITH_ROOT):
            same("root", body.root, node.root)
        if isinstance(body, WITH_BUDGET):
            same("budget", body.budget, 0 if engine.holding else CONFIG.delta_bytes_max)
        if isinstance(body, Syn):
            same("asks for receipts", body.receipt, engine.awaits_receipts)
        if isinstance(body, WITH_RUNS):
            sent = _entries(body.runs)
            node.sent["entries"] += len(sent)
            holds("what is sent is held", set(sent) <= node.held)
        if isinstance(body, Receipt):
            holds(f"{peer} asked {node.name} for receipts", peer in node.asked)
            same("only of its own", {one.origin for one in body.stored}, {peer})
        if isinstance(body, WITH_STORED):
            for one in body.stored:
                self._judge_stored(node, one.origin, one.epoch, one.prefix)

    def _judge_stored(self, node: Node, origin: str, epoch: int, prefix: int) -> None:
        """A receipt covers only entries that are durable at its sender."""
        if epoch == OWN:
            own = self.nodes[origin].own[:prefix]
            holds("durable there", {one.data for one in own} <= node.durable)

    def _judge_answer(self, node: Node, packet: Packet, sent: list[Packet]) -> None:
        body = packet.body
        token = token_of(packet.incarnation, packet.number)
        kinds = [type(one.body) for one in sent if type(one.body) is not Receipt]
        if isinstance(body, Syn):
            wanted = Same if body.root == node.root else SynAck
            same("answer", kinds, [wanted])
        elif isinstance(body, Push):
            other = [] if body.direct else [Feedback]
            same("answer", [one for one in kinds if one is Feedback], other)
        elif type(body) in ANSWERS:
            holds("answer", set(kinds) <= set(ANSWERS[type(body)]))
        for one in sent:
            if isinstance(one.body, ANSWERS_TO_SYN):
                same("what it answers", one.body.re, token)
            elif isinstance(one.body, Feedback) and isinstance(body, Push):
                same("what it judges", one.body.re, token)
                same("each run", len(one.body.useful), len(body.runs))
            elif isinstance(one.body, GOING_ON) and isinstance(body, IN_EXCHANGE):
                same("which exchange", one.body.re, body.re)


def exchanging(rng: Random) -> None:
    net = Net(rng)
    _past(rng, net)
    net.loss = rng.choice((0.0, 0.0, 0.2))
    odd = net.nodes[rng.choice(NAMES)]
    trouble = rng.choice(("cut", "holding", "nonsense", "none"))
    awaits = rng.random() < 0.5
    for node in net.nodes.values():
        node.engine.awaits_receipts = awaits
    if trouble == "cut":
        net.cut = {odd.name}
    odd.engine.holding = trouble == "holding"
    for _ in range(3):
        net.run(FAULTS_MS // 3)
        net.write(net.nodes[rng.choice(NAMES)], rng.randint(1, 3), receipt=awaits)
        if trouble == "nonsense":
            _nonsense(rng, net, odd)
        net.sync(net.nodes[rng.choice(NAMES)])
    if trouble == "cut":
        _gone(net, odd)
    net.cut, net.loss, odd.engine.holding = set(), 0.0, False
    for ms in (PEACE_MS, QUIET_MS):
        net.run(ms)
        for node in net.nodes.values():
            net.sync(node)
    if awaits and not all(map(_is_copied, net.nodes.values())):
        net.run(LATE_MS)  # receipts that were lost, or asked for by rounds alone
    _settled(net, awaits=awaits)


def _past(rng: Random, net: Net) -> None:
    """Each begins with a part of what was written before."""
    made: list[Entry] = []
    for name in (*NAMES[: rng.randint(1, 3)], "old"):
        logs = rng.choice((1, 1, 8))
        made += logs_of(rng, name, logs, 1 if logs > 1 else 6, 1 if net.forked else 0)
    for node in net.nodes.values():
        share = rng.choice((0.3, 0.9))
        for entry in made:
            if rng.random() < share:
                node.take(entry)


def _nonsense(rng: Random, net: Net, node: Node) -> None:
    """Packets of an unknown sender, and bytes of a peer that are not an entry."""
    peer = next(name for name in NAMES if name != node.name)
    entry = chain(Dot("x9", 1, 1), 1)[0]
    run = Run("x9", 1, 1, [entry.data])
    node.engine.receive(
        Packet(
            version=1,
            cluster=CLUSTER,
            sender="x9",
            incarnation=1,
            number=1,
            body=Push([run], direct=True),
        ),
        net.now_ms,
    )
    wrong = Run(peer, 5, 1, [entry.data, b"nonsense"])
    start = net.nodes[peer].engine.members.incarnation
    number = 1_000_000 + rng.randrange(1000)
    packet = Packet(
        version=1,
        cluster=CLUSTER,
        sender=peer,
        incarnation=start,
        number=number,
        body=Push([wrong], direct=True),
    )
    same("nothing is learnt", node.engine.receive(packet, net.now_ms), [])
    net.strangers[node.name] += 1
    net.bad[node.name] += 2
    same("nothing is answered", [one for one in net.flush(node) if isinstance(one.body, Feedback)],
         [])  # fmt: skip


def _gone(net: Net, odd: Node) -> None:
    """A node that hears nothing from a peer suspects it, then declares it dead."""
    net.run(1200)
    for node in net.nodes.values():
        for peer in NAMES:
            if peer != node.name and odd.name in (node.name, peer):
                member = node.engine.members.get(peer)
                assert member is not None
                same(f"{node.name} of {peer}", member.state, State.DEAD)


def _settled(net: Net, *, awaits: bool) -> None:
    everything = set().union(*[node.held for node in net.nodes.values()])
    gaps = _gaps(everything)
    for node in net.nodes.values():
        engine, counters = node.engine, node.engine.counters
        same(f"{node.name} holds all", len(node.held), len(everything))
        same("root", engine.frontier.root, root_of_all(everything))
        same("missing", engine.frontier.missing, gaps)
        same("all alive", engine.members.dead_count, 0)
        same("suspecting", [m.name for m in engine.members if m.state is not State.ALIVE], [])
        same("begun", counters["rounds_begun"], node.sent["Syn"])
        same("sent", counters["entries_sent"], node.sent["entries"])
        same("new", counters["entries_new"], node.learnt)
        same("strangers", counters["strangers"], net.strangers[node.name])
        same("bad", counters["entries_bad"], net.bad[node.name])
        same("bad, by peer", sum(engine.bad_entries.values()), net.bad[node.name])
        finished = sum(engine.exchanges.values())
        holds("began no more", finished <= counters["rounds_begun"])
        holds("copied", not awaits or _is_copied(node))
    before = {node.name: node.sent.copy() for node in net.nodes.values()}
    net.run(QUIET_MS)
    for node in net.nodes.values():
        more = node.sent - before[node.name]
        holds("only roots are told", set(more) <= {"Syn", "Same"})
        rounds = QUIET_MS // (CONFIG.round_ms * 4 // 5) if awaits else 4
        holds("few of them", more["Syn"] <= rounds + 1)


def _gaps(entries: set[bytes]) -> int:
    """How many positions below the last one of each log no node holds."""
    logs: dict[str, set[int]] = {}
    for data in entries:
        log, _, seq = data[PREV_BYTES:].decode().rstrip(BRANCHES).rpartition(":")
        logs.setdefault(log, set()).add(int(seq))
    return sum(max(seqs) - len(seqs) for seqs in logs.values())


def _is_copied(node: Node) -> bool:
    """Whether it has the receipts of both peers for all that it wrote."""
    receipts, log = node.engine.receipts, LogId(node.name, OWN)
    return all(receipts.copies(log, entry.dot.seq) == len(NAMES) - 1 for entry in node.own)


def _entries(runs: list[Run]) -> list[bytes]:
    return [data for run in runs for data in run.data]
