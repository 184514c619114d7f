"""Two ends of real sockets, for tests of the transport."""

import asyncio
from random import Random
from typing import Self

import zmq

from gossip.packets import PROTOCOL_VERSION, Packet, Push, Run, Same
from gossip.wire import cluster_hash
from node.core.ports import Note
from node.network.link_faults import FaultTable
from node.network.transport import Transport
from node.sockets.pump import RawContext
from tests.node.loops import until

CLUSTER = cluster_hash("test")
ANYWHERE = "tcp://127.0.0.1:*"


def small(number: int, sender: str = "a", cluster: int = CLUSTER) -> Packet:
    return Packet(PROTOCOL_VERSION, cluster, sender, 1, number, Same(0, bytes(16)))


def large(number: int, size: int = 200_000, sender: str = "a") -> Packet:
    body = Push([Run("a", 1, 1, [bytes(size)])], direct=True)
    return Packet(PROTOCOL_VERSION, CLUSTER, sender, 1, number, body)


class End:
    """One transport and what it received."""

    def __init__(self, context: RawContext, name: str, **options: object) -> None:
        self.got: list[int] = []
        self.notes: list[Note] = []
        self.faults = FaultTable(("a", "b", "c"), Random(1))
        peers: dict[str, str | None] = {"a": None, "b": None, "c": None}
        del peers[name]
        self.transport = Transport(
            asyncio.get_running_loop(),
            context,
            node=name,
            cluster=CLUSTER,
            listen=str(options.pop("listen", ANYWHERE)),
            peers=peers,
            faults=self.faults,
            on_packet=lambda packet, *_: self.got.append(packet.number),
            on_note=self.notes.append,
            **options,  # type: ignore[arg-type]
        )
        self.transport.start()

    def send(self, number: int, to: str = "b") -> None:
        self.transport.send(to, small(number))


class Pair:
    """Ends a and b, connected."""

    def __init__(self, **options: object) -> None:
        self.context: RawContext = zmq.Context()
        self.a = End(self.context, "a", **options)
        self.b = End(self.context, "b")

    async def __aenter__(self) -> Self:
        self.a.transport.set_endpoint("b", self.b.transport.endpoint)
        self.b.transport.set_endpoint("a", self.a.transport.endpoint)
        await until(lambda: self.a.transport.connected("b"))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.a.transport.stop()
        self.b.transport.stop()
        self.context.destroy(linger=0)

    @property
    def traffic(self) -> object:
        return self.a.transport.traffic("b")

    @property
    def dropped(self) -> dict[str, int]:
        return self.a.transport.traffic("b").dropped

    def raw(self) -> zmq.Socket[bytes]:
        """A stranger's socket, connected to b."""
        stranger = self.context.socket(zmq.DEALER)
        stranger.setsockopt(zmq.LINGER, 0)
        stranger.connect(self.b.transport.endpoint)
        return stranger
