"""Replicas without processes: a journal that is a list, and packets that are handed on by hand."""

from collections.abc import Sequence
from random import Random

from domain.commands import Command, Join, Leave, PostMessage
from domain.moderation import Policy, Rule
from gossip.packets import Packet
from gossip.wire import decode, encode
from node.core.interface import Outbox, Outcome, Persisted, PersistFailed, Received, Submit, Tick
from node.core.ports import AckLevel, Durability, EventRecord, Note, Record
from node.core.replica import Replica, ReplicaConfig
from node.core.write_state import WriteBounds
from node.storage.codec import ProtobufCodec

POLICY = Policy((Rule("no", ("forbidden",), "reject"), Rule("mild", ("dang",), "censor")), ())
WALL_MS = 1_700_000_000_000


class ListPages:
    """Reads a journal that is a list."""

    def __init__(self, journal: Sequence[Record]) -> None:
        self._journal = journal

    @property
    def fetched_bytes(self) -> int:
        return 0

    def events(self, numbers: Sequence[int]) -> list[bytes]:
        records = [self._journal[number - 1] for number in numbers]
        return [record.data for record in records if type(record) is EventRecord]


class Node:
    """A replica, its journal, and what it said. `persist=False`: the disk waits to be asked."""

    def __init__(
        self,
        name: str = "n1",
        peers: tuple[str, ...] = ("n2", "n3"),
        *,
        durability: Durability = "always",
        records: list[Record] | None = None,
        must_open: str = "",
        seed: int = 1,
        start: int = 1,
        persist: bool = True,
        unsynced: int = 0,
        unwritten: WriteBounds = WriteBounds(),  # noqa: B008
    ) -> None:
        config = ReplicaConfig(name, "test", peers, durability, POLICY, unwritten=unwritten)
        self.journal: list[Record] = list(records or [])
        rng, pages = Random(f"{name} {seed}"), ListPages(self.journal)
        self.replica = Replica(config, ProtobufCodec(), rng, start, pages=pages)
        self.durability = durability
        self.replica.restore(self.journal)
        self.now_ms = 0
        self.clock_off_ms = 0  # how wrong its clock is
        self.persist = persist
        self.tickets = 0
        self.outcomes: dict[int, Outcome] = {}
        self.sent: list[tuple[str, Packet]] = []
        self.published: list[str] = []
        self.notes: list[Note] = []
        self.unwritten: list[Record] = []
        self.replica.boot(0, WALL_MS, must_open, unsynced)
        self.turn()

    # --- inputs ---------------------------------------------------------------------------------

    def turn(self, *items: object, ms: int = 0) -> Outbox:
        """One turn: the time, these inputs, a drain, and its execution up to the disk."""
        self.now_ms += ms
        self.replica.step(Tick(self.now_ms, WALL_MS + self.now_ms + self.clock_off_ms))
        for item in items:
            self.replica.step(item)  # type: ignore[arg-type]
        out = self.replica.drain()
        self.unwritten += out.persist
        self.sent += out.send
        self.published += [arrival.event.author for _, arrival in out.publish]
        self.outcomes |= dict(out.reply)
        self.notes += out.note
        if self.persist and self.unwritten:
            self.write()
        return out

    def write(self, *, durable: bool = True) -> Outbox:
        """The journal takes what was handed out."""
        self.journal += self.unwritten
        self.unwritten = []
        written = len(self.journal)
        self.durable_upto = written if durable else getattr(self, "durable_upto", 0)
        return self.turn(Persisted(written, self.durable_upto))

    def fail(self, *, final: bool = False, code: str = "disk_full") -> Outbox:
        """The journal takes nothing of what was handed out."""
        self.unwritten = []
        failure = PersistFailed(len(self.journal), code, "the disk is full", final)  # type: ignore[arg-type]
        return self.turn(failure)

    def submit(
        self,
        command: Command,
        ack: AckLevel = AckLevel.DURABLE,
        copies: int = 0,
        timeout_ms: int = 5000,
    ) -> int:
        self.tickets += 1
        self.turn(Submit(self.tickets, command, ack, copies, timeout_ms))
        return self.tickets

    def post(self, text: str = "hello", author: str = "ana", **more: int) -> Outcome | None:
        return self.outcomes.get(self.submit(PostMessage(author, text), **more))  # type: ignore[arg-type]

    def join(self, author: str) -> Outcome | None:
        return self.outcomes.get(self.submit(Join(author)))

    def leave(self, author: str) -> Outcome | None:
        return self.outcomes.get(self.submit(Leave(author)))

    def receive(self, packet: Packet) -> None:
        data = encode(packet)
        self.turn(Received(decode(data), len(data)))

    # --- what is seen ---------------------------------------------------------------------------

    @property
    def texts(self) -> list[str]:
        return [getattr(a.event, "text", "") for a in self.replica.timeline.select("arrival")]

    def is_(self, state: str) -> bool:
        """A call, so that a type checker does not believe that what it saw once stays so."""
        return self.replica.state == state

    def said(self, event: str) -> list[Note]:
        return [note for note in self.notes if note.event == event]

    def restarted(self, *, must_open: str = "", seed: int = 2, unsynced: int = 0) -> "Node":
        """The same node after kill -9: its journal is all that is left."""
        replica = self.replica
        return Node(
            replica.node,
            tuple(self.replica.engine.exchanges),
            durability=self.durability,
            records=self.journal,
            must_open=must_open,
            seed=seed,
            start=replica.incarnation + 1,
            unsynced=unsynced,
        )


def exchange(*nodes: Node, lost: tuple[str, ...] = ()) -> None:
    """Hand on everything that was sent, and what that causes, until nothing flies."""
    by_name = {node.replica.node: node for node in nodes}
    while any(node.sent for node in nodes):
        for node in nodes:
            sent, node.sent = node.sent, []
            for peer, packet in sent:
                if peer in by_name and peer not in lost:
                    by_name[peer].receive(packet)


def settle(*nodes: Node, ms: int = 3000) -> None:
    """Let time pass for all, in steps, while packets arrive."""
    for _ in range(ms // 50):
        for node in nodes:
            node.turn(ms=50)
        exchange(*nodes)
