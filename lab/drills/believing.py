"""Drill of `gossip.membership.Membership`: the SWIM state of each peer.

The model applies the rules of the states to one plain record for each peer. Random steps: a packet
of a peer, a missed answer, a timer, an opinion about this node or about a peer, with incarnations
near the known one and at their limits, and input that names an unknown peer. After each step the
state, incarnation, misses and time of each peer, and the list of changes, must be equal. Left out:
the choice of peers for a round and the packets (see `exchanging`).
"""

from dataclasses import dataclass
from math import ceil, log2
from random import Random

from gossip.incarnation import NUMBER_MAX, START
from gossip.membership import LEAP_MAX, OPINIONS_PER_PACKET_MAX, Membership, State
from gossip.packets import Opinion
from lab.drills.beside import same

MISSES, DEAD_MS, TRUST_MS = 2, 40, 15
STEPS = 40


@dataclass
class Peer:
    name: str
    state: State = State.ALIVE
    incarnation: int = 0
    misses: int = 0
    retells: int = 0
    since_ms: int = 0
    heard_ms: int = -1_000_000
    leapt_ms: int = -1_000_000


class Model:
    def __init__(self, incarnation: int, names: tuple[str, ...]) -> None:
        self.incarnation = incarnation
        self.peers = [Peer(name) for name in names]
        self.retells = 3 * ceil(log2(len(names) + 2))
        self.own_retells = 0
        self.leapt_ms = -1_000_000
        self.changes: list[tuple[str, State, int, str]] = []

    def become(self, peer: Peer, state: State, now_ms: int, because: str) -> None:
        peer.retells = self.retells
        if state is State.ALIVE:
            peer.misses = 0
        if peer.state is not state:
            peer.state, peer.since_ms = state, now_ms
            self.changes.append((peer.name, state, peer.incarnation, because))

    def heard(self, peer: Peer, incarnation: int, now_ms: int) -> None:
        peer.heard_ms, peer.misses = now_ms, 0
        leap = incarnation - peer.incarnation
        if leap > START and now_ms - peer.leapt_ms >= TRUST_MS:
            peer.leapt_ms = now_ms
            peer.incarnation += min(leap, LEAP_MAX)
        elif 0 < leap <= START:
            peer.incarnation = incarnation
        if peer.state is not State.ALIVE and incarnation >= peer.incarnation:
            self.become(peer, State.ALIVE, now_ms, "heard")

    def missed(self, peer: Peer, now_ms: int) -> None:
        peer.misses += 1
        if peer.state is State.ALIVE and peer.misses >= MISSES:
            self.become(peer, State.SUSPECT, now_ms, "missed")

    def tick(self, now_ms: int) -> None:
        for peer in self.peers:
            if peer.state is State.SUSPECT and now_ms >= peer.since_ms + DEAD_MS:
                self.become(peer, State.DEAD, now_ms, "silent")

    def told_of_itself(self, said: Opinion, now_ms: int) -> None:
        if said.state == State.ALIVE or not self.incarnation <= said.incarnation < NUMBER_MAX:
            return
        if said.incarnation - self.incarnation > START:
            if now_ms - self.leapt_ms < TRUST_MS:
                return
            self.leapt_ms = now_ms
        self.incarnation = min(said.incarnation, self.incarnation + LEAP_MAX) + 1
        self.own_retells = self.retells

    def told(self, peer: Peer, said: Opinion, now_ms: int) -> None:
        newer = said.incarnation > peer.incarnation
        stronger = said.incarnation == peer.incarnation and said.state > peer.state
        if not newer and not (stronger and said.state != State.ALIVE):
            return
        leap = said.incarnation - peer.incarnation
        if leap > LEAP_MAX or (leap > START and now_ms - peer.leapt_ms < TRUST_MS):
            return
        if leap > START:
            peer.leapt_ms = now_ms
        if said.state != State.ALIVE and now_ms - peer.heard_ms <= TRUST_MS:
            return
        if said.state == State.SUSPECT and newer:
            peer.since_ms = now_ms
        peer.incarnation = said.incarnation
        self.become(peer, State(said.state), now_ms, "told")

    def opinions_for(self, name: str) -> list[Opinion]:
        told = [_opinion(one) for one in self.peers if one.name == name and one.state]
        if self.own_retells:
            self.own_retells -= 1
            told.append(Opinion("n1", State.ALIVE, self.incarnation))
        hot = [one for one in self.peers if one.retells and one.name != name]
        hot.sort(key=lambda one: one.retells, reverse=True)
        for one in hot[: OPINIONS_PER_PACKET_MAX - len(told)]:
            one.retells -= 1
            told.append(_opinion(one))
        return told


