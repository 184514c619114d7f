"""What waits for each client of the control socket, and how replies are packed into frames.

`ClientQueue` holds one client's replies, frames and unanswered questions, bounded in bytes and in
number; `Packer` encodes replies into frames of about `REPLY_BYTES` and counts what a client had no
room for. A read is answered only when its client has taken most of the answers before it.
"""

from collections import deque
from collections.abc import Callable

import msgspec
from msgspec import Struct, field

from node.control.messages import (
    ClearFaults,
    Failed,
    ReadFrontier,
    ReadPresence,
    ReadStatus,
    ReadTimeline,
    Reply,
    SetFault,
)
from node.core.ports import Note

CLIENT_BYTES_MAX = 16 * 1024 * 1024  # replies waiting for one client
CLIENT_READS_MAX = 256  # questions waiting for one client
READ_BYTES_MAX = 1024 * 1024  # waiting for one client, over which it gets no more answers to reads
ALL_BYTES_MAX = 64 * 1024 * 1024  # waiting for all clients; beyond, one of them is hung up on
REPLY_BYTES = 1024 * 1024

Read = ReadTimeline | ReadPresence | ReadStatus | ReadFrontier
Question = Read | SetFault | ClearFaults


class ClientQueue(Struct):
    """A connection with something in flight. Forgotten when nothing is left of it."""

    taken_at_s: float  # when the socket took something for it, or it came
    flying: int = 0
    asked: deque[Question | Failed] = field(default_factory=deque)
    in_turn: bool = False  # waits for its turn to be answered
    ready: list[Reply] = field(default_factory=list)
    frames: deque[bytes] = field(default_factory=deque)  # refused by the socket so far
    frames_bytes: int = 0

    @property
    def idle(self) -> bool:
        return not (self.flying or self.asked or self.ready or self.frames)

    @property
    def takes_answers(self) -> bool:
        return self.frames_bytes < READ_BYTES_MAX


class Packer:
    """Replies to frames. `lost` are those that a client had no room for."""

    def __init__(self, on_note: Callable[[Note], None]) -> None:
        self._on_note = on_note
        self._encode = msgspec.msgpack.Encoder().encode
        self.lost = 0
        self.waiting_bytes = 0  # in the frames of all clients

    def pack(self, client: ClientQueue) -> None:
        """Turn what is ready into frames of bounded size: into one, nearly always."""
        whole = self._whole(client.ready)
        if len(whole) <= REPLY_BYTES and whole:
            self._frame(client, whole)
            client.ready.clear()
            return
        part: list[msgspec.Raw] = []
        size = 0
        for reply in client.ready:
            data = self._encoded(reply)
            if part and size + len(data) > REPLY_BYTES:
                self._frame(client, self._encode(part))
                part, size = [], 0
            part.append(msgspec.Raw(data))
            size += len(data)
        self._frame(client, self._encode(part))
        client.ready.clear()

    def _whole(self, replies: list[Reply]) -> bytes:
        """All in one; nothing if one of them cannot be said."""
        try:
            return self._encode(replies)
        except Exception:
            return b""  # the next thing is to find out which

    def _encoded(self, reply: Reply) -> bytes:
        try:
            return self._encode(reply)
        except Exception as error:  # a view that cannot be said must not take commands down with it
            text = f"{type(error).__name__}: {error}"
            self._on_note(Note("view_failed", "error", {"error": text}))
            return self._encode(Failed(reply.id, "internal", f"cannot be shown: {text}"))

    def _frame(self, client: ClientQueue, frame: bytes) -> None:
        if client.frames and client.frames_bytes + len(frame) > CLIENT_BYTES_MAX:
            self.lost += 1
            return
        client.frames.append(frame)
        client.frames_bytes += len(frame)
        self.waiting_bytes += len(frame)

    def taken(self, client: ClientQueue, now_s: float) -> None:
        """The socket took the first frame."""
        size = len(client.frames.popleft())
        client.frames_bytes -= size
        self.waiting_bytes -= size
        client.taken_at_s = now_s

    def drop(self, client: ClientQueue) -> None:
        """It has hung up: its frames are lost."""
        self.lost += len(client.frames)
        self.waiting_bytes -= client.frames_bytes
        client.frames.clear()
        client.frames_bytes = 0
