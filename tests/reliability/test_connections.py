"""What connections can cost one real node: memory and descriptors, at each of its sockets."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import psutil
import pytest

from gossip.wire import PACKET_BYTES_MAX
from lab.client.client import Client, listening
from node.control.messages import FRAME_BYTES_MAX, Accepted, Post, ReadStatus, ReadTimeline, Status
from tests.cluster.conftest import Lab
from tests.cluster.conftest import lab as lab  # noqa: PLC0414  (the fixture)
from tests.cluster.conftest import until as until  # noqa: PLC0414
from tests.reliability.realnode import MIB, ZMTP_GREETING, Target

pytestmark = pytest.mark.cluster

GROWN_MIB_MAX = 24
SENT_MAX = 200 * MIB
LIMIT = 256


def shaken(target: Target, door: str, kind: bytes) -> socket.socket:
    """A connection to that door, after the handshake of a socket of this type."""
    raw = connected(target, door)
    raw.sendall(ZMTP_GREETING)
    said = b""
    while len(said) < len(ZMTP_GREETING):
        said += raw.recv(len(ZMTP_GREETING) - len(said))
    ready = b"\x05READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind
    raw.sendall(bytes((4, len(ready))) + ready)
    assert b"READY" in raw.recv(4096)
    return raw


def connected(target: Target, door: str) -> socket.socket:
    if door == "gossip":
        host, _, port = target.address.removeprefix("tcp://").rpartition(":")
        return socket.create_connection((host, int(port)), 10)
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(10)
    try:
        raw.connect({"control": target.at.control, "feed": target.at.feed}[door])
    except OSError:
        raw.close()
        raise
    return raw


@pytest.fixture
def target(lab: Lab) -> Iterator[Target]:
    made = Target(lab)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("door", "kind", "size"),
    [
        ("gossip", b"DEALER", PACKET_BYTES_MAX),
        ("gossip", b"DEALER", 0),
        ("control", b"DEALER", FRAME_BYTES_MAX),
        ("control", b"DEALER", 100),
        ("feed", b"SUB", 1000),
    ],
)
def test_a_message_of_endless_frames_costs_bounded_memory(
    target: Target, door: str, kind: bytes, size: int
) -> None:
    target.start()
    frames = (b"\x03" + size.to_bytes(8, "big") + bytes(size)) * max(1, 65_536 // (size + 9))
    sent = 0
    with shaken(target, door, kind) as raw, contextlib.suppress(OSError):
        while sent < SENT_MAX:
            raw.sendall(frames)
            sent += len(frames)
            target.look()
    target.look()
    assert sent < SENT_MAX, "nobody hung up"
    assert target.grown() < GROWN_MIB_MAX
    counters = target.status().counters
    assert counters[f"{door}_hung_up_message_too_large"] == 1
    assert counters[f"{door}_unread_bytes"] < 100_000


def test_half_frames_on_many_connections_cost_bounded_memory(target: Target) -> None:
    target.start()
    half = b"\x02" + PACKET_BYTES_MAX.to_bytes(8, "big") + bytes(PACKET_BYTES_MAX // 2)
    raws = []
    for number in range(500):
        raws.append(shaken(target, "gossip", b"DEALER"))
        with contextlib.suppress(OSError):
            raws[-1].sendall(half)
        if not number % 20:
            target.look()
    target.look()
    assert target.grown() < GROWN_MIB_MAX
    assert target.status().counters["gossip_hung_up_strangers_full"] >= 450
    for raw in raws:
        raw.close()


def test_one_client_that_does_not_read_costs_little_memory_and_no_time(target: Target) -> None:
    at = target.at
    with Client.at(at) as client:
        for _ in range(10):
            posts = [Post(client.new_id(), "ana", "y" * 1500) for _ in range(200)]
            client.submit(posts)
            left = {post.id for post in posts}
            while left:
                left -= {reply.id for reply in client.replies(30)}
    target.start()
    with shaken(target, "control", b"DEALER") as raw, Client.at(at) as client:
        for batch in range(20):
            body = msgspec.msgpack.encode([ReadTimeline(batch * 100 + k) for k in range(100)])
            raw.sendall(b"\x02" + len(body).to_bytes(8, "big") + body)
        began_s = time.monotonic()
        assert type(client.ask(Post(client.new_id(), "bea", "hello"))) is Accepted
        waited_s = time.monotonic() - began_s
        counters = client.expect(ReadStatus(client.new_id()), Status).counters
    target.look()
    assert waited_s < 2
    assert target.grown() < GROWN_MIB_MAX
    assert 0 < counters["control_waiting_bytes"] < 4 * MIB


def hung_up_on(target: Target, door: str, count: int) -> bool:
    """Whether more connections than that were refused there, because there are too many."""
    return target.status().counters.get(f"{door}_hung_up_connections_full", 0) > count


def test_used_up_descriptors_leave_a_node_alive_at_all_its_doors(
    lab: Lab, until: Callable[..., None]
) -> None:
    target = Target(lab)
    lab.well("cluster", "kill", "n1")
    limited = ["sh", "-c", 'ulimit -n "$1" && shift && exec "$@"', "sh", str(LIMIT)]
    command = [*limited, sys.executable, "-P", "-m", "node", "n1", "--file", str(lab.file)]
    node = subprocess.Popen(command, cwd=lab.folder, env=lab.environment)
    raws: list[socket.socket] = []
    try:
        until(lambda: listening(target.at.control), 20)
        for door in ("gossip", "control", "feed"):
            for _ in range(LIMIT + 50):
                with contextlib.suppress(OSError):
                    raws.append(connected(target, door))
            until(partial(hung_up_on, target, door, 50))  # it may be behind with accepting
            assert len(os.listdir(f"/proc/{node.pid}/fd")) < LIMIT - 20
        assert node.poll() is None
        with Client.at(target.at) as client:
            assert type(client.ask(Post(client.new_id(), "ana", "hello"))) is Accepted
        # And where others have used them up: those who come then are not let in, no more than that.
        psutil.Process(node.pid).rlimit(
            psutil.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{node.pid}/fd")) // 2, LIMIT)
        )
        for door in ("gossip", "control", "feed"):
            for _ in range(20):
                with contextlib.suppress(OSError):
                    raws.append(connected(target, door))
        until(lambda: b"no_descriptor" in Path(target.at.log_file).read_bytes())
        psutil.Process(node.pid).rlimit(psutil.RLIMIT_NOFILE, (LIMIT, LIMIT))
        assert target.status().counters["gossip_hung_up_no_descriptor"] > 0
    finally:
        for raw in raws:
            raw.close()
        node.kill()
        node.wait()
        target.close()
