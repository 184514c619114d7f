"""A client of one node's control socket: it sends requests, one at a time or many in flight.

`Client` is a blocking ZeroMQ DEALER. A frame holds a list of requests. Replies come back in any
order, and `id` assigns them to requests. Nothing here retries: a request without a reply may or may
not have been executed, and only the caller knows whether it is safe to repeat it.

A dead node is detected at once. ZeroMQ would wait and reconnect for ever, so first a plain connect
to the socket's path tests whether a process listens, and later a monitor reports when the
connection breaks. After that the client is unusable, and every request in flight is lost.

A node elsewhere is dialled over TCP with a key (`lab.client.remote`), which waits for the
handshake.
"""

import socket as posix
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec
import zmq

from lab.client.location import NodeLocation
from lab.terminal.errors import Exit, Problem, Unreachable
from node.control.messages import (
    FRAME_BYTES_MAX,
    Accepted,
    Done,
    Failed,
    FrontierPage,
    PresencePage,
    Refused,
    Reply,
    Request,
    Status,
    TimelinePage,
    replies_decoder,
)

if TYPE_CHECKING:
    from lab.client.remote import Dialling

TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 1.0
ANSWER = TypeVar(
    "ANSWER", Accepted, Refused, Failed, TimelinePage, PresencePage, Status, FrontierPage, Done
)


_CODES = {
    "bad_request": Exit.USAGE,
    "busy": Exit.FAILED,
    "storage_error": Exit.STORAGE,
    "disk_full": Exit.STORAGE,
    "ack_timeout": Exit.TIMED_OUT,
    "stopping": Exit.UNREACHABLE,
    "internal": Exit.FAILED,
}


class Silent(Unreachable):
    """The node is connected and does not answer in time: paused, or far behind."""


class RequestFailure(Problem):
    """The node answered, and the answer is that it could not."""

    def __init__(self, node: str, failed: Failed) -> None:
        super().__init__(f"{node}: {failed.reason}", _CODES[failed.code])
        self.failed = failed


class Client:
    """A connection to one node. Not thread-safe. Use as a context manager, or call `close`."""

    def __init__(
        self,
        node: str,
        control: str,
        timeout_s: float = TIMEOUT_S,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
        dialling: "Dialling | None" = None,
    ) -> None:
        self.node = node
        self.timeout_s = timeout_s
        if dialling is None:
            _check_listening(node, control)
        self._own_context = context is None
        self._context = context if context is not None else zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        self._socket.setsockopt(zmq.SNDHWM, 0)  # in flight is bounded by the caller
        self._socket.setsockopt(zmq.MAXMSGSIZE, 2 * FRAME_BYTES_MAX)
        self._encoder = msgspec.msgpack.Encoder()
        self._last_id = 0
        self._early: dict[int, Reply] = {}
        self._gone = False
        if dialling is not None:
            self._monitor = self._dial(dialling)
        else:
            self._monitor = self._socket.get_monitor_socket(
                zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_CONNECT_RETRIED
            )
            self._socket.connect(f"ipc://{control}")
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)

    @classmethod
    def at(
        cls, place: NodeLocation, context: zmq.Context[zmq.Socket[bytes]] | None = None
    ) -> "Client":
        """A client of a node on this machine or elsewhere, as its location says."""
        if not place.is_remote:
            return cls(place.name, place.control, context=context)
        from lab.client.remote import dialling  # lazy: keys

        return cls(place.name, "", context=context, dialling=dialling(place, "client"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0)
        if self._own_context:
            self._context.term()

    def _dial(self, dialling: "Dialling") -> "zmq.Socket[bytes]":
        try:
            return dialling.connect(self._socket)
        except Problem:
            self._socket.close(linger=0)
            if self._own_context:
                self._context.term()
            raise

    @property
    def poller(self) -> zmq.Poller:
        """For callers that also wait for something else; register it and call `poll` on it."""
        return self._poller

    @property
    def sockets(self) -> "list[zmq.Socket[bytes]]":
        """What becomes readable when there is something for `replies`, for a poll of many."""
        return [self._socket, self._monitor]

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def submit(self, requests: Sequence[Request]) -> None:
        """Put the requests on their way, in one frame. The replies come through `replies`."""
        frame = self._encoder.encode(requests)
        assert len(frame) <= FRAME_BYTES_MAX, len(frame)
        try:
            if not self._gone:
                self._socket.send(frame, zmq.NOBLOCK, copy=False)
        except zmq.Again:  # a queue without bound is full only once there is no connection any more
            self._gone = True
        if self._gone:
            raise Unreachable(f"{self.node} went away")

    def replies(self, timeout_s: float) -> list[Reply]:
        """What has come, waiting up to `timeout_s` for the first. Raises once the node is gone."""
        if not self._gone:
            self._poller.poll(max(0, int(timeout_s * 1000)))
        came: list[Reply] = []
        while True:
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            came.extend(replies_decoder.decode(frame))
        self._gone = self._gone or self._broken()
        if not came and self._gone:
            raise Unreachable(f"{self.node} went away")
        return came

    def ask(self, request: Request, timeout_s: float | None = None) -> Reply:
        """One request, one reply."""
        wait_s = self.timeout_s if timeout_s is None else timeout_s
        until = time.monotonic() + wait_s
        self.submit([request])
        while request.id not in self._early:
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise Silent(f"{self.node} did not answer within {wait_s:g} s")
            for reply in self.replies(left_s):
                self._early[reply.id] = reply
        return self._early.pop(request.id)

    def expect(
        self, request: Request, kind: type[ANSWER], timeout_s: float | None = None
    ) -> ANSWER:
        """One request whose only good answer is a `kind`; anything else raises `RequestFailure`."""
        reply = self.ask(request, timeout_s)
        if isinstance(reply, kind):
            return reply
        if type(reply) is Failed:
            raise RequestFailure(self.node, reply)
        strange = Failed(request.id, "internal", f"unexpected answer {type(reply).__name__}")
        raise RequestFailure(self.node, strange)

    def _broken(self) -> bool:
        """Drain the monitor; true when the connection was refused or broke."""
        broken = False
        while self._monitor.poll(0):
            self._monitor.recv_multipart()
            broken = True
        return broken


def _check_listening(node: str, control: str) -> None:
    """Raise unless somebody listens on the socket. Costs well under a millisecond."""
    probe = posix.socket(posix.AF_UNIX, posix.SOCK_STREAM)
    probe.settimeout(CONNECT_TIMEOUT_S)
    try:
        probe.connect(control)
    except (TimeoutError, BlockingIOError):  # the node does not accept, and the queue is full
        raise Silent(f"{node} does not accept connections (is it paused?)") from None
    except PermissionError:
        text = f"no permission to speak to {node}: its socket {control} is another user's"
        raise Unreachable(text) from None
    except OSError:
        text = f"{node} is not running: start it with `chatlab cluster restart {node}`"
        raise Unreachable(text) from None
    finally:
        probe.close()


def listening(control: str) -> bool:
    try:
        _check_listening("", control)
    except Unreachable:
        return False
    return True


__all__ = ["Client", "RequestFailure", "Silent", "Unreachable", "listening"]
