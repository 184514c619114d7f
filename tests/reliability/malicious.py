"""A malicious peer with a good key, on real processes: R13.

n4 of four real nodes is killed, and a process of this module takes its key and its address. It
hears what the others tell n4, and sends them what `tests.reliability.malice` makes, as fast as it
can. Meanwhile people talk to the three honest nodes.

What is measured: the latency of people's acks without the attack, with the same process sending the
same packets to nobody (what the machine alone costs), and with the attack; how much memory the
honest nodes take, and how long their longest turn is in processor time; and how soon after the
attack everything acknowledged is at every honest node.

The attacker takes all of a processor, which a real one would have elsewhere. So it has the first
one to itself, and the nodes and the people share the others, in all parts of the measurement alike.
"""

import multiprocessing
import os
import time
from collections import Counter
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import psutil
import zmq
from msgspec import Struct

from domain.dot import Dot
from domain.events import MessagePosted
from gossip.wire import WireError, decode
from lab.bench.figures import quantile
from lab.client.client import Client
from lab.client.location import keys_in
from lab.client.panel import frontiers_of
from lab.client.timeline_reader import read_timeline
from lab.cluster.processes import read_record
from node.control.messages import FrontierPage, Status
from node.control.messages import ReadStatus as AskStatus
from node.security.curve import dial
from node.security.key_files import KeyPair, read_secret, read_trusted
from tests.cluster import test_chaos as chaos
from tests.cluster.conftest import Lab
from tests.reliability.malice import CLUSTER, CLUSTER_ID, EVIL, HONEST, Malice

TEXT = f"name: {CLUSTER}\nid: {CLUSTER_ID}\nnodes: [n1, n2, n3, n4]\nencrypt: true\n"
CLIENTS = 6
MIB = 1024 * 1024
CONVERGED_S = 10.0
WARM_S = 2.0
P99_RATIO_MAX = 5.0  # of acks under the attack, to those without
ATTACKED_PER_LOADED = 4  # how much longer it is looked at
TURN_MS_MAX = 50.0  # docs/protocol.md, section 14, as are these three
GROWN_MIB_MAX = 64.0  # besides
LOG_BYTES = 3 * 1024
ENTRY_BYTES = 3 * 1024


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


def _dialled(context: "zmq.Context[zmq.Socket[bytes]]", aim: Aim, name: str) -> "zmq.Socket[bytes]":
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


# --- the measurement ------------------------------------------------------------------------------


