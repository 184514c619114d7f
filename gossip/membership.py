"""Believes each peer alive, suspect or dead, by missed exchanges, with incarnations.

After SWIM (Das, Gupta, Motivala 2002, section 4.2), with anti-entropy exchanges as the probes.

Rules
- A belief is never a fact. Suspicion blocks no write, stops no probe and deletes nothing.
- Hearing from a node is better evidence than any opinion about it.
- What others say raises an incarnation by a bounded step and so often, here as at the node that
  it is about: so a node can always refute, however high the incarnation it is called dead in. The
  header of a packet in its name does no more.
- Only a node itself raises its incarnation, to refute: `alive` of a higher incarnation overrides
  `suspect` and `dead` of a lower one. Between equal incarnations dead > suspect > alive.

            missed exchanges              silent for dead_ms
    alive  ------------------>  suspect  -------------------->  dead
      ^                            |                              |
      +---- heard from it, or alive with a higher incarnation ----+

A change of belief is passed on a few times, riding on packets that are sent anyway, and then
cools, so that an idle cluster exchanges nothing about members.
"""

from collections.abc import Iterator
from enum import IntEnum
from math import ceil, log2

from msgspec import Struct

from gossip.incarnation import NUMBER_MAX, START
from gossip.packets import Opinion

OPINIONS_PER_PACKET_MAX = 8
# What a packet may raise an incarnation by, once in `trust_ms`: a million starts. Without a bound,
# a peer that calls another one dead in the last incarnation of all could never be refuted.
LEAP_MAX = 1 << 30


class State(IntEnum):
    ALIVE = 0
    SUSPECT = 1
    DEAD = 2


_STATES = tuple(State)  # by number


class Change(Struct, frozen=True, gc=False):
    """A belief that has just changed; `because` is one of missed, silent, heard, told."""

    name: str
    state: State
    incarnation: int
    because: str


