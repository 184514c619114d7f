"""Drill of `node.core.inbox.Inbox`: the bounded, fair queue of inputs of a replica.

The model keeps one list of packets for each peer, one that all unknown senders share, and the
order of turns. Random steps: add own inputs, add packets of many sizes from peers and strangers,
take own inputs, take packets, clear. Order, refusals and counts must be equal after each step.
Left out: what the replica does with an input (see `living`).
"""

from random import Random

from domain.commands import Join
from gossip.packets import PROTOCOL_VERSION, Packet, Receipt
from lab.drills.beside import holds, same
from node.core.inbox import (
    LANE_BYTES_MAX,
    LANE_PACKETS_MAX,
    PACKET_COST_BYTES,
    QUANTUM_BYTES,
    TURN_BYTES,
    Inbox,
)
from node.core.interface import Input, Persisted, Received, Submit
from node.core.ports import AckLevel

PEERS = ("n2", "n3", "n4")
STEPS = 14


class Model:
    """Packets by sender, in lists. All unknown senders share one list."""

    def __init__(self) -> None:
        self.own: list[Input] = []
        self.waiting: dict[str, list[Received]] = {peer: [] for peer in (*PEERS, "")}
        self.credit = dict.fromkeys(self.waiting, 0)
        self.turns: list[str] = []  # who has something, the next one first
        self.unheard = 0

    def add(self, item: Received) -> bool:
        lane = item.packet.sender if item.packet.sender in PEERS else ""
        waiting = self.waiting[lane]
        size = sum(one.size for one in waiting) + item.size
        if len(waiting) == LANE_PACKETS_MAX or size > LANE_BYTES_MAX:
            self.unheard += 1
            return False
        if not waiting:
            self.turns.append(lane)
        waiting.append(item)
        return True

    def packets(self, count: int) -> list[Received]:
        taken: list[Received] = []
        left = TURN_BYTES
        while self.turns and left > 0 and len(taken) < count:
            lane = self.turns.pop(0)
            self.turns.append(lane)
            self.credit[lane] += QUANTUM_BYTES
            while self.waiting[lane] and self.credit[lane] > 0 and left > 0 and len(taken) < count:
                item = self.waiting[lane].pop(0)
                if not self.waiting[lane]:
                    self.turns.remove(lane)
                    self.credit[lane] = min(self.credit[lane], 0)
                cost = max(item.size, PACKET_COST_BYTES)
                self.credit[lane] -= cost
                left -= cost
                taken.append(item)
        return taken

    def clear(self) -> None:
        self.own = []
        self.turns = []
        self.waiting = {lane: [] for lane in self.waiting}


def inboxes(rng: Random) -> None:
    inbox, model = Inbox(PEERS), Model()
    made = 0
    for step in range(STEPS):
        match rng.randrange(6):
            case 0:
                for _ in range(rng.randint(1, 3)):
                    made += 1
                    item: Input = Persisted(made, made)
                    if rng.random() < 0.5:
                        item = Submit(made, Join("ann"), AckLevel.WRITTEN)
                    holds("add", inbox.add(item))
                    newer = bool(model.own) and type(item) is type(model.own[-1]) is Persisted
                    model.own[len(model.own) - newer :] = [item]
            case 1 if step > STEPS // 2 and rng.random() < 0.2:
                inbox.clear()
                model.clear()
            case 1 | 2:
                count = rng.randint(0, 3)
                same("own", inbox.own(count), model.own[:count])
                model.own = model.own[count:]
            case 3:
                count = rng.choice((1, 3, 1000))
                same("packets", list(inbox.packets(count)), model.packets(count))
            case _:
                _send(rng, inbox, model, made)
                made += 50
        waiting = sum(map(len, model.waiting.values()))
        same("len", len(inbox), waiting + len(model.own))
        same("unheard", inbox.unheard, model.unheard)
    while model.turns:
        same("the rest", list(inbox.packets(1000)), model.packets(1000))
    same("nothing", list(inbox.packets(1000)), [])


def _send(rng: Random, inbox: Inbox, model: Model, number: int) -> None:
    sender = rng.choice((*PEERS, "x1", "x2"))
    sizes = rng.choice(((60, 90), (1000, 1100), (9000, 40_000), (900_000, 1_000_000)))
    for at in range(rng.choice((1, 4, 20))):
        size = rng.randint(*sizes)
        packet = Packet(
            version=PROTOCOL_VERSION,
            cluster=1,
            sender=sender,
            incarnation=1,
            number=number + at,
            body=Receipt([]),
        )
        item = Received(packet, size)
        same("room", inbox.add(item), model.add(item))
