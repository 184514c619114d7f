"""The gate before a ZeroMQ socket: what lies unread behind it is bounded, whoever sends what."""

import asyncio
import os
import resource
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Self

import pytest
import zmq

from node.core.ports import Note
from node.sockets.gate import Gate, GateLimits
from node.sockets.listening import bind_unnamed, connections_max, listen_tcp
from node.sockets.passage import FRAME_CHARGE, READ_SMALL, ByteMeter
from node.sockets.pump import Pump, RawContext
from tests.node.loops import run, until

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\0" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER"
PING = b"\x04\x07\x04PING\0\0"
MESSAGE_MAX = 300_000
MORE, LONG = 1, 2


def frame(body: bytes, flags: int = 0) -> bytes:
    if len(body) < 256:
        return bytes((flags, len(body))) + body
    return bytes((flags | LONG,)) + len(body).to_bytes(8, "big") + body


class Bench:
    """A gate, the ROUTER behind it, and what came out."""

    def __init__(self, connections: int = 100) -> None:
        self.context: RawContext = zmq.Context()
        self.got: list[list[bytes]] = []
        self.notes: list[Note] = []
        self.known = False
        self.rest_s = 0.0
        self.raws: list[socket.socket] = []
        loop = asyncio.get_running_loop()
        limits = GateLimits(MESSAGE_MAX, 4 * MESSAGE_MAX, 8 * MESSAGE_MAX, connections)
        self.gate = Gate(
            loop,
            "test",
            limits,
            self.notes.append,
            rests_s=lambda name: self.rest_s * (name == "a"),
        )
        self.router = self.context.socket(zmq.ROUTER)
        self.router.setsockopt(zmq.LINGER, 0)
        self.router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.router.setsockopt(zmq.MAXMSGSIZE, 1 << 20)
        listener, self.endpoint = listen_tcp("tcp://127.0.0.1:*")
        self.gate.open(listener, self.router)
        self.pump = Pump(loop, self.router, self._heard, receive=self.gate.message)

    def _heard(self, parts: list[bytes]) -> None:
        self.got.append(parts)
        if self.known:
            self.gate.know(parts[0], "a")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for raw in self.raws:
            raw.close()
        self.gate.close()
        self.pump.close()
        self.context.destroy(linger=0)
        assert (self.gate.connections, self.gate.held) == (0, 0)

    def plain(self) -> socket.socket:
        """A connection that has said nothing."""
        raw = socket.create_connection(("127.0.0.1", int(self.endpoint.rpartition(":")[2])))
        raw.setblocking(False)
        self.raws.append(raw)
        return raw

    async def raw(self) -> socket.socket:
        """A connection that has shaken hands as a DEALER does."""
        raw, loop = self.plain(), asyncio.get_running_loop()
        await loop.sock_sendall(raw, GREETING)
        said = b""
        while len(said) < len(GREETING):
            said += await loop.sock_recv(raw, 512)
        await loop.sock_sendall(raw, bytes((4, len(READY))) + READY)
        while b"ROUTER" not in said:
            said += await loop.sock_recv(raw, 512)
        return raw

    async def hung_up(self, raw: socket.socket, sending: bytes) -> int:
        """Send that until hung up on. How many bytes the other side took."""
        loop, sent = asyncio.get_running_loop(), 0
        try:
            async with asyncio.timeout(10):
                while True:
                    await loop.sock_sendall(raw, sending)
                    sent += len(sending)
        except OSError:
            return sent


