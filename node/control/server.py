"""The control socket: a worker that receives people's requests and sends the replies.

A ROUTER on ipc, one frame in each direction holding a list of requests or of replies
(`node.control.messages`). A second one on TCP, if asked for, is for those who have a client key
(`node.security.curve`).

It knows nothing of the rules of the chat: it turns posts and presence into `Submit`s with a ticket,
outcomes back into replies, and hands every read to `node.control.reader`.

Rules
- Every request gets exactly one reply, also the ones that make no sense: `Failed`, with the reason.
- Bounded: requests in flight per client and in all, reads that wait per client, bytes that wait for
  a client that does not read. Over a bound: `Failed busy`, or, when even that cannot be delivered,
  a count. What waits for all clients is bounded by hanging up on who has read nothing for longest.
- A read is answered when its client has read what came before, in turn with other clients, and for
  `SERVE_S` at a time: one client's reads cost the others little.
- Replies to one client are sent together, once per turn, in frames of about `REPLY_BYTES`.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, assert_never

import zmq
from msgspec import Struct

from domain.commands import Join, Leave, PostMessage
from node.control.ack_levels import AckError, parse_ack, reply_of
from node.control.answers import ALL_BYTES_MAX, CLIENT_READS_MAX, ClientQueue, Packer, Question
from node.control.decoding import Bad, read_frame
from node.control.messages import FRAME_BYTES_MAX, Failed, FailureCode, Post, Reply, SetPresence
from node.control.reader import Reader, Views
from node.core.interface import Outcome, Submit
from node.core.ports import Durability, Note
from node.network.link_faults import FaultTable
from node.security.curve import CurveListener, key_on, listen_locked
from node.sockets.gate import Gate, GateLimits, gates_counters
from node.sockets.ipc import IpcPath
from node.sockets.listening import HANDSHAKE_MS, connections_max
from node.sockets.pump import Guard, Pump, RawContext, RawSocket, bare
from node.storage.files import StorageError

CLIENT_FLYING_MAX = 8192  # submitted and not answered, of one client
FLYING_MAX = 65_536 - 1024  # of all clients; below what a replica takes
SERVE_S = 0.01  # of one turn of the loop for reads
MESSAGE_BYTES_MAX = FRAME_BYTES_MAX + 256 * 1024  # of one client, unread
NEW_BYTES_MAX = 32 * 1024 * 1024  # of all who made no request yet
CLIENTS_BYTES_MAX = 64 * 1024 * 1024  # of all others
CONNECTIONS_MAX = 256


class _Entrance(Struct, frozen=True):
    socket: RawSocket
    pump: Pump
    gate: Gate


class Ticket(Struct, frozen=True, gc=False):
    client: bytes  # number of the entrance, then the routing id that libzmq gave it there
    id: int


class ControlServer:
    """A supervised worker."""

    name = "control"

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: RawContext,
        *,
        path: str,
        durability: Durability,
        peers: int,
        views: Views,
        faults: FaultTable,
        on_submit: Callable[[Submit], None],
        on_note: Callable[[Note], None],
        on_damage: Callable[[StorageError], None],
        guard: Guard = bare,
        locked: CurveListener | None = None,
        client_flying_max: int = CLIENT_FLYING_MAX,
        flying_max: int = FLYING_MAX,
    ) -> None:
        self._loop = loop
        self._context = context
        self._path = IpcPath(path)
        self._durability = durability
        self._peers = peers
        self._on_submit = on_submit
        self._on_note = on_note
        self._guard = guard
        self._client_flying_max = client_flying_max
        self._flying_max = flying_max
        self._locked = locked
        self._entrances: list[_Entrance] = []
        self.endpoint = ""  # of the locked one
        limits = GateLimits(
            MESSAGE_BYTES_MAX,
            NEW_BYTES_MAX,
            CLIENTS_BYTES_MAX,
            connections_max(CONNECTIONS_MAX, share=0.25 if locked is None else 0.125),
        )
        self.gates = [  # of the path, and of the locked entrance
            Gate(loop, "control", limits, on_note, guard, on_way=self._serve_soon),
            Gate(loop, "control", limits, on_note, guard, locked=True, on_way=self._serve_soon),
        ]
        self._clients: dict[bytes, ClientQueue] = {}
        self._turns: deque[bytes] = deque()  # clients with reads to answer
        self._serving: asyncio.Handle | None = None
        self._talking: set[bytes] = set()  # clients with replies or frames to go out
        self._tickets: dict[int, Ticket] = {}
        self._last_ticket = 0
        self._packer = Packer(on_note)
        self._reader = Reader(views, faults, on_note, on_damage)
        self.stopping = False
        self._counts = {"control_requests": 0, "control_bad": 0}

    @property
    def counters(self) -> dict[str, int]:
        return {
            **self._counts,
            "control_lost_replies": self._packer.lost,
            "control_waiting_bytes": self._packer.waiting_bytes,
            **gates_counters(self.gates),
        }

    @property
    def flying(self) -> int:
        """Commands that were submitted and are not answered yet."""
        return len(self._tickets)

    def start(self) -> None:
        assert not self._entrances, "started twice"
        entrance = self._entrance()
        entrance.gate.open(self._path.listen(), entrance.socket)
        if self._locked is not None:
            entrance = self._entrance(locked=True)
            # The system's choice of a port is kept, so that a restart comes back to it.
            listener, self.endpoint = listen_locked(entrance.socket, "control", self._locked)
            entrance.gate.open(listener, entrance.socket)
            self._locked = CurveListener(self.endpoint, self._locked.keyring)

    def _entrance(self, *, locked: bool = False) -> _Entrance:
        """A socket behind a gate, watched but not open yet."""
        socket, number = self._context.socket(zmq.ROUTER), bytes([len(self._entrances)])
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.ROUTER_MANDATORY, 1),
            (zmq.MAXMSGSIZE, FRAME_BYTES_MAX),
            (zmq.SNDHWM, 0),  # the gate says whether a client reads
            (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
        ):
            socket.setsockopt(option, value)
        loop, serve, guard, gate = self._loop, self._serve, self._guard, self.gates[locked]
        frames = partial(self._on_frames, number) if locked else None
        parts = None if locked else partial(self._on_parts, number)
        pump = Pump(
            loop=loop,
            socket=socket,
            on_parts=parts,
            on_turn=serve,
            guard=guard,
            on_frames=frames,
            receive=gate.message,
        )
        self._entrances.append(_Entrance(socket, pump, gate))
        return self._entrances[-1]

    def stop(self, linger_ms: int = 0) -> None:
        """Close. Clients whose commands are in flight see the connection break, and do not know."""
        self._path.remove()
        if self._serving is not None:
            self._serving.cancel()
            self._serving = None
        for client in self._clients.values():
            self._packer.drop(client)
        self._clients.clear()
        self._turns.clear()
        self._talking.clear()
        self._tickets.clear()
        for entrance in self._entrances:
            entrance.gate.pause(paused=True)
            entrance.pump.close()
            entrance.socket.close(linger=linger_ms)
            entrance.gate.close(linger_ms)
        self._entrances.clear()

    def look(self) -> str:
        """Listen anew where somebody has removed the socket. Returns its path then, else "".

        Raises OSError if that cannot be.
        """
        return self._path.listen_again(self.gates[0].reopen)

    def leave(self) -> None:
        """Take no more commands and let nobody new in; go on answering.

        The locked entrance stays bound: libzmq's unbind would cut those who wait for an answer.
        """
        self.stopping = True
        self._path.remove()

    # --- out ------------------------------------------------------------------------------------

    def answer(self, ticket: int, outcome: Outcome) -> None:
        """Queue the reply to a command; it goes out with the next `flush`."""
        command = self._tickets.pop(ticket, None)
        if command is None:
            return  # submitted in a life of this worker that has ended
        client = self._clients.get(command.client)
        if client is not None:
            client.flying -= 1
            client.ready.append(reply_of(command.id, outcome))
            self._talking.add(command.client)

    def fail_all(self, code: FailureCode, reason: str) -> None:
        """Answer everything that is in flight: it is not known how it ends."""
        for command in self._tickets.values():
            client = self._clients.get(command.client)
            if client is not None:
                client.flying -= 1
                self._reply(command.client, Failed(command.id, code, reason))
        self._tickets.clear()

    def flush(self) -> None:
        """Send what is ready, as far as the clients read."""
        if not self._entrances or not (self._talking or self._turns):
            return
        for name in list(self._talking):
            client = self._clients[name]
            if client.ready:
                self._packer.pack(client)
            if self._send(name, client):
                self._talking.discard(name)
                if client.idle:
                    del self._clients[name]
            self._queue(name, client)
        while self._packer.waiting_bytes > ALL_BYTES_MAX:
            self._hang_up()
        if self._turns:
            self._serve_soon()
        for entrance in self._entrances:
            entrance.pump.look()

    def _client(self, name: bytes) -> ClientQueue:
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = ClientQueue(self._loop.time())
        return client

    def _reply(self, name: bytes, reply: Reply) -> None:
        self._client(name).ready.append(reply)
        self._talking.add(name)

    def _hang_up(self) -> None:
        """On the client that has read nothing for longest: too much waits for all of them."""
        waiting = (name for name, client in self._clients.items() if client.frames)
        name = min(waiting, key=lambda name: self._clients[name].taken_at_s)
        self.gates[name[0]].hang_up_on(name[1:], "unread_answers")
        client = self._clients[name]
        self._packer.drop(client)
        client.asked.clear()
        self._talking.discard(name)
        if client.idle:
            del self._clients[name]

    def _send(self, name: bytes, client: ClientQueue) -> bool:
        """False: the client does not read now; the gate says when it does."""
        socket, routing_id = self._entrances[name[0]].socket, name[1:]
        gate = self.gates[name[0]]
        while client.frames:
            if not gate.has_way(routing_id):
                return False
            try:
                socket.send_multipart([routing_id, client.frames[0]], zmq.DONTWAIT)
                gate.sent(routing_id, len(client.frames[0]))
            except zmq.ZMQError as error:
                if error.errno != zmq.EHOSTUNREACH:
                    raise
                self._packer.drop(client)
                client.asked.clear()
                return True
            self._packer.taken(client, self._loop.time())
        return True

    # --- in -------------------------------------------------------------------------------------

    def _on_frames(self, number: bytes, frames: list[Any]) -> None:
        """From the locked entrance: nothing is heard from a key that was taken off the list."""
        assert self._locked is not None
        if self._locked.keyring.trusted.owner(key_on(frames[-1]), "client") is None:
            self._counts["control_bad"] += 1
        else:
            self._on_parts(number, [frames[0], *(frame.bytes for frame in frames[1:])])

    def _on_parts(self, number: bytes, parts: list[bytes]) -> None:
        name = number + parts[0]
        if len(parts) != 2:
            self._bad(name, Bad(0, f"a message of {len(parts) - 1} frames; requests are one frame"))
            return
        self.gates[number[0]].know(parts[0])
        for request in read_frame(parts[1]):
            self._counts["control_requests"] += 1
            if type(request) is Bad:
                self._bad(name, request)
            elif type(request) is Post or type(request) is SetPresence:
                self._submit(name, request)
            else:
                self._ask(name, request)

    def _bad(self, name: bytes, bad: Bad) -> None:
        self._counts["control_bad"] += 1
        failed = Failed(bad.id, "bad_request", bad.reason)
        client = self._clients.get(name)
        if client is not None and 0 < len(client.asked) < CLIENT_READS_MAX:
            client.asked.append(failed)  # in the order of the frame
        else:
            self._reply(name, failed)

    def _ask(self, name: bytes, request: Question) -> None:
        client = self._client(name)
        if len(client.asked) >= CLIENT_READS_MAX:
            text = f"{CLIENT_READS_MAX} reads wait: wait for replies"
            client.ready.append(Failed(request.id, "busy", text))
            self._talking.add(name)
            return
        client.asked.append(request)
        self._queue(name, client)

    def _queue(self, name: bytes, client: ClientQueue) -> None:
        """It has a turn, unless it has one already, or what was answered waits for it to read."""
        if client.asked and client.takes_answers and not client.in_turn:
            client.in_turn = True
            self._turns.append(name)

    def _serve(self) -> None:
        """Answer reads, one of each client in turn, for a while."""
        if self._serving is not None:
            self._serving.cancel()
            self._serving = None
        until_s = self._loop.time() + SERVE_S
        while self._turns and self._loop.time() < until_s:
            name = self._turns.popleft()
            client = self._clients.get(name)
            if client is None or not client.asked:
                continue  # it has gone
            client.in_turn = False
            item = client.asked.popleft()
            self._reply(name, item if isinstance(item, Failed) else self._reader.answer(item))
            self._packer.pack(client)
            self._queue(name, client)
        self.flush()

    def _serve_soon(self) -> None:
        if self._serving is None:
            self._serving = self._loop.call_soon(self._guard(self._serve))

    def _submit(self, name: bytes, request: Post | SetPresence) -> None:
        if self.stopping:
            self._reply(name, Failed(request.id, "stopping", "the node is stopping"))
            return
        try:
            ack = parse_ack(request.ack, self._durability, self._peers, request.timeout_ms)
        except AckError as error:
            self._bad(name, Bad(request.id, str(error)))
            return
        client = self._client(name)
        if client.flying >= self._client_flying_max or len(self._tickets) >= self._flying_max:
            text = f"{len(self._tickets)} commands are in flight: wait for replies"
            self._reply(name, Failed(request.id, "busy", text))
            return
        client.flying += 1
        self._last_ticket += 1
        self._tickets[self._last_ticket] = Ticket(name, request.id)
        command = _command_of(request)
        self._on_submit(
            Submit(self._last_ticket, command, ack.level, ack.copies, request.timeout_ms)
        )


def _command_of(request: Post | SetPresence) -> PostMessage | Join | Leave:
    if type(request) is Post:
        return PostMessage(request.author, request.text)
    if type(request) is SetPresence:
        return Join(request.author) if request.present else Leave(request.author)
    assert_never(request)
