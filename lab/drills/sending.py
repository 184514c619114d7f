"""Drill of `node.network.transport.Transport`: packets to and from peers.

Sockets are stand-ins (`lab.drills.sockets`), the loop runs in virtual time, and link faults are
drawn in advance. Random steps: send; let a peer connect, read, stop reading or disconnect; receive
valid, malformed and oversize packets, some from unknown senders or under a false name; move a peer
to another address; change the trusted keys. The model keeps one plain queue for each peer and
computes what is sent, dropped, delivered, rejected and noted. Left out: real ZeroMQ sockets.
"""

from random import Random
from typing import cast

import msgspec
import zmq

from gossip.packets import PROTOCOL_VERSION, Packet, Push, Receipt, Run
from gossip.wire import PACKET_BYTES_MAX, encode
from lab.drills.beside import holds, same
from lab.drills.loops import Loop
from lab.drills.sockets import Context, Part, Socket
from node.core.ports import Note
from node.network.compression import COMPRESSED_BYTES_MIN, MAGIC, compressed, expanded
from node.network.link_faults import FaultTable, LinkFault
from node.network.transport import NOTE_EVERY_S, Transport
from node.security.key_files import KEY_BYTES, KeyPair, Trusted, TrustedKey
from node.security.keyring import Keyring
from node.sockets.gate import GateLimits
from node.sockets.passage import Passage

CLUSTER = 7
PEERS: dict[str, str | None] = {"n2": "tcp://a:1", "n3": "tcp://[b]:2", "n4": None}
STEPS = 40
QUEUE_BYTES, AGE_MS = 300, 1000
KEYS = {name: bytes([at]) * KEY_BYTES for at, name in enumerate(("n1", "n2", "n3", "n4", "c1"))}
SILENT_FIRST_S, SILENT_MAX_S, FORGOTTEN_S = 1.0, 60.0, 600.0


OVER_ALL = ("packets_sent", "bytes_sent", "packets_received", "bytes_received", "packets_dropped",
            "link_queued_bytes")  # fmt: skip


class Ring:
    """A keyring, and the names on its list."""

    def __init__(self) -> None:
        self.own = KeyPair("n1", "peer", KEYS["n1"], b"s" * KEY_BYTES)
        self.trusted = self.listed("n2", "n3", "n4")

    def listed(self, *names: str) -> Trusted:
        keys = [TrustedKey("peer", name, KEYS[name]) for name in names]
        return Trusted([*keys, TrustedKey("client", "c1", KEYS["c1"])])


class Frame(Part):
    """A frame of a connection that authenticated with this key."""

    def __init__(self, data: bytes, key: bytes) -> None:
        super().__init__(data)
        self.key = key

    def get(self, name: str) -> str:
        return self.key.hex() if name == "User-Id" else super().get(name)


class Faults:
    """Stands for the fault table: what happens to the next packet is drawn in advance."""

    def __init__(self) -> None:
        self.delays_ms = [0.0]
        self.blocked = False

    def whole(self, _: str) -> bool:
        return self.delays_ms == [0.0]

    def plan(self, _: str) -> list[float]:
        return self.delays_ms

    def get(self, _: str) -> LinkFault:
        return LinkFault(blocked=self.blocked)


class Gossip:
    """What the gate keeps of a connection, for the transport: it is known, and holds nothing."""

    known = True
    held = 0


class Way:
    """The model of the link to one peer: its queue, times in ms, and counters."""

    def __init__(self, endpoint: str | None) -> None:
        self.endpoint = endpoint
        self.open = False
        self.connected = False
        self.room = 0
        self.queue: list[tuple[float, bytes]] = []
        self.delayed: list[tuple[float, bytes]] = []
        self.sent: list[bytes] = []
        self.sent_bytes = self.sent_packets = self.received = self.received_bytes = 0
        self.dropped: dict[str, int] = {}

    @property
    def size(self) -> int:
        return sum(len(data) for _, data in [*self.queue, *self.delayed])

    def flush(self) -> None:
        while self.queue and self.room:
            self.send(self.queue.pop(0)[1])

    def send(self, data: bytes) -> None:
        self.room -= 1
        self.sent.append(data)
        self.sent_packets += 1
        self.sent_bytes += len(data)


