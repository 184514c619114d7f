"""Two real nodes that trust each other's keys, a client from elsewhere, and one who is kept out."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from lab.client.location import keys_in
from node.control.messages import Accepted, Post, replies_decoder
from node.security.curve import dial
from node.security.key_files import KeyPair, new_pair, read_secret, read_trusted
from tests.node.doorways import packet

pytestmark = pytest.mark.cluster


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def locked(lab: Any) -> int:
    """Nodes n1 and n2 with keys, running; n1 also takes commands on the port that is returned."""
    port = free_port()
    door = f'control: {{listen: "127.0.0.1:{port}"}}'
    lab.write(f"nodes: [{{name: n1, {door}}}, n2]\nencrypt: true\n")
    lab.well("keys", "new", "n1", "n2", "--client", "ana")
    lab.well("cluster", "up", "-d")
    return port


def dealer(context: Any, endpoint: str, pair: KeyPair, server: bytes) -> Any:
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    dial(socket, pair, server)
    socket.connect(endpoint)
    return socket


def test_nodes_with_keys_converge_and_recover(lab: Any) -> None:
    port = locked(lab)
    lab.well("send", "n1", "hello")
    lab.well("wait", "--converged", "--timeout", "10")
    lab.well("cluster", "kill", "n2")
    lab.well("send", "n1", "while you were away")
    lab.well("cluster", "restart", "n2")
    lab.well("send", "n2", "back")
    lab.well("wait", "--converged", "--timeout", "20")
    texts = [one["text"] for one in lab.well("timeline", "n2", "--json").lines]
    assert texts == ["hello", "while you were away", "back"]
    status = lab.well("status", "n1", "--json").json
    assert status["workers"]["doors"]["state"] == "running"
    keys = keys_in(lab.file)
    node, ana = read_trusted(keys).keys["n1"].public, read_secret(keys, "ana")
    context = zmq.Context()
    try:
        client = dealer(context, f"tcp://127.0.0.1:{port}", ana, node)
        client.send(msgspec.msgpack.encode([Post(1, "ana", "from afar", "durable")]))
        assert client.poll(5000)
        assert type(replies_decoder.decode(client.recv())[0]) is Accepted
    finally:
        context.destroy(linger=0)


def test_who_has_no_trusted_key_changes_nothing_and_is_reported(lab: Any, until: Any) -> None:
    locked(lab)
    keys = keys_in(lab.file)
    node, ana = read_trusted(keys).keys["n2"].public, read_secret(keys, "ana")
    address = lab.well("cluster", "ps", "--json").lines[1]["address"]
    context = zmq.Context()
    try:
        knocking = [
            dealer(context, address, pair, node) for pair in (ana, new_pair("mallory", "peer"))
        ]
        for socket in knocking:
            socket.send(packet("n1"))
        until(lambda: len(refusals(lab)) == 2)
    finally:
        context.destroy(linger=0)
    assert {(one["reason"], one["door"], one["level"]) for one in refusals(lab)} == {
        ("unknown_key", "gossip", "warning"),
        ("key_of_a_client", "gossip", "warning"),
    }
    assert lab.well("status", "n2", "--json").json["counters"].get("rejected_cluster") is None


def refusals(lab: Any) -> list[Any]:
    lines = Path(lab.place.nodes["n2"].log_file).read_text().splitlines()
    return [one for one in map(msgspec.json.decode, lines) if one["event"] == "key_refused"]


def test_keys_outlive_a_wipe(lab: Any) -> None:
    locked(lab)
    lab.well("cluster", "down", "--wipe")
    lab.well("cluster", "up", "-d")
    lab.well("send", "n1", "a new beginning")
    lab.well("wait", "--converged", "--timeout", "10")
