"""Notes about forked logs: `fork_found`, once for each log in a life of the node.

A log is forked when one of its positions is claimed by two entries, or its chain does not fit
(`gossip.frontier`). Forks that the journal already holds at a start are not reported again.
"""

from collections.abc import Iterable

from domain.dot import LogId
from gossip.entry import Entry
from gossip.frontier import Frontier
from node.core.ports import Fields, Note


class Forks:
    """Mutable; not thread-safe."""

    def __init__(self, frontier: Frontier) -> None:
        self._frontier = frontier
        self._reported: set[LogId] = set()

    def boot(self) -> None:
        """What the journal knows of has been told in an earlier life."""
        self._reported = {log.id for log in self._frontier if log.forked}

    def watch(self, entries: Iterable[Entry]) -> list[Note]:
        """These entries are new here: what they tell of forks."""
        notes: list[Note] = []
        if not self._frontier.naming:  # as nearly always
            return notes
        for log_id in dict.fromkeys([entry.dot.log for entry in entries]):
            log = self._frontier.get(log_id)
            assert log is not None
            if log.forked and log_id not in self._reported:
                self._reported.add(log_id)
                fields: Fields = {"origin": log_id.origin, "log": str(log_id), "prefix": log.prefix}
                notes.append(Note("fork_found", "error", fields))
        return notes
