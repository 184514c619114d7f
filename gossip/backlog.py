"""Peers that are fetching a backlog: one that did not get all it asked for calls again at once.

While it does, our own calls to it send it nothing, or it would get twice what it is just fetching.
An answer that is lost ends the fetching: after the timeout of an exchange our calls serve it again.
"""


class Backlogs:
    """Mutable; not thread-safe."""

    def __init__(self, timeout_ms: int) -> None:
        self._timeout_ms = timeout_ms
        self._until_ms: dict[str, int] = {}

    def answered(self, peer: str, now_ms: int, *, more: bool) -> None:
        """This peer asked, and got all there is, or a part (`more`)."""
        self._until_ms[peer] = now_ms + self._timeout_ms if more else 0

    def fetches(self, peer: str, now_ms: int) -> bool:
        return now_ms < self._until_ms.get(peer, 0)
