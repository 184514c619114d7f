"""A malicious peer with a good key: it speaks the real protocol and means harm, as fast as it can.

n4 of four real nodes is killed, and a process of this module takes its key and its address. It
hears what the others tell n4, and sends them all that `KINDS` names: made-up origins, epochs,
parents and authors, tags, claims, folds, receipts, opinions, packets as large and as small as the
wire allows, forks of its own log and of honest ones, and repetitions of what was sent or heard.
Meanwhile people talk to the three honest nodes.

What is measured: the latency of people's acks without the attack, with the same process sending the
same packets to nobody (what the machine alone costs), and with the attack; how much memory the
honest nodes take; and how soon after the attack everything acknowledged is at every honest node.
"""

import multiprocessing
import time
from collections import Counter, deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from random import Random

import msgspec
import psutil
import zmq
from msgspec import Struct

from domain.clock import Stamp
from domain.dot import Dot
from domain.events import MessagePosted
from gossip.entry import GENESIS, hash_of
from gossip.incarnation import token_of
from gossip.packets import (
    PROTOCOL_VERSION,
    Ack,
    Body,
    Feedback,
    Fold,
    Line,
    Opinion,
    Packet,
    Push,
    Receipt,
    Run,
    Same,
    Stored,
    Syn,
    SynAck,
    Unfold,
)
from gossip.wire import PACKET_BYTES_MAX, WireError, cluster_hash, decode, encode
from lab.bench.figures import quantile
from lab.client import Client, Unreachable
from lab.places import keys_in
from lab.process import read_record
from node.api import FrontierPage, ReadFrontier, Status
from node.api import ReadStatus as AskStatus
from node.codec import ProtobufCodec
from node.curve import dial, lock
from node.keys import KeyPair, read_secret, read_trusted
from tests.cluster import test_chaos as chaos
from tests.cluster.conftest import Lab

CLUSTER = "malice"
TEXT = f"name: {CLUSTER}\nnodes: [n1, n2, n3, n4]\nencrypt: true\n"
HONEST = ("n1", "n2", "n3")
EVIL = "n4"
CLIENTS = 6
MIB = 1024 * 1024
REMEMBERED = 2000  # packets that may be sent again
CONVERGED_S = 10.0
WARM_S = 2.0
STARTS_FROM = 1 << 30  # starts that no honest n4 has counted


class Aim(Struct, frozen=True):
    """Whom to attack, and with what. `endpoints` of the honest nodes, by name."""

    own: KeyPair
    endpoint: str  # of the node that it passes for
    endpoints: dict[str, str]
    keys: dict[str, bytes]  # public ones
    seed: int


class Told(Struct):
    """What the attacker did."""

    packets: Counter[str]
    size: int = 0
    heard: int = 0
    refused: int = 0  # sends that found the way full


# --- what it says ---------------------------------------------------------------------------------


