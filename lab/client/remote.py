"""Connects to a node on another machine over TCP, with CURVE keys.

`chatlab --control tcp://HOST:PORT --key FILE COMMAND NODE` needs no cluster file. A key has a role,
client or observer: a client's key is accepted at the control endpoint, an observer's at the feed.
The node's own public key must be known in advance, because otherwise any server could answer in its
place. It comes from the list `trusted` beside the key file, where `chatlab keys new --client NAME
--out DIR` puts it, or from `--node-key`.

A node that does not accept a key closes the connection without a reply. A node with another key
than the expected one does the same, because it cannot decrypt the request. The two cases cannot be
distinguished from outside, so the error message names both.
"""

import time
from pathlib import Path

import zmq
from msgspec import Struct

from lab.client.location import LocationError, NodeLocation
from lab.terminal.errors import Unreachable
from node.config.cluster_file import ConfigError
from node.security.curve import dial
from node.security.key_files import (
    KeyPair,
    Role,
    fingerprint,
    parse_public,
    read_secret,
    read_trusted,
)

HANDSHAKE_S = 5.0
SUFFIX = ".secret"
_SHAKEN = zmq.EVENT_HANDSHAKE_SUCCEEDED
_NOBODY = zmq.EVENT_CLOSED | zmq.EVENT_CONNECT_RETRIED
_HUNG_UP = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
WATCHED = _SHAKEN | _NOBODY | _HUNG_UP
_DOOR: dict[Role, str] = {"client": "--control", "observer": "--feed", "peer": "gossip"}


class Dialling(Struct, frozen=True):
    """How to connect to one endpoint of a node elsewhere: its address and the keys."""

    node: str
    endpoint: str
    own: KeyPair
    server: bytes  # the node's public key

    def connect(self, socket: "zmq.Socket[bytes]") -> "zmq.Socket[bytes]":
        """Dial, and wait until both sides have accepted each other; raises Problem if not.

        Returns the socket's monitor, for what becomes of the connection later.
        """
        dial(socket, self.own, self.server)
        socket.setsockopt(zmq.IPV6, "[" in self.endpoint)
        monitor = socket.get_monitor_socket(WATCHED)
        try:
            socket.connect(self.endpoint)
            self._wait(monitor)
        except BaseException as error:
            socket.disable_monitor()
            monitor.close(linger=0)
            if isinstance(error, zmq.ZMQError):
                text = f"{self.endpoint} cannot be dialled: {error.strerror}"
                raise LocationError(text) from None
            raise
        return monitor

    def _wait(self, monitor: "zmq.Socket[bytes]") -> None:
        until = time.monotonic() + HANDSHAKE_S
        while monitor.poll(max(0, int((until - time.monotonic()) * 1000))):
            event = int.from_bytes(monitor.recv_multipart()[0][:2], "little")
            if event == _SHAKEN:
                return
            if event & _HUNG_UP:
                raise Unreachable(self._shut())
            text = f"{self.node} is not reached: nobody listens at {self.endpoint}"
            raise Unreachable(text)
        text = f"{self.node} at {self.endpoint} did not answer within {HANDSHAKE_S:g} s"
        raise Unreachable(text)

    def _shut(self) -> str:
        return (
            f"{self.node} at {self.endpoint} hung up: it does not trust the key of {self.own.role} "
            f"{self.own.name} ({fingerprint(self.own.public)}), or its own key is not "
            f"{fingerprint(self.server)}: compare both with `chatlab keys show` there"
        )


def dialling(at: NodeLocation, role: Role) -> Dialling:
    """How to reach that endpoint of a node. Raises LocationError: a key is missing, or unfit."""
    endpoint = at.control if role == "client" else at.feed
    own, folder = _key_for(at, role)
    return Dialling(at.name, endpoint, own, _node_key(at, folder))


def _key_for(at: NodeLocation, role: Role) -> tuple[KeyPair, Path]:
    door = _DOOR[role]
    others: list[KeyPair] = []
    for file in at.key_files:
        path = Path(file)
        if path.suffix != SUFFIX:
            raise LocationError(f"{path}: a key file is called NAME{SUFFIX}")
        try:
            pair = read_secret(path.absolute().parent, path.name.removesuffix(SUFFIX))
        except ConfigError as error:
            raise LocationError(str(error)) from None
        if pair.role == role:
            return pair, path.absolute().parent
        others.append(pair)
    if not others:
        text = f"{door} needs a key: --key FILE, with a key that `chatlab keys new --{role}` made"
        raise LocationError(text)
    named = ", ".join(f"{pair.name}'s is for a {pair.role}" for pair in others)
    raise LocationError(f"{door} needs a key for the role {role}: {named}")


def _node_key(at: NodeLocation, folder: Path) -> bytes:
    try:
        if at.node_key:
            return parse_public(at.node_key)
        known = read_trusted(folder).public_of(at.name, "peer")
    except ConfigError as error:
        raise LocationError(str(error)) from None
    except ValueError as error:
        raise LocationError(f"--node-key: {error}") from None
    if known is None:
        raise LocationError(
            f"the public key of {at.name} is not in {folder / 'trusted'}: give it with --node-key, "
            f"or `chatlab keys trust {at.name}` it there"
        )
    return known
