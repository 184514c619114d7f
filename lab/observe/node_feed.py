"""Follows what one node shows: reads its feed, and its timeline where the feed left something out.

Arrivals have numbers, from 1. What follows the last number that was seen is shown at once. A jump
is a gap: it is read from the timeline, page by page, as long as that is little in the long run
(`FILL_PER_S`). Else it is a flood, in which nobody could read along, and to read it would cost the
node as much as to take it in did: the gap is counted, and the observer goes on with the newest.
When the flood is over, its end is read.
"""

from collections import deque
from collections.abc import Iterator

import zmq
from msgspec import MsgspecError

from lab.client.location import NodeLocation
from lab.client.remote import dialling
from lab.observe.event_queue import EventQueue
from lab.trace.kinds import Boot, Handed, Visible
from lab.view.cluster_view import TEXT_MAX
from lab.view.facts import facts_of
from node.control.messages import ReadTimeline, TimelineItem, TimelinePage, feed_decoder

LOAD_MAX = 1000  # arrivals that are read when a life begins, the newest
FILL_MAX = 1000  # of gaps that are read at once
FILL_PER_S = 20  # of gaps that are read in the long run
CALM_MAX = 50  # arrivals from one status to the next, when a flood is over
SHOWN_MAX = 5000  # dots that are kept of what the node shows, the newest
MET_MAX = 20_000  # dots whose content the trace has
FRAMES_MAX = 256  # waiting in the socket; more wait at the node, and are dropped there


class Met:
    """The events whose content is in the trace already: it is put there once. Mutable."""

    def __init__(self, events: EventQueue) -> None:
        self._events = events
        self._seqs: dict[str, tuple[int, str]] = {}  # dot -> seq of its `Handed`, and where

    def meet(self, node: str, life: int, number: int, item: TimelineItem) -> int | None:
        """The seq of what led to its being shown at this node; None: it began there."""
        dot = str(item.event.dot)
        met = self._seqs.get(dot)
        if met is None:
            handed = Handed(
                number=number,
                ref=dot,
                via=item.via,
                wall_ms=item.received_at_ms,
                facts=facts_of(item.event, TEXT_MAX),
            )
            met = self._seqs[dot] = self._events.put(node, life, handed), node
            if len(self._seqs) > MET_MAX:
                del self._seqs[next(iter(self._seqs))]
        seq, where = met
        return None if item.via == "local" and where != node else seq


