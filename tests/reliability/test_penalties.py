"""A trusted key that sends what is no packet is not listened to for a while; a stranger's name
punishes nobody, for anybody could have used it."""

import asyncio
import time

import msgspec
import pytest

from gossip.packets import PROTOCOL_VERSION
from tests.node.doorways import CLUSTER, House, Visitor, packet
from tests.node.loops import run, until


@pytest.mark.parametrize(
    ("reason", "parts"),
    [
        ("malformed", [b"\xff" * 40]),
        ("malformed", [b"\x91" * 5000]),
        ("malformed", [packet("n2")[:-1]]),
        ("parts", [packet("n2"), b""]),
    ],
)
def test_what_is_no_packet_costs_a_key_its_hearing(reason: str, parts: list[bytes]) -> None:
    async def main() -> None:
        async with House() as house:
            peer = Visitor(house, "gossip", house.keys.pairs["n2"])
            await until(lambda: house.packets)
            peer.socket.send_multipart(parts)
            peer.socket.send(packet("n2", 2))
            await until(lambda: house.transport.rejected.get("penalised"))
            assert house.transport.rejected[reason] == 1
            assert [one.number for one in house.packets] == [1]
            (note,) = [n for n in house.told("frame_rejected") if n.fields["reason"] == reason]
            assert str(note.fields["detail"]).endswith("n2 is not listened to for 1 s")
            end_s = time.monotonic() + 5
            while not any(one.number == 3 for one in house.packets):
                assert time.monotonic() < end_s, "heard again after the pause"
                peer.socket.send(packet("n2", 3))
                await asyncio.sleep(0.05)
            peer.close()

    run(main)


def test_a_peer_of_another_version_means_no_harm() -> None:
    async def main() -> None:
        async with House() as house:
            peer = Visitor(house, "gossip", house.keys.pairs["n2"])
            await until(lambda: house.packets)
            later = msgspec.msgpack.encode([PROTOCOL_VERSION + 1, CLUSTER, "n2", 1, 1, []])
            peer.socket.send(later)
            peer.socket.send(packet("n2", 2))
            await until(lambda: len(house.packets) == 2)
            assert house.transport.rejected == {"version": 1}
            peer.close()

    run(main)
