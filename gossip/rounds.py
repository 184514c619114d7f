"""Decides when to call which peer: rounds, selection and backoff.

Rules
- Peers are taken in a shuffled order, each once before any twice (SWIM, section 4.3): the time
  until a given peer is called is bounded, not just expected.
- While something is new, a round every `round_ms`; each proof of agreement stretches the pause
  up to `idle_round_ms`; any news shortens it again. A peer that has just proved agreement with us,
  on its own call or on ours, is not called again within the pause.
- One exchange per peer is open at a time; one that is not answered in time is a missed one.
- Two that meet with the same two different roots again and again teach each other nothing. After
  some such meetings the peer is left alone ever longer, up to `idle_round_ms`; any news ends it.
  After that the next such meetings come sooner to this end, until something is learnt in a round
  with this peer, or both agree: two nodes without room for each other's logs differ for good.
- A summary of many lines is work for both sides, so the pause is as long as befits the last one,
  up to `idle_round_ms`: news goes out in pushes meanwhile.
- One dead peer is probed every `dead_round_ms`, so that a healed partition is noticed.

All draws come from the injected generator; all times are monotonic milliseconds of the caller.
"""

from collections.abc import Sequence
from random import Random

from msgspec import Struct

from gossip.config import GossipConfig
from gossip.membership import Member, Membership, State

PATIENCE = 8  # meetings in vain before a peer is left alone: packets get lost
LINES_FEW = 512  # lines and folds of a summary that ask for no longer pause
LINES_PER_MS = 4  # of a longer one, for each millisecond of the pause
_STRETCH = 1.5
_JITTER = 0.2  # of the pause, so that nodes started together do not stay in step


class Exchange(Struct, frozen=True, gc=False):
    """An exchange that we began and that is not answered yet."""

    token: int  # by which the answer will name it
    sent_ms: int
    said_lines: bool


