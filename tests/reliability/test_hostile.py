"""R10 without sockets: whatever the bytes are, an answer or a count. `test_hostile_node` has the
same on a real node's sockets; `scripts/evidence fuzz --long` goes on for 10^6 frames."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from gossip.packets import Packet
from gossip.wire import WireError, decode
from node.control.decoding import read_frame
from node.control.messages import Failed, FrontierPage, ReadFrontier
from tests.gossip.test_wire import packets
from tests.node.controls import Bench
from tests.node.loops import run
from tests.node.replicas import Node
from tests.reliability import fuzzing


@pytest.mark.parametrize(
    ("fuzz", "count"),
    [
        (fuzzing.fuzz_packets, 12_000),
        (fuzzing.fuzz_requests, 5_000),
        (fuzzing.fuzz_events, 5_000),
        (fuzzing.fuzz_segments, 600),
        (fuzzing.fuzz_cluster_files, 250),
        (fuzzing.fuzz_scenarios, 250),
    ],
)
def test_hostile_bytes_are_an_answer_or_a_count(fuzz: Callable[[int], str], count: int) -> None:
    assert fuzz(count).startswith(str(count))


@given(st.lists(packets, max_size=12))
def test_any_packets_in_any_order_are_stepped(many: list[Packet]) -> None:
    node = Node("n1", ("n2", "n3"))
    for packet in many:
        for sender in ("n2", "n1", "n3"):
            node.receive(replace(packet, sender=sender))
    node.turn(ms=6000)
    assert node.post() is not None


@given(st.binary(max_size=300))
@example(b"\x91" * 5000)
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xdb\x7f\xff\xff\xff")
def test_any_bytes_at_either_door(data: bytes) -> None:
    list(read_frame(data))
    try:
        decode(data)
    except WireError as error:
        assert error.reason


def test_a_reply_that_cannot_be_said_is_an_answer_and_no_worker_ends() -> None:
    """As when peers claimed more than a number on the wire can be."""

    class Unsayable:
        def answer(self, request: object) -> FrontierPage:
            return FrontierPage(getattr(request, "id", 0), "00", 2**70, [])

    async def main() -> None:
        async with Bench() as bench:
            bench.control._reader._views = Unsayable()
            bench.client.send(ReadFrontier(1))
            (reply,) = await bench.client.get()
            assert type(reply) is Failed
            assert (reply.id, reply.code) == (1, "internal")
            assert [note.event for note in bench.notes] == ["view_failed"]

    run(main)
