"""Two ends of real sockets: delivery, drops that are counted, faults, and frames from strangers."""

import asyncio
import socket
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import pytest
import zmq

from gossip.packets import Packet, Same
from gossip.wire import PACKET_BYTES_MAX, encode
from node.network.transport import AddressInUse
from node.sockets.pump import RawSocket
from tests.node.ends import CLUSTER, End, Pair, large, small
from tests.node.loops import run, until


def test_packets_arrive_in_order_and_are_counted_at_both_ends() -> None:
    async def main() -> None:
        async with Pair() as pair:
            for number in range(3000):
                pair.a.send(number)
            await until(lambda: len(pair.b.got) == 3000)
            assert pair.b.got == list(range(3000))
            sent = pair.a.transport.traffic("b")
            came = pair.b.transport.traffic("a")
            assert sent.sent_packets == came.received_packets == 3000
            assert sent.sent_bytes == came.received_bytes
            assert sent.dropped == {}

    run(main)


def test_a_stopped_transport_has_closed_each_of_its_sockets_itself() -> None:
    """None is left to the garbage collector: a context with an open socket never ends."""
    made: list[RawSocket] = []

    class Watched(zmq.Context[RawSocket]):
        def socket(self, *args: Any, **options: Any) -> RawSocket:
            made.append(super().socket(*args, **options))
            return made[-1]

    async def main() -> None:
        with Watched() as context:
            a, b = End(context, "a"), End(context, "b")
            a.transport.set_endpoint("b", b.transport.endpoint)
            await until(lambda: a.transport.connected("b"))
            a.transport.stop()
            b.transport.stop()
            assert len(made) == 4  # two doors, one way with its monitor
            assert [socket.closed for socket in made] == [True] * 4

    run(main)


def test_both_directions_are_independent() -> None:
    async def main() -> None:
        async with Pair() as pair:
            pair.a.faults.change(blocked=True)
            pair.a.send(1)
            pair.b.transport.send("a", small(2, sender="b"))
            await until(lambda: pair.a.got == [2])
            assert pair.b.got == []
            assert pair.dropped == {"blocked": 1}

    run(main)


def test_large_packets_pass_and_what_is_too_much_at_once_waits_in_the_queue() -> None:
    async def main() -> None:
        async with Pair(queue_bytes_max=40_000_000) as pair:
            for number in range(100):
                pair.a.transport.send("b", large(number))
            assert pair.a.transport.queued_bytes > 0
            await until(lambda: len(pair.b.got) == 100)
            assert pair.b.got == list(range(100))
            assert pair.a.transport.queued_bytes == 0

    run(main)


def test_a_peer_that_does_not_read_costs_bounded_bytes_and_every_drop_is_counted() -> None:
    async def main() -> None:
        async with Pair(queue_bytes_max=2_000_000, queue_age_s=0.2) as pair:
            pair.b.transport.gate.pause(paused=True)
            sends = 0

            def stuck() -> bool:
                nonlocal sends
                pair.a.transport.send("b", large(sends))
                sends += 1
                assert pair.a.transport.queued_bytes <= 2_000_000
                return {"queue_full", "slow"} <= pair.dropped.keys()

            await until(stuck)
            assert [note.event for note in pair.a.notes] == ["packets_dropped"] * 2
            assert {note.fields["reason"] for note in pair.a.notes} == {"queue_full", "slow"}
            await until(lambda: pair.a.transport.queued_bytes == 0)
            pair.b.transport.gate.pause(paused=False)
            kept = sends - sum(pair.dropped.values())
            await until(lambda: len(pair.b.got) == kept)
            assert pair.a.transport.traffic("b").sent_packets == kept

    run(main)


def test_a_peer_that_is_not_there_is_counted_and_the_queue_stays_empty() -> None:
    async def main() -> None:
        asked: list[int] = []
        async with Pair(queue_age_s=0.05, on_unreachable=lambda: asked.append(1)) as pair:
            pair.b.transport.stop()
            await until(lambda: not pair.a.transport.connected("b"))
            for number in range(10):
                pair.a.send(number)
            await until(lambda: pair.dropped == {"unreachable": 10})
            pair.a.transport.send("c", small(1))
            assert pair.a.transport.traffic("c").dropped == {"no_address": 1}
            assert len(asked) >= 2
            assert pair.a.notes == []

    run(main)


