"""The inbox of a replica: what has come and waits for a turn. Pure.

Commands and the journal's progress come first, in the order in which they came. Packets wait in one
queue for each configured peer, and one for all other senders together. Peers take turns by deficit
round-robin (Shreedhar and Varghese 1995), and one turn takes a bounded number of bytes, and ends
sooner where that takes long (`node.turns`): so a peer that sends without a pause delays neither
people nor the other peers by more than one turn.

Rules
- Each queue is bounded, in packets and bytes. What finds no room is dropped and counted: gossip
  repairs what is missing.
- Packets of one sender keep their order.
- A newer progress of the journal takes the place of one that waits just before it.
- Commands are bounded by whoever lets them in, progress by its kind: one batch in flight reports
  one success, or one failure.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from node.turn import Input, Persisted, Received

LANE_PACKETS_MAX = 4096  # of one sender
LANE_BYTES_MAX = 16 * 1024 * 1024
TURN_BYTES = 256 * 1024  # of packets in one turn; at least one packet
PACKET_COST_BYTES = 1024  # what a small packet counts at least: it takes work, too
QUANTUM_BYTES = 32 * 1024


class Lane:
    """The packets of one sender. Mutable."""

    __slots__ = ("bytes", "credit", "packets", "unheard")

    def __init__(self) -> None:
        self.packets: deque[Received] = deque()
        self.bytes = 0
        self.credit = 0  # what it may take in this round, or has taken too much
        self.unheard = 0  # dropped for want of room


class Inbox:
    """Mutable; not thread-safe."""

    __slots__ = ("_busy", "_lanes", "_own", "_packets", "_strangers")

    def __init__(self, peers: Iterable[str]) -> None:
        self._own: list[Input] = []
        self._lanes = {peer: Lane() for peer in peers}
        self._strangers = Lane()
        self._busy: deque[Lane] = deque()  # those with packets, the next one first
        self._packets = 0

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
        return True

    def _add_packet(self, item: Received) -> bool:
        lane = self._lanes.get(item.packet.sender, self._strangers)
        if len(lane.packets) >= LANE_PACKETS_MAX or lane.bytes + item.size > LANE_BYTES_MAX:
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
        own, self._own = self._own[:count], self._own[count:]
        return own

    def packets(self, count: int) -> Iterator[Received]:
        """At most so many packets, for one turn. What is not asked for waits on."""
        left = TURN_BYTES
        while self._busy and left > 0 and count > 0:
            lane = self._busy[0]
            self._busy.rotate(-1)
            lane.credit += QUANTUM_BYTES
            while lane.packets and lane.credit > 0 and left > 0 and count > 0:
                item = lane.packets.popleft()
                if not lane.packets:
                    self._busy.remove(lane)
                    lane.credit = min(lane.credit, 0)  # what it took too much it pays back
                cost = max(item.size, PACKET_COST_BYTES)
                lane.bytes -= item.size
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
