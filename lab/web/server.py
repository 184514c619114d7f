"""One page on loopback, behind a token.

    server = WebServer("watch.html", [Route("/view", view)], hub=hub)
    server.address                        http://127.0.0.1:PORT/TOKEN/
    server.run(ready)                     until Ctrl-C; `ready` is called once it listens

A request passes, in this order, or is answered with an error:
1. `Host` names loopback (the port is not compared, so that a forwarded port works);
2. the first part of the path is the token, compared in constant time;
3. the method is GET or HEAD, unless the page takes more; then `Origin`, if any, is this server.
The token is a part of the path and no cookie: browsers send the cookies of one port to every other
port of a host. All answers have the headers of `HEADERS`.
"""

import asyncio
import contextlib
import hmac
import secrets
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from importlib.resources import files
from pathlib import PurePath
from types import FrameType
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lab.terminal.display import display_safe
from lab.terminal.errors import Exit, Problem
from lab.web.event_stream import Hub

LOOPBACK = "127.0.0.1"
HOSTS = (LOOPBACK, "localhost")
CONNECTIONS_MAX = 64
BODY_BYTES_MAX = 64 * 1024
END_S = 0.3  # streams that do not end by themselves are cut off

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


class WebServer:
    """Serves `page` at the address, files of static/ beside it, and these routes. Mutable.

    `hub`: its streams end when the server does. Raises Problem if the port cannot be had.
    """

    def __init__(
        self,
        page: str,
        routes: Sequence[BaseRoute] = (),
        *,
        port: int = 0,
        hub: Hub | None = None,
        read_only: bool = True,
    ) -> None:
        self._socket = _bound(port)
        self.port: int = self._socket.getsockname()[1]
        self.token = secrets.token_urlsafe(24)
        own = [Route("/", _file(page)), *(Route(f"/{name}", _file(name)) for name in static())]
        app = _Guard(Starlette(routes=[*own, *routes]), self.token, read_only)
        self._uvicorn = _Uvicorn(hub or Hub(), app)

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/{self.token}/"

    def run(
        self,
        ready: Callable[[str], None] | None = None,
        background: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        """Serve until `stop`, SIGINT, SIGTERM or the end of `background`, whose error is raised."""
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self._serve(ready, background))

    async def _serve(
        self,
        ready: Callable[[str], None] | None,
        background: Callable[[], Coroutine[Any, Any, None]] | None,
    ) -> None:
        if ready is not None:
            self._uvicorn.ready = partial(ready, self.address)
        serving = asyncio.create_task(self._uvicorn.serve(sockets=[self._socket]))
        beside = asyncio.create_task(background()) if background is not None else None
        try:
            if beside is not None:
                await asyncio.wait({serving, beside}, return_when=asyncio.FIRST_COMPLETED)
                self.stop()
            await serving
        finally:
            if beside is not None:
                beside.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await beside

    def stop(self) -> None:
        """End `run`, from any thread."""
        self._uvicorn.should_exit = True


def static() -> list[str]:
    """The names of the files that every page may load."""
    folder = files("lab.web").joinpath("static")
    return sorted(one.name for one in folder.iterdir() if PurePath(one.name).suffix in TYPES)


def static_text(name: str) -> str:
    return files("lab.web").joinpath("static", name).read_text(encoding="utf-8")


def json_response(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


async def body_of(request: Request) -> bytes:
    """The body of a POST. Raises HTTPException 413 over the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise HTTPException(413, f"a request has at most {BODY_BYTES_MAX} bytes")
    return bytes(body)


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(CONNECTIONS_MAX)
    except (OSError, OverflowError) as error:
        listener.close()
        raise Problem(f"cannot listen on port {port} of {LOOPBACK}: {error}", Exit.USAGE) from None
    return listener


def _file(name: str) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def answer(_: Request) -> Response:
        return Response(static_text(name), media_type=TYPES[PurePath(name).suffix])

    return answer


class _Guard:
    """Lets through what may pass, and sets the headers of every answer."""

    def __init__(self, app: ASGIApp, token: str, read_only: bool) -> None:
        self._app = app
        self._token = token.encode()
        self._read_only = read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] != "http":
            return
        app = self._refusal(scope) or self._app
        try:
            await app(scope, receive, send_with_headers)
        except Exception as error:  # the frame of a request: the server goes on
            what = f"{type(error).__name__}: {error}"
            print(f"chatlab: a request failed: {display_safe(what)}", file=sys.stderr)
            if not started:
                await PlainTextResponse("an error of the server", 500)(
                    scope, receive, send_with_headers
                )

    def _refusal(self, scope: Scope) -> Response | None:
        """What is answered instead; None: it may pass, and routes see the path after the token."""
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if host.partition(":")[0] not in HOSTS:
            return PlainTextResponse("this server answers to 127.0.0.1 and localhost", 421)
        token, slash, _ = scope["path"].removeprefix("/").partition("/")
        right = hmac.compare_digest(token.encode("utf-8", "replace"), self._token)
        if not (right and slash):
            return PlainTextResponse("the address is printed in the terminal, with its token", 403)
        if scope["method"] not in ("GET", "HEAD"):
            if self._read_only:
                text = "this page is read-only"
                return PlainTextResponse(text, 405, headers={"Allow": "GET, HEAD"})
            if headers.get("origin", f"http://{host}") != f"http://{host}":
                return PlainTextResponse("a page from elsewhere cannot ask this", 403)
        scope["root_path"] = f"/{token}"
        return None


class _Uvicorn(uvicorn.Server):
    """Ends within a second, also with streams open, and says nothing on stderr."""

    def __init__(self, hub: Hub, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                limit_concurrency=CONNECTIONS_MAX,
                timeout_graceful_shutdown=1,
            )
        )
        self._hub = hub
        self.ready: Callable[[], None] | None = None  # called once signals end it in order

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.ready is not None:
            self.ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """SIGINT or SIGTERM ends `run`, which returns: they are not raised again."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.close()
        asyncio.get_running_loop().call_later(END_S, self._cut_off)
        await super().shutdown(sockets)

    def _cut_off(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
