"""Recorded replicas without processes: a disk that always works, and packets handed on at once."""

from pathlib import Path

import msgspec

from domain.commands import Command
from domain.moderation import Policy, Rule
from gossip.wire import decode, encode
from node.core.interface import Outbox, Persisted, Received, Submit, Tick
from node.core.ports import AckLevel, Record
from node.core.replica import ReplicaConfig
from node.recording.format import SUFFIX, Began
from node.recording.recorder import RecordedReplica, Recorder
from node.storage.codec import ProtobufCodec

POLICY = Policy((Rule("no", ("forbidden",), "reject"), Rule("mild", ("dang",), "censor")), ())
NAMES = ("n1", "n2", "n3")
WALL_MS = 1_700_000_000_000


class Clock:
    """Of one machine: ns, and it moves at each look."""

    def __init__(self) -> None:
        self.ns = 1_000_000_000

    def __call__(self) -> int:
        self.ns += 1000
        return self.ns


class Recorded:
    """A node whose lives are recorded. Mutable."""

    def __init__(self, name: str, folder: Path, clock: Clock) -> None:
        self.name = name
        self.folder = folder / name
        self.clock = clock
        self.journal: list[Record] = []
        self.lives = self.tickets = 0
        self.out: list[Outbox] = []
        self.start()

    def start(self, bytes_max: int = 1 << 20) -> None:
        self.lives += 1
        config = ReplicaConfig(
            self.name, "test", tuple(one for one in NAMES if one != self.name), policy=POLICY
        )
        path = self.folder / f"{self.lives:03d}{SUFFIX}"
        self.recorder = Recorder(path, bytes_max=bytes_max, now_ns=self.clock)
        seed = 100 * self.lives + int(self.name[1:])
        self.recorder.began(began_of(config, self.lives, seed))
        self.replica = RecordedReplica(config, ProtobufCodec(), seed, self.lives, self.recorder)
        self.replica.restore(self.journal)
        self.replica.boot(self.now_ms, WALL_MS, "" if self.journal else "new log")
        self.turn()

    @property
    def now_ms(self) -> int:
        return self.clock.ns // 1_000_000

    def turn(self, *items: object) -> Outbox:
        """One turn, and then those in which the journal says what it has."""
        out = self.turn_only(*items)
        if out.persist:
            self.turn(Persisted(len(self.journal), len(self.journal)))
        return out

    def turn_only(self, *items: object) -> Outbox:
        self.replica.step(Tick(self.now_ms, WALL_MS + self.now_ms))
        for item in items:
            self.replica.step(item)  # type: ignore[arg-type]
        out = self.replica.drain()
        self.out.append(out)
        self.journal += out.persist
        return out

    def submit(self, command: Command) -> None:
        self.tickets += 1
        self.turn(Submit(self.tickets, command, AckLevel.DURABLE))

    def killed(self) -> None:
        self.recorder.close()

    def ended(self) -> None:
        self.recorder.ended(len(self.journal), len(self.journal))


def exchange(nodes: list[Recorded], ms: int = 50) -> None:
    """Time passes, and everything that was sent arrives, until nothing flies."""
    nodes[0].clock.ns += ms * 1_000_000
    for node in nodes:
        node.turn()
    by_name = {node.name: node for node in nodes}
    for node in nodes:
        out, node.out = node.out, []
        for one in out:
            for peer, packet in one.send:
                if peer in by_name:
                    data = encode(packet)
                    by_name[peer].turn(Received(decode(data), len(data)))


def began_of(config: ReplicaConfig, incarnation: int, seed: int) -> Began:
    data = msgspec.json.encode(config)
    return Began(config.node, incarnation, 1, data, seed, clean=True, torn_bytes=0, quarantined=0)
