"""One node as the search drives it: a replica, a disk, and what it has acknowledged, shown and
sent. Mutable.

The disk is a list. Records that the replica hands out are `pending` until an act of the search
writes them. A crash either loses them, or keeps them without the node having been notified.
"""

from collections.abc import Callable
from hashlib import blake2b
from random import Random

from msgspec import Struct

from domain.arrival import TAG_BYTES
from domain.commands import PostMessage
from domain.moderation import Moderator, Policy
from gossip.config import GossipConfig
from gossip.entry import hash_of
from gossip.packets import WITH_RUNS, Packet
from gossip.wire import decode, encode
from lab.modelcheck.bounds import Workload
from lab.modelcheck.fingerprint import fingerprint
from lab.sim.event_names import NamingCodec
from node.core.interface import Acked, Input, Persisted, Received, Submit, Tick
from node.core.ports import AckLevel, EventCodec, EventRecord, Record
from node.core.replica import Replica, ReplicaConfig

HOUR_MS = 3_600_000
WALL_MS = 1_700_000_000_000
# Rounds begin when the search says so, hence not by themselves.
GOSSIP = GossipConfig(round_ms=HOUR_MS, idle_round_ms=HOUR_MS, dead_round_ms=HOUR_MS)

Build = Callable[[ReplicaConfig, EventCodec, Random, int, Moderator], Replica]


class Mail(Struct, frozen=True, order=True):
    """A packet in flight, as its bytes."""

    sender: str
    receiver: str
    data: bytes

    @property
    def kind(self) -> str:
        return type(decode(self.data).body).__name__


class PostStep(Struct, frozen=True):
    pass


class Persist(Struct, frozen=True):
    pass


class Round(Struct, frozen=True):
    peer: str


class Timeout(Struct, frozen=True):
    pass


class CrashStep(Struct, frozen=True):
    kept: bool  # the disk had written what was pending, without a report to the node


class Receive(Struct, frozen=True):
    mail: Mail


Act = PostStep | Persist | Round | Timeout | CrashStep | Receive


class Effects(Struct, frozen=True):
    """The effects of one act of a node outside the node."""

    sends: tuple[Mail, ...]
    problems: tuple[str, ...]


class Draws(Random):
    """Chance that is the same whenever the same is asked, and small."""

    def __init__(self, label: str) -> None:
        self._label, self._drawn = label, 0
        super().__init__(0)

    def __repr__(self) -> str:
        return f"{self._label} {self._drawn}"

    def getrandbits(self, k: int, /) -> int:
        self._drawn += 1
        digest = blake2b(repr(self).encode(), digest_size=16).digest()
        return int.from_bytes(digest, "big") >> (128 - k)

    def random(self) -> float:
        return self.getrandbits(53) / (1 << 53)


class Shared:
    """What all machines of a search share: nothing that a step can change."""

    def __init__(self, workload: Workload, build: Build) -> None:
        self.workload = workload
        self.build = build
        self.known = NamingCodec()
        self.moderator = Moderator(Policy((), ()))