def _opinion(peer: Peer) -> Opinion:
    return Opinion(peer.name, peer.state, peer.incarnation)


def believing(rng: Random) -> None:
    names = tuple(f"n{at}" for at in range(2, rng.choice((4, 6, 13))))
    first = rng.choice((0, 1, 5)) * START
    members = Membership(
        "n1", first, names, suspect_after_misses=MISSES, dead_ms=DEAD_MS, trust_ms=TRUST_MS
    )
    model, now_ms = Model(first, names), 0
    quick = rng.random() < 0.5
    for _ in range(STEPS):
        now_ms += rng.choice((0, 1, 7) if quick else (0, 7, TRUST_MS, DEAD_MS))
        peer = rng.choice(model.peers[:4])
        match rng.randrange(8):
            case 0 | 1:
                incarnation = max(_near(rng, peer.incarnation), 0)
                members.heard(peer.name, incarnation, now_ms)
                model.heard(peer, incarnation, now_ms)
            case 2 | 3:
                members.missed(peer.name, now_ms)
                model.missed(peer, now_ms)
            case 4:
                members.tick(now_ms)
                model.tick(now_ms)
            case 5:
                said = Opinion("n1", rng.randrange(3), max(_near(rng, model.incarnation), 0))
                members.receive(said, now_ms)
                model.told_of_itself(said, now_ms)
            case 6:
                said = Opinion(peer.name, rng.randrange(3), max(_near(rng, peer.incarnation), 0))
                members.receive(said, now_ms)
                model.told(peer, said, now_ms)
            case _:
                members.heard("x9", START, now_ms)
                members.receive(Opinion("x9", State.DEAD, START), now_ms)
                told = members.next_opinions(peer.name)
                same(f"opinions for {peer.name}", told, model.opinions_for(peer.name))
        _look(members, model)


def _near(rng: Random, incarnation: int) -> int:
    by = rng.choice((-1, 0, 0, 1, 2, START, START + 1, LEAP_MAX, LEAP_MAX + 1, NUMBER_MAX))
    return min(incarnation + by, NUMBER_MAX)


def _look(members: Membership, model: Model) -> None:
    for peer in model.peers:
        found = members.get(peer.name)
        assert found is not None
        seen = (found.state, found.incarnation, found.misses, found.since_ms)
        same(peer.name, seen, (peer.state, peer.incarnation, peer.misses, peer.since_ms))
    changes = [(one.name, one.state, one.incarnation, one.because) for one in members.changes]
    same("changes", changes, model.changes)
    if len(changes) > 4:
        same("taken", len(members.take_changes()), len(changes))
        same("taken again", members.take_changes(), [])
        model.changes = []
    same("incarnation", members.incarnation, model.incarnation)
    ends = [one.since_ms + DEAD_MS for one in model.peers if one.state is State.SUSPECT]
    same("wake", members.wake_at_ms, min(ends, default=None))
    by_state = {state: [p.name for p in model.peers if p.state is state] for state in State}
    same("dead_count", members.dead_count, len(by_state[State.DEAD]))
    for state in State:
        same(f"names {state.name}", members.names(state), by_state[state])
    same("all names", members.names(*State), [one.name for one in model.peers])
    same("no stranger", members.get("x9"), None)