class Malice:
    """Packets that mean harm, made of a seed and of what honest nodes have told. Mutable."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self._codec = ProtobufCodec()
        self._number = 0
        self._incarnation = STARTS_FROM << 10
        self.roots: list[bytes] = [bytes(16)]
        self.lines: dict[tuple[str, int], Line] = {}
        self.kept: deque[bytes] = deque(maxlen=REMEMBERED)
        self._own = (self.rng.getrandbits(62) + 1, 0, GENESIS)  # epoch, seq, link of its own log

    def heard(self, packet: Packet) -> None:
        body = packet.body
        if isinstance(body, Syn | Same | SynAck):
            self.roots = [*self.roots[-20:], body.root]
        if isinstance(body, Syn | SynAck):
            for line in body.lines or ():
                if line.origin in HONEST:
                    self.lines[line.origin, line.epoch] = line

    def packet(self, body: Body) -> bytes:
        self._number += 1
        incarnation, number = self._incarnation, self._number
        if self.rng.random() < 0.02:
            incarnation = self.rng.choice((0, 1, 2**40, 2**63 - 1))
        return encode(
            Packet(PROTOCOL_VERSION, cluster_hash(CLUSTER), EVIL, incarnation, number, body)
        )

    def next(self) -> tuple[str, bytes]:
        """The kind, and the bytes."""
        kind = self.rng.choice(NAMES)
        data = KINDS[kind](self)
        if self.rng.random() < 0.1 and len(data) < 65_536:
            self.kept.append(data)
        return kind, data

    # Each method below makes one kind of packet.

    def origins(self) -> bytes:
        rng = self.rng
        made = [f"x{rng.getrandbits(64):x}" for _ in range(rng.choice((1, 20, 500)))]
        return self.packet(Push([self._alone(origin, self._epoch()) for origin in made], True))

    def epochs(self) -> bytes:
        rng = self.rng
        origin = EVIL if rng.random() < 0.7 else rng.choice(HONEST)
        runs = [self._alone(origin, self._epoch()) for _ in range(rng.choice((1, 20, 500)))]
        return self.packet(Push(runs, True, receipt=True))

    def parents(self) -> bytes:
        return self.packet(Push([self._own_run(self.rng.choice((1, 50)), parents=16)], True))

    def authors(self) -> bytes:
        return self.packet(Push([self._own_run(self.rng.choice((1, 50)))], True))

    def tags(self) -> bytes:
        lines = [
            msgspec.structs.replace(line, tags=self.rng.randbytes(8), tags_first=1, tags_last=0)
            for line in self.lines.values()
        ]
        return self.packet(Syn(self.rng.randbytes(16), self.rng.choice((0, 2**40)), lines[:4000]))

    def claims(self) -> bytes:
        """More of honest logs than there is, with a root that settles the claim or does not."""
        rng = self.rng
        lines = [
            Line(origin, epoch, rng.choice((line.prefix + 1, 2**62)), rng.randbytes(8), [])
            for (origin, epoch), line in self.lines.items()
        ]
        root = rng.choice((rng.randbytes(16), rng.choice(self.roots)))
        return self.packet(Syn(root, rng.choice((0, 2**40)), lines[:4000]))

    def ranges(self) -> bytes:
        lines = [
            Line(f"x{i}", 1, 1, self.rng.randbytes(8), [(3 + 2 * n, 3 + 2 * n) for n in range(256)])
            for i in range(100)
        ]
        return self.packet(Syn(self.rng.randbytes(16), 0, lines))

    def folds(self) -> bytes:
        rng = self.rng
        cuts = sorted({rng.randrange(1, 2**63 - 1) for _ in range(2 * rng.choice((1, 100, 1000)))})
        folds = [
            Fold(EVIL, first, last, rng.getrandbits(40), rng.randbytes(16))
            for first, last in zip(cuts[::2], cuts[1::2], strict=False)
        ]
        re = rng.getrandbits(60)
        return self.packet(Unfold(re, [], True, [], folds, rng.choice((0, 2**40)), 16))

    def receipts(self) -> bytes:
        rng = self.rng
        stored = [
            Stored(origin, epoch, rng.choice((line.prefix, 2**62)) or 1, rng.randbytes(8))
            for (origin, epoch), line in self.lines.items()
        ]
        return self.packet(Receipt(stored[:64]))

    def opinions(self) -> bytes:
        rng = self.rng
        told = [Opinion(name, rng.randrange(3), rng.choice((0, 2**62, 2**63 - 1))) for name in HONEST]
        return self.packet(Syn(rng.choice(self.roots), 0, members=told * 80))

    def answers(self) -> bytes:
        """Answers to questions that were not asked, or were."""
        rng = self.rng
        re = token_of(self._incarnation, rng.randrange(self._number + 1))
        lines = list(self.lines.values())[:500]
        runs = [self._alone(f"x{rng.getrandbits(64):x}", 1)]
        body = rng.choice(
            (
                Ack(re, runs, True, lines, 2**40),
                SynAck(re, rng.randbytes(16), 2**40, lines, runs, True),
                Same(re, rng.choice(self.roots)),
                Feedback(re, [True] * 1000),
            )
        )
        return self.packet(body)

    def huge(self) -> bytes:
        """As large as the wire allows, within a byte or a few."""
        room = PACKET_BYTES_MAX - 200 - self.rng.randrange(3)
        texts: list[bytes] = []
        while (left := room - sum(len(one) + 5 for one in texts)) > 4096:
            texts.append(self._own_data(size=min(60_000, left - 400)))
        run = Run(EVIL, self._own[0], self._own[1] - len(texts) + 1, texts)
        return self.packet(Push([run], direct=self.rng.random() < 0.5))

    def tiny(self) -> bytes:
        return self.rng.randbytes(self.rng.randrange(12))

    def replays(self) -> bytes:
        return self.rng.choice(self.kept) if self.kept else self.tiny()

    def own_forks(self) -> bytes:
        """Two or more entries at one position of its own log."""
        rng, epoch = self.rng, self._own[0]
        seq = rng.randrange(1, 30)
        return self.packet(Push([self._alone(EVIL, epoch, seq) for _ in range(20)], True))

    def forks(self) -> bytes:
        """Another entry where an honest node has written one."""
        if not self.lines:
            return self.tiny()
        (origin, epoch), line = self.rng.choice(list(self.lines.items()))
        seq = self.rng.randrange(1, line.prefix + 3)
        return self.packet(Push([self._alone(origin, epoch, seq)], True))

    # --- what these are made of -------------------------------------------------------------------

    def _epoch(self) -> int:
        return self.rng.getrandbits(62) + 1

    def _alone(self, origin: str, epoch: int, seq: int = 1) -> Run:
        prev = GENESIS if seq == 1 else self.rng.randbytes(16)
        return Run(origin, epoch, seq, [self._event(Dot(origin, epoch, seq), prev)])

    def _own_run(self, count: int, parents: int = 0) -> Run:
        first = self._own[1] + 1
        data = [self._own_data(parents) for _ in range(count)]
        return Run(EVIL, self._own[0], first, data)

    def _own_data(self, parents: int = 0, size: int = 0) -> bytes:
        epoch, seq, link = self._own
        data = self._event(Dot(EVIL, epoch, seq + 1), link, parents, size)
        self._own = (epoch, seq + 1, hash_of(data)[:16])
        return data

    def _event(self, dot: Dot, prev: bytes, parents: int = 0, size: int = 0) -> bytes:
        rng = self.rng
        named = tuple(
            Dot(f"y{rng.getrandbits(40):x}", self._epoch(), 2**62) for _ in range(parents)
        )
        text = "x" * size or f"harm {rng.getrandbits(40):x}"
        at = Stamp(int(time.time() * 1000) + rng.choice((0, 0, 10**9)), 0)
        author = f"{rng.getrandbits(60):x}" if rng.random() < 0.5 else "eve"
        return self._codec.encode(MessagePosted(dot, at, named, author, text), prev)


KINDS: dict[str, Callable[[Malice], bytes]] = {
    "origins": Malice.origins,
    "epochs": Malice.epochs,
    "parents": Malice.parents,
    "authors": Malice.authors,
    "tags": Malice.tags,
    "claims": Malice.claims,
    "ranges": Malice.ranges,
    "folds": Malice.folds,
    "receipts": Malice.receipts,
    "opinions": Malice.opinions,
    "answers": Malice.answers,
    "huge": Malice.huge,
    "tiny": Malice.tiny,
    "replays": Malice.replays,
    "own_forks": Malice.own_forks,
    "forks": Malice.forks,
}
NAMES = tuple(KINDS)


# --- the process that says it ---------------------------------------------------------------------


def attack(aim: Aim, real: Event, stop: Event, end: Connection) -> None:
    """Send as fast as they are taken: to a socket of its own until `real`, then to the nodes."""
    malice, told = Malice(aim.seed), Told(Counter())
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    ears = context.socket(zmq.ROUTER)
    ears.setsockopt(zmq.LINGER, 0)
    ears.curve_server = True
    ears.setsockopt(zmq.CURVE_SECRETKEY, aim.own.secret)
    ears.bind(aim.endpoint)
    ways = [_dialled(context, aim, name) for name in aim.endpoints]
    sink = context.socket(zmq.PULL)
    sink.bind("inproc://nobody")
    nobody = context.socket(zmq.PUSH)
    nobody.connect("inproc://nobody")
    end.send("ready")
    while not stop.is_set():
        _listen(ears, malice, told)
        kind, data = malice.next()
        if not real.is_set():
            nobody.send(data)
            sink.recv()
            continue
        sent = 0
        for way in ways:
            try:
                way.send(data, zmq.NOBLOCK)
                sent += 1
            except zmq.Again:
                told.refused += 1
        told.packets[kind] += sent
        told.size += sent * len(data)
        if not sent:
            ways[0].poll(5, zmq.POLLOUT)
    end.send(told)
    context.destroy(linger=0)


def _dialled(
    context: "zmq.Context[zmq.Socket[bytes]]", aim: Aim, name: str
) -> "zmq.Socket[bytes]":
    way = context.socket(zmq.DEALER)
    way.setsockopt(zmq.LINGER, 0)
    way.setsockopt(zmq.SNDHWM, 1000)
    dial(way, aim.own, aim.keys[name])
    way.connect(aim.endpoints[name])
    return way


def _listen(ears: "zmq.Socket[bytes]", malice: Malice, told: Told) -> None:
    """What honest nodes tell the peer that they believe to speak to."""
    for _ in range(10):
        try:
            *_, data = ears.recv_multipart(zmq.NOBLOCK)
            malice.heard(decode(data))
        except zmq.Again:
            return
        except WireError:  # compressed: it hears enough of the others
            continue
        told.heard += 1
        malice.kept.append(data)


# --- the measurement ------------------------------------------------------------------------------


class Measured(Struct):
    quiet_ms: list[float]
    loaded_ms: list[float]
    attacked_ms: list[float]
    told: Told
    grown_mib: float
    events: int
    settled_s: float
    acked: int

    def __str__(self) -> str:
        p99s = [quantile(one, 0.99) for one in (self.quiet_ms, self.loaded_ms, self.attacked_ms)]
        kinds = len(self.told.packets)
        return (
            f"{sum(self.told.packets.values())} packets of {kinds} kinds, "
            f"{self.told.size / MIB:.0f} MiB: 0 crashes, p99 of acks {p99s[2]:.1f} ms "
            f"({p99s[0]:.1f} quiet, {p99s[1]:.1f} with the same work and no attack), RSS at most "
            f"{self.grown_mib:+.1f} MiB with {self.events} events, everything of {self.acked} "
            f"acknowledged at all honest nodes {self.settled_s:.1f} s after"
        )


def measured(lab: Lab, seconds: float, seed: int) -> Measured:
    lab.write(TEXT)
    lab.well("keys", "new", "n1", "n2", "n3", "n4")
    lab.up()
    lines = lab.well("cluster", "ps", "--json").lines
    endpoints = {line["node"]: line["address"] for line in lines}
    lab.well("cluster", "kill", EVIL)
    folder = keys_in(lab.file)
    trusted = read_trusted(folder)
    keys = {name: trusted.keys[name].public for name in HONEST}
    evil = endpoints.pop(EVIL)
    aim = Aim(read_secret(folder, EVIL), evil, endpoints, keys, seed)
    spawn = multiprocessing.get_context("spawn")
    real, stop = spawn.Event(), spawn.Event()
    ours, theirs = spawn.Pipe()
    attacker = spawn.Process(target=attack, args=(aim, real, stop, theirs), daemon=True)
    talkers = chaos.talk(lab, nodes=HONEST, clients=CLIENTS)
    try:
        time.sleep(WARM_S)
        quiet = _acks_during(talkers, seconds / 4)
        attacker.start()
        assert ours.poll(30)
        ours.recv()
        loaded = _acks_during(talkers, seconds / 4)
        processes = _processes(lab)
        before = {name: one.memory_info().rss for name, one in processes.items()}
        real.set()
        attacked, grown = _attacked(talkers, processes, before, seconds)
        stop.set()
        assert ours.poll(30)
        told = ours.recv()
    finally:
        stop.set()
        acked = chaos.hush(talkers)
        if attacker.pid is not None:
            attacker.join(10)
            attacker.kill()
    settled_s = _settled(lab, acked)
    events = max(_status(lab, name).events for name in HONEST)
    return Measured(quiet, loaded, attacked, told, grown, events, settled_s, len(acked))


def _processes(lab: Lab) -> dict[str, psutil.Process]:
    found = {}
    for name in HONEST:
        record = read_record(Path(lab.place.nodes[name].pid_file))
        assert record is not None
        found[name] = psutil.Process(record.pid)
    return found


def _acks_during(talkers: list[chaos.Talker], seconds: float) -> list[float]:
    for one in talkers:
        one.took_s = []
    time.sleep(seconds)
    return [1000 * took for one in talkers for took in one.took_s]


def _attacked(
    talkers: list[chaos.Talker],
    processes: dict[str, psutil.Process],
    before: dict[str, int],
    seconds: float,
) -> tuple[list[float], float]:
    """Acks while it lasts, and by how many MiB the worst of the nodes grew."""
    for one in talkers:
        one.took_s = []
    end_s, most = time.monotonic() + seconds, 0.0
    while time.monotonic() < end_s:
        for name, process in processes.items():
            assert process.is_running(), f"{name} ended"
            most = max(most, (process.memory_info().rss - before[name]) / MIB)
        time.sleep(0.2)
    return [1000 * took for one in talkers for took in one.took_s], most


def _settled(lab: Lab, acked: dict[Dot, str]) -> float:
    """Seconds until every honest node holds everything acknowledged. Raises after CONVERGED_S."""
    began_s = time.monotonic()
    while True:
        lacking = {name: _lacking(lab, name, acked) for name in HONEST}
        took_s = time.monotonic() - began_s
        if not any(lacking.values()):
            return took_s
        assert took_s < CONVERGED_S, f"of {len(acked)} acknowledged these are lacking: {lacking}"
        time.sleep(0.05)


def _lacking(lab: Lab, name: str, acked: dict[Dot, str]) -> int:
    try:
        with Client(name, lab.place.nodes[name].control, timeout_s=CONVERGED_S) as client:
            page = client.expect(ReadFrontier(client.new_id()), FrontierPage)
    except Unreachable:
        return len(acked)
    held = {(log.origin, log.epoch): log for log in page.logs}
    lacking = 0
    for dot in acked:
        log = held.get((dot.origin, dot.epoch))
        lacking += log is None or not (
            dot.seq <= log.prefix or any(first <= dot.seq <= last for first, last in log.ranges)
        )
    return lacking


def _status(lab: Lab, name: str) -> Status:
    with Client(name, lab.place.nodes[name].control, timeout_s=CONVERGED_S) as client:
        return client.expect(AskStatus(client.new_id()), Status)
