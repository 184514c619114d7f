"""Reads a node's timeline: whole, page by page, or continuously.

A page names its snapshot (the number of arrivals), so that a long timeline is read as of one moment
although messages keep arriving. Following reads the snapshot first and then the feed. Feed messages
carry arrival numbers, so a gap (after a slow start, a full queue or a restart) is noticed, and the
missing arrivals are read from the timeline.
"""

import time
from collections.abc import Iterator

import zmq
from msgspec import MsgspecError, Struct

from lab.client.client import Client, Unreachable
from lab.client.location import NodeLocation
from lab.client.remote import dialling
from lab.terminal.errors import Problem
from node.control.messages import (
    Order,
    Participant,
    PresencePage,
    ReadPresence,
    ReadTimeline,
    TimelineItem,
    TimelinePage,
    feed_decoder,
)

IDLE_S = 1.0  # silence after which the node is asked whether something was missed
RETRY_S = 0.3


class TimelineReader(Struct, frozen=True):
    items: list[TimelineItem]
    arrivals: int
    late: int
    holes: list[tuple[str, int, int, int]]
    more_holes: bool = False
    total: int = 0  # of the selection, of which `items` may be the end


def read_timeline(
    client: Client,
    order: Order = "causal",
    last: int | None = None,
    as_of_ms: int | None = None,
    arrivals: int | None = None,
    offset: int = 0,
) -> TimelineReader:
    """All pages of one snapshot."""
    items: list[TimelineItem] = []
    while True:
        request = ReadTimeline(
            id=client.new_id(),
            order=order,
            last=last,
            as_of_ms=as_of_ms,
            arrivals=arrivals,
            offset=offset + len(items),
        )
        page = client.expect(request, TimelinePage)
        items.extend(page.items)
        arrivals = page.arrivals
        if offset + len(items) >= page.total or not page.items:
            more = page.more_holes
            return TimelineReader(
                items=items,
                arrivals=page.arrivals,
                late=page.late,
                holes=page.holes,
                more_holes=more,
                total=page.total,
            )


def read_presence(client: Client) -> PresencePage:
    """All pages as one."""
    people: list[Participant] = []
    while True:
        after = people[-1].author if people else ""
        page = client.expect(ReadPresence(client.new_id(), after), PresencePage)
        people += page.participants
        if not page.participants or len(people) >= page.total:
            return PresencePage(page.id, people, page.total)


class Follower:
    """Yields the arrivals of one node after the first `seen`, in order, across its restarts."""

    def __init__(self, at: NodeLocation) -> None:
        self._at = at
        self._context = zmq.Context()
        self._feed = self._context.socket(zmq.SUB)
        self._feed.setsockopt(zmq.LINGER, 0)
        self._feed.setsockopt(zmq.RECONNECT_IVL, 50)
        self._feed.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        self._feed.subscribe(b"")
        self.reachable = True
        self.missed = 0  # arrivals that were skipped, for want of a control to read them by
        if not at.is_remote:
            self._feed.connect(f"ipc://{at.feed}")
            return
        try:
            monitor = dialling(at, "observer").connect(self._feed)
        except Problem:
            self.close()
            raise
        self._feed.disable_monitor()
        monitor.close(linger=0)

    def close(self) -> None:
        self._feed.close(linger=0)
        self._context.term()

    def after(self, seen: int | None) -> Iterator[TimelineItem | None]:
        """Yields None if nothing has arrived for a while, so that the caller can do other work.

        `seen` None: only what arrives from now on, read from the feed; `missed` counts the gaps.
        """
        if seen is None:
            yield from self._only_feed()
            return
        looked = 0.0
        while True:
            item = self._next()
            number = item[0] if item is not None else 0
            if item is not None and number == seen + 1:
                seen = number
                yield item[1]
                continue
            if item is not None and number <= seen:
                continue
            if number > seen + 1 or time.monotonic() - looked >= IDLE_S:
                looked = time.monotonic()
                for missed in self._missed(seen):
                    seen += 1
                    yield missed
            yield None

    def _only_feed(self) -> Iterator[TimelineItem | None]:
        seen = 0
        while True:
            item = self._next()
            if item is not None:
                self.missed += max(0, item[0] - seen - 1) if seen else 0
                seen = item[0]
                yield item[1]
            if item is None or self.missed:
                yield None

    def _next(self) -> tuple[int, TimelineItem] | None:
        if not self._feed.poll(int(IDLE_S * 1000)):
            return None
        try:
            arrival = feed_decoder.decode(self._feed.recv())
        except MsgspecError:
            return None  # a newer node: its timeline is still read below
        return arrival.number, arrival.item

    def _missed(self, seen: int) -> list[TimelineItem]:
        try:
            with Client.at(self._at, self._context) as client:
                items = read_timeline(client, "arrival", offset=seen).items
        except Unreachable:
            self.reachable = False
            return []
        self.reachable = True
        return items
