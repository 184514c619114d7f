"""Checks of hostile connections: strangers connect to every endpoint of an idle node and send
garbage. The node must reject each and count it.

`report` is called with one line of text for each thing that is wrong: a connection that is not
counted under the reason of its rejection, or that leaves something behind in the process.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import zmq

from lab.client.client import Client
from lab.client.location import NodeLocation
from node.control.messages import ReadStatus, Status
from node.network.compression import MAGIC
from node.security.curve import dial
from node.security.key_files import KeyPair, new_pair

WITHIN_S = 10.0
PART_BYTES = 256 * 1024
PARTS = 8  # that never end: more than a gate holds of one message
# ZMTP 3.0, as a DEALER without a key speaks it: libzmq sends no part of a message before its last.
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
Reporter = Callable[[str], None]
Knock = Callable[["zmq.Socket[bytes]"], None]
RUBBISH: tuple[tuple[list[bytes], str], ...] = (
    ([b"rubbish"], "rejected_malformed"),
    ([b""], "rejected_malformed"),
    ([b"one", b"two"], "rejected_parts"),
    ([MAGIC + b"\xff" * 20], "rejected_malformed"),
)


def knock(
    place: NodeLocation,
    endpoint: str,
    own: KeyPair | None,
    public: bytes | None,
    report: Reporter,
) -> None:
    """Connect to all endpoints of one node as strangers of every kind, and check its counters.

    `own`, `public`: the keys of a trusted peer and the node's public key, or none without
    encryption.
    """
    with Client(place.name, place.control, WITHIN_S) as client:
        if public is None:
            _rubbish(client, endpoint, report)
            _never_ends(client, endpoint, report)
        else:
            assert own is not None
            _wrong_keys(client, endpoint, public, report)
            _abuse(client, endpoint, own, public, report)
        _raw(client, endpoint, place, report)
        _odd_topic(client, place, report)


def counters_of(client: Client) -> dict[str, int]:
    return client.expect(ReadStatus(client.new_id()), Status).counters


def await_counters(client: Client, wanted: dict[str, int], report: Reporter, what: str) -> None:
    """Wait until these counters have exactly the expected values; report those that do not."""
    until_s = time.monotonic() + WITHIN_S
    while True:
        counters = counters_of(client)
        wrong = {name: counters.get(name, 0) for name in wanted}
        if wrong == wanted:
            return
        if time.monotonic() > until_s or any(wrong[n] > wanted[n] for n in wanted if _grows(n)):
            report(f"{client.node}, {what}: counts {wrong} instead of {wanted}")
            return
        time.sleep(0.02)


def _grows(name: str) -> bool:
    return not name.endswith(("_connections", "_bytes"))


@contextmanager
def _dealer(
    endpoint: str, own: KeyPair | None = None, public: bytes | None = None
) -> Iterator["zmq.Socket[bytes]"]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.LINGER, 2000)
    dealer.setsockopt(zmq.RECONNECT_IVL, -1)
    if own is not None and public is not None:
        dial(dealer, own, public)
    dealer.connect(endpoint)
    try:
        yield dealer
    finally:
        dealer.close(linger=0)
        context.term()


def _rubbish(client: Client, endpoint: str, report: Reporter) -> None:
    """Garbage at an endpoint without encryption: each message is counted, by its reason."""
    before = counters_of(client)
    wanted = {"gossip_connections": before["gossip_connections"] + 1}
    for _, counter in RUBBISH:
        wanted[counter] = wanted.get(counter, before.get(counter, 0)) + 2
    with _dealer(endpoint) as dealer:
        for frames, _ in RUBBISH * 2:
            dealer.send_multipart(frames)
        await_counters(client, wanted, report, "to whom rubbish was sent")
    after = {"gossip_connections": before["gossip_connections"], "gossip_unread_bytes": 0}
    await_counters(client, wanted | after, report, "when the stranger had gone")


def _wrong_keys(client: Client, endpoint: str, public: bytes, report: Reporter) -> None:
    """An unknown key, a key for another endpoint, and none at all: each is rejected."""
    before = counters_of(client)
    wanted = {"doors_refused": before["doors_refused"], "doors_let_in": before["doors_let_in"]}
    wanted["gossip_connections"] = before["gossip_connections"]
    for pair in (new_pair("nobody", "peer"), new_pair("nobody", "client")):
        with _dealer(endpoint, pair, public) as dealer:
            dealer.send(b"rubbish")
            wanted["doors_refused"] += 1
            known = {"doors_refused": wanted["doors_refused"]}
            await_counters(client, known, report, "at whose door an unknown key came")
    with _dealer(endpoint) as dealer:
        dealer.send(b"rubbish")
        time.sleep(0.05)
    await_counters(client, wanted, report, "when those without a key had gone")


def _abuse(client: Client, endpoint: str, own: KeyPair, public: bytes, report: Reporter) -> None:
    """A good key that sends what is no packet: counted once, and then not heard for a while."""
    before = counters_of(client)
    reasons = ("rejected_malformed", "rejected_penalised")
    wanted = {one: before.get(one, 0) + 1 for one in reasons}
    wanted |= {"doors_let_in": before["doors_let_in"] + 1}
    with _dealer(endpoint, own, public) as dealer:
        dealer.send(b"rubbish")
        dealer.send(b"more")
        await_counters(client, wanted, report, "to whom a good key sent rubbish")
    after = {"gossip_connections": before["gossip_connections"], "gossip_unread_bytes": 0}
    await_counters(client, wanted | after, report, "when the good key had gone")


def _never_ends(client: Client, endpoint: str, report: Reporter) -> None:
    """A message of frames without an end: who sends it is hung up on."""
    counter = "gossip_hung_up_message_too_large"
    before = counters_of(client)
    wanted = {counter: before.get(counter, 0) + 2}
    with ExitStack() as stack:
        for _ in range(2):
            one = stack.enter_context(socket.create_connection(_address(endpoint), WITHIN_S))
            one.sendall(GREETING + READY)
            with suppress(OSError):  # hung up on meanwhile
                one.settimeout(1.0)
                for _ in range(PARTS):
                    one.sendall(b"\x03" + PART_BYTES.to_bytes(8, "big") + bytes(PART_BYTES))
        await_counters(client, wanted, report, "to whom a message without an end was sent")
    after = {"gossip_connections": before["gossip_connections"], "gossip_unread_bytes": 0}
    await_counters(client, wanted | after, report, "after a message without an end")


def _address(endpoint: str) -> tuple[str, int]:
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    return host, int(port)


def _raw(client: Client, endpoint: str, place: NodeLocation, report: Reporter) -> None:
    """Connections that send nothing, or no ZeroMQ, at each endpoint: all must be closed."""
    before = counters_of(client)
    doors: dict[str, tuple[str, int] | str] = {
        "gossip": _address(endpoint),
        "control": place.control,
        "feed": place.feed,
    }
    for door, address in doors.items():
        count = before[f"{door}_connections"]
        family = socket.AF_INET if door == "gossip" else socket.AF_UNIX
        silent = [socket.socket(family) for _ in range(3)]
        for one in silent:
            one.connect(address)
        await_counters(client, {f"{door}_connections": count + 3}, report, f"whose {door} is used")
        silent[0].sendall(os.urandom(200))
        silent[1].settimeout(WITHIN_S)
        silent[1].sendall(b"GET / HTTP/1.1\r\n\r\n")
        with suppress(OSError):
            if silent[1].recv(4096)[:1] not in (b"", b"\xff"):
                report(f"{client.node} answers HTTP at its door for {door}")
        for one in silent:
            one.close()
        level = {f"{door}_connections": count, f"{door}_unread_bytes": 0}
        await_counters(client, level, report, f"whose {door} was left")


def _odd_topic(client: Client, place: NodeLocation, report: Reporter) -> None:
    """An observer may ask for everything, and for nothing else."""
    before = counters_of(client)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    observer = context.socket(zmq.SUB)
    observer.setsockopt(zmq.LINGER, 0)
    observer.setsockopt(zmq.RECONNECT_IVL, -1)
    observer.setsockopt(zmq.SUBSCRIBE, b"gossip")
    observer.connect(f"ipc://{place.feed}")
    wanted = {
        "feed_refused": before["feed_refused"] + 1,
        "feed_connections": before["feed_connections"],
    }
    await_counters(client, wanted, report, "who was asked for one topic")
    observer.close(linger=0)
    context.term()


__all__ = ["await_counters", "counters_of", "knock"]
