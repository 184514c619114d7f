"""The server of the metrics: one request, one answer; and whoever misuses it costs little."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from node.control import metrics_server
from node.control.metrics_server import CONNECTIONS_MAX, REQUEST_BYTES_MAX, MetricsServer
from node.core.ports import Note
from tests.node.loops import run, until

GET = b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n"
TEXT = b"chatlab_events 1.0\n"


class Bench:
    def __init__(self, render: Callable[[], bytes] = lambda: TEXT) -> None:
        self.renders = 0
        self.notes: list[Note] = []
        self._make = render
        self.server = MetricsServer(
            asyncio.get_running_loop(),
            node="n1",
            listen="127.0.0.1:0",
            render=self._render,
            on_note=self.notes.append,
        )

    def _render(self) -> tuple[bytes, str]:
        self.renders += 1
        return self._make(), "text/plain; version=0.0.4"

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.server.endpoint.rpartition(":")
        return host, int(port)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address)

    async def ask(self, request: bytes) -> bytes:
        """All that comes back, to the end of the connection."""
        reader, writer = await self.connect()
        writer.write(request)
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@asynccontextmanager
async def serving(render: Callable[[], bytes] = lambda: TEXT) -> AsyncIterator[Bench]:
    bench = Bench(render)
    bench.server.start()
    try:
        yield bench
    finally:
        bench.server.stop()


def test_one_request_has_one_answer_and_the_connection_ends() -> None:
    async def main() -> None:
        async with serving() as bench:
            answer = await bench.ask(GET + GET)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n") and body == TEXT
            assert b"Content-Type: text/plain; version=0.0.4\r\n" in head
            assert b"Connection: close" in head
            assert bench.server.counters["metrics_scrapes"] == 1
            await until(lambda: not bench.server.counters["metrics_connections"])

    run(main)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"405"),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"\r\n\r\n", b"400"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/2\r\n\r\n", b"400"),
        (bytes(range(256)) + b"\r\n\r\n", b"400"),
        (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * REQUEST_BYTES_MAX + b"\r\n\r\n", b"431"),
    ],
)
def test_anything_else_is_refused(request_: bytes, code: bytes) -> None:
    async def main() -> None:
        async with serving() as bench:
            assert (await bench.ask(request_)).startswith(b"HTTP/1.1 " + code)

    run(main)


def test_a_request_may_come_byte_by_byte() -> None:
    async def main() -> None:
        async with serving() as bench:
            reader, writer = await bench.connect()
            for at in range(len(GET)):
                writer.write(GET[at : at + 1])
                await writer.drain()
                await asyncio.sleep(0)
            assert (await reader.read()).endswith(TEXT)
            writer.close()

    run(main)


def test_many_scrapes_at_once_are_rendered_once() -> None:
    async def main() -> None:
        async with serving() as bench:
            bench.server._fresh_until_s = 0.0
            answers = await asyncio.gather(*(bench.ask(GET) for _ in range(8)))
            assert len(set(answers)) == 1
            # Rendered at most once in each period that these eight took.
            assert bench.renders <= 2

    run(main)


def test_a_text_that_takes_long_is_kept_longer() -> None:
    async def main() -> None:
        waited: list[bytes] = []

        def slow() -> bytes:
            end_s = loop.time() + 0.05
            while loop.time() < end_s:
                waited.append(b"")
            return TEXT

        loop = asyncio.get_running_loop()
        async with serving(slow) as bench:
            began_s = loop.time()
            while loop.time() < began_s + 0.5:
                assert (await bench.ask(GET)).endswith(TEXT)
            assert bench.renders == 1  # of 0.05 s, so that it lasts for a second
            assert waited

    run(main)


def test_a_text_that_cannot_be_made_is_an_error_and_a_note_and_no_crash() -> None:
    async def main() -> None:
        async with serving(lambda: 1 // 0) as bench:  # type: ignore[arg-type,return-value]
            for _ in range(3):
                assert (await bench.ask(GET)).startswith(b"HTTP/1.1 500")
            assert [note.event for note in bench.notes] == ["metrics_failed"]

    run(main)


def test_whoever_says_nothing_or_never_ends_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(metrics_server, "PATIENCE_S", 0.05)
        async with serving() as bench:
            for start in (b"", b"GET /metrics HTTP/1.1\r\nX"):
                assert await bench.ask(start) == b""
            assert bench.server.counters["metrics_hung_up"] == 2

    run(main)


def test_whoever_does_not_read_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(metrics_server, "PATIENCE_S", 0.2)
        large = b"x" * 30_000_000  # more than the kernel takes for a connection
        async with serving(lambda: large) as bench:
            lazy = socket.create_connection(bench.address)
            lazy.sendall(GET)
            await until(lambda: bench.server.counters["metrics_connections"] == 1)
            assert (await bench.ask(b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404")
            await until(lambda: bench.server.counters["metrics_hung_up"] == 1)
            lazy.close()

    run(main)


def test_a_crowd_is_bounded_and_the_newest_is_served() -> None:
    async def main() -> None:
        async with serving() as bench:
            crowd = [socket.create_connection(bench.address) for _ in range(5 * CONNECTIONS_MAX)]
            assert (await bench.ask(GET)).endswith(TEXT)
            assert bench.server.counters["metrics_connections"] <= CONNECTIONS_MAX
            assert bench.server.counters["metrics_hung_up"] >= 4 * CONNECTIONS_MAX
            for one in crowd:
                one.close()

    run(main)


async def pour(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


def test_whoever_goes_on_sending_is_hung_up_on() -> None:
    async def main() -> None:
        async with serving() as bench:
            _, writer = await bench.connect()
            writer.write(GET)
            with pytest.raises(ConnectionError):
                await pour(writer)
            assert bench.server.counters["metrics_hung_up"] == 1
            writer.close()

    run(main)


def test_resets_in_every_state_end_a_connection_and_nothing_else() -> None:
    async def main() -> None:
        async with serving(lambda: b"x" * 4_000_000) as bench:
            for said in (b"", b"GET", GET):
                for read in (0, 1000):
                    one = socket.create_connection(bench.address)
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    one.sendall(said)
                    await until(lambda: bench.server.counters["metrics_connections"] == 1)
                    if said == GET and read:
                        await asyncio.to_thread(one.recv, read)
                    one.close()
                    await until(lambda: not bench.server.counters["metrics_connections"])
            assert (await bench.ask(GET)).startswith(b"HTTP/1.1 200")

    run(main)


def test_where_descriptors_run_short_it_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        short = [True]

        def spare(fd: int) -> None:
            if short:
                raise OSError(24, os.strerror(24))

        monkeypatch.setattr(metrics_server, "spare", spare)
        async with serving() as bench:
            asked = asyncio.create_task(bench.ask(GET))
            await until(lambda: bench.server._again is not None)
            short.clear()
            assert (await asked).endswith(TEXT)

    run(main)


def test_it_comes_back_to_its_port_and_names_one_that_is_taken() -> None:
    async def main() -> None:
        async with serving() as bench:
            before = bench.address
            bench.server.stop()
            bench.server.stop()
            bench.server.start()
            assert bench.address == before and (await bench.ask(GET)).endswith(TEXT)
            other = Bench()
            other.server._listen = bench.server.endpoint
            with pytest.raises(OSError, match=r"^n1: cannot serve metrics on 127.0.0.1:\d+: Addr"):
                other.server.start()

    run(main)
