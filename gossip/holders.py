"""Peers that cannot keep entries now and have asked for none (budget 0): they get no pushes.

Nothing is pushed to them until they name another budget, or agree with us, which names none. If
such a peer still keeps nothing, this costs one push in vain: the roots differ then, and the next
exchange says so again.
"""


class Holders:
    """Mutable; not thread-safe."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self.held = 0  # pushes that were not sent

    def heed(self, peer: str, budget_bytes: int) -> None:
        """A peer said how many bytes of entries it takes."""
        if budget_bytes:
            self._names.discard(peer)
        else:
            self._names.add(peer)

    def agreed(self, peer: str) -> None:
        self._names.discard(peer)

    def takers(self, peers: list[str]) -> list[str]:
        """Those of these peers that a push may go to; the others are counted."""
        if not self._names:
            return peers
        takers = [peer for peer in peers if peer not in self._names]
        self.held += len(peers) - len(takers)
        return takers
