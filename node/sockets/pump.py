"""A pump: reads a raw ZeroMQ socket on an asyncio loop, by its file descriptor.

Rules
- The descriptor of a ZeroMQ socket says "something happened inside", not "there is a message". It
  stays readable until libzmq has looked, so every wake-up must read or ask for EVENTS; a callback
  that does neither spins at 100 % CPU.
- Any call on the socket may take that signal away. So after sends the events are asked for again
  (`look`), and what has come is read in a new turn.
- It is never left unread: where libzmq's input stops at a full queue, a connection that breaks can
  end the process. Who is to wait is held back before libzmq (`node.sockets.gate`).
- A drain is bounded: after `DRAIN_MAX` messages or `DRAIN_S` the loop gets its turn, and the pump
  goes on after.

zmq.asyncio would do all this and costs five times as much for each message (notes on limits).
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import zmq

DRAIN_MAX = 256
DRAIN_S = 0.02

RawContext = zmq.Context[zmq.Socket[bytes]]
RawSocket = zmq.Socket[bytes]
OnParts = Callable[[list[bytes]], None]
OnFrames = Callable[[list[zmq.Frame]], None]
Guard = Callable[[Callable[[], object]], Callable[[], None]]


def bare(call: Callable[[], object]) -> Callable[[], None]:
    """A guard that guards nothing: for sockets outside of a supervised worker."""

    def run() -> None:
        call()

    return run


class Pump:
    """Calls `on_parts` for each message of a socket, and `on_turn` after each drain.

    With `on_frames` instead a message comes as frames, which know whose connection they are from.
    `receive` returns the next message and raises zmq.Again, if it is not the socket's own.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        socket: RawSocket,
        on_parts: OnParts | None = None,
        on_turn: Callable[[], object] | None = None,
        guard: Guard = bare,
        on_frames: OnFrames | None = None,
        receive: Callable[[], list[Any]] | None = None,
    ) -> None:
        assert (on_parts is None) != (on_frames is None)
        self._loop = loop
        self._socket = socket
        self._on_message: Callable[[list[Any]], None] | None = on_parts or on_frames
        if receive is None:
            receive = partial(socket.recv_multipart, zmq.DONTWAIT, on_frames is None)
        self._receive = receive
        self._on_turn = on_turn
        self._turn = guard(self._drain)
        self._again: asyncio.Handle | None = None
        self._fd: int = socket.getsockopt(zmq.FD)  # type: ignore[assignment]
        loop.add_reader(self._fd, self._turn)
        self._soon()  # what came before the descriptor was watched

    def close(self) -> None:
        """Stop watching. Before the socket is closed, or its descriptor may be somebody else's."""
        self._loop.remove_reader(self._fd)
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def look(self) -> int:
        """After sends: have the signals they swallowed meant anything? Returns the events."""
        events: int = self._socket.getsockopt(zmq.EVENTS)  # type: ignore[assignment]
        if events & zmq.POLLIN:
            self._soon()
        return events

    def _soon(self) -> None:
        if self._again is None:
            self._again = self._loop.call_soon(self._turn)

    def _drain(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        receive, on_message, more = self._receive, self._on_message, DRAIN_MAX
        time, late_s = self._loop.time, self._loop.time() + DRAIN_S
        assert on_message is not None
        try:
            while more:
                message = receive()
                on_message(message)
                more = more - 1 if time() < late_s else 0
        except zmq.Again:
            pass
        if not more:
            self._soon()
        if self._on_turn is not None:
            self._on_turn()
