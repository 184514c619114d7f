"""Folds: the closed logs of one origin in one line, so that a summary does not grow with restarts.

Rules
- A fold is a statement about a range of epochs: all that I hold there and name in no line of this
  packet has this many entries and this root. So which logs to fold is the sender's choice, and
  nobody has to know the other's: what was begun last, what a configured node writes in, what is
  forked and what is disputed gets a line, the rest is folded.
- Equal folds need nothing. If leaving out the logs that were begun last here makes them equal, then
  exactly these are lacking there: that is a new epoch, or all those of a partition.
- Otherwise the fold is opened: smaller folds and at last lines, in `Unfold` packets that answer
  each other. Each is a function of the packet before it and of what is held now, and speaks of the
  epochs of its folds alone, so that any of them may be lost, doubled or late.
- Bounded: lines and folds of a summary (with the limits of `gossip.frontier`), the bytes of what is
  opened in one packet, the Unfolds of one exchange. What does not fit waits for a later exchange,
  and different folds go first in each.

Where a few logs differ one exchange finds them, in legs logarithmic in the number of logs. Where
all differ, each exchange settles as many as its bytes can name.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from heapq import nlargest
from itertools import groupby

from msgspec import Struct

from domain.dot import LogId
from gossip.delta import FOLD_BYTES, line_bytes, room_beside
from gossip.frontier import Frontier
from gossip.log import Log
from gossip.packets import EPOCH_MAX, Fold, Line
from gossip.reconcile import Lack, Strategy
from gossip.root import root_of, sum_of

KEPT = 4  # logs of one origin that keep a line because they were begun last
ITEMS_SHARED = 4096  # lines and folds of all origins together, once there are more than 800
NAMED_LOGS_MAX = 128  # of those kept only because they are forked or disputed; they take turns
PARTS = 16  # of a fold that is opened
LISTED_MAX = 32  # logs in a range that is told in lines
OPENED_BYTES_MAX = 32 * 1024  # of what is opened in one packet
LEGS = 6  # Unfolds after the first one in an exchange: 16^6 logs and more
_NOTHING = root_of(0, 0)


class Summary(Struct, frozen=True, gc=False):
    """What one packet says of what its sender holds."""

    lines: list[Line]
    folds: list[Fold]
    whole: bool = True  # of everything; False: of the epochs of its folds and no others


class Compared(Struct, frozen=True, gc=False):
    lacks: list[Lack]  # what we hold and they do not
    differing: list[Fold]  # theirs, of which neither side knows yet what is different
    partial: bool  # of some log they told a part of what they hold, and the next line tells another


class Folding:
    """Summaries of a frontier with folds in them. Holds whose turn it is, and what was said of an
    origin, for as long as that is true: thousands of old logs are not added up for each packet.
    """

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self._turn = 0
        self._of: Frontier | None = None
        self._grouped: tuple[list[Log], dict[str, list[Log]]] = ([], {})
        self._said: dict[str, tuple[tuple[int, int, LogId], list[Log], list[Fold]]] = {}

    # --- saying it ----------------------------------------------------------------------------

    def summarise(self, frontier: Frontier, differing: Sequence[Fold] = ()) -> Summary:
        """All that is held. Of these folds of theirs ours are opened, unless they hold more."""
        if self._of is not frontier:
            self._of = frontier
            self._said.clear()
        logs = frontier.in_order()
        kept_max = min(KEPT, max(ITEMS_SHARED // max(frontier.origins, 1) - 1, 1))
        named = self._named(logs)
        lined: list[Log] = []
        folds: list[Fold] = []
        naming = {log.origin for log in named}
        for origin, group in self._groups(logs).items():
            written = frontier.places.written(origin)
            now = (frontier.changes.get(origin, 0), kept_max, written)
            said = self._said.get(origin)
            if said is None or said[0] != now or origin in naming:
                said = (now, *_lined_and_folded(group, written, kept_max, named))
            if origin not in naming:
                self._said[origin] = said
            lined += said[1]
            folds += said[2]
        if differing:
            lined, folds = self._opened(frontier, differing, lined, folds)
        return Summary(self.strategy.summarise(frontier, lined), folds)

    def _groups(self, logs: list[Log]) -> dict[str, list[Log]]:
        """All logs by origin. The list is another one whenever a log has come or gone."""
        if self._grouped[0] is not logs:
            groups = {origin: list(group) for origin, group in groupby(logs, key=_origin_of)}
            self._grouped = (logs, groups)
            self._said = {origin: said for origin, said in self._said.items() if origin in groups}
        return self._grouped[1]

    def _named(self, logs: list[Log]) -> set[LogId]:
        """The forked and disputed logs whose turn it is to be named even if they are old."""
        naming = [log.id for log in logs if log.forked or log.disputed]
        if len(naming) <= NAMED_LOGS_MAX:
            return set(naming)
        first = self._turn % len(naming)
        self._turn = first + NAMED_LOGS_MAX
        return set((naming[first:] + naming[:first])[:NAMED_LOGS_MAX])

    def _opened(
        self, frontier: Frontier, differing: Sequence[Fold], lined: list[Log], folds: list[Fold]
    ) -> tuple[list[Log], list[Fold]]:
        """The summary with those of our folds opened of which they hold no more than we do."""
        counts = {fold.origin: fold.count for fold in folds}
        ours = [fold for fold in differing if fold.count <= counts.get(fold.origin, -1)]
        ours = [fold for fold in ours if (fold.first, fold.last) == (1, EPOCH_MAX)]
        told = {log.id for log in lined}
        listed, parts = self._parts_of_all(frontier, ours, told, _room(frontier, lined, folds))
        opened = {fold.origin for fold in parts}
        rest = [fold for fold in folds if fold.origin not in opened]
        return lined + listed, sorted(rest + parts, key=_place_of)

    def unfold(self, frontier: Frontier, differing: Sequence[Fold]) -> Summary:
        """What we hold in these folds of theirs, in more detail."""
        listed, folds = self._parts_of_all(frontier, differing, set(), OPENED_BYTES_MAX)
        folds.sort(key=_place_of)
        return Summary(self.strategy.summarise(frontier, listed), folds, whole=False)

    def _parts_of_all(
        self, frontier: Frontier, differing: Sequence[Fold], told: set[LogId], room: int
    ) -> tuple[list[Log], list[Fold]]:
        """Logs to list and parts of our folds, as many as there is room for, in turns."""
        listed: list[Log] = []
        folds: list[Fold] = []
        if not differing:
            return listed, folds
        first = self._turn % len(differing)
        self._turn += 1
        for fold in [*differing[first:], *differing[:first]]:
            logs = frontier.between(fold.origin, fold.first, fold.last)
            own, parts = _parts(fold, [log for log in logs if log.id not in told])
            cost = sum(_line_bytes(frontier, log) for log in own) + len(parts) * _fold_bytes(fold)
            if cost > room and folds:
                continue
            room -= cost
            listed += own
            folds += parts
        return listed, folds

    # --- comparing it -------------------------------------------------------------------------

    def compare(self, frontier: Frontier, theirs: Summary) -> Compared:
        """What they lack of ours, and where that cannot be said yet."""
        partial = any(line.partial for line in theirs.lines)
        if theirs.whole and not theirs.folds:
            return Compared(self.strategy.compare(frontier, theirs.lines), [], partial)
        lined = {LogId(line.origin, line.epoch) for line in theirs.lines}
        differing: list[Fold] = []
        lacked: list[Log] = []
        spoken = lined.copy()
        for fold in theirs.folds:
            logs = frontier.between(fold.origin, fold.first, fold.last)
            ours = [log for log in logs if log.id not in lined]
            spoken.update(log.id for log in ours)
            left_out = _left_out(ours, fold)
            if left_out is None:
                differing.append(fold)
            else:
                lacked += left_out
        if theirs.whole:
            lacked += [log for log in frontier.in_order() if log.held and log.id not in spoken]
        lacks = self.strategy.compare(frontier, theirs.lines, lacked)
        if not theirs.whole:
            differing += _wanted(frontier, theirs)
        return Compared(lacks, differing, partial)


def _lined_and_folded(
    group: list[Log], written: LogId, kept_max: int, named: set[LogId]
) -> tuple[list[Log], list[Fold]]:
    """Of the logs of one origin those that get a line, and the fold of the others."""
    own = [log for log in group if log.count]
    if len(own) <= kept_max + 1:
        return own, []
    newest = _kept(own, written, kept_max)
    lined = [log for log in own if log.id in newest or log.id in named]
    rest = [log for log in own if log.id not in newest and log.id not in named]
    return lined, [_fold(rest[0].id.origin, 1, EPOCH_MAX, rest)] if rest else []


def _kept(own: list[Log], written: LogId, most: int) -> set[LogId]:
    """The log that its origin says it writes in, if it is one of these; and those begun last."""
    newest = [log.id for log in nlargest(most, own, key=_age_of)]
    if written not in newest and any(log.id == written for log in own):
        newest[-1] = written
    return set(newest)


def _parts(fold: Fold, logs: list[Log]) -> tuple[list[Log], list[Fold]]:
    """Few logs are listed, and the fold says that there are no others; many become parts."""
    origin = fold.origin
    if len(logs) <= LISTED_MAX:
        return logs, [Fold(origin, fold.first, fold.last, 0, _NOTHING)]
    size = -(-len(logs) // PARTS)
    groups = [logs[at : at + size] for at in range(0, len(logs), size)]
    firsts = [fold.first] + [group[0].id.epoch for group in groups[1:]]
    lasts = [first - 1 for first in firsts[1:]] + [fold.last]
    return [], [_fold(origin, *part) for part in zip(firsts, lasts, groups, strict=True)]


def _left_out(ours: list[Log], fold: Fold) -> list[Log] | None:
    """Those of ours begun last, without which the rest is their fold; None: unknown."""
    total, count = sum_of(ours)
    left_out: list[Log] = []
    if count > fold.count:
        by_age = sorted(ours, key=_age_of)
        while count > fold.count:
            log = by_age.pop()
            total, count = total - log.total, count - log.count
            left_out.append(log)
    if count == fold.count and root_of(total, count) == fold.root:
        return left_out
    return None


def _wanted(frontier: Frontier, theirs: Summary) -> list[Fold]:
    """The folds of theirs that are told in lines, where a line has what we do not hold."""
    places = [_place_of(fold) for fold in theirs.folds]
    wanted: dict[int, Fold] = {}
    for line in theirs.lines:
        at = bisect_right(places, (line.origin, line.epoch)) - 1
        fold = theirs.folds[at] if at >= 0 else None
        if fold is None or fold.origin != line.origin or line.epoch > fold.last or fold.count:
            continue
        log = frontier.get(LogId(line.origin, line.epoch))
        if log is None or _has_more(line, log):
            wanted[at] = fold
    return list(wanted.values())


def _has_more(line: Line, log: Log) -> bool:
    if line.prefix > log.prefix or log.disputed:
        return True
    return any(True for told in line.ranges for _ in log.held.missing_from(*told))


def _fold(origin: str, first: int, last: int, logs: Iterable[Log]) -> Fold:
    total, count = sum_of(logs)
    return Fold(origin, first, last, count, root_of(total, count))


def _room(frontier: Frontier, lined: list[Log], folds: list[Fold]) -> int:
    left = room_beside([], folds) - sum(_line_bytes(frontier, log) for log in lined)
    return min(left, OPENED_BYTES_MAX)


def _line_bytes(frontier: Frontier, log: Log) -> int:
    return line_bytes(log.id.origin, min(log.held.parts, frontier.ranges_max))


def _fold_bytes(fold: Fold) -> int:
    return FOLD_BYTES + len(fold.origin.encode())


def _origin_of(log: Log) -> str:
    return log.id.origin


def _age_of(log: Log) -> int:
    return log.begun


def _place_of(fold: Fold) -> tuple[str, int]:
    return fold.origin, fold.first
