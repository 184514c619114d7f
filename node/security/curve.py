"""CURVE on sockets: locks a listening one, and dials a locked one.

A door is a locked listening TCP socket with a ZAP domain of its own; each domain admits one role:

    gossip    peer       packets between nodes
    control   client     people's commands
    feed      observer   arrivals, one way

libzmq shakes hands with whoever knows the node's public key and proves a secret one, then asks
`node.security.zap_authenticator` whether that key may come in. `ZAP_ENFORCE_DOMAIN` is what makes a
dead `doors` refuse everybody; without it libzmq would let everybody in. Whose key a connection has
stands on each frame that comes from it, as its User-Id.
"""

import socket as sockets
from typing import Literal

import zmq
from msgspec import Struct

from node.security.key_files import KEY_BYTES, KeyPair, Role
from node.security.keyring import Keyring
from node.sockets.listening import listen_tcp
from node.sockets.pump import RawSocket

Domain = Literal["gossip", "control", "feed"]
ROLE_OF: dict[str, Role] = {"gossip": "peer", "control": "client", "feed": "observer"}
ZAP = "inproc://zeromq.zap.01"


class CurveListener(Struct, frozen=True):
    """Where a control or a feed listens besides its ipc socket, and with whose keys."""

    endpoint: str
    keyring: Keyring


def lock(socket: RawSocket, domain: Domain, own: KeyPair) -> None:
    """Before it is bound: let in only whom `doors` lets in."""
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, own.secret)
    socket.setsockopt(zmq.ZAP_DOMAIN, domain.encode())
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


def listen_locked(
    socket: RawSocket, domain: Domain, door: CurveListener
) -> tuple[sockets.socket, str]:
    """Lock the socket behind, and listen. Returns the listener and where it listens, with the port
    that the system chose if it was asked to; raises OSError with one clear line."""
    lock(socket, domain, door.keyring.own)
    try:
        return listen_tcp(door.endpoint)
    except OSError as error:
        raise OSError(f"{domain}: cannot listen on {door.endpoint}: {error.strerror}") from None


def dial(socket: RawSocket, own: KeyPair, server: bytes) -> None:
    """Before it is connected: prove the own key, and speak only to who has the server's."""
    assert len(server) == KEY_BYTES
    socket.setsockopt(zmq.CURVE_SERVERKEY, server)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, own.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, own.secret)


def key_on(frame: zmq.Frame) -> bytes:
    """The public key of the connection that a frame came by; empty if it has none."""
    try:
        return bytes.fromhex(str(frame.get("User-Id")))
    except (zmq.ZMQError, ValueError):
        return b""
