"""The page of `chatlab watch --web`: what an observer knows, live, and at any moment before.

    page = WatchPage(source)
    page.server.run(ready, page.feed)

It takes what the source has a few times a second, folds it into a `ViewHistory`, and sends two
messages to the pages: `rows`, new columns for the diagram, and `view`, the state of nodes with the
new lines of the log. `GET view?t=US` is the view of a moment. That is all that pages can ask. Times
of pages begin with the first entry.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from msgspec.structs import replace
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lab.trace.trace import Event
from lab.view.cluster_view import ClusterView, Poll
from lab.view.history import ENTRIES_MAX, ViewHistory
from lab.view.recent_columns import ROWS_MAX, RecentColumns
from lab.view.view_json import LINES, line_json, view_json
from lab.web.event_stream import Hub, message
from lab.web.server import WebServer, json_response

EVERY_S = 0.2  # from one look at the source to the next
RECORDED_ROWS_MAX = 200_000  # for a run that is over: nothing comes to it
PART = 2000  # entries that are folded without a pause for requests


class Source(Protocol):
    def drain(self) -> Sequence[Event | Poll]:
        """What is new, in order of time. Does not wait."""


class Recorded:
    """The events of a run that is over, as a source."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events

    def drain(self) -> Sequence[Event]:
        events, self._events = self._events, ()
        return events


class WatchPage:
    """Mutable. Everything happens in the event loop of its server."""

    def __init__(
        self,
        source: Source,
        *,
        port: int = 0,
        rows_max: int = ROWS_MAX,
        entries_max: int = ENTRIES_MAX,
    ) -> None:
        self.hub = Hub()
        routes = [Route("/stream", self._stream), Route("/view", self._view)]
        self.server = WebServer("watch.html", routes, port=port, hub=self.hub)
        self._source = source
        self._history = ViewHistory(entries_max)
        self._columns = RecentColumns(rows_max)
        self._sent: list[bytes] = []  # the rows that pages have, as messages
        self._lines = 0  # log lines since the last message
        self._origin_us: int | None = None

    async def feed(self) -> None:
        """Take what the source has, for ever. Raises what the source raises."""
        while True:
            entries = self._source.drain()
            for begin in range(0, len(entries), PART):
                for entry in entries[begin : begin + PART]:
                    self._take(entry)
                await asyncio.sleep(0)
            if entries:
                self._publish()
            await asyncio.sleep(EVERY_S)

    def _take(self, entry: Event | Poll) -> None:
        if self._origin_us is None:
            self._origin_us = entry.t_us
        self._history.add(entry)
        if not isinstance(entry, Poll):
            self._columns.add(replace(entry, t_us=entry.t_us - self._origin_us))
            self._lines += entry.kind == "note"

    def _publish(self) -> None:
        if self._columns.restarted:  # pages load again, and then get the new rows only
            self._sent.clear()
            self.hub.reload()
        chunk = self._columns.take()
        if self._sent:
            del chunk["kinds"]  # which they know
        if chunk["t"] or chunk["nodes"]:
            self._sent.append(message("rows", chunk))
            self.hub.send(self._sent[-1])
        lines = list(self._history.latest.lines)[-self._lines :] if self._lines else []
        self._lines = 0
        self.hub.publish("view", self._now([line_json(line) for line in lines[-LINES:]]))

    def _now(self, lines: Sequence[Any]) -> dict[str, Any]:
        return {**self._json(self._history.latest, lines=0), "lines": lines}

    def _json(self, view: ClusterView, lines: int = LINES) -> dict[str, Any]:
        """A view, and what this observer itself has let go, and how far back it can look."""
        origin_us = self._origin_us or 0
        made = view_json(view, lines, origin_us)
        if self._columns.left:
            made["summary"] += f"; the {self._columns.left} oldest messages are not drawn"
        return {**made, "first_us": max(self._history.first_us - origin_us, 0)}

    async def _stream(self, request: Request) -> Response:
        lines = [line_json(line) for line in list(self._history.latest.lines)[-LINES:]]
        return self.hub.stream(request, [*self._sent, message("view", self._now(lines))])

    async def _view(self, request: Request) -> Response:
        text = request.query_params.get("t", "")
        if not (text.isascii() and text.isdecimal() and len(text) <= 18):
            raise HTTPException(400, "t is a time in microseconds, a whole number")
        return json_response(self._json(self._history.at(int(text) + (self._origin_us or 0))))
