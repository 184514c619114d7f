"""Places: bounds how many logs a node keeps of each origin, so that invented logs take no real
one's room.

Rules
- A name in the configuration (a peer's or the node's own) has places of its own. They depend on no
  other name, so nothing that anybody invents elsewhere can use them up.
- Anybody can invent epochs of a configured name, too. So each has two kinds of places: for logs
  that others tell of, and as many again for the one log that this node itself says it writes in.
  What a configured node writes now is taken, whatever was told about it before.
- All other names share `STRANGE_LOGS_MAX` logs of a bounded number of origins: first come, first
  kept. What is kept stays: entries are never dropped again to make room.
- What is in the node's own journal, or is its own, always has its place.
- A log of which nothing is held (a peer claims it) takes no place.

Which invented logs are kept depends on the order of arrival. Two nodes may so refuse different
ones, and their roots then differ for as long as they hold them; `refused` and `full` say so.
"""

from collections.abc import Iterable

from domain.dot import LogId

ORIGINS_MAX = 2048  # configured and strange; of each one packet has room for a line and a fold
STRANGE_LOGS_MAX = 4096  # of all origins together that nobody has configured
# Of one configured origin, of each of the two kinds. Where there are few of them each has more: a
# node that often stops uncleanly in a relaxed durability mode opens a log at each start.
EACH_MIN = 512
EACH_SHARED = 8192

STRANGE = ""  # in `full`: all origins that nobody has configured


class Places:
    """Mutable; not thread-safe."""

    def __init__(self, configured: Iterable[str] = ()) -> None:
        self._configured = frozenset(configured)
        self.each = max(EACH_SHARED // max(len(self._configured), 1), EACH_MIN)
        self._logs: dict[str, int] = {}  # how many of each origin
        self._strangers = 0  # origins that nobody has configured
        self._strange = 0  # logs of these
        self._vouched: dict[str, int] = {}  # of each configured one: taken on its own word
        self._written: dict[str, int] = {}  # the epoch it says that it writes in
        self.full: dict[str, int] = {}  # who was refused a place (STRANGE: all those) -> entries
        self.news: list[str] = []  # those who were refused one for the first time

        self.turn = 0  # which of the logs of one origin come first, where there are many

    def __len__(self) -> int:
        """How many logs have a place."""
        return sum(self._logs.values())

    @property
    def origins(self) -> int:
        """Of how many origins there are logs."""
        return len(self._logs)

    @property
    def refused(self) -> int:
        """Entries for which there was no place; the same one counts each time that it comes."""
        return sum(self.full.values())

    def write(self, log: LogId) -> None:
        """This node says that it writes in this log, and so in no earlier one; epoch 0: nothing."""
        if log.epoch and log.origin in self._configured:
            self._written[log.origin] = log.epoch

    def written(self, origin: str) -> LogId:
        """Where this configured node has said last that it writes; epoch 0: it has not."""
        return LogId(origin, self._written.get(origin, 0))

    def all_written(self) -> list[LogId]:
        """Where configured nodes have said last that they write."""
        return [LogId(origin, epoch) for origin, epoch in self._written.items()]

    def writes(self, log: LogId) -> bool:
        """Whether its origin, a configured node, has said last that it writes there."""
        return self._written.get(log.origin) == log.epoch

    def rank(self, log: LogId) -> int:
        """Whose logs come first: 0 what a configured node writes in, 1 its others, 2 strange."""
        if log.origin not in self._configured:
            return 2
        return 0 if self.writes(log) else 1

    def room(self, log: LogId) -> bool:
        """Whether there is a place for one more log, this one."""
        origin = log.origin
        if origin in self._configured:
            return self._told(origin) < self.each or (
                self.writes(log) and self._vouched.get(origin, 0) < self.each
            )
        known = origin in self._logs or self._strangers < ORIGINS_MAX - len(self._configured)
        return known and self._strange < STRANGE_LOGS_MAX

    def take(self, log: LogId) -> None:
        """A log begins; also where there is no room, for what is a node's own must be kept."""
        origin = log.origin
        if origin not in self._configured:
            self._strangers += origin not in self._logs
            self._strange += 1
        elif self.writes(log) and self._vouched.get(origin, 0) < self.each:
            self._vouched[origin] = self._vouched.get(origin, 0) + 1
        self._logs[origin] = self._logs.get(origin, 0) + 1

    def refuse(self, origin: str, entries: int) -> None:
        """There was no room for these entries of a log of this origin."""
        whose = origin if origin in self._configured else STRANGE
        if whose not in self.full:
            self.news.append(whose)
        self.full[whose] = self.full.get(whose, 0) + entries

    def take_news(self) -> list[str]:
        """Who was refused a place for the first time, since the last call."""
        news, self.news = self.news, []
        return news

    def _told(self, origin: str) -> int:
        return self._logs.get(origin, 0) - self._vouched.get(origin, 0)
