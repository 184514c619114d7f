"""A control socket with a stand-in for the replica, and a client of it."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Self

import msgspec
import zmq

from domain.commands import PostMessage
from domain.dot import Dot
from node.control.answers import Read
from node.control.messages import (
    FrontierPage,
    PresencePage,
    ReadPresence,
    Reply,
    Request,
    replies_decoder,
)
from node.control.server import ControlServer
from node.core.interface import Acked, Outcome, Submit
from node.core.ports import Note
from node.network.link_faults import FaultTable
from node.sockets.pump import RawContext
from node.storage.files import StorageError
from tests.node.loops import until

DOT = Dot("n1", 5, 1)


class FakeViews:
    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.answered = 0
        self.takes_s = 0.0
        self.size = 0  # bytes of an answer, and more

    def answer(self, request: Read) -> Reply:
        if self.fails is not None:
            raise self.fails
        self.answered += 1
        end_s = time.monotonic() + self.takes_s
        while time.monotonic() < end_s:
            pass  # work, as a long page is
        if self.size:
            return FrontierPage(request.id, "0" * self.size, 0, [])
        if type(request) is ReadPresence:
            return PresencePage(request.id, [])
        return FrontierPage(request.id, "00", 0, [])


class Bench:
    """A control socket, what it submitted, and a client."""

    def __init__(self, **options: Any) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="cl-", dir="/tmp")
        self.path = str(Path(self.folder.name) / "sock" / "control")
        self.context: RawContext = zmq.Context()
        self.submits: list[Submit] = []
        self.notes: list[Note] = []
        self.views = FakeViews()
        self.faults = FaultTable(("n2", "n3"), Random(1))
        self.damage: list[StorageError] = []
        self.control = ControlServer(
            asyncio.get_running_loop(),
            self.context,
            path=self.path,
            durability=options.pop("durability", "always"),
            peers=2,
            views=self.views,
            faults=self.faults,
            on_submit=self.submits.append,
            on_damage=self.damage.append,
            on_note=self.notes.append,
            **options,
        )
        self.control.start()
        self.client = Client(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.control.stop()
        self.context.destroy(linger=0)
        self.folder.cleanup()

    def answer(self, outcome: Callable[[Submit], Outcome]) -> None:
        """What the runtime does with the replies of a turn."""
        for submit in self.submits:
            self.control.answer(submit.ticket, outcome(submit))
        self.submits.clear()
        self.control.flush()


class Client:
    def __init__(self, bench: Bench, limit: int = 1000) -> None:
        self.socket = bench.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.socket.setsockopt(zmq.RCVHWM, limit)
        self.socket.connect(f"ipc://{bench.path}")
        self.frames: list[list[Reply]] = []

    def send(self, *requests: Request) -> None:
        self.socket.send(msgspec.msgpack.encode(list(requests)))

    @property
    def replies(self) -> list[Reply]:
        while self.socket.poll(0):
            self.frames.append(replies_decoder.decode(self.socket.recv()))
        return [reply for frame in self.frames for reply in frame]

    async def get(self, count: int = 1) -> list[Reply]:
        await until(lambda: len(self.replies) >= count)
        replies = self.replies
        assert len(replies) == count
        self.frames.clear()
        return replies


def acked(submit: Submit) -> Outcome:
    text = submit.command.text if type(submit.command) is PostMessage else ""
    return Acked(DOT, submit.ack, submit.copies, text, ())
