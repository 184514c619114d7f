"""Engines and the packets between them, by hand or by a small seeded network. No clock, no sockets.

Entries are those of `tests.gossip.builders`. Every packet is really encoded and decoded.
"""

from collections import deque
from collections.abc import Callable, Iterator
from random import Random

from msgspec import Struct

from domain.dot import Dot
from gossip.admission import Learnt
from gossip.config import GossipConfig
from gossip.engine import Engine
from gossip.entry import PREV_BYTES, Entry
from gossip.packets import PROTOCOL_VERSION, Body, Packet, Run
from gossip.reconcile.vector import Vector
from gossip.store import MemoryStore
from gossip.wire import decode, encode
from tests.gossip.builders import chain, held

CLUSTER = 0xC0FFEE
BAD = b"nonsense"


class Flying(Struct, frozen=True):
    sender: str
    receiver: str
    data: bytes

    @property
    def packet(self) -> Packet:
        return decode(self.data)


def open_entry(dot: Dot, data: bytes) -> tuple[bytes, str] | None:
    if str(dot).encode() not in data:
        return None
    return data[:PREV_BYTES], str(dot)


class Net:
    """Some engines, and what flies between them."""

    def __init__(
        self, *names: str, config: GossipConfig | None = None, seed: int = 1, start: int = 1
    ) -> None:
        self.now_ms = 1000
        self.flying: deque[Flying] = deque()
        self.engines: dict[str, Engine[str]] = {}
        self.logs: dict[str, list[Entry]] = {name: [] for name in names}
        self.learnt: dict[str, list[Learnt[str]]] = {name: [] for name in names}
        for name in names:
            self.engines[name] = Engine(
                name,
                CLUSTER,
                start,
                tuple(other for other in names if other != name),
                config or GossipConfig(),
                Random(f"{seed} {name}"),
                MemoryStore(),
                Vector(),
                open_entry,
            )
            self.engines[name].start(self.now_ms)

    def __getitem__(self, name: str) -> Engine[str]:
        return self.engines[name]

    # --- one thing at a time --------------------------------------------------------------------

    def emit(self, name: str, count: int = 1, *, receipt: bool = False, size: int = 0) -> None:
        """Own entries, as durable as promised."""
        log = self.logs[name]
        for one in chain(name, count, after=log[-1] if log else None, size=size):
            log.append(one)
            self[name].offer(one, receipt)
        self.flush(name)

    def hold(self, name: str, entries: list[Entry]) -> None:
        """Entries from the node's own past."""
        for one in entries:
            self[name].restore(one)

    def call(self, name: str, peer: str) -> None:
        self[name].call(peer)
        self.flush(name)

    def flush(self, name: str) -> None:
        for peer, packet in self[name].flush():
            self.flying.append(Flying(name, peer, encode(packet)))

    def deliver(self) -> Flying:
        """The oldest packet arrives."""
        one = self.flying.popleft()
        self.arrive(one)
        return one

    def arrive(self, one: Flying) -> None:
        learnt = self[one.receiver].receive(one.packet, self.now_ms)
        self.learnt[one.receiver] += learnt
        self.flush(one.receiver)

    def drop(self) -> Flying:
        return self.flying.popleft()

    def tick(self, ms: int = 0, *names: str) -> None:
        """Time passes, for everybody or for these."""
        self.now_ms += ms
        for name in names or self.engines:
            self[name].tick(self.now_ms)
            self.flush(name)

    def settle(self) -> list[Flying]:
        """Everything that flies arrives, and what that sends, too."""
        return list(self._settling())

    def _settling(self) -> Iterator[Flying]:
        while self.flying:
            yield self.deliver()

    # --- as a network ---------------------------------------------------------------------------

    def run(
        self,
        ms: int,
        *,
        arrives: Callable[[Flying], int] = lambda _: 1,
        until: Callable[[], bool] = lambda: False,
        step_ms: int = 5,
    ) -> int:
        """Let time pass in small steps; `arrives` says how often a packet does. Returns the ms."""
        began_ms = self.now_ms
        while self.now_ms < began_ms + ms and not until():
            self.tick(step_ms)
            batch, self.flying = self.flying, deque()
            for one in batch:
                for _ in range(arrives(one)):
                    self.arrive(one)
        return self.now_ms - began_ms

    @property
    def agreed(self) -> bool:
        return len({engine.frontier.root for engine in self.engines.values()}) == 1

    def holdings(self) -> list[set[bytes]]:
        return [held(engine.frontier) for engine in self.engines.values()]


def sent_by(name: str, body: Body, number: int = 1) -> bytes:
    """A packet as this node would send it."""
    return encode(Packet(PROTOCOL_VERSION, CLUSTER, name, 1, number, body))


def run_of(*entries: Entry) -> Run:
    first = entries[0].dot
    return Run(first.origin, first.epoch, first.seq, [one.data for one in entries])


def kinds(flown: list[Flying]) -> list[str]:
    return [type(one.packet.body).__name__ for one in flown]
