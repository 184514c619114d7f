"""Pushes news to peers without being asked: the fast path; anti-entropy repairs what it misses.

Up to `direct_peers_max` peers, own new entries go straight to all of them (`direct`). With more,
they are rumors (`gossip.rumor`), told to `fanout` random peers every `rumor_ms`. Peers that hold
back (`gossip.holders`) get none.
"""

from random import Random

from gossip.config import GossipConfig
from gossip.delta import runs_of
from gossip.entry import Entry
from gossip.holders import Holders
from gossip.mail import Mail
from gossip.membership import Membership, State
from gossip.packets import Push, Run
from gossip.rounds import sample
from gossip.rumor import Rumors


class Pushing:
    """Mutable; not thread-safe. Counts into `counters`."""

    def __init__(
        self,
        members: Membership,
        mail: Mail,
        config: GossipConfig,
        rng: Random,
        counters: dict[str, int],
        *,
        direct: bool,
    ) -> None:
        self._members, self._mail, self._config, self._rng = members, mail, config, rng
        self._counters = counters
        self._direct = direct  # own entries go straight to all peers
        self.holders = Holders()
        self.rumors = Rumors(config.rumor_k, config.delta_bytes_max)
        self.offered: list[Entry] = []
        self._receipt = False
        self._tell_next_ms = 0

    def offer(self, entry: Entry, *, receipt: bool) -> None:
        """A new own entry, for the next flush."""
        self.offered.append(entry)
        self._receipt |= receipt

    def hear(self, runs: list[Run]) -> None:
        """A rumor of a peer brought these. Where own news goes straight to all, nobody passes any
        on: a peer could make each node send all that it says to all the others, time and again.
        """
        if not self._direct:
            self.rumors.learn(runs)

    def flush(self, *, awaits_receipts: bool) -> None:
        """What was offered goes out."""
        packets = runs_of(self.offered, self._config.delta_bytes_max)
        receipt = self._receipt
        self.offered, self._receipt = [], False
        if not self._direct:
            for runs in packets:
                self.rumors.learn(runs)
            self._tell(receipt=awaits_receipts)
            return
        peers = self._takers()
        for runs in packets:
            self._send(peers, runs, direct=True, receipt=receipt)

    def tick(self, now_ms: int, *, awaits_receipts: bool) -> None:
        if not self._direct and self.rumors and now_ms >= self._tell_next_ms:
            self._tell_next_ms = now_ms + self._config.rumor_ms
            self._tell(receipt=awaits_receipts)

    @property
    def wake_at_ms(self) -> int | None:
        return None if self._direct or not self.rumors else self._tell_next_ms

    def _tell(self, *, receipt: bool) -> None:
        for peer in sample(self._rng, self._takers(), self._config.fanout):
            # The token is needed before the packet is made: feedback will name it.
            runs = self.rumors.tell(self._mail.next_token, self._config.delta_bytes_max)
            self._send([peer], runs, direct=False, receipt=receipt)

    def _takers(self) -> list[str]:
        """The peers to push to: they seem to be there, and have not asked to be sent nothing."""
        live = self._members.names(State.ALIVE, State.SUSPECT)
        takers = self.holders.takers(live)
        self._counters["pushes_held"] = self.holders.held
        return takers

    def _send(self, peers: list[str], runs: list[Run], *, direct: bool, receipt: bool) -> None:
        self._mail.send(peers, Push(runs, direct, receipt))
        self._counters["entries_sent"] += len(peers) * sum(len(run.data) for run in runs)
