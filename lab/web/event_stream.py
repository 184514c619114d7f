"""Server-sent events from one event loop to a few pages.

    hub = Hub()
    hub.publish("rows", data)           to every page that is there
    return hub.stream(request, first)   the answer of a route; `first` are messages for this page

A page that falls behind by more than its queue holds gets `event: reload` as its last message: it
is to load everything anew. One that takes nothing at all is hung up on. Both are counted in `slow`.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PAGES_MAX = 16
MESSAGES_MAX = 512  # that wait for one page
BYTES_MAX = 8 * 1024 * 1024  # of them
ALIVE_S = 10.0  # a comment goes out after this time without a message
SEND_S = 5.0  # a page that takes nothing for so long is hung up on

_RELOAD = b"event: reload\ndata: null\n\n"
_ALIVE = b": alive\n\n"


def message(name: str, data: object) -> bytes:
    """One message: `data` as JSON, which has no line end inside."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


class Hub:
    """The pages that listen. Mutable; used by one event loop."""

    def __init__(self, pages_max: int = PAGES_MAX) -> None:
        self.slow = 0  # pages that fell behind
        self.refused = 0  # pages over the limit
        self._pages_max = pages_max
        self._pages: set[_Page] = set()
        self._closed = False

    @property
    def pages(self) -> int:
        return len(self._pages)

    def publish(self, name: str, data: object) -> None:
        if self._pages:
            self.send(message(name, data))

    def send(self, whole: bytes) -> None:
        """Queue a message made by `message` for every page."""
        for page in self._pages:
            if not page.put(whole):
                self.slow += 1

    def reload(self) -> None:
        """Tell every page to load everything anew."""
        for page in self._pages:
            page.reload()

    def stream(self, request: Request, first: Iterable[bytes] = ()) -> Response:
        """The answer that never ends. Raises HTTPException 503 over the limit of pages."""
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if len(self._pages) >= self._pages_max or self._closed:
            self.refused += 1
            raise HTTPException(503, f"{self._pages_max} pages listen already: close one")
        page = _Page(first)
        self._pages.add(page)
        return _Stream(self, page)

    def leave(self, page: "_Page", stuck: bool) -> None:
        self._pages.discard(page)
        self.slow += stuck and not page.behind

    def close(self) -> None:
        """End every stream, now and later."""
        self._closed = True
        for page in self._pages:
            page.end()


class _Page:
    """What waits for one page. Mutable."""

    def __init__(self, first: Iterable[bytes]) -> None:
        self.behind = False
        self._queue = deque([b"".join(first)])
        self._bytes = 0  # of what came after the first
        self._ended = False
        self._wake = asyncio.Event()

    def put(self, whole: bytes) -> bool:
        """Queue a message; False if this page falls behind with it."""
        if self._ended:
            return True
        self._queue.append(whole)
        self._bytes += len(whole)
        self._wake.set()
        if len(self._queue) <= MESSAGES_MAX and self._bytes <= BYTES_MAX:
            return True
        self.behind = True
        self.reload()
        return False

    def reload(self) -> None:
        self._queue = deque([_RELOAD])
        self.end()

    def end(self) -> None:
        self._ended = True
        self._wake.set()

    async def next(self) -> bytes:
        """What waits, in one piece; b"" at the end. After a while without any, a comment."""
        if not self._queue and not self._ended:
            self._wake.clear()
            try:
                async with asyncio.timeout(ALIVE_S):
                    await self._wake.wait()
            except TimeoutError:
                return _ALIVE
        whole = b"".join(self._queue)
        self._queue.clear()
        self._bytes = 0
        return whole or (b"" if self._ended else _ALIVE)


class _Stream(Response):
    media_type = "text/event-stream"

    def __init__(self, hub: Hub, page: _Page) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._hub = hub
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        gone = asyncio.create_task(self._gone(receive))
        stuck = True
        try:
            with contextlib.suppress(TimeoutError):
                await self._send(send)
                stuck = False
        finally:
            gone.cancel()
            self._hub.leave(self._page, stuck)

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        while True:
            chunk = await self._page.next()
            body = {"type": "http.response.body", "body": chunk, "more_body": bool(chunk)}
            async with asyncio.timeout(SEND_S):
                await send(body)
            if not chunk:
                return

    async def _gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._page.end()
