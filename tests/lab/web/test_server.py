"""The server of pages: who gets in, which headers every answer has, slow pages, and its end."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lab.terminal.errors import Problem
from lab.web import event_stream
from lab.web.event_stream import Hub
from lab.web.server import (
    BODY_BYTES_MAX,
    HEADERS,
    WebServer,
    body_of,
    json_response,
    static,
    static_text,
)

ROOT = Path(__file__).resolve().parents[3]


class Served:
    """A server in a thread, with one stream and one route that takes a body."""

    def __init__(self, hub: Hub, read_only: bool) -> None:
        async def stream(request: Request) -> Response:
            return hub.stream(request, [event_stream.message("first", [1])])

        async def act(request: Request) -> Response:
            return json_response(len(await body_of(request)))

        async def publish(request: Request) -> Response:
            hub.publish("rows", "x" * int(request.query_params["size"]))
            return json_response({"pages": hub.pages, "slow": hub.slow})

        async def broken(request: Request) -> Response:
            raise ValueError("\x1b[31mno")

        routes = [
            Route("/stream", stream),
            Route("/act", act, methods=["POST"]),
            Route("/publish", publish),
            Route("/broken", broken),
        ]
        self.server = WebServer("page.html", routes, hub=hub, read_only=read_only)
        self._thread = threading.Thread(target=self.server.run)
        self._thread.start()

    def ask(
        self,
        path: str,
        method: str = "GET",
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        with contextlib.closing(self.connection()) as connection:
            whole = f"/{self.server.token if token is None else token}/{path}"
            connection.request(method, whole, body, headers or {})
            answer = connection.getresponse()
            return answer, answer.read()

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)

    def listen(self) -> socket.socket:
        """A page that has asked for the stream, and got its first message."""
        page = socket.create_connection(("127.0.0.1", self.server.port), timeout=10)
        ask = f"GET /{self.server.token}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
        page.sendall(ask.encode())
        until(page, b"event: first\ndata: [1]\n\n")
        return page

    def stop(self) -> float:
        began = time.monotonic()
        self.server.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()
        return time.monotonic() - began


def until(page: socket.socket, wanted: bytes) -> bytes:
    got = b""
    while wanted not in got:
        chunk = page.recv(65536)
        assert chunk, got[-200:]
        got += chunk
    return got


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Served]]:
    made: list[Served] = []
    monkeypatch.setattr("lab.web.server.static", list)
    monkeypatch.setattr("lab.web.server.static_text", lambda name: f"<!doctype html>{name}")

    def make(hub: Hub | None = None, read_only: bool = True) -> Served:
        made.append(Served(hub or Hub(), read_only))
        return made[-1]

    yield make
    for one in made:
        one.stop()


# --- who gets in ----------------------------------------------------------------------------------


def test_it_listens_on_loopback_only(serve: Callable[..., Served]) -> None:
    served = serve()
    assert served.server.address.startswith("http://127.0.0.1:")
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    port = f":{served.server.port:04X} "
    assert [
        line.split()[1] for line in listening.splitlines() if f"{port}00000000:0000 0A" in line
    ] == [f"0100007F{port.strip()}"]


@pytest.mark.parametrize("token", ["", "x", "x" * 32, "%00", "%ff%fe", "..", "static"])
def test_without_the_token_there_is_nothing(serve: Callable[..., Served], token: str) -> None:
    served = serve()
    answer, body = served.ask("", token=token)
    assert answer.status == 403 and served.server.token.encode() not in body
    answer, _ = served.ask("stream", token=token)
    assert answer.status == 403


def test_tokens_differ_and_are_long(serve: Callable[..., Served]) -> None:
    tokens = {serve().server.token for _ in range(3)}
    assert len(tokens) == 3 and all(len(token) == 32 for token in tokens)


def test_the_token_alone_is_not_a_prefix(serve: Callable[..., Served]) -> None:
    served = serve()
    assert served.ask("", token=served.server.token + "x")[0].status == 403
    assert served.ask("", token=served.server.token[:-1])[0].status == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("LOCALHOST:9", 200),  # a forwarded port
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:80", 421),
        ("[::1]", 421),
        ("", 421),
    ],
)
def test_a_name_from_elsewhere_is_refused(
    serve: Callable[..., Served], host: str, status: int
) -> None:
    assert serve().ask("", headers={"Host": host})[0].status == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "ODD"])
def test_a_page_that_looks_on_is_read_only(serve: Callable[..., Served], method: str) -> None:
    answer, _ = serve().ask("act", method)
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD"


def test_a_page_that_acts_takes_posts_of_its_own(serve: Callable[..., Served]) -> None:
    served = serve(read_only=False)
    own = {"Host": "127.0.0.1:80", "Origin": "http://127.0.0.1:80"}
    assert served.ask("act", "POST", body=b"abc", headers=own)[1] == b"3"
    for origin in ("http://evil.example", "null", "http://127.0.0.1:81"):
        answer, _ = served.ask("act", "POST", body=b"abc", headers={**own, "Origin": origin})
        assert answer.status == 403
    too_long = b"x" * (BODY_BYTES_MAX + 1)
    assert served.ask("act", "POST", body=too_long, headers=own)[0].status == 413
    assert served.ask("", "POST", headers=own)[0].status == 405


# --- answers --------------------------------------------------------------------------------------


def test_every_answer_has_the_headers(serve: Callable[..., Served]) -> None:
    served = serve()
    asked = [
        served.ask(""),
        served.ask("", "HEAD"),
        served.ask("nowhere"),
        served.ask("", token="wrong"),
        served.ask("", "POST"),
        served.ask("", headers={"Host": "evil.example"}),
        served.ask("broken"),
        served.ask("stream", "HEAD"),
    ]
    assert [answer.status for answer, _ in asked] == [200, 200, 404, 403, 405, 421, 500, 200]
    for answer, _ in asked:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert "Server" not in answer.headers
    assert asked[0][1] == b"<!doctype html>page.html"


def test_an_error_is_one_safe_line_and_the_server_goes_on(
    serve: Callable[..., Served], capfd: pytest.CaptureFixture[str]
) -> None:
    served = serve()
    assert served.ask("broken")[0].status == 500
    assert served.ask("")[0].status == 200
    assert capfd.readouterr().err == "chatlab: a request failed: ValueError: ␛[31mno\n"


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    policy = dict(
        part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";")
    )
    assert policy.pop("default-src") == "'none'"
    assert policy.pop("img-src") == "'self' data:"
    assert set(policy.values()) == {"'self'", "'none'"}


def test_no_file_of_a_page_has_code_in_its_html_or_an_address_from_elsewhere() -> None:
    for name in set(static()) - {"report.html"}:  # a template of files that nothing serves
        text = static_text(name)
        assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+/", text) == [], name
        assert ".innerHTML" not in text and "insertAdjacentHTML" not in text, name
        if name.endswith(".html"):
            assert re.findall(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", text) == [], name


def test_a_port_that_is_taken_is_one_clear_line(serve: Callable[..., Served]) -> None:
    port = serve().server.port
    with pytest.raises(Problem, match=f"cannot listen on port {port} of 127.0.0.1: .*in use"):
        WebServer("page.html", port=port)
    with pytest.raises(Problem, match="cannot listen on port 65536"):
        WebServer("page.html", port=65536)


# --- streams --------------------------------------------------------------------------------------


def test_a_page_gets_what_is_published(serve: Callable[..., Served]) -> None:
    served = serve()
    page = served.listen()
    served.ask("publish?size=3")
    until(page, b'event: rows\ndata: "xxx"\n\n')
    page.close()


def test_pages_are_limited_and_one_that_leaves_makes_room(serve: Callable[..., Served]) -> None:
    hub = Hub(pages_max=2)
    served = serve(hub)
    first, second = served.listen(), served.listen()
    answer, body = served.ask("stream")
    assert (answer.status, body, hub.refused) == (503, b"2 pages listen already: close one", 1)
    first.close()
    while hub.pages == 2:
        served.ask("publish?size=1")
    third = served.listen()
    for page in (second, third):
        page.close()


def test_a_page_that_falls_behind_is_told_to_load_again(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "BYTES_MAX", 100_000)
    hub = Hub()
    served = serve(hub)
    page, quick = served.listen(), served.listen()
    while not hub.slow:  # into the buffers of both ends, then into the queue
        served.ask("publish?size=90000")
        until(quick, b'x"\n\n')
    assert until(page, b"\r\n0\r\n\r\n").endswith(b"event: reload\ndata: null\n\n\r\n0\r\n\r\n")
    assert hub.slow == 1 and hub.pages == 1
    page.close()
    quick.close()


def test_a_page_that_takes_nothing_is_hung_up_on(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "SEND_S", 0.2)
    hub = Hub()
    served = serve(hub)
    page = served.listen()
    while hub.pages:
        served.ask("publish?size=90000")
    assert hub.slow == 1
    assert served.stop() < 1.5  # although what was sent to it never arrives
    page.close()


# --- its end --------------------------------------------------------------------------------------


def test_it_stops_within_a_second_with_streams_open(serve: Callable[..., Served]) -> None:
    served = serve()
    pages = [served.listen() for _ in range(3)]
    assert served.stop() < 1
    for page in pages:
        assert page.recv(100).endswith(b"0\r\n\r\n")  # a whole answer, no broken one
        page.close()


PROGRAM = """
import asyncio, sys
from starlette.routing import Route
from lab.web.event_stream import Hub
from lab.web.server import WebServer
hub = Hub()
async def stream(request): return hub.stream(request)
async def beside(): await asyncio.sleep(3600)
async def broken(): raise ValueError("the source is gone")
server = WebServer("common.css", [Route("/stream", stream)], hub=hub)
try:
    say = lambda address: print(address, flush=True)
    server.run(say, broken if "broken" in sys.argv else beside)
except ValueError as error:
    print("error:", error)
print("ended")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_within_a_second_with_streams_open(number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline()
        port, token = re.findall(r"http://127.0.0.1:(\d+)/([\w-]+)/", address)[0]
        page = socket.create_connection(("127.0.0.1", int(port)), timeout=10)
        page.sendall(f"GET /{token}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        until(page, b"\r\n\r\n")
        began = time.monotonic()
        os.kill(process.pid, number)
        rest = process.stdout.read()
        assert process.wait(10) == 0 and time.monotonic() - began < 1
        assert rest == "ended\n"
        page.close()


def test_an_error_beside_it_ends_it() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, "broken"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=20,
    )
    assert ended.stdout.splitlines()[1:] == ["error: the source is gone", "ended"]
    assert ended.stderr == ""
