"""A node's three doors over TCP on real sockets, keys of every kind, and visitors who try them."""

import asyncio
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any, Self

import msgspec
import zmq

from domain.arrival import Arrival
from domain.clock import Stamp
from domain.dot import Dot
from domain.events import MessagePosted
from gossip.packets import PROTOCOL_VERSION, Packet, Same
from gossip.wire import cluster_hash, encode
from node.control.feed import Feed
from node.control.messages import ReadFrontier
from node.control.server import ControlServer
from node.core.ports import Note
from node.network.link_faults import FaultTable
from node.network.transport import Transport
from node.process.wiring import introduce
from node.security.curve import CurveListener, dial
from node.security.key_files import KeyPair, Role, TrustedKey, new_pair, trust, write_secret
from node.security.keyring import Keyring
from node.security.zap_authenticator import ZapAuthenticator
from node.sockets.pump import RawContext
from node.storage.files import StorageError
from tests.node.controls import FakeViews
from tests.node.loops import until

CLUSTER = cluster_hash("test")
SHAKEN = zmq.EVENT_HANDSHAKE_SUCCEEDED
HUNG_UP = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)
ANYWHERE = "tcp://127.0.0.1:*"
PEOPLE: dict[str, Role] = {"n1": "peer", "n2": "peer", "ana": "client", "eve": "observer"}


def packet(sender: str, number: int = 1) -> bytes:
    return encode(Packet(PROTOCOL_VERSION, CLUSTER, sender, 1, number, Same(0, bytes(16))))


class Keys:
    """A folder with the keys of PEOPLE, all trusted; and one key that nobody trusts."""

    def __init__(self) -> None:
        self.tmp = tempfile.TemporaryDirectory(prefix="cl-", dir="/tmp")
        self.folder = Path(self.tmp.name)
        self.pairs = {name: new_pair(name, role) for name, role in PEOPLE.items()}
        for pair in self.pairs.values():
            write_secret(self.folder, pair)
            trust(self.folder, TrustedKey(pair.role, pair.name, pair.public))
        self.pairs["stranger"] = new_pair("stranger", "peer")

    def ring(self, node: str = "n1") -> Keyring:
        return Keyring(self.folder, node, look_every_s=0)


class House:
    """Node n1 behind its doors, without a replica: what comes in is kept."""

    def __init__(self) -> None:
        self.keys = Keys()
        self.ring = self.keys.ring()
        self.context: RawContext = zmq.Context()
        self.elsewhere: RawContext = (
            zmq.Context()
        )  # a ZAP handler is asked for its own context only
        self.notes: list[Note] = []
        self.packets: list[Packet] = []
        loop = asyncio.get_running_loop()
        self.ring.on_note = self.notes.append
        self.doors = ZapAuthenticator(
            loop, self.context, keyring=self.ring, on_note=self.notes.append
        )
        self.transport = Transport(
            loop,
            self.context,
            node="n1",
            cluster=CLUSTER,
            listen=ANYWHERE,
            peers={"n2": None},
            faults=FaultTable(("n2",), Random(1)),
            on_packet=lambda one, *_: self.packets.append(one),
            on_note=self.notes.append,
            keyring=self.ring,
        )
        locked = CurveListener(ANYWHERE, self.ring)
        self.damage: list[StorageError] = []
        self.control = ControlServer(
            loop,
            self.context,
            path=str(self.keys.folder / "s" / "control"),
            durability="always",
            peers=1,
            views=FakeViews(),
            faults=FaultTable(("n2",), Random(1)),
            on_submit=lambda _: None,
            on_damage=self.damage.append,
            on_note=self.notes.append,
            locked=locked,
        )
        path = str(self.keys.folder / "s" / "feed")
        self.feed = Feed(loop, self.context, node="n1", path=path, locked=locked)
        introduce(self.doors, self.transport, self.control, self.feed)
        self.workers: list[Any] = [self.doors, self.transport, self.control, self.feed]

    async def __aenter__(self) -> Self:
        for worker in self.workers:
            worker.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.elsewhere.destroy(linger=0)
        for worker in reversed(self.workers):
            worker.stop()
        self.context.destroy(linger=0)
        self.keys.tmp.cleanup()

    def endpoint(self, door: str) -> str:
        ends = {"gossip": self.transport, "control": self.control, "feed": self.feed}
        return str(ends[door].endpoint)  # type: ignore[attr-defined]

    def publish(self) -> None:
        event = MessagePosted(Dot("n1", 5, 1), Stamp(1, 0), (), "ana", "hello")
        self.feed.publish([(1, Arrival(event, bytes(8), 1000, "rumor", False))])

    def told(self, event: str) -> list[Note]:
        return [note for note in self.notes if note.event == event]


class Visitor:
    """Somebody with a key, or none, at one door. Speaks as the door's own visitors do."""

    def __init__(self, house: House, door: str, pair: KeyPair | None, server: bytes = b"") -> None:
        self.house, self.door = house, door
        kind = zmq.SUB if door == "feed" else zmq.DEALER
        self.socket = house.elsewhere.socket(kind)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 20)
        if pair is not None:
            dial(self.socket, pair, server or house.ring.own.public)
        self.monitor = self.socket.get_monitor_socket(SHAKEN | HUNG_UP)
        self.shaken = False  # the two sides have accepted each other
        self.hung_up = 0
        if door == "feed":
            self.socket.subscribe(b"")
        self.socket.connect(house.endpoint(door))
        if door == "gossip":
            self.socket.send(packet("n2"))
        elif door == "control":
            self.socket.send(msgspec.msgpack.encode([ReadFrontier(1)]))

    def close(self) -> None:
        self.socket.disable_monitor()
        self.socket.close(linger=0)

    def served(self) -> bool:
        """Whatever this door is for has happened."""
        if self.door == "gossip":
            return bool(self.house.packets)
        if self.door == "feed":
            self.house.publish()
        return bool(self.socket.poll(0))

    def look(self) -> None:
        while self.monitor.poll(0):
            event = int.from_bytes(self.monitor.recv_multipart()[0][:2], "little")
            self.shaken = self.shaken or event == SHAKEN
            self.hung_up += event != SHAKEN

    async def tries(self) -> bool:
        """True: served. False: refused, and not served for a while after that either."""
        before = self.house.doors.counters["doors_refused"]

        def decided() -> bool:
            self.look()
            refused = self.house.doors.counters["doors_refused"] > before
            return self.served() or refused or self.hung_up > 0

        await until(decided)
        end_s = time.monotonic() + 0.1
        await until(lambda: self.served() or time.monotonic() > end_s)
        self.look()
        assert self.shaken == self.served()
        return self.served()