class NodeFeed:
    """Mutable. Silent until `begin`, and after `end`."""

    def __init__(
        self,
        at: NodeLocation,
        context: zmq.Context[zmq.Socket[bytes]],
        events: EventQueue,
        met: Met,
    ) -> None:
        self.node = at.name
        self.socket: zmq.Socket[bytes] = context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, FRAMES_MAX)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 50)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        self.socket.subscribe(b"")
        if at.is_remote:
            monitor = dialling(at, "observer").connect(self.socket)
            self.socket.disable_monitor()
            monitor.close(linger=0)
        else:
            self.socket.connect(f"ipc://{at.feed}")
        self.missed = 0  # arrivals that the feed left out
        self.unread = 0  # of these, those that were not read from the timeline
        self.seen = 0  # the number of the last arrival that is in the trace
        self.life = 0
        self.log = ""
        self._events = events
        self._met = met
        self._heard = 0  # the greatest number that the feed has named
        self._until: int | None = None  # a gap is read up to this number
        self._fills = float(FILL_MAX)  # arrivals that may be read to fill gaps
        self._refilled_us = 0
        self._shown: deque[str] = deque(maxlen=SHOWN_MAX)
        self._loading: list[TimelineItem] | None = None
        self._asked = 0  # arrivals of the snapshot that is read
        self._offset = 0  # where the page that was asked for begins

    @property
    def following(self) -> bool:
        return self.life > 0 and self._loading is None

    # --- lives ----------------------------------------------------------------------------------

    def begin(self, life: int, log: str) -> None:
        """A life has begun: what it shows is read, before the feed is followed."""
        self.life, self.log = life, log
        self._loading, self._asked, self._until = [], 0, None

    def end(self) -> None:
        self.life, self._loading, self._until = 0, None, None

    # --- the feed -------------------------------------------------------------------------------

    def frames(self, most: int) -> Iterator[tuple[int, TimelineItem]]:
        """What has come, up to so much."""
        for _ in range(most):
            try:
                arrival = feed_decoder.decode(self.socket.recv(zmq.NOBLOCK))
            except zmq.Again:
                return
            except MsgspecError:
                continue  # a newer node: its timeline is still read
            yield arrival.number, arrival.item

    def announce(self, number: int, item: TimelineItem) -> None:
        """Where an event was made it is there first, whichever feed is read first."""
        if self.following and item.via == "local" and number == self.seen + 1:
            self._met.meet(self.node, self.life, number, item)

    def take(self, number: int, item: TimelineItem) -> None:
        if not self.following or number <= self.seen:
            return
        if number > self.seen + 1:
            self.missed += max(number - 1 - max(self._heard, self.seen), 0)
            self._heard = max(self._heard, number)
            if self._may_fill(number):
                return  # the timeline has it
            self._skip(number - 1)
        self._heard = max(self._heard, number)
        self._show(number, item)

    def behind(self, arrivals: int, before: int) -> None:
        """A status says how many arrivals there are, and the one before it, how many there were.

        What was there at the one before should have come; and if nothing much came since, the
        burst is over, and its end is read.
        """
        calm = arrivals - before <= CALM_MAX
        if not self.following or self._until is not None or self.seen >= before or not calm:
            return
        self.missed += max(arrivals - max(self._heard, self.seen), 0)
        self._heard = max(self._heard, arrivals)
        self._skip(arrivals - LOAD_MAX)
        self._until = arrivals

    # --- the timeline ---------------------------------------------------------------------------

    def request(self, number: int) -> ReadTimeline | None:
        """What is to be asked next, if anything is."""
        if self._loading is not None:
            arrivals = self._asked or None
            return ReadTimeline(
                number, "arrival", LOAD_MAX, arrivals=arrivals, offset=len(self._loading)
            )
        if self._until is not None:
            self._offset = self.seen
            return ReadTimeline(number, "arrival", arrivals=self._until, offset=self._offset)
        return None

    def page(self, page: TimelinePage) -> None:
        if self._loading is not None:
            self._loading += page.items
            self._asked = page.arrivals
            if len(self._loading) >= page.total or not page.items:
                self._boot(page.arrivals, self._loading)
        elif self._until is not None:
            for number, item in enumerate(page.items, start=self._offset + 1):
                if number > self.seen:
                    self._skip(number - 1)
                    self._show(number, item)
            if not page.items:
                self._skip(self._until)
            if self.seen >= self._until:
                self._until = None

    # --- inside ---------------------------------------------------------------------------------

    def _may_fill(self, until: int) -> bool:
        now_us = self._events.now_us
        more = (now_us - self._refilled_us) * FILL_PER_S / 1e6
        self._fills, self._refilled_us = min(self._fills + more, FILL_MAX), now_us
        need = until - max(self._until or 0, self.seen)
        if need > self._fills:
            return False
        self._fills -= need
        self._until = until
        return True

    def _skip(self, to: int) -> None:
        self.unread += max(to - self.seen, 0)
        self.seen = max(to, self.seen)

    def _show(self, number: int, item: TimelineItem) -> None:
        dot = str(item.event.dot)
        cause = self._met.meet(self.node, self.life, number, item)
        data = Visible(index=number, ref=dot, via=item.via, skewed=item.skewed)
        self._events.put(self.node, self.life, data, cause)
        self._shown.append(dot)
        self.seen = number

    def _boot(self, arrivals: int, items: list[TimelineItem]) -> None:
        first = arrivals - len(items) + 1
        dots = [str(item.event.dot) for item in items]
        for number, item in enumerate(items, start=first):
            self._met.meet(self.node, self.life, number, item)
        self._shown = deque([*self._older(first, dots), *dots], maxlen=SHOWN_MAX)
        boot = Boot(
            disk="same" if arrivals else "new",
            recovered=(),
            arrivals=tuple(self._shown),
            clean=True,
            must_open_epoch="",
            log=self.log,
        )
        self._events.put(self.node, self.life, boot)
        self.seen = self._heard = arrivals
        self._loading = None

    def _older(self, first: int, dots: list[str]) -> list[str]:
        """What was shown before number `first`, if this is still the history that was seen."""
        before = list(self._shown)
        index = len(before) - (self.seen - first + 1)  # of that number
        overlap = before[max(index, 0) :]
        same = overlap == dots[: len(overlap)] if index >= 0 else True
        kept = 0 <= index <= len(before) and same
        return before[:index] if kept else []
