"""What a worker asks of its sockets, read back from the sockets."""

import socket
from typing import Any

import pytest
import zmq

from gossip.wire import PACKET_BYTES_MAX
from node.control.feed import HIGH_WATER
from node.control.messages import FRAME_BYTES_MAX
from node.sockets.gate import INNER_BACKLOG
from node.sockets.listening import listen_tcp, tune
from tests.node.doorways import House
from tests.node.loops import run

LIBZMQ_WAITS_MS = 30_000  # for a handshake, unless told otherwise


def behind_doors(house: House) -> dict[str, Any]:
    by_path, locked = house.control._entrances
    feed, locked_feed = house.feed._sockets
    return {
        "doors": house.doors._socket,
        "gossip": house.transport._router,
        "control": by_path.socket,
        "control, locked": locked.socket,
        "feed": feed,
        "feed, locked": locked_feed,
    }


GOSSIP = {zmq.MAXMSGSIZE: PACKET_BYTES_MAX, zmq.SNDHWM: 1}
CONTROL = {zmq.MAXMSGSIZE: FRAME_BYTES_MAX, zmq.SNDHWM: 0}
FEED = {zmq.MAXMSGSIZE: 1024, zmq.SNDHWM: HIGH_WATER}
EACH = {
    "doors": {zmq.SNDHWM: 0},
    "gossip": GOSSIP,
    "control": CONTROL,
    "control, locked": CONTROL,
    "feed": FEED,
    "feed, locked": FEED,
}


@pytest.mark.parametrize("name", EACH)
def test_a_socket_has_the_options_that_its_worker_relies_on(name: str) -> None:
    async def main() -> None:
        async with House() as house:
            one = behind_doors(house)[name]
            wanted = {zmq.LINGER: 0, zmq.RCVHWM: 0, **EACH[name]}
            if name != "doors":  # a gate stands before it
                wanted[zmq.BACKLOG] = INNER_BACKLOG
                assert 0 < one.getsockopt(zmq.HANDSHAKE_IVL) < LIBZMQ_WAITS_MS / 2
            assert {option: one.getsockopt(option) for option in wanted} == wanted
            if name == "gossip" or name.endswith("locked"):
                domain = name.partition(",")[0].encode()
                assert one.getsockopt(zmq.ZAP_DOMAIN).rstrip(b"\0") == domain
                assert one.getsockopt(zmq.ZAP_ENFORCE_DOMAIN) == 1
                assert one.getsockopt(zmq.CURVE_SERVER) == 1
                assert one.getsockopt(zmq.MECHANISM) == zmq.CURVE

    run(main)


def test_nothing_is_counted_before_anything_has_happened() -> None:
    async def main() -> None:
        async with House() as house:
            counted = [worker.counters for worker in house.workers]
            assert {value for counters in counted for value in counters.values()} == {0}

    run(main)


def test_a_connection_that_came_in_is_watched_and_sends_at_once() -> None:
    listener, endpoint = listen_tcp("tcp://127.0.0.1:*")
    with listener:
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        with socket.create_connection((host, int(port))):
            inside, _ = listener.accept()
            with inside:
                tune(inside)
                tcp = socket.IPPROTO_TCP
                assert inside.getsockopt(tcp, socket.TCP_NODELAY)
                assert inside.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                # Who is gone without a word is noticed after 5 + 3 * 2 seconds.
                assert inside.getsockopt(tcp, socket.TCP_KEEPIDLE) == 5
                assert inside.getsockopt(tcp, socket.TCP_KEEPINTVL) == 2
                assert inside.getsockopt(tcp, socket.TCP_KEEPCNT) == 3