def test_one_message_of_endless_frames_is_hung_up_on_and_others_are_heard() -> None:
    async def main() -> None:
        async with Bench() as bench:
            for size in (0, 10, 1000, 60_000):
                rude, polite = await bench.raw(), await bench.raw()
                bench.got.clear()
                await asyncio.gather(
                    bench.hung_up(rude, frame(bytes(size), MORE) * (1 + 60_000 // (size + 10))),
                    asyncio.get_running_loop().sock_sendall(polite, frame(b"hello")),
                )
                assert [parts[1:] for parts in bench.got] == [[b"hello"]], size
            assert bench.gate.hung_up == {"message_too_large": 4}
            assert bench.notes[0].event == "hung_up"
            assert bench.notes[0].fields["reason"] == "message_too_large"
            assert str(bench.notes[0].fields["address"]).startswith("127.0.0.1:")
            assert len(bench.notes) == 1, "seldom told"

    run(main)


def test_what_waits_of_one_connection_is_bounded_at_any_moment() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.known = True
            raw, most = await bench.raw(), 0
            task = asyncio.ensure_future(
                asyncio.get_running_loop().sock_sendall(raw, frame(b"x" * 20) * 50_000)
            )

            def over() -> bool:
                nonlocal most
                most = max(most, bench.gate.held)
                return len(bench.got) == 50_000

            await until(over)
            await task
            assert 0 < most <= MESSAGE_MAX + READ_SMALL * (1 + FRAME_CHARGE // 2)
            assert bench.gate.held < 1000
            assert bench.gate.hung_up == {}

    run(main)


def test_strangers_share_their_part_and_who_has_waited_longest_goes() -> None:
    async def main() -> None:
        async with Bench() as bench:
            loop = asyncio.get_running_loop()
            half = frame(bytes(200_000))[:160_000]
            raws = []
            for _ in range(20):
                raws.append(await bench.raw())
                await loop.sock_sendall(raws[-1], half)
                assert bench.gate.strangers_held <= 4 * MESSAGE_MAX
            await until(lambda: bench.gate.hung_up.get("strangers_full") == 13)
            assert bench.gate.connections == 7
            assert await loop.sock_recv(raws[0], 1) == b""
            await loop.sock_sendall(raws[-1], frame(bytes(200_000))[160_000:])
            await until(lambda: len(bench.got) == 1)

    run(main)


def test_a_connection_that_has_ended_does_nothing_more_and_ends_once() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.raw()
            (passage,) = bench.gate._passages.values()
            passage.close()
            passage.close()
            passage.update()
            for late in (passage._on_outer, passage._on_inner):  # as a loop may call what was ready
                late()
            assert (bench.gate.connections, bench.gate.held) == (0, 0)

    run(main)


def test_strangers_may_have_exactly_their_part() -> None:
    async def main() -> None:
        async with Bench() as bench:
            raw = await bench.raw()
            await until(lambda: bench.gate._passages)
            (passage,) = bench.gate._passages.values()
            await asyncio.get_running_loop().sock_sendall(raw, frame(bytes(10_000), MORE))
            await until(lambda: passage.held >= 10_000)
            left = bench.gate.limits.strangers_bytes - bench.gate.strangers_held
            bench.gate.took(passage, left)
            assert bench.gate.hung_up == {}
            bench.gate.took(passage, 1)
            assert bench.gate.hung_up == {"strangers_full": 1}
            bench.gate.strangers_held = 0  # what was made up above

    run(main)


def test_the_known_wait_for_room_and_half_messages_do_not_hold_it_for_ever() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.known = True
            loop = asyncio.get_running_loop()
            raws = [await bench.raw() for _ in range(12)]
            for raw in raws:
                await loop.sock_sendall(raw, frame(b"one of us"))
            await until(lambda: len(bench.got) == 12)
            for raw in raws[1:]:
                await loop.sock_sendall(raw, frame(bytes(270_000))[:255_000])
            await until(lambda: bench.gate.known_held >= 8 * MESSAGE_MAX)
            assert bench.gate.known_held <= 8 * MESSAGE_MAX + 66_000
            await loop.sock_sendall(raws[0], frame(b"let me through"))
            await until(lambda: len(bench.got) == 13)
            assert bench.got[-1][1:] == [b"let me through"]
            assert set(bench.gate.hung_up) == {"known_full"}

    run(main)


def test_a_newcomer_takes_the_place_of_the_most_silent_stranger() -> None:
    async def main() -> None:
        async with Bench(connections=10) as bench:
            bench.known = True
            loop = asyncio.get_running_loop()
            ours = await bench.raw()
            await loop.sock_sendall(ours, frame(b"one of us"))
            await until(lambda: bench.got)
            idle = [bench.plain() for _ in range(40)]
            await until(lambda: bench.gate.hung_up == {"connections_full": 31})
            assert bench.gate.connections == 10
            assert await loop.sock_recv(idle[0], 1) == b""
            late = await bench.raw()
            await loop.sock_sendall(late, frame(b"late"))
            await loop.sock_sendall(ours, frame(b"still here"))
            await until(lambda: len(bench.got) == 3)

    run(main)


def test_while_paused_nothing_comes_in_and_nobody_is_hung_up_on() -> None:
    async def main() -> None:
        async with Bench() as bench:
            loop = asyncio.get_running_loop()
            raw = await bench.raw()
            bench.gate.pause(paused=True)
            held = bench.gate.held
            sending = asyncio.ensure_future(loop.sock_sendall(raw, frame(bytes(50_000)) * 100))
            await asyncio.sleep(1.5)  # longer than a stalled message is waited for
            assert (bench.got, bench.gate.held, bench.gate.hung_up) == ([], held, {})
            bench.gate.pause(paused=False)
            await until(lambda: len(bench.got) == 100)
            await sending

    run(main)


def test_nothing_is_read_of_a_peer_that_rests_until_it_rests_no_more() -> None:
    async def main() -> None:
        async with Bench() as bench:
            sendall = asyncio.get_running_loop().sock_sendall
            bench.known = True
            raw = await bench.raw()
            await sendall(raw, frame(b"one"))
            await until(lambda: len(bench.got) == 1)
            bench.rest_s = 0.05
            sending = asyncio.ensure_future(sendall(raw, frame(bytes(1000)) * 20_000))
            stranger = await bench.raw()
            await sendall(stranger, frame(b"hello"))
            await until(lambda: len(bench.got) == 2)
            for _ in range(3):  # it is asked again, and rests on
                await asyncio.sleep(bench.rest_s)
            assert [parts[1] for parts in bench.got] == [b"one", b"hello"]
            assert bench.gate.held == 0
            assert not sending.done()
            bench.rest_s = 0.0
            await until(lambda: len(bench.got) == 20_002)
            await sending
            bench.rest_s = 100.0  # and what rests when the gate closes is closed
            await sendall(raw, frame(b"more"))

    run(main)


def test_a_name_used_twice_makes_nobody_read_what_is_kept_without_a_bound() -> None:
    """libzmq leaves a second connection with the same name unread, as long as it stands."""

    async def main() -> None:
        async with Bench() as bench:
            sockets = [bench.context.socket(zmq.DEALER) for _ in range(2)]
            for dealer in sockets:
                dealer.setsockopt(zmq.ROUTING_ID, b"twin")
                dealer.setsockopt(zmq.LINGER, 0)
                dealer.setsockopt(zmq.SNDHWM, 0)
                dealer.connect(bench.endpoint)
                dealer.send(b"first")
                await until(lambda: bench.got)
            for _ in range(1000):
                sockets[1].send(bytes(1000))
            await until(lambda: bench.gate.hung_up.get("message_too_large"))
            assert bench.gate.held <= 3 * MESSAGE_MAX

    run(main)


def test_a_message_of_many_parts_is_cut_and_all_of_it_is_read() -> None:
    async def main() -> None:
        async with Bench() as bench:
            dealer = bench.context.socket(zmq.DEALER)
            dealer.setsockopt(zmq.LINGER, 0)
            dealer.connect(bench.endpoint)
            dealer.send_multipart([b"%d" % number for number in range(200)])
            dealer.send(b"after")
            await until(lambda: len(bench.got) == 2)
            assert [len(parts) for parts in bench.got] == [5, 2]
            await until(lambda: bench.gate.held < FRAME_CHARGE)

    run(main)


def test_a_reset_among_heartbeats_ends_a_connection_and_nothing_else() -> None:
    """With a receive limit in libzmq this ends the process: `tests/reliability/test_pauses.py`."""

    async def main() -> None:
        async with Bench() as bench:
            loop = asyncio.get_running_loop()
            burst = (frame(os.urandom(200)) * 40 + PING) * 60
            for _ in range(5):
                raw = await bench.raw()
                await loop.sock_sendall(raw, burst)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raw.close()
                await until(lambda: bench.gate.connections == 0)
            polite = await bench.raw()
            await loop.sock_sendall(polite, frame(b"hello"))
            await until(lambda: bench.got and bench.got[-1][1:] == [b"hello"])

    run(main)


def test_answers_pass_a_slow_reader_and_what_is_left_at_the_end_is_passed_on() -> None:
    async def main() -> None:
        async with Bench() as bench:
            loop = asyncio.get_running_loop()
            raw = await bench.raw()
            await loop.sock_sendall(raw, frame(b"ask"))
            await until(lambda: bench.got)
            name, size = bench.got[0][0], 0
            for _ in range(40):
                bench.router.send_multipart([name, bytes(100_000)], zmq.DONTWAIT)
            await asyncio.sleep(0.2)
            while size < 2_000_000:
                size += len(await loop.sock_recv(raw, 1 << 16))
            raw.setblocking(True)
            raw.settimeout(10)
            bench.pump.close()
            bench.router.close(linger=1000)
            reader = loop.run_in_executor(None, rest, raw)
            bench.gate.close(1000)
            assert size + await reader == 40 * 100_009

    run(main)


def rest(raw: socket.socket) -> int:
    size = 0
    while data := raw.recv(1 << 16):
        size += len(data)
    return size


def test_without_descriptors_the_gate_rests_and_comes_back() -> None:
    async def main() -> None:
        async with Bench() as bench:
            before = resource.getrlimit(resource.RLIMIT_NOFILE)
            raws = [bench.plain() for _ in range(4)]
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")), before[1])
            )
            try:
                await until(lambda: bench.gate.hung_up.get("no_descriptor"))
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, before)
            raws.append(await bench.raw())
            await asyncio.get_running_loop().sock_sendall(raws[-1], frame(b"hello"))
            await until(lambda: bench.got)

    run(main)


def test_a_gate_keeps_to_its_share_of_the_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    def limited(limit: int) -> Callable[[int], tuple[int, int]]:
        return lambda _: (limit, limit)

    for limit, expected in ((256, 21), (64, 4), (20_000, 1000), (resource.RLIM_INFINITY, 1000)):
        monkeypatch.setattr("node.sockets.listening.resource.getrlimit", limited(limit))
        assert connections_max(1000, share=0.5) == expected


def test_frames_are_counted_wherever_the_stream_is_cut() -> None:
    rng = Random(7)
    parts = [GREETING, bytes((4, len(READY))) + READY]
    charges = FRAME_CHARGE
    for _ in range(300):
        body = rng.randbytes(rng.choice((0, 1, 5, 255, 256, 3000)))
        parts.append(frame(body, rng.choice((0, MORE))))
        charges += FRAME_CHARGE
    stream = b"".join(parts)
    whole = ByteMeter()
    assert whole.feed(stream) == charges
    assert whole.preface == len(parts[0]) + len(parts[1]) + FRAME_CHARGE
    for _ in range(200):
        meter, at, counted = ByteMeter(), 0, 0
        while at < len(stream):
            step = rng.choice((1, 2, 7, 100, 5000))
            counted += meter.feed(memoryview(stream)[at : at + step])
            at += step
        assert (counted, meter.preface, meter.left) == (charges, whole.preface, 0)
    beats = ByteMeter()
    assert beats.feed(GREETING + PING * 100) == -100 * len(PING)


def test_a_full_folder_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        "node.sockets.listening.FOLDERS", (str(tmp_path / "none"), "/proc", str(tmp_path))
    )
    context: RawContext = zmq.Context()
    with context.socket(zmq.ROUTER) as behind:
        fd = bind_unnamed(behind)
        assert list(tmp_path.iterdir()) == []
        with socket.socket(socket.AF_UNIX) as inner:
            inner.connect(f"/proc/self/fd/{fd}")
        os.close(fd)
        monkeypatch.setattr("node.sockets.listening.FOLDERS", ("/proc",))
        with pytest.raises(OSError, match="no folder takes a socket"):
            bind_unnamed(behind)
    context.destroy(linger=0)
