"""Drill of `node.control.server.ControlServer`: one reply for each request of each client.

The socket is a stand-in (`lab.drills.sockets`), the event loop runs in virtual time, and the view
answers by the number of the request. Random steps: clients send valid and malformed frames, stop
reading, read again and disconnect; the node answers, fails all that is open, or leaves. The model
keeps the replies that each client must still get, and the bytes that it is charged for. Left out:
the gate in front of the socket (see `passing`), and what the real views say (see `living`).
"""

from random import Random
from typing import Literal, cast

import msgspec
from msgspec import Struct, field

from domain.commands import Command, Join, Leave, PostMessage
from domain.dot import Dot
from lab.drills.beside import Difference, holds, same
from lab.drills.loops import Loop
from lab.drills.sockets import Context, Socket
from node.control.ack_levels import TIMEOUT_MS_MAX
from node.control.answers import CLIENT_READS_MAX, READ_BYTES_MAX, REPLY_BYTES, Read
from node.control.decoding import FRAME_REQUESTS_MAX
from node.control.messages import (
    Accepted,
    ClearFaults,
    Done,
    Failed,
    FrontierPage,
    Post,
    ReadFrontier,
    Refused,
    Reply,
    Request,
    SetFault,
    SetPresence,
    replies_decoder,
)
from node.control.server import ControlServer
from node.core.interface import Acked, Denied, Outcome, Submit, Unmet
from node.core.ports import AckLevel, Durability, Note
from node.network.link_faults import FaultTable
from node.sockets.gate import OWED_MAX
from node.sockets.passage import FRAME_CHARGE, READ_OFF, Passage
from node.storage.files import StorageError

