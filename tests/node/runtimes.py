"""A real `Runtime`: loop, sockets, committer's thread and journal, on a disk that obeys a test."""

import asyncio
import errno
import os
import tempfile
import threading
from pathlib import Path
from random import Random
from typing import Literal, Self

import msgspec
import zmq

from domain.clock import Stamp
from domain.dot import Dot
from domain.events import MessagePosted
from domain.moderation import Policy
from gossip.entry import GENESIS, PREV_BYTES, hash_of
from gossip.packets import PROTOCOL_VERSION, Packet, Push, Run
from gossip.wire import cluster_hash, encode
from node.control.messages import ReadStatus, Reply, Request, Status, replies_decoder
from node.core.ports import Durability, Note
from node.core.replica import Replica, ReplicaConfig
from node.core.write_state import WriteBounds
from node.network.link_faults import FaultTable
from node.process.runtime import Runtime, wall_ms
from node.process.settings import Closed, NodeSettings
from node.sockets.pump import RawContext
from node.storage.codec import ProtobufCodec
from node.storage.files import MemoryStorage
from node.storage.journal import Journal, JournalOptions
from node.storage.record_reader import RecordPages
from tests.node.loops import until

CLUSTER = cluster_hash("test")
WAIT_S = 10.0  # only a failing test waits that long


class RuledDisk(MemoryStorage):
    """A disk whose next call stalls until it is let go, and fails then, if told to."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False  # every append of a segment fails with ENOSPC
        self.eio_at_sync = False  # the next sync of a segment fails with EIO
        self.stalls: Literal["append", "sync"] = "append"
        self.going = threading.Event()
        self.going.set()
        self.stalled = threading.Event()

    def _stall(self, call: str) -> None:
        if call == self.stalls and not self.going.is_set():
            self.stalled.set()
            assert self.going.wait(WAIT_S)

    def append(self, name: str, data: bytes) -> int:
        if ".seg" in name:
            self._stall("append")
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        return super().append(name, data)

    def sync(self, name: str) -> None:
        if ".seg" in name:
            self._stall("sync")
            if self.eio_at_sync:
                self.eio_at_sync = False
                raise OSError(errno.EIO, os.strerror(errno.EIO), name)
        super().sync(name)


class News:
    """Packets with new messages of one peer, as it would push them."""

    def __init__(self, origin: str = "n2") -> None:
        self._origin, self._codec = origin, ProtobufCodec()
        self._prev, self._seq = GENESIS, 0

    def packet(self, count: int, text: str = "x") -> Packet:
        data, first = [], self._seq + 1
        for _ in range(count):
            self._seq += 1
            dot = Dot(self._origin, 5, self._seq)
            event = MessagePosted(dot, Stamp(1000 + self._seq, 0), (), "bob", text)
            data.append(self._codec.encode(event, self._prev))
            self._prev = hash_of(data[-1])[:PREV_BYTES]
        body = Push([Run(self._origin, 5, first, data)], direct=True)
        return Packet(PROTOCOL_VERSION, CLUSTER, self._origin, 1, self._seq, body)


class RuntimeBench:
    """n1 of a cluster with n2, who is nowhere; packets of it are handed in by hand."""

    def __init__(
        self,
        durability: Durability = "always",
        interval_ms: int = 10,
        unwritten: WriteBounds = WriteBounds(),  # noqa: B008
        *,
        metrics: bool = False,
        policy: Policy = Policy((), ()),  # noqa: B008
    ) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="cl-", dir="/tmp")
        self.path = str(Path(self.folder.name) / "sock" / "control")
        self.context: RawContext = zmq.Context()
        self.disk = RuledDisk()
        self.notes: list[Note] = []
        self._finished = False
        self.news = News()
        loop = asyncio.get_running_loop()
        journal, recovery = Journal.open(self.disk, "n1", JournalOptions(durability), wall_ms())
        pages = RecordPages(self.disk, recovery.index)
        config = ReplicaConfig("n1", "test", ("n2",), durability, policy, unwritten=unwritten)
        self.replica = Replica(
            config, ProtobufCodec(), Random(1), recovery.incarnation, pages=pages
        )
        for _ in recovery.restore(self.replica, journal.keep):
            pass
        self.replica.boot(int(loop.time() * 1000), wall_ms(), recovery.must_open_epoch)
        settings = NodeSettings(
            "n1",
            CLUSTER,
            "tcp://127.0.0.1:*",
            ("n2",),
            self.path,
            str(Path(self.folder.name) / "sock" / "feed"),
            os.getpid(),
            durability=durability,
            interval_ms=interval_ms,
            metrics_listen="127.0.0.1:0" if metrics else "",
        )
        self.runtime = Runtime(
            loop,
            self.context,
            settings,
            self.replica,
            journal,
            pages,
            Random(1),
            FaultTable(("n2",), Random(1)),
            lambda note, _: self.notes.append(note),
            dict,
        )
        self._client = self.context.socket(zmq.DEALER)
        self._client.setsockopt(zmq.LINGER, 0)

    async def __aenter__(self) -> Self:
        await self.runtime.start()
        self._client.connect(f"ipc://{self.path}")
        await until(lambda: self.runtime.running.written >= 1)  # the epoch
        return self

    async def __aexit__(self, *_: object) -> None:
        self.disk.going.set()
        if not self._finished:
            self.runtime.stop("the test is over")
            await self.runtime.finish()
        self.context.destroy(linger=0)
        self.folder.cleanup()

    def receive(self, count: int, text: str = "x") -> None:
        packet = self.news.packet(count, text)
        self.runtime._on_packet(packet, len(encode(packet)), 0)

    def send(self, *requests: Request) -> None:
        """One frame of requests, over the real socket."""
        self._client.send(msgspec.msgpack.encode(list(requests)))

    async def replies(self, count: int) -> list[Reply]:
        got: list[Reply] = []

        def all_here() -> bool:
            while self._client.poll(0):
                got.extend(replies_decoder.decode(self._client.recv()))
            return len(got) >= count

        await until(all_here, WAIT_S)
        return got

    async def ask(self, *requests: Request) -> list[Reply]:
        self.send(*requests)
        return await self.replies(len(requests))

    async def finish(self) -> Closed:
        self._finished = True
        return await self.runtime.finish()

    async def status(self) -> Status:
        (reply,) = await self.ask(ReadStatus(1))
        assert type(reply) is Status
        return reply

    def said(self, event: str) -> list[Note]:
        return [note for note in self.notes if note.event == event]
