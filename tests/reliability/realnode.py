"""One real node process under hostile frames at its real sockets."""

import contextlib
import socket
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import psutil
import zmq

from gossip.wire import PACKET_BYTES_MAX, cluster_hash, encode
from lab.cluster.processes import read_record
from node.control.messages import (
    FRAME_BYTES_MAX,
    Failed,
    PresencePage,
    ReadPresence,
    ReadStatus,
    Status,
    replies_decoder,
)
from tests.cluster.conftest import Lab
from tests.reliability.hostile import Packets, requests
from tests.reliability.malformed import malformed_packets, malformed_requests, no_frame, topic

ID = "f0225eed00000001"
TWO = f"name: fuzz\nid: {ID}\nnodes: [n1, n2]\n"
MIB = 1024 * 1024
SOUND = 0.001  # so many well-formed frames to a malformed one: few, for the history grows by them
BATCH, BATCHES_FLYING = 50, 4
MARK = 424_242  # of the questions that say how far the node is
LOOK_EVERY = 20_000  # frames from one look at the memory to the next
OVERSIZE = 50
RSS_MIB_MAX = 32
FEED_FRAMES = 100  # sent in one go by one connection
NO_FRAME = 0.1  # of the connections: libzmq ends those, mostly before the feed reads of them
REFUSALS = ("malformed", "version", "oversize", "parts")
# What a SUB says first, in ZMTP 3.0.
_READY = b"\x05READY\x0bSocket-Type\0\0\0\x03SUB"
ZMTP_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\0" + b"NULL".ljust(20, b"\0") + bytes(32)
ZMTP_READY = bytes((4, len(_READY))) + _READY


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
        self.address = lab.well("cluster", "ps", "--json").lines[0]["address"]
        self.gossip = self._dialled(self.address)
        self.control = self._dialled(f"ipc://{self.at.control}")
        self._rss_before = self._rss_most = 0
        self._spent_s = 0.0

    def _dialled(self, endpoint: str, kind: int = zmq.DEALER) -> "zmq.Socket[bytes]":
        dealer = self.context.socket(kind)
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.SNDHWM, 2000)
        dealer.setsockopt(zmq.SNDTIMEO, 60_000)  # a node that stands still fails the test
        dealer.setsockopt(zmq.RCVHWM, 0)
        dealer.connect(endpoint)
        return dealer

    def close(self) -> None:
        self.context.destroy(linger=0)

    def start(self) -> None:
        """From here on memory and processor time are counted."""
        self._rss_before = self._rss_most = int(self.process.memory_info().rss)
        self.spent_us(1)

    def look(self) -> None:
        self._rss_most = max(self._rss_most, int(self.process.memory_info().rss))

    def grown(self) -> float:
        """MiB, at the worst of all looks."""
        return (self._rss_most - self._rss_before) / MIB

    def spent_us(self, frames: int) -> float:
        """Processor time of the node for each frame since the last time."""
        times = self.process.cpu_times()
        before, self._spent_s = self._spent_s, times.user + times.system
        return (self._spent_s - before) * 1e6 / frames

    def status(self) -> Status:
        """Asked by a client of its own, so that it works while the others are flooded."""
        dealer = self._dialled(f"ipc://{self.at.control}")
        try:
            dealer.send(msgspec.msgpack.encode([ReadStatus(1)]))
            assert dealer.poll(10_000), "no status within 10 s"
            (reply,) = replies_decoder.decode(dealer.recv())
            assert type(reply) is Status
            return reply
        finally:
            dealer.close(linger=0)

    def refused(self) -> int:
        """Packets that were none, by the node's own count."""
        counters = self.status().counters
        return sum(counters.get(f"rejected_{reason}", 0) for reason in REFUSALS)

    def at_gossip(self, count: int, seed: int) -> None:
        """So many malformed packets, and a sound one now and then. All are refused and counted."""
        packets, rng = Packets(seed, cluster_hash("fuzz", ID)), Random(seed)
        before = self.refused()
        for sent, parts in enumerate(malformed_packets(packets, count), 1):
            self.gossip.send_multipart(parts)
            if rng.random() < SOUND:
                self.gossip.send(encode(packets.wicked()))
            if not sent % LOOK_EVERY:
                self.look()
        until = before + count
        end_s = time.monotonic() + 120
        while (now := self.refused()) < until:
            assert time.monotonic() < end_s, f"only {now - before} of {count} frames were counted"
            time.sleep(0.05)
        sound = count * SOUND + 6 * (count * SOUND) ** 0.5  # some of those are of no version either
        assert now - until <= sound + 10, f"{now - until} sound packets were refused"

    def oversize(self, endpoint: str, frame: bytes, count: int) -> None:
        """Each costs its connection, and nothing else."""
        for _ in range(count):
            dealer = self._dialled(endpoint)
            monitor = dealer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            dealer.send(frame)
            assert monitor.poll(10_000), "a frame above the limit is not hung up on"
            dealer.disable_monitor()
            monitor.close(linger=0)
            dealer.close(linger=0)

    def at_feed(self, count: int, seed: int) -> int:
        """Each connection sends a hundred and is hung up on. Then an observer still hears.

        Returns how many connections that took.
        """
        rng, sent, connections = Random(seed), 0, 0
        before = self.status().counters["feed_refused"]
        while sent < count:
            frames = [topic(rng) for _ in range(min(FEED_FRAMES, count - sent))]
            if rng.random() < NO_FRAME:
                frames[-1] = no_frame(rng)
            # Sometimes it is hung up on before it has said a word: what an earlier one said is read
            # when that one has ended, and the number of its descriptor is that of this one.
            if said(self.at.feed, frames):
                sent += len(frames)
                connections += 1
                if not connections % 1000:
                    self.look()
        refused = self.status().counters["feed_refused"] - before
        assert refused >= 0.8 * connections, f"{refused} of {connections} were refused by the feed"
        watching = self._dialled(f"ipc://{self.at.feed}", zmq.SUB)
        watching.subscribe(b"")
        end_s = time.monotonic() + 60
        while not watching.poll(50):  # what was sent before the subscription came in is not heard
            self.lab.well("send", "n1", "is anybody listening?")
            assert time.monotonic() < end_s, "the feed is silent"
        watching.close(linger=0)
        return connections

    def at_control(self, count: int, seed: int) -> int:
        """So many frames of which no part is a request, and a sound one now and then.

        A question after each batch says how far the node is, so that few batches are in flight, as
        with a client that reads its answers. Returns how many parts were answered as bad.
        """
        rng = Random(seed)
        sound = list(requests(rng, 200))
        bad = expected = 0
        asked: deque[int] = deque()
        for sent, (frame, parts) in enumerate(malformed_requests(rng, count), 1):
            self.control.send(frame)
            expected += parts
            if not sent % BATCH:
                if rng.random() < SOUND * BATCH:
                    self.control.send(rng.choice(sound))
                asked.append(MARK + sent)
                self.control.send(msgspec.msgpack.encode([ReadPresence(MARK + sent)]))
            while len(asked) > BATCHES_FLYING:
                bad += self._answered(asked)
            if not sent % LOOK_EVERY:
                self.look()
        asked.append(MARK)
        self.control.send(msgspec.msgpack.encode([ReadPresence(MARK)]))
        while asked:
            bad += self._answered(asked)
        assert bad >= expected, f"{bad} of {expected} bad requests were answered"
        return bad

    def _answered(self, asked: deque[int]) -> int:
        """Read one frame of replies. How many of them say that a request was bad."""
        assert self.control.poll(20_000), "the control socket does not answer any more"
        bad = 0
        for reply in replies_decoder.decode(self.control.recv()):
            if type(reply) is PresencePage and asked and reply.id == asked[0]:
                asked.popleft()
            bad += type(reply) is Failed and reply.code == "bad_request"
        return bad

    def troubles(self) -> Iterator[str]:
        """Log lines that must not be there."""
        for line in Path(self.at.log_file).read_text().splitlines():
            event = msgspec.json.decode(line)["event"]
            if event in ("worker_crashed", "core_crashed", "node_gave_up", "view_failed"):
                yield line


