"""The same search without any of its tricks: whole worlds, real packets, everything replayed.

A world is two or three replicas, their disks, and packets. Each state is reached by replaying all
steps of all nodes from the start. Only the fingerprint of a replica is shared
with `lab.modelcheck`, for it says what counts as one state.
"""

from collections import Counter, deque
from typing import Any

from domain.commands import PostMessage
from domain.moderation import Moderator, Policy
from gossip.wire import decode, encode
from lab.modelcheck import Bounds, Workload
from lab.modelcheck.fingerprint import fingerprint
from lab.modelcheck.node_machine import GOSSIP, WALL_MS, Draws
from node.core.interface import Outbox, Persisted, Received, Submit, Tick
from node.core.ports import AckLevel, Record
from node.core.replica import Replica, ReplicaConfig
from node.storage.codec import ProtobufCodec

MODERATOR = Moderator(Policy((), ()))
Flying = tuple[str, str, bytes]  # sender, receiver, bytes as sent
Step = tuple[Any, ...]


class World:
    def __init__(self, workload: Workload, bounds: Bounds) -> None:
        self.names = workload.names
        self.posts = dict(zip(self.names, workload.posts, strict=True))
        self.left = Counter(
            round=bounds.rounds,
            drop=bounds.drops,
            copy=bounds.copies,
            crash=bounds.crashes,
            timeout=bounds.timeouts,
        )
        self.disks: dict[str, list[Record]] = {name: [] for name in self.names}
        self.pending: dict[str, list[Record]] = {name: [] for name in self.names}
        self.lives = Counter[str]()
        self.posted = Counter[str]()
        self.answered: dict[str, list[int]] = {name: [] for name in self.names}
        self.now_ms = Counter[str]()
        self.flying: list[Flying] = []
        self.replicas: dict[str, Replica] = {}
        for name in self.names:
            self.boot(name)
            self.persist(name)

    def boot(self, name: str) -> None:
        self.lives[name] += 1
        self.pending[name] = []
        self.now_ms[name] = 0
        peers = tuple(one for one in self.names if one != name)
        config = ReplicaConfig(name, "search", peers, gossip=GOSSIP)
        rng = Draws(f"{name} {self.lives[name]}")
        self.replicas[name] = Replica(config, ProtobufCodec(), rng, self.lives[name], MODERATOR)
        self.replicas[name].restore(self.disks[name])
        self.replicas[name].boot(0, WALL_MS, "")
        self.turn(name)

    def persist(self, name: str) -> None:
        self.disks[name] += self.pending[name]
        self.pending[name] = []
        size = len(self.disks[name])
        self.turn(name, Persisted(size, size))

    def turn(self, name: str, *items: Any) -> None:
        replica = self.replicas[name]
        replica.step(Tick(self.now_ms[name], WALL_MS))
        for item in items:
            replica.step(item)
        out: Outbox = replica.drain()
        assert replica.wake_at_ms >= 0
        self.pending[name] += out.persist
        self.answered[name] += [ticket for ticket, _ in out.reply]
        for peer, packet in out.send:
            self.flying.append((name, peer, encode(packet)))

    # --- steps ----------------------------------------------------------------------------------

    def possible(self) -> list[Step]:
        steps: list[Step] = []
        for name in self.names:
            busy = [peer for peer in self.names if self.replicas[name].engine.rounds.busy(peer)]
            if self.posted[name] < self.posts[name]:
                steps.append(("post", name))
            if self.pending[name]:
                steps.append(("persist", name))
            steps += [
                ("round", name, peer)
                for peer in self.names
                if self.left["round"] and peer != name and peer not in busy
            ]
            if self.left["timeout"] and busy:
                steps.append(("timeout", name))
            if self.left["crash"]:
                steps.append(("crash", name, False))
                steps.append(("crash", name, True))  # the same, if nothing is pending
        for flying in sorted(set(self.flying)):
            steps.append(("deliver", flying))
            steps += [(what, flying) for what in ("drop", "copy") if self.left[what]]
        return steps

    def do(self, step: Step) -> None:
        what = step[0]
        if what in self.left:
            self.left[what] -= 1
        if what == "post":
            name = step[1]
            self.posted[name] += 1
            command = PostMessage(f"p-{name}", f"{name} says {self.posted[name]}")
            self.turn(name, Submit(self.posted[name], command, AckLevel.DURABLE))
        elif what == "persist":
            self.persist(step[1])
        elif what == "round":
            self.replicas[step[1]].engine.call(step[2])
            self.turn(step[1])
        elif what == "timeout":
            self.now_ms[step[1]] += GOSSIP.exchange_timeout_ms
            self.turn(step[1])
        elif what == "crash":
            if step[2]:
                self.disks[step[1]] += self.pending[step[1]]
            self.boot(step[1])
        else:
            if what != "copy":
                self.flying.remove(step[1])
            if what != "drop":
                data = step[1][2]
                self.turn(step[1][1], Received(decode(data), len(data)))

    # --- as a state -----------------------------------------------------------------------------

    def key(self) -> object:
        nodes = [
            fingerprint(
                self.replicas[name],
                self.disks[name],
                self.pending[name],
                self.lives[name],
                self.posted[name],
                self.answered[name],
                self.now_ms[name],
            )
            for name in self.names
        ]
        return (tuple(nodes), tuple(sorted(self.flying)), str(self.left))


def count(workload: Workload, bounds: Bounds) -> int:
    """How many distinct states there are."""

    def at(path: tuple[Step, ...]) -> World:
        world = World(workload, bounds)
        for step in path:
            world.do(step)
        return world

    seen = {at(()).key()}
    waiting: deque[tuple[Step, ...]] = deque([()])
    while waiting:
        path = waiting.popleft()
        for step in at(path).possible():
            world = at((*path, step))
            key = world.key()
            if key not in seen:
                seen.add(key)
                waiting.append((*path, step))
    return len(seen)