def test_what_waits_for_a_peer_gets_too_old_also_after_it_was_dialled_anew() -> None:
    async def main() -> None:
        async with Pair(queue_age_s=0.05, on_unreachable=lambda: None) as pair:
            pair.b.transport.stop()
            await until(lambda: not pair.a.transport.connected("b"))
            pair.a.send(1)
            pair.a.transport.set_endpoint("b", "tcp://127.0.0.1:1")
            pair.a.send(2)
            await until(lambda: pair.dropped == {"closed": 1, "unreachable": 1})
            assert pair.a.transport.queued_bytes == 0

    run(main)


def test_a_peer_that_comes_back_on_its_address_is_found_again() -> None:
    async def main() -> None:
        async with Pair() as pair:
            address = pair.b.transport.endpoint
            pair.b.transport.stop()
            await until(lambda: not pair.a.transport.connected("b"))
            await until(lambda: port_is_free(address))
            pair.b.transport.start()
            assert pair.b.transport.endpoint == address
            await until(lambda: pair.a.transport.connected("b"))
            pair.a.send(7)
            await until(lambda: pair.b.got == [7])

    run(main)


def port_is_free(endpoint: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(endpoint.rpartition(":")[2]))) != 0


def test_a_peer_that_moved_is_reached_at_its_new_address() -> None:
    async def main() -> None:
        async with Pair() as pair:
            other = End(pair.context, "c")
            try:
                pair.a.transport.set_endpoint("b", other.transport.endpoint)
                await until(lambda: pair.a.transport.connected("b"))
                pair.a.send(3)
                await until(lambda: other.got == [3])
                assert pair.b.got == []
            finally:
                other.transport.stop()

    run(main)


def test_a_blocked_link_passes_nothing_until_it_is_healed() -> None:
    async def main() -> None:
        async with Pair() as pair:
            pair.a.faults.change(("b",), blocked=True)
            for number in range(5):
                pair.a.send(number)
            pair.a.faults.clear()
            pair.a.send(5)
            await until(lambda: pair.b.got == [5])
            assert pair.dropped == {"blocked": 5}

    run(main)


def test_loss_and_duplication_follow_the_table() -> None:
    async def main() -> None:
        async with Pair() as pair:
            pair.a.faults.change(loss=0.3, duplicate=0.2)
            for number in range(1000):
                pair.a.send(number)
            counts = pair.a.faults.counts("b")
            expected = 1000 - counts.lost + counts.duplicated
            await until(lambda: len(pair.b.got) == expected)
            assert pair.dropped == {"lost": counts.lost}
            assert 200 < counts.lost < 400

    run(main)


def test_delay_holds_packets_back_and_jitter_reorders_them() -> None:
    async def main() -> None:
        async with Pair() as pair:
            loop = asyncio.get_running_loop()
            pair.a.faults.change(delay_ms=60, jitter_ms=40)
            began_s = loop.time()
            for number in range(200):
                pair.a.send(number)
            assert pair.a.transport.queued_bytes > 0
            await until(lambda: pair.b.got != [])
            assert loop.time() - began_s >= 0.019
            await until(lambda: len(pair.b.got) == 200)
            assert sorted(pair.b.got) == list(range(200))
            assert pair.b.got != list(range(200))
            assert pair.a.transport.queued_bytes == 0

    run(main)


def test_delayed_packets_count_against_the_bound_and_end_with_the_worker() -> None:
    async def main() -> None:
        async with Pair(queue_bytes_max=1_000_000) as pair:
            pair.a.faults.change(delay_ms=60_000)
            for number in range(10):
                pair.a.transport.send("b", large(number))
            assert pair.dropped == {"queue_full": 6}
            pair.a.transport.stop()
            assert pair.dropped == {"queue_full": 6, "closed": 4}
            assert pair.a.transport.queued_bytes == 0

    run(main)