class Member:
    """Mutable."""

    __slots__ = (
        *("heard_ms", "incarnation", "leapt_ms", "misses", "name", "retells", "since_ms", "state"),
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = State.ALIVE
        self.incarnation = 0
        self.heard_ms: int | None = None  # monotonic; None: not yet
        self.since_ms = 0  # when the state was entered; a suspicion, in its incarnation
        self.misses = 0
        self.leapt_ms: int | None = None  # when an opinion last raised it by more than a start
        self.retells = 0  # how often the belief is still to be passed on


class Membership:
    def __init__(
        self,
        node: str,
        incarnation: int,
        peers: tuple[str, ...],
        *,
        suspect_after_misses: int,
        dead_ms: int,
        trust_ms: int,
    ) -> None:
        assert node not in peers
        self.node = node
        self.incarnation = incarnation
        self._suspect_after = suspect_after_misses
        self._dead_ms = dead_ms
        self._trust_ms = trust_ms  # an opinion about a peer heard this recently is not believed
        self._members = {name: Member(name) for name in peers}
        self._retells = 3 * ceil(log2(len(peers) + 2))  # lambda log n of SWIM, section 4.1
        self._own_retells = 0
        self._leapt_ms: int | None = None  # as of members, for the own incarnation
        self.changes: list[Change] = []  # since they were last taken
        # What most calls ask, kept at hand so that they cost nothing while all is well.
        self.suspecting = True  # somebody may be suspect
        self.dead_count = 0
        self._names: dict[tuple[State, ...], list[str]] = {}  # by states; emptied by a change
        self._has_news = False  # some belief may still have to be passed on

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def get(self, name: str) -> Member | None:
        return self._members.get(name)

    def names(self, *states: State) -> list[str]:
        names = self._names.get(states)
        if names is None:
            names = self._names[states] = [m.name for m in self if m.state in states]
        return names[:]

    def take_changes(self) -> list[Change]:
        """What changed since the last call."""
        changes, self.changes = self.changes, []
        return changes

    # --- evidence -----------------------------------------------------------------------------

    def heard(self, name: str, incarnation: int, now_ms: int) -> None:
        """A packet came from this peer."""
        member = self._members.get(name)
        if member is None:
            return
        member.heard_ms = now_ms
        member.misses = 0
        if incarnation > member.incarnation:
            self._raise(member, incarnation, now_ms)
        # With an older incarnation it does not know yet what is said about it. Whatever goes to it
        # tells it, and it will refute.
        if member.state is not State.ALIVE and incarnation >= member.incarnation:
            self._become(member, State.ALIVE, now_ms, "heard")

    def _raise(self, member: Member, incarnation: int, now_ms: int) -> None:
        """A header is no proof of who sent it: it raises an incarnation by no more than an opinion,
        or the peer itself could not go beyond what somebody else has sent in its name.
        """
        leap = incarnation - member.incarnation
        if leap > START:
            if self._recently(member.leapt_ms, now_ms):
                return
            member.leapt_ms = now_ms
        member.incarnation += min(leap, LEAP_MAX)

    def missed(self, name: str, now_ms: int) -> None:
        """An exchange with this peer was not answered."""
        member = self._members[name]
        member.misses += 1
        if member.state is State.ALIVE and member.misses >= self._suspect_after:
            self._become(member, State.SUSPECT, now_ms, "missed")

    def tick(self, now_ms: int) -> None:
        if not self.suspecting:
            return
        for member in self:
            if member.state is State.SUSPECT and now_ms - member.since_ms >= self._dead_ms:
                self._become(member, State.DEAD, now_ms, "silent")
        self.suspecting = any(member.state is State.SUSPECT for member in self)

    @property
    def wake_at_ms(self) -> int | None:
        """When the next suspicion runs out."""
        if not self.suspecting:
            return None
        ends = [m.since_ms + self._dead_ms for m in self if m.state is State.SUSPECT]
        return min(ends, default=None)

    def receive(self, opinion: Opinion, now_ms: int) -> None:
        """A third node passes on what it believes."""
        state = _STATES[opinion.state]
        if opinion.name == self.node:
            if state is not State.ALIVE and self.incarnation <= opinion.incarnation < NUMBER_MAX:
                self._refute(opinion.incarnation, now_ms)
            return
        member = self._members.get(opinion.name)
        if member is None or not self._overrides(opinion, member):
            return
        leap = opinion.incarnation - member.incarnation
        if leap > LEAP_MAX or (leap > START and self._recently(member.leapt_ms, now_ms)):
            return
        if leap > START:
            member.leapt_ms = now_ms
        fresh = member.heard_ms is not None and now_ms - member.heard_ms <= self._trust_ms
        if fresh and state is not State.ALIVE:
            return
        if state is State.SUSPECT and opinion.incarnation > member.incarnation:
            member.since_ms = now_ms  # it refuted in between: this suspicion is a new one
        member.incarnation = opinion.incarnation
        self._become(member, state, now_ms, "told")

    def _refute(self, incarnation: int, now_ms: int) -> None:
        """Go beyond it, or towards it in steps: whoever believes it says it again."""
        if incarnation - self.incarnation > START:
            if self._recently(self._leapt_ms, now_ms):
                return
            self._leapt_ms = now_ms
        self.incarnation = min(incarnation, self.incarnation + LEAP_MAX) + 1
        self._own_retells = self._retells

    def _recently(self, leapt_ms: int | None, now_ms: int) -> bool:
        return leapt_ms is not None and now_ms - leapt_ms < self._trust_ms

    @staticmethod
    def _overrides(opinion: Opinion, member: Member) -> bool:
        if opinion.state == State.ALIVE:
            return opinion.incarnation > member.incarnation
        return (opinion.incarnation, opinion.state) > (member.incarnation, member.state)

    def _become(self, member: Member, state: State, now_ms: int, because: str) -> None:
        if state is State.ALIVE:
            member.misses = 0
        member.retells = self._retells
        self._has_news = True
        if member.state is not state:
            self._names.clear()
            self.suspecting = True
            self.dead_count += (state is State.DEAD) - (member.state is State.DEAD)
            member.state = state
            member.since_ms = now_ms
            self.changes.append(Change(member.name, state, member.incarnation, because))

    # --- passing it on ------------------------------------------------------------------------

    def next_opinions(self, peer: str) -> list[Opinion]:
        """What rides on a packet to this peer; the freshest news first."""
        opinions: list[Opinion] = []
        if not (self._has_news or self.suspecting or self.dead_count or self._own_retells):
            return opinions
        about = self._members.get(peer)
        if about is not None and about.state is not State.ALIVE:
            # Whoever is doubted must hear it, or it can never refute.
            opinions.append(Opinion(peer, about.state, about.incarnation))
        if self._own_retells:
            self._own_retells -= 1
            opinions.append(Opinion(self.node, State.ALIVE, self.incarnation))
        if not self._has_news:
            return opinions
        self._has_news = any(member.retells for member in self)
        hot = [m for m in self if m.retells and m.name != peer]
        hot.sort(key=lambda member: -member.retells)
        for member in hot[: OPINIONS_PER_PACKET_MAX - len(opinions)]:
            member.retells -= 1
            opinions.append(Opinion(member.name, member.state, member.incarnation))
        return opinions