def pin(pid: int, processors: list[int]) -> None:
    """All threads of this process run there, and those that they start."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), processors)


class Measured(Struct):
    quiet_ms: list[float]
    loaded_ms: list[float]
    attacked_ms: list[float]
    told: Told
    grown_mib: float
    turn_ms: float  # the longest, in processor time
    logs: int
    events: int
    settled_s: float
    acked: int

    @property
    def grown_mib_max(self) -> float:
        """The documented bound, for so many logs and events."""
        return GROWN_MIB_MAX + (LOG_BYTES * self.logs + ENTRY_BYTES * self.events) / MIB

    @property
    def pace(self) -> float:
        """Acks a second under the attack, to those before it with the same work."""
        return len(self.attacked_ms) / len(self.loaded_ms) / ATTACKED_PER_LOADED

    @property
    def p99_ratio(self) -> float:
        return quantile(self.attacked_ms, 0.99) / quantile(self.quiet_ms, 0.99)

    def __str__(self) -> str:
        p99s = [quantile(one, 0.99) for one in (self.quiet_ms, self.loaded_ms, self.attacked_ms)]
        kinds = len(self.told.packets)
        return (
            f"{sum(self.told.packets.values())} packets of {kinds} kinds, "
            f"{self.told.size / MIB:.0f} MiB: 0 crashes, p99 of acks {p99s[2]:.1f} ms "
            f"({p99s[0]:.1f} quiet, {p99s[1]:.1f} with the same work and no attack), "
            f"{self.pace:.2f} times as many a second as without, longest turn "
            f"{self.turn_ms:.0f} ms of processor time, RSS at most {self.grown_mib:+.1f} MiB "
            f"(bound {self.grown_mib_max:.0f}) with {self.events} events in {self.logs} logs, "
            f"everything of {self.acked} acknowledged at all honest nodes {self.settled_s:.1f} s "
            "after"
        )


def measured(lab: Lab, seconds: float, seed: int, converged_s: float = CONVERGED_S) -> Measured:
    lab.write(TEXT)
    lab.well("keys", "new", "n1", "n2", "n3", "n4")
    lab.up()
    processes = _processes(lab)
    all_of_them = sorted(os.sched_getaffinity(0))
    first, others = all_of_them[:1], all_of_them[1:] or all_of_them
    for pid in (os.getpid(), *(one.pid for one in processes.values())):
        pin(pid, others)
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
        quiet = _acks_during(talkers, seconds / ATTACKED_PER_LOADED)
        attacker.start()
        assert attacker.pid is not None
        pin(attacker.pid, first)
        assert ours.poll(30)
        ours.recv()
        loaded = _acks_during(talkers, seconds / ATTACKED_PER_LOADED)
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
        pin(os.getpid(), all_of_them)
    settled_s = _settled(lab, acked, converged_s)
    found = [_status(lab, name) for name in HONEST]
    turn_ms = max(one.counters["turn_us_max"] for one in found) / 1000
    logs, events = max(one.places.logs for one in found), max(one.events for one in found)
    return Measured(
        quiet, loaded, attacked, told, grown, turn_ms, logs, events, settled_s, len(acked)
    )


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


def _settled(lab: Lab, acked: dict[Dot, str], within_s: float) -> float:
    """Seconds until every honest node holds everything acknowledged. Raises after `within_s`."""
    began_s = time.monotonic()
    places = [lab.place.nodes[name] for name in HONEST]
    while True:
        pages = frontiers_of(places, within_s)
        lacking = {
            name: _lacking(pages[name], acked) if name in pages else len(acked) for name in HONEST
        }
        took_s = time.monotonic() - began_s
        if not any(lacking.values()):  # by position; and is it what was said there?
            shown = {name: _shown(lab, name) for name in HONEST}
            took_s = time.monotonic() - began_s
            said = {name: _said(lab, name, arrivals) for name, arrivals in shown.items()}
            lacking = {name: len(acked.items() - said[name]) for name in HONEST}
        if not any(lacking.values()):
            return took_s
        assert took_s < within_s, f"of {len(acked)} acknowledged these are lacking: {lacking}"
        time.sleep(0.05)


def _lacking(page: FrontierPage, acked: dict[Dot, str]) -> int:
    held = {(log.origin, log.epoch): log for log in page.logs}
    lacking = 0
    for dot in acked:
        log = held.get((dot.origin, dot.epoch))
        lacking += log is None or not (
            dot.seq <= log.prefix or any(first <= dot.seq <= last for first, last in log.ranges)
        )
    return lacking


def _shown(lab: Lab, name: str) -> int:
    """How many arrivals this node shows now."""
    with Client(name, lab.place.nodes[name].control, timeout_s=CONVERGED_S) as client:
        return read_timeline(client, "arrival", last=1).arrivals


def _said(lab: Lab, name: str, arrivals: int) -> set[tuple[Dot, str]]:
    """What it shows as of so many arrivals; of a fork all that was said at one position."""
    with Client(name, lab.place.nodes[name].control, timeout_s=CONVERGED_S) as client:
        items = read_timeline(client, "arrival", arrivals=arrivals).items
    events = [item.event for item in items]
    return {(event.dot, event.text) for event in events if type(event) is MessagePosted}


def _status(lab: Lab, name: str) -> Status:
    with Client(name, lab.place.nodes[name].control, timeout_s=CONVERGED_S) as client:
        return client.expect(AskStatus(client.new_id()), Status)