def test_whatever_a_stranger_sends_is_a_count_and_the_worker_lives() -> None:
    async def main() -> None:
        async with Pair() as pair:
            stranger = pair.raw()
            deep = b"\x91" * 5000 + b"\x90"
            ok = encode(small(1))
            frames: list[list[bytes]] = [
                [b""],
                [b"\x00" * 100],
                [deep],
                [ok[:-3]],
                [ok + b"x"],
                [b"one", b"two"],
                [b"", b"", b""],
                [encode(small(2, cluster=CLUSTER ^ 1))],
                [encode(small(3, sender="b"))],
                [encode(Packet(99, CLUSTER, "a", 1, 1, Same(0, bytes(16))))],
                [msgspec.msgpack.encode({"a": 1})],
            ]
            for parts in frames:
                stranger.send_multipart(parts)
            rng = Random(5)
            for _ in range(500):
                at = rng.randrange(len(ok))
                stranger.send(ok[:at] + bytes([rng.randrange(256)]) + ok[at + 1 :])
            stranger.send(encode(small(4, sender="z")))
            await until(lambda: 4 in pair.b.got)
            rejected = pair.b.transport.rejected
            assert rejected["parts"] == 2
            assert rejected["own_name"] >= 1
            assert rejected["cluster"] >= 1
            assert rejected["version"] >= 1
            assert rejected["malformed"] >= 7
            noted = [note.fields["reason"] for note in pair.b.notes]
            assert len(noted) == len(set(noted)), "one note for each kind of trouble, at first"
            pair.a.send(8)
            await until(lambda: 8 in pair.b.got)
            stranger.close(linger=0)

    run(main)


def test_an_oversize_frame_costs_its_sender_the_connection_and_nobody_else() -> None:
    async def main() -> None:
        async with Pair() as pair:
            stranger = pair.raw()
            monitor = stranger.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            stranger.send(bytes(PACKET_BYTES_MAX + 1))
            await until(lambda: monitor.poll(0))
            pair.a.send(8)
            await until(lambda: pair.b.got == [8])
            stranger.disable_monitor()
            stranger.close(linger=0)

    run(main)


def test_an_address_in_use_is_one_clear_line() -> None:
    async def main() -> None:
        async with Pair() as pair:
            with pytest.raises(AddressInUse, match=r"c: tcp://.* is in use") as caught:
                End(pair.context, "c", listen=pair.b.transport.endpoint)
            assert "\n" not in str(caught.value)
            with pytest.raises(OSError, match=r"cannot listen on tcp://256\.0\.0\.1:1"):
                End(pair.context, "c", listen="tcp://256.0.0.1:1")

    run(main)


def test_a_packet_to_nobody_is_counted() -> None:
    async def main() -> None:
        async with Pair() as pair:
            pair.a.send(1, to="nobody")
            assert pair.a.transport.rejected == {"unknown_peer": 1}

    run(main)


def test_one_packet_to_many_peers_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Packet] = []

    def counting(packet: Packet) -> bytes:
        calls.append(packet)
        return encode(packet)

    monkeypatch.setattr("node.network.transport.encode", counting)

    async def main() -> None:
        async with Pair() as pair:
            packet = small(1)
            for peer in ("b", "c", "b"):
                pair.a.transport.send(peer, packet)
            assert calls == [packet]

    run(main)


def test_an_exception_in_a_callback_reaches_the_guard() -> None:
    crashes: list[Exception] = []

    def guard(call: Callable[[], object]) -> Callable[[], None]:
        def guarded() -> None:
            try:
                call()
            except Exception as error:
                crashes.append(error)

        return guarded

    async def main() -> None:
        async with Pair() as pair:
            bad = End(pair.context, "c", guard=guard)
            bad.transport._on_packet = lambda *_: 1 / 0  # type: ignore[assignment]
            pair.a.transport.set_endpoint("c", bad.transport.endpoint)
            await until(lambda: pair.a.transport.connected("c"))
            pair.a.send(1, to="c")
            await until(lambda: crashes)
            assert type(crashes[0]) is ZeroDivisionError
            bad.transport.stop()
            bad.transport.stop()

    run(main)