class Bench:
    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.loop, self.context, self.faults = Loop(), Context(), Faults()
        self.ring = Ring() if rng.random() < 0.4 else None
        self.listed = ["n2", "n3", "n4"]
        self.compress = rng.random() < 0.3
        self.now_ms = 0.0
        self.number = 0
        self.heard: list[tuple[Packet, int]] = []
        self.expected: list[tuple[Packet, int]] = []
        self.notes: list[Note] = []
        self.told: list[tuple[str, int]] = []  # notes that must have come
        self.told_ms: dict[str, float] = {}
        self.unreachable = [0, 0]  # counted, and by the model
        self.rejected: dict[str, int] = {}
        self.strikes: dict[str, tuple[int, float]] = {}  # how many, and silent until, in s
        self.ways = {peer: Way(endpoint) for peer, endpoint in PEERS.items()}
        self.transport = Transport(
            self.loop.as_asyncio, self.context.as_zmq, node="n1", cluster=CLUSTER,
            listen="tcp://127.0.0.1:*", peers=PEERS, faults=cast(FaultTable, self.faults),
            on_packet=lambda packet, size, _: self.heard.append((packet, size)),
            on_note=self.notes.append, on_unreachable=self._count_unreachable,
            queue_bytes_max=QUEUE_BYTES, queue_age_s=AGE_MS / 1000,
            keyring=cast(Keyring, self.ring) if self.ring else None, compress=self.compress,
            limits=GateLimits(1 << 20, 1 << 20, 1 << 20, 9),
        )  # fmt: skip
        self.transport.gate._named[b"who"] = cast(Passage, Gossip())
        self.transport._router = Socket().as_zmq  # as `start` does, but for the listener
        for link in self.transport._senders.values():
            link.open()
        for peer in PEERS:
            self._opened(peer)

    def _count_unreachable(self) -> None:
        self.unreachable[0] += 1

    def dealer(self, peer: str) -> Socket:
        return cast(Socket, self.transport._senders[peer]._dealer)

    def _opened(self, peer: str) -> None:
        way = self.ways[peer]
        way.open = way.endpoint is not None and (self.ring is None or peer in self.listed)
        way.connected, way.room = False, 0
        if way.open:
            dealer = self.dealer(peer)
            dealer.room = 0
            same("where it is", dealer.at, way.endpoint)
            keys = [dealer.options.get(one) for one in (zmq.CURVE_SERVERKEY, zmq.CURVE_SECRETKEY)]
            wanted = [KEYS[peer], b"s" * KEY_BYTES] if self.ring else [None, None]
            same("keys", keys, wanted)
            same("of which family", dealer.options[zmq.IPV6], "[" in (way.endpoint or ""))

    # --- out ------------------------------------------------------------------------------------

    def send(self) -> None:
        rng = self.rng
        self.number += 1
        body: Receipt | Push = Receipt([])
        size = rng.choice((1, 20, 90, 200, 400))
        if rng.random() < 0.1:
            size = COMPRESSED_BYTES_MIN
        if rng.random() < 0.9:
            body = Push([Run("n1", 1, 1, [b"\0" * size])], direct=True)
        packet = Packet(
            version=PROTOCOL_VERSION,
            cluster=CLUSTER,
            sender="n1",
            incarnation=1,
            number=self.number,
            body=body,
        )
        data = self._bytes_of(encode(packet))
        for peer in rng.sample(sorted(PEERS), rng.randint(1, 3)):
            kind = rng.randrange(6)
            self.faults.blocked = kind == 0
            self.faults.delays_ms = [
                [], [], [0.0, 0.0], [rng.uniform(1, 1500)], [0.0], [0.0]
            ][kind]  # fmt: skip
            self.transport.send(peer, packet)
            way = self.ways[peer]
            if not self.faults.delays_ms:
                reason = "blocked" if self.faults.blocked else "lost"
                way.dropped[reason] = way.dropped.get(reason, 0) + 1
            for delay_ms in self.faults.delays_ms:
                if not delay_ms:
                    self._put(peer, data)
                elif self._room_for(peer, data):
                    way.delayed.append((self.now_ms + delay_ms, data))
        if rng.random() < 0.1:
            self.transport.send("n9", packet)
            self._reject("unknown_peer")

    def _bytes_of(self, data: bytes) -> bytes:
        if not self.compress or len(data) < COMPRESSED_BYTES_MIN:
            return data
        small = compressed(data)
        holds("it shrinks, and can be had again", len(small) < len(data) == len(expanded(small)))
        return small

    def _put(self, peer: str, data: bytes) -> None:
        way = self.ways[peer]
        if not way.open:
            self._drop(peer, "no_address" if way.endpoint is None else "no_key")
        elif not way.queue and way.room:
            way.send(data)
        elif self._room_for(peer, data):
            way.queue.append((self.now_ms, data))
            way.flush()

    def _room_for(self, peer: str, data: bytes) -> bool:
        if self.ways[peer].size + len(data) <= QUEUE_BYTES:
            return True
        self._drop(peer, "queue_full")
        return False

    def _drop(self, peer: str, reason: str, count: int = 1) -> None:
        way = self.ways[peer]
        way.dropped[reason] = way.dropped.get(reason, 0) + count
        if reason in ("unreachable", "no_address", "no_key"):
            self.unreachable[1] += 1
        else:
            self._tell("packets_dropped", f"{peer} {reason}", way.dropped[reason])

    def _tell(self, event: str, trouble: str, count: int) -> None:
        """Expect a note; the same trouble is noted only once in a while."""
        told_ms = self.told_ms.get(trouble)
        if told_ms is None or self.now_ms - told_ms >= NOTE_EVERY_S * 1000:
            self.told_ms[trouble] = self.now_ms
            self.told.append((event, count))

    def advance(self, ms: float) -> None:
        until_ms = self.now_ms + ms
        while True:
            due = [
                (at_ms, peer, data)
                for peer, way in self.ways.items()
                for at_ms, data in [*way.delayed, *((at + AGE_MS + 1, None) for at, _ in way.queue)]
                if at_ms <= until_ms
            ]
            if not due:
                break
            at_ms, peer, data = min(due, key=lambda one: one[0])
            self.now_ms, way = at_ms, self.ways[peer]
            if data is not None:
                way.delayed.remove((at_ms, data))
                self._put(peer, data)
                continue
            old = [one for one in way.queue if one[0] + AGE_MS < at_ms]
            way.queue = way.queue[len(old) :]
            self._drop(peer, "slow" if way.connected else "unreachable", len(old))
        self.now_ms = until_ms
        self.loop.advance(1000.0 + until_ms / 1000 - self.loop.now_s)

    def event(self, peer: str) -> None:
        """The peer connects or disconnects, and reads some packets."""
        way = self.ways[peer]
        if not way.open:
            return
        dealer, rng = self.dealer(peer), self.rng
        assert dealer.monitor is not None
        if rng.random() < 0.5:
            way.connected = rng.random() < 0.6
            if rng.random() < 0.3:
                self._monitored(dealer.monitor, zmq.EVENT_CONNECTED)
            up, down = zmq.EVENT_HANDSHAKE_SUCCEEDED, zmq.EVENT_DISCONNECTED
            self._monitored(dealer.monitor, up if way.connected else down)
            same("connected", self.transport.connected(peer), way.connected)
        elif rng.random() < 0.2:
            dealer.coming.append([b"what"])
            self.loop.readers[dealer.fd]()
            way.dropped["unexpected"] = way.dropped.get("unexpected", 0) + 1
        else:
            way.room = dealer.room = rng.choice((0, 1, 3, 100))
            way.flush()
            self.loop.readers[dealer.fd]()

    def _monitored(self, monitor: Socket, event: int) -> None:
        value = (2**31 - 1).to_bytes(4, "little")  # no descriptor of ours
        monitor.coming.append([event.to_bytes(2, "little") + value, b"tcp://a:1"])
        self.loop.readers[monitor.fd]()

    def move(self, peer: str) -> None:
        """To another address, or to none."""
        way = self.ways[peer]
        endpoint = self.rng.choice((way.endpoint, f"tcp://c:{self.number}", None))
        self.transport.set_endpoint(peer, endpoint)
        if endpoint != way.endpoint:
            way.endpoint = endpoint
            self._close(peer)
            self._opened(peer)

    def _close(self, peer: str) -> None:
        way = self.ways[peer]
        waiting = len(way.queue) + len(way.delayed)
        if waiting:
            way.dropped["closed"] = way.dropped.get("closed", 0) + waiting
        way.queue, way.delayed = [], []

    def trust(self) -> None:
        """Another list of keys; the next packet finds out."""
        assert self.ring is not None
        names = self.rng.sample(["n2", "n3", "n4"], self.rng.randint(1, 3))
        before = set(self.listed)
        self.listed = sorted(names)
        self.ring.trusted = self.ring.listed(*self.listed)
        packet = Packet(
            version=PROTOCOL_VERSION,
            cluster=CLUSTER,
            sender="n1",
            incarnation=1,
            number=0,
            body=Receipt([]),
        )
        self.transport.send("n9", packet)
        self._reject("unknown_peer")
        for peer in PEERS:
            if (peer in before) != (peer in names):
                self._close(peer)
                self._opened(peer)
        keyless = [peer for peer in PEERS if peer not in names]
        told = [one.fields for one in self.notes if one.event == "peers_without_key"]
        same("who has no key", told, [{"peers": keyless}] if keyless else [])
        self.notes[:] = [one for one in self.notes if one.event != "peers_without_key"]

    # --- in -------------------------------------------------------------------------------------

    def receive(self) -> None:
        rng = self.rng
        self.number += 1
        sender = rng.choice(("n2", "n3", "n4", "n1", "x9"))
        cluster = CLUSTER + (rng.random() < 0.1)
        packet = Packet(
            version=PROTOCOL_VERSION,
            cluster=cluster,
            sender=sender,
            incarnation=1,
            number=self.number,
            body=Receipt([]),
        )
        data, why = encode(packet), ""
        parts = [data]
        match rng.randrange(12):
            case 0:
                parts, why = rng.choice(([], [data, data], [b""] * 4)), "parts"
            case 1:
                parts, why = [rng.choice((b"", b"\x91", data[:-1], data + b"\0"))], "malformed"
            case 2:
                wrong = Packet(
                    version=PROTOCOL_VERSION + 1,
                    cluster=cluster,
                    sender=sender,
                    incarnation=1,
                    number=1,
                    body=Receipt([]),
                )
                parts, why = [msgspec.msgpack.encode(wrong)], "version"
            case 3:
                parts, why = [rng.choice((MAGIC, MAGIC + b"\0" * 9, MAGIC + data))], ""
            case 4 if rng.random() < 0.1:
                parts, why = [b"\0" * (PACKET_BYTES_MAX + 1)], "oversize"
        owner = rng.choice(("n2", "n3", "n4", "c1", "")) if self.ring else None
        if owner is not None and rng.random() < 0.5 and sender in KEYS and sender != "n1":
            owner = sender
        self._deliver(parts, owner)
        if parts and parts[0].startswith(MAGIC):
            why = "malformed" if self.transport.rejected.get("malformed", 0) > self.rejected.get(
                "malformed", 0) else "oversize"  # fmt: skip
        self._judge(packet, parts, why, owner)

    def _deliver(self, parts: list[bytes], owner: str | None) -> None:
        if owner is None:
            self.transport._on_parts([b"who", *parts])
        else:
            frames = [Frame(one, KEYS.get(owner, b"")) for one in parts]
            self.transport._on_frames([b"who", *(frames or [Frame(b"", b"")])])

    def _judge(self, packet: Packet, parts: list[bytes], why: str, owner: str | None) -> None:
        now_s, sender = self.now_ms / 1000, packet.sender
        if owner is not None and (owner not in self.listed or not parts):
            self._reject("untrusted")
        elif owner is not None and now_s < self.strikes.get(owner, (0, -1.0))[1]:
            self._reject("penalised")
        elif why:
            self._abused(why, owner if why != "version" else None)
        elif packet.cluster != CLUSTER:
            self._reject("cluster")
        elif owner is not None and sender != owner:
            self._abused("identity", owner)
        elif sender == "n1":
            self._reject("own_name")
        else:
            self.expected.append((packet, len(parts[0])))
            if sender in self.ways:
                self.ways[sender].received += 1
                self.ways[sender].received_bytes += len(parts[0])

    def _abused(self, why: str, owner: str | None) -> None:
        if owner is not None:
            now_s = self.now_ms / 1000
            count, until_s = self.strikes.get(owner, (0, now_s))
            if now_s - until_s > FORGOTTEN_S:
                count = 0
            pause_s = min(SILENT_FIRST_S * 2**count, SILENT_MAX_S)
            self.strikes[owner] = count + 1, now_s + pause_s
        self._reject(why)

    def _reject(self, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
        self._tell("frame_rejected", reason, self.rejected[reason])

    # --- what must be so ------------------------------------------------------------------------

    def judge(self) -> None:
        same("heard", self.heard, self.expected)
        same("rejected", self.transport.rejected, self.rejected)
        same("unreachable", *self.unreachable)
        notes = sorted((one.event, cast(int, one.fields["count"])) for one in self.notes)
        same("told", notes, sorted(self.told))
        total = dict.fromkeys(("sent", "bytes", "received", "received_bytes", "dropped"), 0)
        for peer, way in self.ways.items():
            told = self.transport.traffic(peer)
            same("sent", (told.sent_packets, told.sent_bytes), (way.sent_packets, way.sent_bytes))
            received = told.received_packets, told.received_bytes
            same("received", received, (way.received, way.received_bytes))
            same("dropped", told.dropped, way.dropped)
            same("waits", self.transport._senders[peer].queued_bytes, way.size)
            if way.open:
                same("went out", [one[0] for one in self.dealer(peer).sent], way.sent)
                self.dealer(peer).sent.clear()
            way.sent.clear()
            total["sent"] += way.sent_packets
            total["bytes"] += way.sent_bytes
            total["received"] += way.received
            total["received_bytes"] += way.received_bytes
            total["dropped"] += sum(way.dropped.values())
        counters = self.transport.counters
        total["queued"] = sum(way.size for way in self.ways.values())
        same("over all", [counters[name] for name in OVER_ALL], [*total.values()])


def sending(rng: Random) -> None:
    bench = Bench(rng)
    for _ in range(STEPS):
        peer = rng.choice(sorted(PEERS))
        match rng.randrange(12):
            case 0 | 1 | 2:
                bench.send()
            case 3 | 4 | 5:
                bench.event(peer)
            case 6 | 7 | 8:
                bench.receive()
            case 9 if rng.random() < 0.3:
                bench.move(peer)
            case 10 if bench.ring is not None and rng.random() < 0.3:
                bench.trust()
            case _:
                far = rng.random() < 0.05
                bench.advance(
                    rng.uniform(0.5, 1) * rng.choice((10, 300, 2000, 15_000)) + 700_000 * far
                )
        bench.judge()
    bench.transport.stop()
    holds("nothing is watched any more", not bench.loop.readers and not bench.loop.waiting)
    for peer, way in bench.ways.items():
        bench._close(peer)
        same("dropped", bench.transport.traffic(peer).dropped, way.dropped)
        holds("and nothing waits", not bench.transport._senders[peer].queued_bytes)
