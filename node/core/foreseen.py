"""Presence as it will be once the own events on their way to the disk are visible."""

from domain.presence import Presence, PresenceOf, presence_of
from node.core.inflight import Inflight


class ExpectedPresence:
    """What `decide` is given: without it, somebody could join twice within one sync."""

    def __init__(self, presence: Presence, intake: Inflight) -> None:
        self._presence = presence
        self._intake = intake

    def of(self, author: str) -> PresenceOf | None:
        pending = self._intake.pending_of(author)
        return self._presence.of(author) if pending is None else presence_of(pending.event)