def said(path: str, frames: list[bytes]) -> bool:
    """Whether a connection could say this to the feed, before that hung up on it. It does."""
    heard = b""
    with contextlib.suppress(ConnectionError), socket.socket(socket.AF_UNIX) as one:
        one.settimeout(20)
        one.connect(path)
        one.sendall(ZMTP_GREETING)
        while b"READY" not in heard:
            part = one.recv(1024)
            if not part:
                return False
            heard += part
        one.sendall(b"".join((ZMTP_READY, *frames)))
        while one.recv(65_536):
            pass
    return b"READY" in heard


def flood(lab: Lab, gossip: int, control: int, feed: int, seed: int = 1) -> str:
    """So many hostile frames at each door; the node is there afterwards as it was before."""
    target = Target(lab)
    try:
        target.at_control(1000, seed + 1000)  # what the first use of everything costs
        target.at_gossip(2000, seed + 1000)
        target.at_feed(1000, seed + 1000)
        target.start()
        connections = target.at_feed(feed, seed)
        feed_us = target.spent_us(feed)
        bad = target.at_control(control, seed)
        control_us = target.spent_us(control)
        target.at_gossip(gossip, seed)
        gossip_us = target.spent_us(gossip)
        target.oversize(target.address, bytes(PACKET_BYTES_MAX + 1), OVERSIZE)
        target.oversize(f"ipc://{target.at.control}", bytes(FRAME_BYTES_MAX + 1), OVERSIZE)
        target.look()
        assert target.grown() < RSS_MIB_MAX, f"grew by {target.grown():.1f} MiB"
        status = target.status()
        assert not list(target.troubles())
        assert all(one.state == "running" and not one.restarts for one in status.workers.values())
        assert status.state in ("running", "recovering")
        lab.well("cluster", "restart", "n2")
        lab.well("send", "n2", "after the flood", "--ack", "replicated:1", "--timeout", "20")
        return (
            f"{gossip} malformed packets, all counted ({gossip_us:.0f} us of processor time each); "
            f"{control} malformed request frames, {bad} parts answered as bad ({control_us:.0f} "
            f"us a frame); {feed} frames at the feed in {connections} connections, each hung up on "
            f"({feed_us:.0f} us a frame); {2 * OVERSIZE} above the limit: 0 crashes, 0 worker "
            f"restarts, RSS at most {target.grown():+.1f} MiB, with {status.events} valid events "
            f"among them, log {Path(target.at.log_file).stat().st_size / MIB:.1f} MiB"
        )
    finally:
        target.close()