class NodeMachine:
    def __init__(self, name: str, shared: Shared) -> None:
        self.name = name
        self._shared = shared
        workload = shared.workload
        self.peers = tuple([peer for peer in workload.names if peer != name])
        self.disk: list[Record] = []
        self.pending: list[Record] = []
        self.life = 0
        self.posts = 0
        self.acked: list[str] = []  # refs
        self._answered: list[int] = []
        self._now_ms = 0
        self._sends: list[Mail] = []
        self._problems: list[str] = []
        self._begin()
        self._persist()  # the record that opens the first log is not what is searched for

    # --- acts -----------------------------------------------------------------------------------

    def do(self, act: Act) -> Effects:
        """An exception out of the replica is a problem, and the end of this path."""
        self._sends, self._problems = [], []
        try:
            self._do(act)
        except Exception as error:
            self._problems.append(f"{self.name}: {type(error).__name__} out of the core: {error}")
            return Effects((), tuple(self._problems))
        return Effects(tuple(self._sends), tuple(self._problems))

    def _do(self, act: Act) -> None:
        if type(act) is PostStep:
            self.posts += 1
            text = f"{self.name} says {self.posts}"
            level = AckLevel(self._shared.workload.ack)
            self._turn(Submit(self.posts, PostMessage(f"p-{self.name}", text), level))
        elif type(act) is Persist:
            self._persist()
        elif type(act) is Round:
            self.replica.engine.call(act.peer)
            self._turn()
        elif type(act) is Timeout:
            self._now_ms += GOSSIP.exchange_timeout_ms
            self._turn()
        elif type(act) is CrashStep:
            if act.kept:
                self.disk += self.pending
            self._begin()
        elif type(act) is Receive:
            data = act.mail.data
            self._turn(Received(decode(data), len(data)))

    def _begin(self) -> None:
        """A life begins, with what the disk has."""
        self.life += 1
        self.pending = []
        self._now_ms = 0
        config = ReplicaConfig(self.name, "search", self.peers, gossip=GOSSIP)
        rng = Draws(f"{self.name} {self.life}")
        shared = self._shared
        self.replica = shared.build(config, shared.known, rng, self.life, shared.moderator)
        self.replica.restore(self.disk)
        self.replica.boot(0, WALL_MS, "")
        self._turn()

    def _persist(self) -> None:
        self.disk += self.pending
        self.pending = []
        self._turn(Persisted(len(self.disk), len(self.disk)))

    def _turn(self, item: Input | None = None) -> None:
        """As `node.process.runtime` does it, with one input."""
        replica = self.replica
        replica.step(Tick(self._now_ms, WALL_MS))
        if item is not None:
            replica.step(item)
        out = replica.drain()
        assert replica.wake_at_ms >= 0
        self.pending += out.persist
        safe = {record.data for record in self.disk if type(record) is EventRecord}
        for peer, packet in out.send:
            self._send(peer, packet, safe)
        for _, arrival in out.publish:
            if not any(hash_of(data)[:TAG_BYTES] == arrival.tag for data in safe):
                self._problems.append(f"{self.name} shows {arrival.event.dot}, not yet on disk")
        for ticket, outcome in out.reply:
            if ticket in self._answered:
                self._problems.append(f"{self.name} answers post {ticket} twice")
            self._answered.append(ticket)
            if type(outcome) is Acked:
                held = [self.ref(data) for data in safe]
                ref = next((one for one in held if one.startswith(f"{outcome.dot}#")), "")
                if not ref:
                    text = f"{self.name} acknowledges {outcome.dot}, not yet on disk"
                    self._problems.append(text)
                else:
                    self.acked.append(ref)

    def _send(self, peer: str, packet: Packet, safe: set[bytes]) -> None:
        body = packet.body
        if isinstance(body, WITH_RUNS):
            for run in body.runs:
                for data in run.data:
                    if run.origin == self.name and data not in safe:
                        text = f"{self.name} gossips {self.ref(data)}, not yet on disk"
                        self._problems.append(text)
        self._sends.append(Mail(self.name, peer, encode(packet)))

    # --- what it shows --------------------------------------------------------------------------

    def ref(self, data: bytes) -> str:
        """n1.5eed:12#0123456789abcdef, as in traces."""
        return self._shared.known.named(data).ref

    def refs(self, records: list[Record]) -> tuple[str, ...]:
        return tuple([self.ref(one.data) for one in records if type(one) is EventRecord])

    def visible(self) -> tuple[str, ...]:
        arrivals = self.replica.timeline.select("arrival")
        return tuple([f"{one.event.dot}#{one.tag.hex()}" for one in arrivals])

    def busy(self) -> tuple[str, ...]:
        return tuple([peer for peer in self.peers if self.replica.engine.rounds.busy(peer)])

    def fingerprint(self) -> bytes:
        parts = (self.disk, self.pending, self.life, self.posts, sorted(self.acked))
        return fingerprint(self.replica, *parts, self._answered, self._now_ms)
