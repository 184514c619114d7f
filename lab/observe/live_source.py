"""Observes a running cluster in a thread of its own, and turns what it reads into trace events and
polls: the live source of a `ClusterView`.

    with LiveSource(cluster) as source:
        for entry in source.drain():       # events and polls since the last call; never waits
            history.add(entry)

Events of the feeds come at once; processes, statuses and logs are looked at every `every_s`. It
sends reads and subscriptions only. A node that is paused or silent holds up nothing.
"""

import os
import threading
import time
from pathlib import Path
from typing import Any, Self

import msgspec
import zmq
from msgspec import Struct

from lab.client.location import NodeLocation
from lab.cluster.cluster import Cluster
from lab.cluster.launcher_state import Launched, read_launched
from lab.observe.event_queue import EventQueue
from lab.observe.link_faults import LinkFaults
from lab.observe.live_node import LiveNode
from lab.observe.log_notes import LogNotes
from lab.observe.node_feed import Met
from lab.trace.kinds import SCHEMA, Note, Run
from lab.trace.trace import Event
from lab.view.cluster_view import Poll
from node.network.link_faults import LinkFault

EVERY_S = 0.5
EVERY_MIN_S = 0.05
FRAMES_PER_S = 1000  # of the feeds of all nodes together; more is left to them, and skipped
FRAMES_BURST = 3000  # that may be saved up
FRAMES_MAX = 200  # of one feed, in one pass
JOIN_S = 5.0


class Lost(Struct, frozen=True):
    """What of the cluster this observer did not see or did not hand over."""

    dropped: int  # entries, since nobody drained the queue in time
    missed: int  # arrivals that feeds left out
    unread: int  # of these, those that were not read from a timeline
    unsaved: int  # events that the file had no room for


class LiveSource:
    """Start it with `start`, or as a context manager. `close` waits for its thread."""

    def __init__(self, cluster: Cluster, every_s: float = EVERY_S, level: str = "info") -> None:
        self._cluster = cluster
        self._every_s = max(every_s, EVERY_MIN_S)
        self._events = EventQueue()
        self._met = Met(self._events)
        self._faults = LinkFaults(self._events)
        self._notes = LogNotes(self._events, level)
        self._nodes: dict[str, LiveNode] = {}
        self._launched = Launched()
        self._launched_ns = 0  # when the launcher's file was written
        self._frames = float(FRAMES_BURST)  # that may be read now
        self._frames_s = time.monotonic()
        self._said = (0, 0)  # what was lost, when the log said so last
        self._ended = False
        self._failed: BaseException | None = None
        self._wake_fd, self._wake_write_fd = os.pipe()
        self._thread = threading.Thread(target=self._work, name="live source", daemon=True)

    def record(self, path: Path) -> None:
        """Write all events to a trace file as well. Before `start`. Raises Problem."""
        self._events.save(path)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        if self._ended:
            return
        self._ended = True
        os.write(self._wake_write_fd, b"!")
        if self._thread.ident is not None:
            self._thread.join(JOIN_S)
        os.close(self._wake_write_fd)
        os.close(self._wake_fd)
        self._events.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def drain(self) -> list[Event | Poll]:
        """What is new, in the order of time. Raises what ended the thread, if anything did."""
        entries = self._events.drain()
        if not entries and self._failed is not None:
            raise self._failed
        return entries

    @property
    def lost(self) -> Lost:
        feeds = [node.feed for node in list(self._nodes.values())]
        return Lost(
            dropped=self._events.dropped,
            missed=sum(feed.missed for feed in feeds),
            unread=sum(feed.unread for feed in feeds),
            unsaved=self._events.unsaved,
        )

    # --- the thread -----------------------------------------------------------------------------

    def _work(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._observe(context)
        except BaseException as error:
            self._failed = error
        finally:
            for node in self._nodes.values():
                node.close()
            self._notes.close()
            context.term()

    def _observe(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        place = self._cluster.place
        options = {"cluster": place.name, "began_ms": int(time.time() * 1000)}
        self._events.put(
            "",
            0,
            Run(
                schema=SCHEMA,
                source="real",
                scenario="",
                seed=0,
                nodes=tuple(place.nodes),
                detail="lean",
                options=msgspec.json.encode(options).decode(),
            ),
        )
        self._notes.follow("", place.launcher_log)
        due_s = time.monotonic()
        while not self._ended:
            now_s = time.monotonic()
            if now_s >= due_s:
                self._tick(context)
                due_s = max(due_s + self._every_s, time.monotonic())
            if not self._pass(max(due_s - time.monotonic(), 0.0)):
                due_s = 0.0  # a connection broke

    def _tick(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        places: dict[str, NodeLocation] = {**self._cluster.place.nodes, **self._cluster.former()}
        for name, at in places.items():
            if name not in self._nodes:
                self._nodes[name] = LiveNode(at, context, self._events, self._met)
                self._notes.follow(name, Path(at.log_file))
        for name in self._notes.read():
            if name in self._nodes:
                self._nodes[name].stopped_cleanly = True
        launched = self._read_launched().nodes
        for name, node in self._nodes.items():
            node.tick(launched.get(name))
        faults: dict[tuple[str, str], LinkFault] = {}
        for node in self._nodes.values():
            faults |= node.link_faults
        self._faults.look(faults)
        self._say_lost()

    def _say_lost(self) -> None:
        """What this observer itself let go is a line of the log, wherever that is shown."""
        lost = self._events.dropped, self._events.unsaved
        if lost != self._said and not self._events.crowded:
            self._said = lost
            fields: dict[str, Any] = {"dropped": lost[0], "unsaved": lost[1]}
            self._events.put("", 0, Note("observer_behind", "warning", fields))

    def _read_launched(self) -> Launched:
        path = self._cluster.place.launched_file
        try:
            written_ns = path.stat().st_mtime_ns
        except OSError:
            written_ns = 0
        if written_ns != self._launched_ns:
            self._launched, self._launched_ns = read_launched(path), written_ns
        return self._launched

    def _pass(self, wait_s: float) -> bool:
        """Wait for something to read, and read it. False if a connection broke."""
        self._refill()
        reads_feeds = self._frames >= 1 and not self._events.crowded
        poller = zmq.Poller()
        poller.register(self._wake_fd, zmq.POLLIN)
        for node in self._nodes.values():
            for socket in node.sockets:
                poller.register(socket, zmq.POLLIN)
            if reads_feeds:
                poller.register(node.feed.socket, zmq.POLLIN)
        if not reads_feeds:
            wait_s = min(wait_s, 0.05)
        ready = dict(poller.poll(int(wait_s * 1000) + 1))
        whole = True
        for node in self._nodes.values():
            if any(socket in ready for socket in node.sockets):
                whole = node.receive() and whole
        self._read_feeds([one for one in self._nodes.values() if one.feed.socket in ready])
        return whole

    def _read_feeds(self, nodes: list[LiveNode]) -> None:
        came = [
            (node.feed, number, item)
            for node in nodes
            for number, item in node.feed.frames(FRAMES_MAX)
        ]
        self._frames -= len(came)
        for feed, number, item in came:
            feed.announce(number, item)
        for feed, number, item in came:
            feed.take(number, item)

    def _refill(self) -> None:
        now_s = time.monotonic()
        more = (now_s - self._frames_s) * FRAMES_PER_S
        self._frames, self._frames_s = min(self._frames + more, float(FRAMES_BURST)), now_s
