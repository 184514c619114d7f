"""Three honest engines and a malicious fourth peer, in virtual time and made of a seed.

The attacker says what `tests.reliability.malice` makes, and hears what the honest nodes tell it. As
with real processes each node hears its own part of that, ways between honest nodes are slow and at
times cut while it lasts, and what a store does not have in memory it fetches in chunks.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from random import Random

from domain.clock import Stamp
from domain.dot import Dot, LogId
from domain.events import Event, MessagePosted
from gossip.config import GossipConfig
from gossip.engine import Engine
from gossip.entry import GENESIS, Entry, hash_of
from gossip.reconcile.vector import Vector
from gossip.store import MemoryStore
from gossip.wire import cluster_hash, decode, encode
from node.core.ports import CodecError
from node.storage.codec import ProtobufCodec
from tests.reliability.malice import CLUSTER, CLUSTER_ID, EVIL, HONEST, Malice

CHUNK_BYTES = 8 * 1024  # as in `node.storage.offset_index`
# Less than in `node.storage.record_reader` and `node.core.entry_store`, as the journal is smaller,
# too.
CHUNKS_CACHED = 32
RECENT_BYTES = 128 * 1024
STEP_MS = 20  # a packet is on its way for that long, and its receiver takes it in
WAY_BYTES = 64 * 1024  # that one way carries in a step
QUEUE_BYTES, QUEUE_MS = 4 * 1024 * 1024, 1000  # as in `node.network.peer_sender`
CUT_MS, CUT_SHARE = 1000, 0.01  # how long and how often a way is cut during the attack
EPOCHS_MAX = 16  # that entries of its own log which it did not write make a node open


class ChunkStore(MemoryStore):
    """What is not new is fetched in chunks, in which entries lie as they came."""

    def __init__(self) -> None:
        super().__init__()
        self._size = 0
        self._at: dict[tuple[LogId, int], int] = {}
        self._cached: OrderedDict[int, None] = OrderedDict()
        self._fetched = 0

    @property
    def fetched_bytes(self) -> int:
        return self._fetched

    def put(self, entry: Entry) -> None:
        super().put(entry)
        self._at[entry.dot.log, entry.dot.seq] = self._size
        self._size += len(entry.data)

    def get(self, log: LogId, seq: int) -> bytes:
        data = super().get(log, seq)
        self._fetch(log, seq, data)
        return data

    def span(self, log: LogId, first: int, last: int) -> list[bytes]:
        found = super().span(log, first, last)
        for seq, data in enumerate(found, first):
            self._fetch(log, seq, data)
        return found

    def _fetch(self, log: LogId, seq: int, data: bytes) -> None:
        at = self._at[log, seq]
        if self._size - at <= RECENT_BYTES:
            return
        chunk = at // CHUNK_BYTES
        if chunk not in self._cached:
            self._fetched += max(CHUNK_BYTES, len(data))
        self._cached[chunk] = None
        self._cached.move_to_end(chunk)
        if len(self._cached) > CHUNKS_CACHED:
            self._cached.popitem(last=False)


class Way:
    """From one honest node to another: a queue that drops what is too old, and so many bytes."""

    def __init__(self) -> None:
        self._queue: deque[tuple[int, bytes]] = deque()
        self._waiting = 0
        self._room = 0
        self.cut_ms = 0  # until then nothing is put on it
        self.dropped = 0

    def put(self, data: bytes, now_ms: int) -> None:
        if now_ms < self.cut_ms or self._waiting + len(data) > QUEUE_BYTES:
            self.dropped += 1
            return
        self._queue.append((now_ms, data))
        self._waiting += len(data)

    def take(self, now_ms: int) -> list[bytes]:
        """What arrives in this step."""
        arrived: list[bytes] = []
        self._room = min(self._room + WAY_BYTES, WAY_BYTES)
        while self._queue and self._room > 0:
            since_ms, data = self._queue.popleft()
            self._waiting -= len(data)
            if now_ms - since_ms > QUEUE_MS:
                self.dropped += 1
                continue
            self._room -= len(data)
            arrived.append(data)
        return arrived


class Honest:
    """A node: an engine, and the log that it writes in."""

    def __init__(self, name: str, seed: int, codec: ProtobufCodec) -> None:
        self.name = name
        self.rng = Random(f"{seed} {name}")
        self._codec = codec
        peers = tuple(one for one in (*HONEST, EVIL) if one != name)
        cluster = cluster_hash(CLUSTER, CLUSTER_ID)
        self.engine: Engine[Event] = Engine(
            name,
            cluster,
            1,
            peers,
            GossipConfig(),
            Random(f"{seed} engine {name}"),
            ChunkStore(),
            Vector(),
            self._open,
        )
        self.opened = -1
        self.held: set[bytes] = set()  # hashes
        self.open_epoch()

    def _open(self, dot: Dot, data: bytes) -> tuple[bytes, Event] | None:
        try:
            decoded = self._codec.decode(data)
        except CodecError:
            return None
        return (decoded.prev, decoded.event) if decoded.event.dot == dot else None

    def open_epoch(self) -> None:
        self.opened += 1
        self._log = LogId(self.name, self.rng.getrandbits(62) + 1)
        self._seq, self._link = 0, GENESIS
        self.engine.frontier.places.write(self._log)

    def write(self, now_ms: int) -> Entry:
        dot = Dot(self.name, self._log.epoch, self._seq + 1)
        event = MessagePosted(dot, Stamp(now_ms, 0), (), f"anna-{self.name}", f"hello {dot}")
        data = self._codec.encode(event, self._link)
        made = Entry(dot, self._link, hash_of(data), data)
        self._seq, self._link = dot.seq, made.chain_hash
        self.engine.offer(made, receipt=False)
        self.held.add(made.hash)
        return made

    def receive(self, data: bytes, now_ms: int) -> None:
        learnt = self.engine.receive(decode(data), now_ms)
        self.held.update(one.entry.hash for one in learnt)
        if any(one.entry.dot.log == self._log for one in learnt) and self.opened < EPOCHS_MAX:
            self.open_epoch()


class Attacked:
    """The cluster. Mutable."""

    def __init__(self, seed: int, packets_per_step: int = 2) -> None:
        codec = ProtobufCodec()
        self.rng = Random(f"{seed} network")
        self.now_ms = 1_000
        self.nodes = {name: Honest(name, seed, codec) for name in HONEST}
        self.malice = Malice(seed, lambda: self.now_ms / 1000)
        self.written: list[Entry] = []
        self.ways = {(one, two): Way() for one in HONEST for two in HONEST if one != two}
        self.bytes = self.packets = 0
        self._packets_per_step = packets_per_step
        self.hears = Random(f"{seed} hears")
        for node in self.nodes.values():
            node.engine.start(self.now_ms)

    def _flush(self, node: Honest) -> None:
        for peer, packet in node.engine.flush():
            if peer == EVIL:
                self.malice.heard(packet)
            else:
                self.ways[node.name, peer].put(encode(packet), self.now_ms)

    def step(self, *, attack: bool, talk: bool) -> None:
        for way in self.ways.values():
            if attack and self.rng.random() < CUT_SHARE:
                way.cut_ms = self.now_ms + CUT_MS
            elif not attack:
                way.cut_ms = 0
        self.now_ms += STEP_MS
        batch = [(to, data) for (_, to), way in self.ways.items() for data in way.take(self.now_ms)]
        for node in self.nodes.values():
            if talk and self.rng.random() < 0.6:
                self.written.append(node.write(self.now_ms))
            node.engine.tick(self.now_ms)
            self._flush(node)
        for peer, data in batch:
            self.bytes += len(data)
            self.packets += 1
            node = self.nodes[peer]
            node.receive(data, self.now_ms)
            self._flush(node)
        if attack:
            for _ in range(self._packets_per_step):
                _, data = self.malice.next()
                for node in self.nodes.values():
                    if self.hears.random() < 0.6:
                        node.receive(data, self.now_ms)
                        self._flush(node)

    def run(self, ms: int, *, attack: bool = False, talk: bool = True) -> None:
        for _ in range(ms // STEP_MS):
            self.step(attack=attack, talk=talk)

    def lacking(self) -> dict[str, int]:
        """How many entries of honest nodes each node lacks."""
        return {
            name: sum(one.hash not in node.held for one in self.written)
            for name, node in self.nodes.items()
        }

    def lacking_with_room(self) -> int:
        """Of all entries, forged ones too: how often a node lacks one that it has a place for."""
        frontiers = [node.engine.frontier for node in self.nodes.values()]
        held = [
            {(log.id, tag) for log in one for _, tags, _ in one.tags(log) for tag in tags}
            for one in frontiers
        ]
        union = set().union(*held)
        return sum(
            one.room(log)
            for one, own in zip(frontiers, held, strict=True)
            for log, _ in union - own
        )

    @property
    def settled(self) -> bool:
        return not any(self.lacking().values())

    @property
    def agreed(self) -> bool:
        return len({node.engine.frontier.root for node in self.nodes.values()}) == 1

    def until(self, done: Callable[[], bool], within_ms: int) -> int:
        """The ms that it took; more than `within_ms`: it did not."""
        began_ms = self.now_ms
        while not done():
            self.step(attack=False, talk=False)
            if self.now_ms - began_ms > within_ms:
                break
        return self.now_ms - began_ms
