"""A node outlives any pause under load, and whoever connects to it and breaks off.

Where libzmq's input has stopped at a receive limit, a connection that breaks ends the process (an
assertion in stream_engine_base.cpp). CHATLAB_LONG=1 pauses 30 times for 5, 15 and 60 s each, and
resets 50 connections. `/proc` tells whether the process is the same one.
"""

import contextlib
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lab.client.client import Client
from lab.cluster.processes import read_record
from node.control.messages import Accepted, Post, ReadStatus, Status
from tests.cluster.conftest import Lab
from tests.cluster.conftest import lab as lab  # noqa: PLC0414  (the fixture)
from tests.cluster.conftest import until as until  # noqa: PLC0414
from tests.reliability.realnode import ZMTP_GREETING

pytestmark = pytest.mark.cluster

LONG = os.environ.get("CHATLAB_LONG") == "1"
PAUSES_S = [5.0, 15.0, 60.0] * 30 if LONG else [15.0]
RESETS = 50 if LONG else 4
RATE = 200  # messages a second
THREE = "name: pauses\nnodes: [n1, n2, n3]\n"
READY = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER"
PING = b"\x04\x07\x04PING\0\0"


class Load(threading.Thread):
    """Posts at a rate to one node; `acked` are the texts that it accepted."""

    def __init__(self, lab: Lab, node: str) -> None:
        super().__init__(daemon=True)
        self._at = lab.place.nodes[node]
        self._over = threading.Event()
        self.acked: list[str] = []

    def run(self) -> None:
        with Client.at(self._at) as client:
            number, began_s = 0, time.monotonic()
            while not self._over.wait(max(0.0, number / RATE - (time.monotonic() - began_s))):
                request = Post(client.new_id(), "ana", f"text {number}")
                if type(client.ask(request)) is Accepted:
                    self.acked.append(request.text)
                number += 1

    def stop(self) -> None:
        self._over.set()
        self.join(10)


@contextlib.contextmanager
def loaded(lab: Lab, node: str) -> Iterator[Load]:
    load = Load(lab, node)
    load.start()
    try:
        yield load
    finally:
        load.stop()


def process_of(lab: Lab, node: str) -> psutil.Process:
    record = read_record(Path(lab.place.nodes[node].pid_file))
    assert record is not None
    return psutil.Process(record.pid)


def events_at(lab: Lab, node: str) -> int:
    with Client.at(lab.place.nodes[node]) as client:
        return client.expect(ReadStatus(client.new_id()), Status).events


@pytest.mark.timeout(0 if LONG else 120)
def test_a_node_that_was_stopped_under_load_goes_on(lab: Lab, until: Callable[..., None]) -> None:
    lab.write(THREE)
    lab.up()
    paused = process_of(lab, "n3")
    with loaded(lab, "n1") as load:
        until(lambda: len(load.acked) > RATE / 4)
        for pause_s in PAUSES_S:
            paused.send_signal(signal.SIGSTOP)
            try:
                time.sleep(pause_s)  # what is tried is what happens in this time
            finally:
                paused.send_signal(signal.SIGCONT)
            assert lasts(paused, 5.0), "the node that went on ended"
    until(lambda: events_at(lab, "n3") >= len(load.acked) == events_at(lab, "n1"), 60)
    assert process_of(lab, "n3") == paused


def lasts(process: psutil.Process, seconds: float) -> bool:
    """Whether it is still there after that time; waits no longer than it lives."""
    with contextlib.suppress(psutil.TimeoutExpired):
        process.wait(seconds)
        return False
    return process.status() != psutil.STATUS_ZOMBIE


def test_a_connection_that_is_reset_among_heartbeats_ends_no_node(lab: Lab) -> None:
    lab.write(THREE)
    lab.up()
    target = process_of(lab, "n1")
    host, _, port = str(lab.well("cluster", "ps", "--json").lines[0]["address"]).rpartition(":")
    small = b"\x00\xc8" + os.urandom(200)
    burst = (small * 40 + PING) * 60
    for _ in range(RESETS):
        with socket.create_connection((host.removeprefix("tcp://"), int(port)), 10) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.sendall(ZMTP_GREETING)
            said = b""
            while len(said) < len(ZMTP_GREETING):
                said += raw.recv(len(ZMTP_GREETING) - len(said))
            raw.sendall(bytes((4, len(READY))) + READY)
            assert b"ROUTER" in raw.recv(4096)
            raw.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(20):
                    raw.send(burst)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert lasts(target, 0.3), "the node ended"
    assert process_of(lab, "n1") == target
    assert events_at(lab, "n1") == 0
