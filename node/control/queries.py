"""Answers reads: builds the structs of `node.control.messages` from a replica's read-only parts.

A query changes nothing. A timeline is read page by page, and each page names the snapshot it
belongs to (how many arrivals it takes in), so that a long timeline is read as it stood at one
moment. Participants and logs are read page by page, too: whatever there is, one answer is bounded
in bytes and in the time that it takes, for nothing else happens meanwhile. The selections behind
the newest readings of timelines are kept, or every page of a long one would cost a sort of the
whole.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, assert_never

from msgspec import Struct

from domain.arrival import Arrival
from domain.clock import SKEW_MAX_MS
from domain.events import MessagePosted
from domain.timeline import Indices
from node.control.answers import Read
from node.control.messages import (
    PAGE_BYTES_MAX,
    FrontierPage,
    LogStatus,
    Participant,
    PeerStatus,
    PlacesStatus,
    PresencePage,
    ReadFrontier,
    ReadPresence,
    ReadStatus,
    ReadTimeline,
    Reply,
    Status,
    TimelineItem,
    TimelinePage,
    WorkerStatus,
)
from node.core.ports import Durability
from node.core.replica import Replica
from node.network.transport import Transport

State = Literal["starting", "running", "recovering", "read_only", "degraded", "stopping"]

SELECTIONS_MAX = 4
HOLES_MAX = 4096  # shown in one page
RANGES_SHOWN_MAX = 256  # of one log, in a status
READ_MS = 20  # a page of a timeline ends after so long; its events may be far apart in the journal
READ_EVENTS = 16  # between two looks at the clock
PEOPLE_MAX = 1000  # in one page
LOGS_MAX = 2048  # in one page of a frontier
STATUS_LOGS_MAX = 256
ITEM_BYTES = 160  # of an item besides its text, author and parents, at most
PARENT_BYTES = 64


class Running(Struct):
    """What is known of the process, besides its replica. The runtime keeps it up to date."""

    node: str
    pid: int
    durability: Durability
    started_ms: int  # monotonic
    stopping: bool = False
    degraded: bool = False  # the journal had damage in the middle
    written: int = 0
    durable: int = 0
    cluster: str = ""  # its id in hex; "": not known
    settings: dict[str, str] = {}  # what it runs with, see `node.config.applied`


class NodeQueries:
    def __init__(
        self,
        replica: Replica,
        transport: Transport,
        running: Running,
        workers: Callable[[], dict[str, WorkerStatus]],
        counters: Callable[[], dict[str, int]],
        now_ms: Callable[[], int],
        wall_ms: Callable[[], int],
    ) -> None:
        self._replica = replica
        self._transport = transport
        self._running = running
        self._workers = workers
        self._counters = counters
        self._now_ms = now_ms
        self._wall_ms = wall_ms
        self._selections: OrderedDict[ReadTimeline, Indices] = OrderedDict()
        self._holes: tuple[int, list[tuple[str, int, int, int]]] = (0, [])

    def answer(self, request: Read) -> Reply:
        if type(request) is ReadTimeline:
            return self.timeline(request)
        if type(request) is ReadPresence:
            return self.presence(request)
        if type(request) is ReadStatus:
            return self.status(request)
        if type(request) is ReadFrontier:
            return self.frontier(request)
        assert_never(request)

    # --- timeline -------------------------------------------------------------------------------

    def timeline(self, request: ReadTimeline) -> TimelinePage:
        timeline = self._replica.timeline
        arrivals = len(timeline)
        if request.arrivals is not None:
            arrivals = min(max(request.arrivals, 0), arrivals)
        selection = self._select(request, arrivals)
        offset = max(request.offset, 0)
        items: list[TimelineItem] = []
        room = PAGE_BYTES_MAX
        until_ms = self._now_ms() + READ_MS
        for index in range(offset, len(selection)):
            if items and not len(items) % READ_EVENTS and self._now_ms() >= until_ms:
                break
            arrival = timeline.arrival(selection[index])
            room -= _size_of(arrival)
            if room < 0 and items:
                break
            items.append(item_of(arrival))
        holes = self._known_holes()
        more = timeline.overlooked or len(holes) > HOLES_MAX
        late, shown = timeline.late, holes[:HOLES_MAX]
        return TimelinePage(
            id=request.id,
            items=items,
            arrivals=arrivals,
            total=len(selection),
            late=late,
            holes=shown,
            more_holes=more,
        )

    def _known_holes(self) -> list[tuple[str, int, int, int]]:
        """As of now; the next pages of a long timeline need not find them again."""
        timeline = self._replica.timeline
        if self._holes[0] != len(timeline):
            self._holes = (len(timeline), timeline.holes())
        return self._holes[1]

    def _select(self, request: ReadTimeline, arrivals: int) -> Indices:
        last = request.last if request.last is None else max(request.last, 0)
        key = ReadTimeline(0, request.order, last, request.as_of_ms, arrivals)
        selection = self._selections.pop(key, None)
        if selection is None:
            selection = self._replica.timeline.pick(
                request.order, arrivals=arrivals, as_of_ms=request.as_of_ms, last=last
            )
        if request.offset + 1 < len(selection):  # more pages may follow
            self._selections[key] = selection
            while len(self._selections) > SELECTIONS_MAX:
                self._selections.popitem(last=False)
        return selection

    # --- the rest -------------------------------------------------------------------------------

    def presence(self, request: ReadPresence) -> PresencePage:
        wall_ms = self._wall_ms()
        people = [
            Participant(
                author=participant.author,
                active=participant.active,
                because=participant.because,
                dot=participant.dot,
                since_ms=participant.since.ms,
                ahead_ms=ahead if (ahead := participant.since.ms - wall_ms) > SKEW_MAX_MS else 0,
            )
            for participant in self._replica.presence.participants(request.after, PEOPLE_MAX)
        ]
        return PresencePage(request.id, people, self._replica.presence.known)

    def frontier(self, request: ReadFrontier) -> FrontierPage:
        root, events = self._replica.root.hex(), self._replica.timeline.shown
        offset = max(request.offset, 0)
        most = LOGS_MAX if request.logs_max is None else min(max(request.logs_max, 0), LOGS_MAX)
        total = len(self._replica.frontier)
        return FrontierPage(request.id, root, events, self._logs(offset, offset + most), total)

    def status(self, request: ReadStatus) -> Status:
        replica, running = self._replica, self._running
        now_ms, wall_ms = self._now_ms(), self._wall_ms()
        peers = self._peers(now_ms)
        agreed = all(peer.in_sync for peer in peers.values() if peer.state == "alive")
        return Status(
            id=request.id,
            node=running.node,
            pid=running.pid,
            state=self._state(),
            epoch=replica.epoch,
            incarnation=replica.incarnation,
            events=replica.timeline.shown,
            root=replica.root.hex(),
            frontier=self._logs(0, STATUS_LOGS_MAX),
            missing=replica.frontier.missing,
            peers=peers,
            durability=running.durability,
            written_upto=running.written,
            durable_upto=running.durable,
            quiet_for_ms=replica.quiet.quiet_for_ms(wall_ms),
            stable=agreed and replica.quiet.is_quiet(wall_ms),
            workers=self._workers(),
            forked=list(replica.frontier.forked),
            uptime_ms=now_ms - running.started_ms,
            counters=self._counters(),
            places=self._places(),
            cluster=running.cluster,
            stamps_ahead_ms=replica.stamps_ahead_ms,
            settings=running.settings,
        )

    def _places(self) -> PlacesStatus:
        places = self._replica.frontier.places
        return PlacesStatus(places.origins, len(places), places.refused, sorted(places.full))

    def _state(self) -> State:
        replica, running = self._replica, self._running
        if running.stopping:
            return "stopping"
        if replica.state == "running" and running.degraded and replica.frontier.missing:
            return "degraded"
        return replica.state

    def _logs(self, first: int, last: int) -> list[LogStatus]:
        return [
            LogStatus(
                origin=log.id.origin,
                epoch=log.id.epoch,
                prefix=log.prefix,
                ranges=log.held.above_prefix(0, RANGES_SHOWN_MAX),
                head=log.head.hex(),
                forked=log.forked,
            )
            for log in self._replica.frontier.in_order()[first:last]
        ]

    def _peers(self, now_ms: int) -> dict[str, PeerStatus]:
        peers: dict[str, PeerStatus] = {}
        for name, peer in self._replica.peer_states(now_ms).items():
            traffic, fault = self._transport.traffic(name), self._transport.faults.get(name)
            peers[name] = PeerStatus(
                state=peer.state,
                incarnation=peer.incarnation,
                last_heard_ms=peer.last_heard_ms,
                in_sync=peer.in_sync,
                rounds=peer.rounds,
                sent_bytes=traffic.sent_bytes,
                received_bytes=traffic.received_bytes,
                dropped=dict(traffic.dropped),
                fault=fault.text(),
                link=None if fault.none else fault,
            )
        return peers


def item_of(arrival: Arrival) -> TimelineItem:
    return TimelineItem(arrival.event, arrival.received_at_ms, arrival.via, arrival.skewed)


def _size_of(arrival: Arrival) -> int:
    """An upper bound of its bytes in a page."""
    event = arrival.event
    size = ITEM_BYTES + PARENT_BYTES * len(event.parents) + 4 * len(event.author)
    if type(event) is MessagePosted:
        text = event.text
        size += len(text) if text.isascii() else 4 * len(text)
        size += sum(4 + 4 * len(rule) for rule in event.censored_by)
    return size