PEERS = ("n2", "n3")
NAMES = (b"a", b"b", b"c")
STEPS = 16
FLYING_MAX, CLIENT_FLYING_MAX = 5, 3
LONG = "0" * (REPLY_BYTES // 2)
LEVELS = {
    "written": (AckLevel.WRITTEN, 0),
    "durable": (AckLevel.DURABLE, 0),
    "replicated:1": (AckLevel.REPLICATED, 1),
    "replicated:2": (AckLevel.REPLICATED, 2),
}
UNKNOWN = ("replicated:3", "replicated:0", "replicated:", "replicated:00001", "replicated:²",
           "sure", "Durable")  # fmt: skip
RUBBISH = (b"", b"\xc1", b"\x80", b"\x92\x90", msgspec.msgpack.encode({"id": 1}))


class Way(Struct):
    """What the gate keeps of a connection: the bytes owed to it and charged for it."""

    known: bool = False
    held: int = 7
    owed: int = 0
    awaited: bool = False
    charged: int = 0  # for what was read of it

    def read(self, charge: int) -> None:
        self.charged += charge


class Client(Struct):
    name: bytes
    way: Way = field(default_factory=Way)
    stalled: bool = False  # reads nothing
    here: bool = True
    due: dict[int, Reply] = field(default_factory=dict)  # the replies to come, by number
    reads: list[int] = field(default_factory=list)  # to be answered in this order
    nameless: int = 0  # replies to what had no number
    flying: int = 0
    charge: int = 0


def _page(number: int) -> Reply:
    """The answer of the views to the request of this number. Raises what views may raise."""
    match number % 10:
        case 7:
            raise StorageError("the disk is gone")
        case 8:
            raise ValueError("no view")
        case 9:
            return FrontierPage(number, "", cast(int, object()), [])
    return FrontierPage(number, LONG if number % 61 == 4 else "", number, [])


def _code(reply: Reply) -> str:
    return reply.code if isinstance(reply, Failed) else ""


class Bench:
    """The server, its clients and the model. It also stands for the views (`answer`)."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.loop, self.context = Loop(), Context()
        self.faults = FaultTable(PEERS, rng)
        self.durability: Durability = rng.choice(("always", "interval", "none"))
        self.notes: list[Note] = []
        self.damage: list[StorageError] = []
        self.submits: list[Submit] = []
        self.expected: list[tuple[Command, AckLevel, int, int]] = []
        self.flying: dict[int, tuple[Client, int]] = {}  # by ticket
        self.requests = self.bad = self.number = self.damaged = self.told = self.tickets = 0
        self.control = ControlServer(
            self.loop.as_asyncio, self.context.as_zmq, path="/nowhere", durability=self.durability,
            peers=len(PEERS), views=self, faults=self.faults, on_submit=self.submits.append,
            on_note=self.notes.append, on_damage=self.damage.append,
            client_flying_max=CLIENT_FLYING_MAX, flying_max=FLYING_MAX,
        )  # fmt: skip
        entrance = self.control._entrance()  # as `start` does, without a path
        self.gate, self.socket = entrance.gate, cast(Socket, entrance.socket)
        self.gate._socket = entrance.socket
        self.clients = {name: Client(name) for name in NAMES}
        for name, client in self.clients.items():
            self.gate._named[name] = cast(Passage, client.way)

    def answer(self, request: Read) -> Reply:
        self.loop.now_s += (0.0, 0.004)[request.id % 2]
        return _page(request.id)

    # --- what clients do ------------------------------------------------------------------------

    def ask(self, client: Client) -> None:
        rng = self.rng
        crowd = not client.stalled and not client.reads and rng.random() < 0.1
        many = CLIENT_READS_MAX + 3 if crowd else rng.randint(1, 5)
        made = [self._read() if crowd else self._drawn() for _ in range(many)]
        for one in made:
            self._expect(client, one)
        self.requests += many
        self._send(client, [msgspec.msgpack.encode(made)])

    def _send(self, client: Client, frames: list[bytes]) -> None:
        client.charge += sum(len(one) + FRAME_CHARGE + READ_OFF for one in frames)
        self.socket.coming.append([client.name, *frames])

    def _read(self) -> Request:
        self.number += 1
        return ReadFrontier(self.number)

    def _drawn(self) -> Request:
        rng = self.rng
        kind, number = rng.randrange(6), self.number + 1
        if kind > 3:
            return self._read()
        self.number = number
        if kind == 3:
            if rng.random() < 0.3:
                return ClearFaults(number)
            peers = rng.choice(([], ["n2"], ["n9"], ["n3", "n2"]))
            return SetFault(number, peers, rng.choice((None, True)), rng.choice((None, 0.5, 2.0)))
        timeout_ms = rng.choice((50, 5000, 1, TIMEOUT_MS_MAX))
        if rng.random() < 0.1:
            timeout_ms = rng.choice((0, TIMEOUT_MS_MAX + 1))
        ack = rng.choice(("", "", *LEVELS)) if rng.random() < 0.8 else rng.choice(UNKNOWN)
        if kind == 2:
            return SetPresence(number, f"p{number}", rng.random() < 0.5, ack, timeout_ms)
        return Post(number, f"p{number}", "hi", ack, timeout_ms)

    def _expect(self, client: Client, request: Request) -> None:
        number = request.id
        if isinstance(request, Post | SetPresence):
            self._expect_command(client, request)
        elif len(client.reads) >= CLIENT_READS_MAX:
            client.due[number] = Failed(number, "busy", "")
        else:
            client.reads.append(number)
            if isinstance(request, ReadFrontier):
                client.due[number] = self._answer(number)
            elif isinstance(request, SetFault) and (request.loss == 2.0 or request.peers == ["n9"]):
                client.due[number] = Failed(number, "bad_request", "")
            else:
                client.due[number] = Done(number)

    def _answer(self, number: int) -> Reply:
        match number % 10:
            case 7:
                self.damaged += 1
                return Failed(number, "storage_error", "the disk is gone")
            case 8 | 9:
                self.told += 1
                return Failed(number, "internal", "")
        return _page(number)

    def _expect_command(self, client: Client, request: Post | SetPresence) -> None:
        number, ack = request.id, request.ack
        asked = LEVELS.get(ack)
        if not ack:
            always = self.durability == "always"
            asked = (AckLevel.DURABLE if always else AckLevel.WRITTEN, 0)
        unsynced = self.durability == "none" and ack not in ("", "written")
        if self.control.stopping:
            client.due[number] = Failed(number, "stopping", "")
        elif asked is None or unsynced or not 1 <= request.timeout_ms <= TIMEOUT_MS_MAX:
            self.bad += 1
            client.due[number] = Failed(number, "bad_request", "")
        elif client.flying >= CLIENT_FLYING_MAX or len(self.flying) >= FLYING_MAX:
            client.due[number] = Failed(number, "busy", "")
        else:
            client.flying += 1
            self.tickets += 1
            self.flying[self.tickets] = client, number
            command: Command
            if isinstance(request, Post):
                command = PostMessage(request.author, request.text)
            else:
                command = (Join if request.present else Leave)(request.author)
            self.expected.append((command, *asked, request.timeout_ms))

    def rubbish(self, client: Client) -> None:
        """Malformed input gets one reply; the requests beside it are answered as usual."""
        frames, count, numbers = [self.rng.choice(RUBBISH)], 1, [0]
        match self.rng.randrange(4):
            case 0:
                frames = [b"\x90"] * self.rng.choice((2, 3, 6))
                self.requests -= 1
            case 1:
                self.number += 2
                good, wrong = ReadFrontier(self.number), {"type": "post", "id": self.number - 1}
                self.requests += 1
                frames, numbers = [msgspec.msgpack.encode([wrong, good, 5])], [self.number - 1, 0]
                count = 2
                self._expect(client, good)
            case 2 if self.rng.random() < 0.1:
                frames = [b"\xdd" + (FRAME_REQUESTS_MAX + 1).to_bytes(4, "big")]
                frames = [frames[0] + b"\x01" * (FRAME_REQUESTS_MAX + 1)]
        self.requests += count
        self.bad += count
        for number in filter(None, numbers):
            client.due[number] = Failed(number, "bad_request", "")
        client.nameless += numbers.count(0)
        self._send(client, frames)

    # --- what the node does ---------------------------------------------------------------------

    def outcomes(self) -> None:
        for ticket in self.rng.sample(sorted(self.flying), len(self.flying) // 2 + 1):
            client, number = self.flying.pop(ticket)
            client.flying -= 1
            outcome, reply = self._outcome(number)
            if client.here:
                client.due[number] = reply
            self.control.answer(ticket, outcome)
            self.control.answer(ticket, outcome)  # known no more

    def _outcome(self, number: int) -> tuple[Outcome, Reply]:
        dot, rng = Dot("n1", 5, number), self.rng
        match rng.randrange(4):
            case 0:
                return (
                    Denied("moderation", "rude", ("r1",)),
                    Refused(number, "moderation", "rude", ["r1"]),
                )
            case 1:
                return Unmet("ack_timeout", "late", dot), Failed(number, "ack_timeout", "late", dot)
        level, copies = rng.choice(list(LEVELS.values()))
        rules = rng.choice(((), ("r1", "r2")))
        name = str(level) if not copies else f"replicated:{copies}"
        verdict: Literal["clean", "censored"] = "censored" if rules else "clean"
        accepted = Accepted(
            id=number, dot=dot, ack=name, verdict=verdict, text="hi", rules=list(rules)
        )
        return Acked(dot, level, copies, "hi", rules), accepted

    def fail_all(self) -> None:
        for client, number in self.flying.values():
            client.flying -= 1
            if client.here:
                client.due[number] = Failed(number, "storage_error", "gone")
        self.flying.clear()
        self.control.fail_all("storage_error", "gone")

    def turn(self) -> None:
        while self.socket.coming:
            self.loop.readers[self.socket.fd]()
            self._spend()
        self._spend()

    def _spend(self) -> None:
        """Until nothing more goes out."""
        while True:
            self.control.flush()
            self.loop.run()
            if not self.socket.sent:
                return
            for name, frame in self.socket.sent:
                client = self.clients[name]
                holds("who reads nothing gets no more", not client.stalled)
                holds("a frame of bounded size", len(frame) <= REPLY_BYTES + 100)
                for reply in replies_decoder.decode(frame):
                    self._got(client, reply)
            self.socket.sent.clear()
            for client in self.clients.values():
                if not client.stalled:
                    read_on = client.way.awaited
                    client.way.owed, client.way.awaited = 0, False
                    if read_on:
                        self.gate.way()

    def _got(self, client: Client, reply: Reply) -> None:
        if not reply.id:
            client.nameless -= 1
            same("to what has no number", _code(reply), "bad_request")
            return
        if reply.id not in client.due:
            raise Difference(f"a reply that is not due: {reply!r:.60}")
        wanted = client.due.pop(reply.id)
        if reply.id in client.reads:
            same("reads are answered in order", client.reads[0], reply.id)
            client.reads.remove(reply.id)
        if isinstance(wanted, Failed) and isinstance(reply, Failed) and not wanted.reason:
            holds("a reason of one line", bool(reply.reason) and "\n" not in reply.reason)
            reply = Failed(reply.id, reply.code, "", reply.dot)
        same("reply", reply, wanted)

    def judge(self) -> None:
        made = [(one.command, one.ack, one.copies, one.timeout_ms) for one in self.submits]
        same("submitted", made, self.expected)
        tickets = [one.ticket for one in self.submits]
        same("tickets", tickets, list(range(1, self.tickets + 1)))
        same("flying", self.control.flying, len(self.flying))
        waiting = 0
        for name, client in self.clients.items():
            same("charged", client.way.charged, client.charge)
            kept = self.control._clients.get(b"\0" + name)
            if not client.stalled or not client.here:
                same("all is answered", (client.due, client.reads, client.nameless), ({}, [], 0))
                if not client.flying:
                    holds("nothing is kept of who waits for nothing", kept is None)
            if kept is not None:
                same("flying of one", kept.flying, client.flying)
                same("bytes of one", kept.frames_bytes, sum(map(len, kept.frames)))
                waiting += kept.frames_bytes
                most = READ_BYTES_MAX + REPLY_BYTES
                holds("answers wait for a reader", kept.frames_bytes <= most)
        counters = self.control.counters
        same("bytes that wait", counters["control_waiting_bytes"], waiting)
        same("bad", counters["control_bad"], self.bad)
        same("requests", counters["control_requests"], self.requests)
        if not self.socket.gone:
            same("lost", counters["control_lost_replies"], 0)

    def end(self) -> None:
        for client in self.clients.values():
            if client.stalled and client.here:
                client.stalled, client.way.owed, client.way.awaited = False, 0, False
                self.gate.way()
        self.turn()
        self.judge()
        same("damage", len(self.damage), self.damaged)
        same("told", sum(one.event == "view_failed" for one in self.notes), self.told)
        self.control.stop()
        holds("the socket is closed", self.socket.closed and not self.loop.readers)
        same("nothing flies", self.control.flying, 0)


def controlling(rng: Random) -> None:
    bench = Bench(rng)
    for step in range(STEPS):
        client = bench.clients[rng.choice(NAMES)]
        match rng.randrange(9):
            case 0 if bench.flying:
                bench.outcomes()
            case 1 if client.here:
                bench.rubbish(client)
                bench.turn()
            case 2 if client.here and not client.stalled:
                client.stalled, client.way.owed = True, OWED_MAX
            case 3 if client.here and client.stalled:
                client.stalled, client.way.owed = False, OWED_MAX - 1
                if client.way.awaited:
                    client.way.awaited = False
                    bench.gate.way()
            case 4 if client.here and not client.stalled and rng.random() < 0.3:
                client.here = False
                bench.socket.gone.add(client.name)
            case 5 if rng.random() < 0.1:
                bench.fail_all()
            case 6 if step == STEPS - 2:
                bench.control.leave()
            case _ if client.here:
                bench.ask(client)
        bench.turn()
        bench.judge()
    bench.end()
