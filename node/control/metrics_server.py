"""Serves a node's metrics over HTTP: `GET /metrics`, and nothing else. A worker on the loop.

Whoever connects may be slow, greedy or hostile, and the node goes on as before:

- At most `CONNECTIONS_MAX` connections; for a newcomer the oldest one goes.
- A request has at most `REQUEST_BYTES_MAX` bytes up to its empty line; a body is not read.
- A connection is over after `PATIENCE_S`, whatever it does meanwhile, and after one answer.
- The text is made at most once in `FRESH_S`, and takes `SHARE` of the loop's time at most: who asks
  sooner gets the same bytes.

Answers are `Connection: close`. After one the server reads on and forgets what it reads, because a
connection that is closed with unread input may lose the answer on its way.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from functools import partial

from node.core.ports import Note
from node.sockets.listening import listen_tcp, spare, tune
from node.sockets.pump import Guard, bare

CONNECTIONS_MAX = 16
REQUEST_BYTES_MAX = 8 * 1024
READ_BYTES = 4 * 1024
ACCEPT_MAX = 16  # in one turn of the loop
FORGET_BYTES_MAX = 64 * 1024  # that come behind a request
AGAIN_S = 0.1  # until the listener is looked at again after accepting has failed
PATIENCE_S = 5.0
FRESH_S = 0.1
SHARE = 0.05
NOTE_EVERY_S = 10.0

_STATUS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}


class MetricsServer:
    """A supervised worker. `render` returns the text of one scrape and its content type."""

    name = "metrics"

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        node: str,
        listen: str,
        render: Callable[[], tuple[bytes, str]],
        on_note: Callable[[Note], None],
        guard: Guard = bare,
    ) -> None:
        self.loop = loop
        self.guard = guard
        self._node = node
        self._listen = listen
        self._render = render
        self._on_note = on_note
        self._accept = guard(self._accept_some)
        self._listener: socket.socket | None = None
        self._again: asyncio.TimerHandle | None = None
        self._visits: dict[int, _Visit] = {}  # by descriptor, the oldest first
        self._answer = b""
        self._fresh_until_s = 0.0
        self._told_s = 0.0
        self._counters = {"metrics_scrapes": 0, "metrics_refused": 0, "metrics_hung_up": 0}

    @property
    def endpoint(self) -> str:
        """host:port, with the port that the system chose if it was asked to."""
        return self._listen

    @property
    def counters(self) -> dict[str, int]:
        return {**self._counters, "metrics_connections": len(self._visits)}

    def start(self) -> None:
        """Raises OSError, whose text is one clear line."""
        assert self._listener is None, "started twice"
        try:
            listener, endpoint = listen_tcp(f"tcp://{self._listen}")
        except OSError as error:
            why = error.strerror or error
            text = f"{self._node}: cannot serve metrics on {self._listen}: {why}"
            raise OSError(text) from None
        self._listen = endpoint.removeprefix("tcp://")
        self._listener = listener
        listener.settimeout(0)
        self.loop.add_reader(listener.fileno(), self._accept)

    def stop(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        for visit in list(self._visits.values()):
            visit.close()
        if self._listener is not None:
            self.loop.remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None

    # --- letting in -----------------------------------------------------------------------------

    def _accept_some(self) -> None:
        assert self._listener is not None
        for _ in range(ACCEPT_MAX):
            try:
                spare(self._listener.fileno())
                outer, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:  # descriptors run short: those who wait stay in the backlog
                self.loop.remove_reader(self._listener.fileno())
                self._again = self.loop.call_later(AGAIN_S, self.guard(self._look_again))
                return
            outer.settimeout(0)
            tune(outer)
            if len(self._visits) >= CONNECTIONS_MAX:
                self.hang_up(next(iter(self._visits.values())))
            self._visits[outer.fileno()] = _Visit(self, outer)

    def _look_again(self) -> None:
        self._again = None
        if self._listener is not None:
            self.loop.add_reader(self._listener.fileno(), self._accept)

    # --- what a visit calls ---------------------------------------------------------------------

    def gone(self, fd: int) -> None:
        self._visits.pop(fd, None)

    def hang_up(self, visit: "_Visit") -> None:
        """End it before it is done."""
        self._counters["metrics_hung_up"] += 1
        visit.close()

    def answer(self, code: int) -> bytes:
        """The whole answer; 200 asks for the metrics."""
        if code == 200:
            code = self._refresh()
            if code == 200:
                self._counters["metrics_scrapes"] += 1
                return self._answer
        self._counters["metrics_refused"] += 1
        return _response(code, f"{code} {_STATUS[code]}: try GET /metrics\n".encode())

    def _refresh(self) -> int:
        now_s = self.loop.time()
        if now_s < self._fresh_until_s:
            return 200
        try:
            text, content_type = self._render()
        except Exception as error:  # whoever asks gets an error, and the node goes on
            if now_s >= self._told_s + NOTE_EVERY_S or not self._told_s:
                self._told_s = now_s
                why = f"{type(error).__name__}: {error}"[:200]
                self._on_note(Note("metrics_failed", "error", {"reason": why}))
            return 500
        self._answer = _response(200, text, content_type)
        done_s = self.loop.time()
        self._fresh_until_s = done_s + max(FRESH_S, (done_s - now_s) / SHARE)
        return 200


class _Visit:
    """One connection: reads a request, writes an answer, waits for the other side to close."""

    def __init__(self, server: MetricsServer, outer: socket.socket) -> None:
        self._server = server
        self._loop = server.loop
        self._socket = outer
        self._fd = outer.fileno()
        self._request = bytearray()
        self._left = memoryview(b"")  # of the answer
        self._answered = False
        self._forgotten = 0  # bytes
        over = server.guard(partial(server.hang_up, self))
        self._timer = self._loop.call_later(PATIENCE_S, over)
        self._loop.add_reader(self._fd, server.guard(self._on_readable))

    def close(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._socket.close()
        self._server.gone(self._fd)

    def _on_readable(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
        elif self._answered:
            self._forgotten += len(data)
            if self._forgotten > FORGET_BYTES_MAX:
                self._server.hang_up(self)
        else:
            self._request += data
            code = code_of(bytes(self._request))
            if code:
                self._begin(self._server.answer(code))

    def _begin(self, answer: bytes) -> None:
        self._answered = True
        self._request.clear()
        self._left = memoryview(answer)
        self._loop.remove_reader(self._fd)  # nothing is read before all is written
        self._loop.add_writer(self._fd, self._server.guard(self._on_writable))
        self._on_writable()

    def _on_writable(self) -> None:
        try:
            sent = self._socket.send(self._left)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._left = self._left[sent:]
        if not self._left:
            self._loop.remove_writer(self._fd)
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            self._loop.add_reader(self._fd, self._server.guard(self._on_readable))


def code_of(request: bytes) -> int:
    """The status code that a request gets; 0 while it is not complete."""
    head, end, _ = request.partition(b"\r\n\r\n")
    if len(head) > REQUEST_BYTES_MAX:
        return 431
    if not end:
        return 0
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return 400
    method, target, _ = words
    if target.partition(b"?")[0] != b"/metrics":
        return 404
    return 200 if method == b"GET" else 405


def _response(code: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> bytes:
    allow = "Allow: GET\r\n" if code == 405 else ""
    head = (
        f"HTTP/1.1 {code} {_STATUS[code]}\r\n{allow}Content-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
