"""One real node process under hostile frames at its real sockets."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import psutil
import zmq

from gossip.packets import PROTOCOL_VERSION, Packet, Same
from gossip.wire import PACKET_BYTES_MAX, cluster_hash, encode
from lab.process import read_record
from node.api import PresencePage, ReadPresence, ReadStatus, Status, replies_decoder
from tests.cluster.conftest import Lab
from tests.reliability.hostile import Packets, requests

TWO = "name: fuzz\nnodes: [n1, n2]\n"
BATCH = 20
MIB = 1024 * 1024


class Target:
    """n1 of a cluster whose n2 was killed, so that whoever says n2 is believed to be it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab.write(TWO)
        lab.up()
        lab.well("cluster", "kill", "n2")
        self.at = lab.place.nodes["n1"]
        record = read_record(Path(self.at.pid_file))
        assert record is not None
        self.process = psutil.Process(record.pid)
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        address = lab.well("cluster", "ps", "--json").lines[0]["address"]
        self.gossip = self._dialled(address)
        self.control = self._dialled(f"ipc://{self.at.control}")
        # An XSUB may send whatever it likes; other kinds are hung up on in the handshake.
        self.feed = self._dialled(f"ipc://{self.at.feed}", zmq.XSUB)
        self.stranger = self._dialled(f"ipc://{self.at.feed}")

    def _dialled(self, endpoint: str, kind: int = zmq.DEALER) -> "zmq.Socket[bytes]":
        socket = self.context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, 2000)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.connect(endpoint)
        return socket

    def close(self) -> None:
        self.context.destroy(linger=0)

    def rss(self) -> int:
        return int(self.process.memory_info().rss)

    def status(self) -> Status:
        """Asked by a client of its own, so that it works while the others are flooded."""
        socket = self._dialled(f"ipc://{self.at.control}")
        try:
            socket.send(msgspec.msgpack.encode([ReadStatus(1)]))
            assert socket.poll(10_000), "no status within 10 s"
            (reply,) = replies_decoder.decode(socket.recv())
            assert type(reply) is Status
            return reply
        finally:
            socket.close(linger=0)

    def seen(self) -> int:
        counters = self.status().counters
        rejected = sum(n for name, n in counters.items() if name.startswith("rejected_"))
        return rejected + counters["packets_received"] + counters["strangers"]

    def at_gossip(self, count: int, seed: int) -> None:
        packets = Packets(seed, cluster_hash("fuzz"))
        rng = Random(seed)
        before = self.seen()
        for sent, data in enumerate(packets.frames(count, wicked=0.1), 1):
            draw = rng.random()
            if draw < 0.01:
                parts = [[], [data, data], [b"", b"", data]][rng.randrange(3)]
                self.gossip.send_multipart(parts or [b""])
            else:
                self.gossip.send(data)
            if not sent % 5000:
                self._wait(before + sent)
        self._wait(before + count)

    def _wait(self, count: int) -> None:
        end_s = time.monotonic() + 60
        while self.seen() < count:
            assert time.monotonic() < end_s, f"only {self.seen()} of {count} frames were counted"
            time.sleep(0.01)

    def oversize(self) -> None:
        """Costs the connection; libzmq dials again."""
        self.gossip.send(bytes(PACKET_BYTES_MAX + 1))
        time.sleep(0.2)

    def at_feed(self, count: int, seed: int) -> None:
        """Subscriptions that come and go, and bytes that are none. Then an observer still hears."""
        rng = Random(seed)
        for _ in range(count):
            topic = rng.randbytes(rng.randrange(40))
            draw = rng.random()
            if draw < 0.4:
                self.feed.send(b"\1" + topic)
                self.feed.send(b"\0" + topic)
            elif draw < 0.6:
                self.feed.send(b"\0" + topic)
            elif draw < 0.9:
                self.feed.send(bytes([rng.randrange(2, 256)]) + topic)
            else:
                self.feed.send_multipart([topic] * rng.randrange(1, 5))
            if draw < 0.01:
                with contextlib.suppress(zmq.Again):  # it was hung up on
                    self.stranger.send(topic, zmq.NOBLOCK)
        watching = self._dialled(f"ipc://{self.at.feed}", zmq.SUB)
        watching.subscribe(b"")
        end_s = time.monotonic() + 60
        while not watching.poll(50):  # what was sent before the subscription came in is not heard
            self.lab.well("send", "n1", "is anybody listening?")
            assert time.monotonic() < end_s, "the feed is silent"
        watching.close(linger=0)

    def good(self, number: int) -> bytes:
        body = Same(0, bytes(16))
        return encode(Packet(PROTOCOL_VERSION, cluster_hash("fuzz"), "n2", 1, number, body))

    def at_control(self, count: int, seed: int) -> int:
        """Returns the replies. Keeps few in flight, as a client that reads its answers does."""
        replies = 0
        for sent, frame in enumerate(requests(Random(seed), count), 1):
            if len(frame) > 1_000_000:
                continue
            self.control.send(frame)
            if not sent % BATCH:
                replies += self._drained()
        return replies + self._drained()

    def _drained(self) -> int:
        """Read all replies. Those beyond the bound of one client are lost, and counted."""
        replies = 0
        for asked in range(20):
            self.control.send(msgspec.msgpack.encode([ReadPresence(424_242)]))
            while self.control.poll(500):
                for reply in replies_decoder.decode(self.control.recv()):
                    if type(reply) is PresencePage and reply.id == 424_242:
                        return replies
                    replies += 1
            assert asked < 19, "the control socket does not answer any more"
        return replies

    def troubles(self) -> Iterator[str]:
        """Log lines that must not be there."""
        for line in Path(self.at.log_file).read_text().splitlines():
            event = msgspec.json.decode(line)["event"]
            if event in ("worker_crashed", "core_crashed", "node_gave_up", "view_failed"):
                yield line


def flood(lab: Lab, gossip: int, control: int, feed: int, seed: int = 1) -> str:
    """So many hostile frames at each door; the node is there afterwards as it was before."""
    target = Target(lab)
    try:
        target.at_control(1000, seed + 1000)  # what the first use of everything costs
        target.at_gossip(2000, seed + 1000)
        target.at_feed(1000, seed + 1000)
        before, already = target.rss(), target.seen()
        target.at_feed(feed, seed)
        replies = target.at_control(control, seed)
        target.at_gossip(gossip, seed)
        target.oversize()
        grown = (target.rss() - before) / MIB
        status = target.status()
        assert target.seen() >= already
        assert not list(target.troubles())
        assert all(one.state == "running" and not one.restarts for one in status.workers.values())
        assert status.state in ("running", "recovering")
        lab.well("cluster", "restart", "n2")
        lab.well("send", "n2", "after the flood", "--ack", "replicated:1", "--timeout", "20")
        rejected = sum(n for name, n in status.counters.items() if name.startswith("rejected_"))
        return (
            f"{gossip + 2000} packets ({rejected} rejected and counted), {control + 1000} request "
            f"frames ({replies} replies), {feed + 1000} at the feed: 0 crashes, "
            f"0 worker restarts, RSS {grown:+.1f} MiB for {status.events} events"
        )
    finally:
        target.close()
