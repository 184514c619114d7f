"""Observes one running node: its process, its status, its feed, and the faults of its links.

It never waits: `tick` asks, `receive` takes what has come. It sends requests of two kinds only, for
a status and for pages of the timeline.
"""

from pathlib import Path

import zmq
from msgspec.structs import replace

from lab.client.client import Client, Unreachable
from lab.client.location import NodeLocation
from lab.cluster.launcher_state import LaunchedNode
from lab.cluster.processes import live_record, state_of
from lab.observe.event_queue import EventQueue
from lab.observe.node_feed import Met, NodeFeed
from lab.observe.poll_of import poll_of
from lab.trace.kinds import Crash, Paused, Resumed, State, Stopped
from lab.view.cluster_view import Poll
from node.control.messages import ReadStatus, Status, TimelinePage
from node.network.link_faults import LinkFault

SILENT_US = 2_000_000
RECONNECT_US = 10_000_000


class LiveNode:
    """Mutable."""

    def __init__(
        self,
        at: NodeLocation,
        context: zmq.Context[zmq.Socket[bytes]],
        events: EventQueue,
        met: Met,
    ) -> None:
        self.name = at.name
        self.feed = NodeFeed(at, context, events, met)
        self.stopped_cleanly = False  # it has logged that it stops
        self._at = at
        self._context = context
        self._events = events
        self._client: Client | None = None
        self._status_id = self._page_id = 0  # in flight; 0: none
        self._asked_us = 0
        self._life = 0
        self._pid: int | None = None
        self._paused = False
        self._status: Status | None = None  # the last one of this life
        self._state: State | None = None
        self._restarts = 0

    @property
    def sockets(self) -> "list[zmq.Socket[bytes]]":
        return self._client.sockets if self._client is not None else []

    @property
    def link_faults(self) -> dict[tuple[str, str], LinkFault]:
        """From here to each peer, as it said last."""
        peers = self._status.peers if self._status is not None and self.feed.following else {}
        return {(self.name, to): one.link for to, one in peers.items() if one.link is not None}

    def close(self) -> None:
        self._hang_up()
        self.feed.socket.close(linger=0)

    # --- asking ---------------------------------------------------------------------------------

    def tick(self, launched: LaunchedNode | None) -> None:
        """Look at the process, and ask the node how it is."""
        now_us = self._events.now_us
        record = live_record(Path(self._at.pid_file)) if self._at.pid_file else None
        pid = record.pid if record is not None else None
        if self._pid is not None and pid != self._pid and (pid is not None or not self._client):
            self.ended()
        self._pid = pid if pid is not None else self._pid
        self._restarts = max(launched.starts - 1, 0) if launched is not None else 0
        self._pause(pid is not None and state_of(pid) == "T")
        if not self._paused:
            self._ask(now_us)
        late = self._status_id and now_us - self._asked_us >= SILENT_US
        first = self._status is None and self._asked_us == now_us  # it may answer at once
        if self._pid is None or self._paused or late or (self._status is None and not first):
            self._say_silent(now_us, launched)
        if late and not self._paused and now_us - self._asked_us >= RECONNECT_US:
            self._hang_up()

    def _ask(self, now_us: int) -> None:
        try:
            if self._client is None:
                self._client = Client.at(self._at, self._context)
            if not self._status_id:
                self._status_id, self._asked_us = self._client.new_id(), now_us
                self._client.submit([ReadStatus(self._status_id)])
            self._ask_page()
        except Unreachable:
            self._hang_up()

    def _ask_page(self) -> None:
        if self._client is None or self._page_id or self._events.crowded:
            return
        request = self.feed.request(self._client.new_id())
        if request is not None:
            self._page_id = request.id
            self._client.submit([request])

    # --- answers --------------------------------------------------------------------------------

    def receive(self) -> bool:
        """Take what has come. False if the connection broke: the process is to be looked at."""
        if self._client is None:
            return True
        try:
            for reply in self._client.replies(0):
                if reply.id == self._status_id:
                    self._status_id = 0
                    if type(reply) is Status:
                        self._take(reply)
                elif reply.id == self._page_id:
                    self._page_id = 0
                    if type(reply) is TimelinePage:
                        self._page(reply)
            self._ask_page()
        except Unreachable:
            self._hang_up()
            return False
        return True

    def _take(self, status: Status) -> None:
        if status.incarnation != self._life:
            if self._life:
                self.ended()
            self._life = status.incarnation
            self._pid = status.pid
            self.stopped_cleanly = False
            self.feed.begin(self._life, f"{self.name}.{status.epoch:x}")
        before, self._status = self._status, status
        self.feed.behind(status.events, before.events if before is not None else 0)
        if self.feed.following:
            self._say(status)

    def _page(self, page: TimelinePage) -> None:
        began = not self.feed.following
        self.feed.page(page)
        if began and self.feed.following and self._status is not None:
            self._say(self._status)

    def _say(self, status: Status) -> None:
        """What a status says, once the life's beginning is in the trace."""
        state = State(status.root, status.events, status.missing, str(status.state))
        if state != self._state:
            self._state = state
            self._events.put(self.name, self._life, state)
        poll = poll_of(status, self._events.now_us, self._restarts)
        # What a node takes in is in its logs before it is shown, and is to be seen to come. So
        # they are given when all of it is in the trace, or the feed has left out some.
        held = sum(last - first + 1 for ranges in poll.logs.values() for first, last in ranges)
        if not self.feed.unread and not held <= status.events <= self.feed.seen:
            poll = replace(poll, logs={})
        self._put_poll(poll)

    def _say_silent(self, now_us: int, launched: LaunchedNode | None) -> None:
        """A poll without an answer."""
        lasting = launched is not None and launched.state in ("backoff", "failed")
        health: str = launched.state if launched is not None and lasting else "down"
        if self._paused:
            health = "paused"
        elif self._pid is not None:
            health = "starting" if self._status is None else "silent"
        exit_text = launched.exit if launched is not None and self._pid is None else ""
        self._put_poll(
            Poll(
                t_us=now_us,
                node=self.name,
                health=health,
                pid=self._pid,
                restarts=self._restarts,
                exit=exit_text,
            )
        )

    def _put_poll(self, poll: Poll) -> None:
        missed, unread = self.feed.missed, self.feed.unread
        self._events.put_poll(replace(poll, feed_missed=missed, feed_unread=unread))

    # --- lives ----------------------------------------------------------------------------------

    def ended(self) -> None:
        """The process is gone, or another one has taken its place."""
        status = self._status
        if status is not None and self.feed.following:
            written, durable = status.written_upto, status.durable_upto
            end = (
                Stopped(written, durable)
                if self.stopped_cleanly
                else Crash("kill", "", written, durable)
            )
            self._events.put(self.name, self._life, end)
        self.feed.end()
        self._hang_up()
        self._life, self._pid, self._paused = 0, None, False
        self._status = self._state = None

    def _pause(self, paused: bool) -> None:
        if paused != self._paused:
            self._paused = paused
            if self.feed.following:
                self._events.put(self.name, self._life, Paused() if paused else Resumed())

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        self._status_id = self._page_id = 0
