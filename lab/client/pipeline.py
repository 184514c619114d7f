"""Sends many messages over one connection, with a bounded number in flight, and reports the outcome
of each.

Every line of input has exactly one outcome: acked, refused (by moderation or the domain), failed
(the node reported an error, or the line could not be sent), or unknown (the connection ended before
the answer: the message may or may not exist). A bad line does not stop the lines after it.
"""

import time
from collections import deque
from collections.abc import Callable

import zmq
from msgspec import Struct

from domain.events import TEXT_BYTES_MAX
from lab.client.client import Client, RequestFailure, Silent, Unreachable
from lab.terminal.errors import Exit, Problem
from node.control.messages import Accepted, Failed, Post, Refused, Reply
from node.process.standard_streams import read

WINDOW = 1024  # messages in flight
WINDOW_BYTES = 2 * 1024 * 1024
BATCH_BYTES = 512 * 1024
CHUNK_BYTES = 64 * 1024
GRACE_S = 2.0


class Summary(Struct):
    sent: int = 0
    acked: int = 0
    censored: int = 0
    refused: int = 0
    failed: int = 0
    unknown: int = 0
    seconds: float = 0.0
    rate: float = 0.0  # acked per second


class Lines:
    """Splits a stream into lines without ever holding more than one over-long line's head."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skipping = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines completed by this chunk; empty chunk: the end. Over-long ones are cut."""
        lines: list[bytes] = []
        if not chunk:
            if self._rest or self._skipping:
                lines.append(bytes(self._rest))
            self._rest.clear()
            return lines
        *ends, tail = chunk.split(b"\n")
        for end in ends:
            self._take(end)
            lines.append(bytes(self._rest).removesuffix(b"\r"))
            self._rest.clear()
            self._skipping = False
        self._take(tail)
        return lines

    def _take(self, part: bytes) -> None:
        if self._skipping:
            return
        self._rest += part
        if len(self._rest) > TEXT_BYTES_MAX + 2:
            del self._rest[TEXT_BYTES_MAX + 2 :]
            self._skipping = True


class Pipeline:
    """`on_reply(line number, reply)` for what the node said, `on_bad` for what was never sent."""

    def __init__(
        self,
        client: Client,
        author: str,
        ack: str,
        timeout_s: float,
        on_reply: Callable[[int, Reply], None],
        on_bad: Callable[[int, Problem], None],
    ) -> None:
        self.client = client
        self.author = author
        self.ack = ack
        self.timeout_s = timeout_s
        self.on_reply = on_reply
        self.on_bad = on_bad
        self.summary = Summary()
        self.first_code: Exit | None = None  # of the first line that was not acked
        self._in_flight: dict[int, tuple[int, int]] = {}  # id -> line number, bytes
        self._flying_bytes = 0
        self._pending: deque[tuple[int, str]] = deque()
        self._number = 0

    def run(self, fd: int) -> None:
        """Until the stream ends and every line has its fate. Raises Unreachable."""
        lines, ended = Lines(), False
        began = heard = time.monotonic()
        try:
            while not ended or self._pending or self._in_flight:
                self._launch()
                may_read = not ended and not self._pending and self._has_room()
                readable = self._wait(fd if may_read else None)
                came = self.client.replies(0)
                for reply in came:
                    self._settle(reply)
                now = time.monotonic()
                heard = now if came or not self._in_flight else heard
                if now - heard > self.timeout_s + GRACE_S:
                    raise Silent(f"{self.client.node} stopped answering")
                if readable:
                    chunk = read(fd, CHUNK_BYTES)
                    ended = not chunk
                    for line in lines.feed(chunk):
                        self._accept(line)
        finally:
            summary = self.summary
            summary.unknown = len(self._in_flight)
            summary.seconds = round(time.monotonic() - began, 3)
            summary.rate = round(summary.acked / max(summary.seconds, 0.001), 1)

    def _has_room(self) -> bool:
        return len(self._in_flight) < WINDOW and self._flying_bytes < WINDOW_BYTES

    def _wait(self, fd: int | None) -> bool:
        poller = self.client.poller
        if fd is not None:
            poller.register(fd, zmq.POLLIN)
        try:
            ready = dict(poller.poll(500))
        finally:
            if fd is not None:
                poller.unregister(fd)
        return fd is not None and fd in ready

    def _launch(self) -> None:
        batch: list[Post] = []
        size = 0
        while self._pending and self._has_room() and size < BATCH_BYTES:
            number, text = self._pending.popleft()
            request = Post(
                self.client.new_id(), self.author, text, self.ack, round(self.timeout_s * 1000)
            )
            length = len(text)
            self._in_flight[request.id] = (number, length)
            self._flying_bytes += length
            size += length
            batch.append(request)
        if batch:
            self.client.submit(batch)
            self.summary.sent += len(batch)

    def _accept(self, line: bytes) -> None:
        self._number += 1
        try:
            self._pending.append((self._number, sendable(line)))
        except Problem as problem:
            if problem.code is Exit.REFUSED:
                self.summary.refused += 1
            else:
                self.summary.failed += 1
            self.first_code = self.first_code or problem.code
            self.on_bad(self._number, problem)

    def _settle(self, reply: Reply) -> None:
        place = self._in_flight.pop(reply.id, None)
        if place is None:
            return
        number, length = place
        self._flying_bytes -= length
        code: Exit | None = None
        if type(reply) is Accepted:
            self.summary.acked += 1
            self.summary.censored += reply.verdict == "censored"
        elif type(reply) is Refused:
            self.summary.refused += 1
            code = Exit.REFUSED
        else:
            self.summary.failed += 1
            code = (
                RequestFailure(self.client.node, reply).code
                if type(reply) is Failed
                else Exit.FAILED
            )
        self.first_code = self.first_code or code
        self.on_reply(number, reply)


def sendable(line: bytes) -> str:
    """The line as a text that the node would take; a Problem says why not."""
    check_size(len(line))
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(f"not valid UTF-8 at byte {error.start}", Exit.USAGE) from None


def check_size(size: int) -> None:
    if size > TEXT_BYTES_MAX:
        raise Problem(
            f"the text is longer than {TEXT_BYTES_MAX} bytes: split it into several messages",
            Exit.REFUSED,
        )


__all__ = ["Lines", "Pipeline", "Summary", "Unreachable", "check_size", "sendable"]
