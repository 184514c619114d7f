"""The inbox of a replica: what has come and waits for a turn. Pure.

Commands and the journal's progress come first, in the order in which they came. Packets wait in one
queue for each configured peer, and one for all other senders together. Peers take turns by deficit
round-robin (Shreedhar and Varghese 1995), and one turn takes a bounded number of bytes, and ends
sooner where that takes long (`node.core.turn_loop`): so a peer that sends without a pause delays
neither people nor the other peers by more than one turn.

While people give commands (here, or elsewhere as pushes show), each sender has a small share of
the node's processor time (`SHARE_US_PER_MS`). The time that its packets took, decoding included, is
charged to it. A sender that owes more than `OWED_US_MAX` rests until time has paid it back, and
meanwhile nothing is read of it (`node.sockets.gate`). So at most that share of what people wait for
is one peer's work, whatever it asks. A new entry of a log that a configured node writes in pays
`CURRENT_ENTRY_US`, because peers who bring what people say need time for comparisons as well. Of
other new entries those of a long run are free and single ones are charged, because anybody can make
up origins and epochs. Processor time is charged, not wall time: nobody owes for a busy machine.

Rules
- Each queue is bounded, in packets and bytes. What finds no room is dropped and counted: gossip
  repairs what is missing.
- Packets of one sender keep their order.
- Of a sender that rests few packets wait, so that what they take in memory is small, too.
- Without people nobody rests: a peer that catches up may have all of the time.
- A newer progress of the journal takes the place of one that waits just before it.
- Commands are bounded by whoever lets them in, progress by its kind: one batch in flight reports
  one success, or one failure.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from gossip.packets import Push
from node.core.interface import Input, Persisted, Received, Submit

LANE_PACKETS_MAX = 4096  # of one sender
LANE_BYTES_MAX = 16 * 1024 * 1024
TURN_BYTES = 256 * 1024  # of packets in one turn; at least one packet
PACKET_COST_BYTES = 1024  # what a small packet counts at least: it takes work, too
QUANTUM_BYTES = 32 * 1024
SHARE_US_PER_MS = 16  # of the time, for one sender while there are people
OWED_US_MAX = 5000  # more than this, and a sender rests
SAVED_US_MAX = 20_000  # of what entries have paid
RESTING_BYTES_MAX = 1024 * 1024  # of packets that wait meanwhile
RESTING_PACKETS_MAX = 256
OLD_ENTRY_US = 15  # what any other new one pays, of what its own packet took and no more
CURRENT_ENTRY_US = 250  # what a new entry pays, of a log that a configured node writes in
PEOPLE_MS = 1000  # since the last command, or push of one, there have been people


class Lane:
    """The packets of one sender. Mutable."""

    __slots__ = ("bytes", "credit", "owed_us", "packets", "since_ms", "unheard")

    def __init__(self) -> None:
        self.packets: deque[Received] = deque()
        self.bytes = 0
        self.credit = 0  # what it may take in this round, or has taken too much
        self.owed_us = 0  # of time, when it was looked at last; negative: it has saved some
        self.since_ms = 0
        self.unheard = 0  # dropped for want of room

    @property
    def rests(self) -> bool:
        return self.owed_us > OWED_US_MAX

    def pay(self, now_ms: int) -> None:
        """Time has passed."""
        if self.owed_us > 0:
            paid_us = (now_ms - self.since_ms) * SHARE_US_PER_MS
            self.owed_us = max(self.owed_us - paid_us, 0)
        self.since_ms = now_ms

    @property
    def rested_ms(self) -> int:
        """When it rests no more."""
        return self.since_ms - (OWED_US_MAX - self.owed_us) // SHARE_US_PER_MS

    def full(self, size: int) -> bool:
        """Whether there is no room for one more packet, of this size."""
        if self.owed_us > OWED_US_MAX and self.packets:
            few = len(self.packets) < RESTING_PACKETS_MAX
            return not few or self.bytes + size > RESTING_BYTES_MAX
        return len(self.packets) >= LANE_PACKETS_MAX or self.bytes + size > LANE_BYTES_MAX


class Inbox:
    """Mutable; not thread-safe."""

    __slots__ = (
        *("_busy", "_commands", "_lanes", "_own", "_packets", "_people", "_people_ms"),
        "_strangers",
    )

    def __init__(self, peers: Iterable[str]) -> None:
        self._own: list[Input] = []
        self._lanes = {peer: Lane() for peer in peers}
        self._strangers = Lane()
        self._busy: deque[Lane] = deque()  # those with packets, the next one first
        self._packets = 0
        self._commands = False  # some have come since it was looked at last
        self._people = False
        self._people_ms = -1  # until then there are

    def __len__(self) -> int:
        return len(self._own) + self._packets

    @property
    def unheard(self) -> int:
        """Packets dropped for want of room."""
        return self._strangers.unheard + sum(lane.unheard for lane in self._lanes.values())

    def add(self, item: Input) -> bool:
        """False: there is no room for this packet."""
        if type(item) is Received:
            return self._add_packet(item)
        own = self._own
        if own and type(item) is Persisted and type(own[-1]) is Persisted:
            own[-1] = item
        else:
            own.append(item)
            self._commands |= type(item) is Submit
        return True

    def _add_packet(self, item: Received) -> bool:
        lane = self._lanes.get(item.packet.sender, self._strangers)
        if self._people:
            lane.owed_us += item.decoded_us
        if lane.full(item.size):
            lane.unheard += 1
            return False
        if not lane.packets:
            self._busy.append(lane)
        lane.packets.append(item)
        lane.bytes += item.size
        self._packets += 1
        return True

    def own(self, count: int) -> list[Input]:
        """At most so many commands and words of the journal, which come before packets."""
        own = self._own
        if len(own) <= count:
            self._own = []
            return own
        self._own = own[count:]
        return own[:count]

    def look(self, now_ms: int) -> None:
        """Time has passed, and there may be people."""
        if self._commands:
            self._commands, self._people_ms = False, now_ms + PEOPLE_MS
        self._people = now_ms < self._people_ms
        for lane in self._busy:
            lane.pay(now_ms)
            if not self._people:
                lane.owed_us = 0

    def rests_ms(self, sender: str, now_ms: int) -> int:
        """For how long nothing of this sender will be taken; 0: it will."""
        lane = self._lanes.get(sender, self._strangers)
        if not lane.rests or now_ms >= self._people_ms:
            return 0
        return max(lane.rested_ms - now_ms, 0)

    def charge(self, item: Received, took_us: int, new: int, current: int, now_ms: int) -> None:
        """So long did this packet take, with so many new entries; some of logs written in now."""
        if not took_us:
            return
        if current and type(item.packet.body) is Push:
            self._people_ms = now_ms + PEOPLE_MS  # somebody talks elsewhere
        if self._people:
            lane = self._lanes.get(item.packet.sender, self._strangers)
            lane.pay(now_ms)
            owed_us = max(took_us - OLD_ENTRY_US * (new - current), 0)
            owed_us += lane.owed_us - CURRENT_ENTRY_US * current
            lane.owed_us = max(owed_us, -SAVED_US_MAX)

    @property
    def due_ms(self) -> int | None:
        """When packets that wait may be taken: 0 is now; None: nothing waits."""
        if self._own:
            return 0
        if not self._busy:
            return None
        return min(lane.rested_ms if lane.rests else 0 for lane in self._busy)

    def packets(self, count: int) -> Iterator[Received]:
        """At most so many packets, for one turn. What is not asked for waits on."""
        busy, left, resting = self._busy, TURN_BYTES, 0
        while resting < len(busy) and left > 0 and count > 0:
            lane = busy[0]
            busy.rotate(-1)
            if lane.rests:
                resting += 1
                continue
            resting = 0
            lane.credit += QUANTUM_BYTES
            packets = lane.packets
            while packets and lane.credit > 0 and left > 0 and count > 0 and not lane.rests:
                item = packets.popleft()
                if not packets:
                    busy.remove(lane)
                    lane.credit = min(lane.credit, 0)  # what it took too much it pays back
                size = item.size
                cost = max(PACKET_COST_BYTES, size)
                lane.bytes -= size
                lane.credit -= cost
                self._packets -= 1
                left -= cost
                count -= 1
                yield item

    def clear(self) -> None:
        self._own = []
        for lane in self._busy:
            lane.packets.clear()
            lane.bytes = 0
        self._busy.clear()
        self._packets = 0