class Rounds:
    def __init__(self, members: Membership, config: GossipConfig, rng: Random) -> None:
        self._members = members
        self._config = config
        self._rng = rng
        self._pause_ms = config.round_ms
        self._large_ms = 0  # the least pause, because the last summary had many lines
        self._next_ms = 0
        self._dead_next_ms = 0
        self._order: list[str] = []
        self._open: dict[str, Exchange] = {}
        self._agreed_ms: dict[str, int] = {}
        self._roots: dict[str, bytes] = {}
        self._met: dict[str, tuple[bytes, bytes]] = {}  # the two roots, when they differed last
        self._vain: dict[str, int] = {}  # how often the same two were named since
        self._rest_ms: dict[str, int] = {}  # until then this peer is left alone
        self._stale: set[str] = set()  # left alone before, and nothing has come of it since
        self.calm = False  # the last finished exchange proved agreement, and no news since

    def start(self, now_ms: int) -> None:
        """The first round comes soon, but not at the same instant on all nodes of a restart."""
        self._next_ms = now_ms + self._rng.randrange(1 + self._config.round_ms // 10)
        self._dead_next_ms = now_ms + self._config.dead_round_ms

    # --- what happened ------------------------------------------------------------------------

    def opened(self, peer: str, exchange: Exchange) -> None:
        self._open.pop(peer, None)
        self._open[peer] = exchange  # the oldest first

    def said(self, lines: int) -> None:
        """The call just made says so many lines and folds."""
        pause_ms = lines // LINES_PER_MS if lines > LINES_FEW else 0
        self._large_ms = min(pause_ms, self._config.idle_round_ms)

    def answered(self, peer: str, token: int) -> Exchange | None:
        """The exchange that this answers, now closed; None if it is late or unknown."""
        exchange = self._open.get(peer)
        if exchange is None or exchange.token != token:
            return None
        return self._open.pop(peer)

    def agreed(self, peer: str, root: bytes, now_ms: int, *, hurry: bool = False) -> None:
        """`hurry`: there is something to ask all the same, so rounds do not slow down."""
        self._agreed_ms[peer] = now_ms
        self._rest_ms.pop(peer, None)
        self._stale.discard(peer)
        self._roots[peer] = root
        if not hurry:
            self._pause_ms = min(int(self._pause_ms * _STRETCH) + 1, self._config.idle_round_ms)
        self.calm = True

    def doubted(self, peer: str, root: bytes) -> None:
        """It names another root than ours, too late for more to be said of it."""
        self._roots[peer] = root
        self._agreed_ms.pop(peer, None)
        self.calm = False

    def differed(
        self, peer: str, root: bytes, ours: bytes, now_ms: int, patience: int = PATIENCE
    ) -> bool:
        """True: so they did the last time, with these very roots."""
        self._roots[peer] = root
        self._agreed_ms.pop(peer, None)
        vain = self._vain[peer] = self._vain[peer] + 1 if self._met.get(peer) == (root, ours) else 0
        self._met[peer] = (root, ours)
        if peer in self._stale:
            patience = max(patience - PATIENCE + 1, 1)
        if vain <= patience:
            self.news(now_ms)
            return vain > 0
        self.calm = False
        self._stale.add(peer)
        config, steps = self._config, min(vain - patience, 64)
        rest_ms = min(int(config.round_ms * _STRETCH**steps), config.idle_round_ms)
        self._rest_ms[peer] = now_ms + self._jittered(rest_ms)
        return True

    def learnt(self, peer: str) -> None:
        """A round with this peer has brought something."""
        self._stale.discard(peer)

    def news(self, now_ms: int) -> None:
        """Something is new here: peers may lack it, so rounds come fast again."""
        self.calm = False
        self._agreed_ms.clear()
        self._rest_ms.clear()
        if self._pause_ms > self._config.round_ms:
            self._pause_ms = self._config.round_ms
            next_ms = now_ms + self._jittered(max(self._pause_ms, self._large_ms))
            self._next_ms = min(self._next_ms, next_ms)

    def agrees(self, peer: str, root: bytes) -> bool:
        """The last root this peer named is this one."""
        return self._roots.get(peer) == root

    def busy(self, peer: str) -> bool:
        return peer in self._open

    # --- what to do ---------------------------------------------------------------------------

    def expire(self, now_ms: int) -> list[str]:
        """Closes and returns the exchanges that were not answered in time."""
        limit = now_ms - self._config.exchange_timeout_ms
        if not self._open or next(iter(self._open.values())).sent_ms > limit:
            return []
        late = [peer for peer, exchange in self._open.items() if exchange.sent_ms <= limit]
        for peer in late:
            del self._open[peer]
            self._agreed_ms.pop(peer, None)
        return late

    def take_due(self, now_ms: int) -> list[str]:
        """The peers to call now, at most one live and one dead."""
        called = []
        if now_ms >= self._next_ms:
            self._next_ms = now_ms + self._jittered(max(self._pause_ms, self._large_ms))
            live = self._pick(now_ms)
            if live is not None:
                called.append(live)
        if now_ms >= self._dead_next_ms:
            self._dead_next_ms = now_ms + self._jittered(self._config.dead_round_ms)
            if self._members.dead_count:
                dead = self._members.names(State.DEAD)
                name = dead[self._rng.randrange(len(dead))]
                if name not in self._open:
                    called.append(name)
        return called

    @property
    def wake_at_ms(self) -> int:
        wake_ms = self._next_ms
        if self._dead_next_ms < wake_ms and self._members.dead_count:
            wake_ms = self._dead_next_ms
        if self._open:
            oldest = next(iter(self._open.values()))
            late_ms = oldest.sent_ms + self._config.exchange_timeout_ms
            wake_ms = min(wake_ms, late_ms)
        return wake_ms

    def _pick(self, now_ms: int) -> str | None:
        """The next in the shuffled order that is not dead, not busy and not just agreed."""
        for _ in range(2):
            while self._order:
                name = self._order.pop()
                member = self._members.get(name)
                if member is not None and self._worth(member, now_ms):
                    return name
            self._order = self._members.names(State.ALIVE, State.SUSPECT)
            shuffle(self._rng, self._order)
        return None

    def _worth(self, member: Member, now_ms: int) -> bool:
        if member.state is State.DEAD or member.name in self._open:
            return False
        if member.state is State.SUSPECT:
            return True
        if now_ms < self._rest_ms.get(member.name, 0):
            return False
        agreed_ms = self._agreed_ms.get(member.name)
        return agreed_ms is None or now_ms - agreed_ms >= self._pause_ms

    def _jittered(self, pause_ms: int) -> int:
        spread = int(pause_ms * _JITTER)
        return pause_ms - spread + below(self._rng, 2 * spread + 1) or 1


def below(rng: Random, n: int) -> int:
    """As `rng.randrange(n)`, from the same bits, without its checks: every call begins with it."""
    bits = n.bit_length()
    drawn = rng.getrandbits(bits)
    while drawn >= n:
        drawn = rng.getrandbits(bits)
    return drawn


def shuffle(rng: Random, names: list[str]) -> None:
    """As `rng.shuffle(names)`, from the same bits."""
    for last in range(len(names) - 1, 0, -1):
        at = below(rng, last + 1)
        names[last], names[at] = names[at], names[last]


def sample(rng: Random, names: Sequence[str], k: int) -> list[str]:
    """k different names, uniformly; all of them if there are no more."""
    return rng.sample(names, k) if len(names) > k else list(names)
