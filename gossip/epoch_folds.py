"""Epoch folds: many closed logs of one origin in one line, so that restarts do not grow a summary.

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

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TypeVar

from msgspec import Struct

from domain.dot import EPOCH_MAX, LogId
from gossip.delta import FOLD_BYTES, LINE_BYTES, line_bytes, room_beside
from gossip.frontier import Frontier
from gossip.log import Log
from gossip.logs import Logs
from gossip.packets import EpochFold, Line
from gossip.reconcile import Lack, Strategy
from gossip.root import root_of

KEPT = 4  # logs of one origin that keep a line because they were begun last
ITEMS_SHARED = 4096  # lines and folds of all origins together, once there are more than 800
NAMED_LOGS_MAX = 128  # of those kept only because they are forked or disputed; they take turns
PARTS = 16  # of a fold that is opened
LISTED_MAX = 32  # logs in a range that is told in lines
OPENED_BYTES_MAX = 32 * 1024  # of what is opened in one packet
LACKED_MAX = 1024  # logs without a line that one leg looks into: as many as a delta may begin
UNTOLD_MAX = 512  # logs with more in a line of theirs that one packet asks for
LEGS = 6  # Unfolds after the first one in an exchange: 16^6 logs and more
_NOTHING = root_of(0, 0)

Row = TypeVar("Row")


class FoldSummary(Struct, frozen=True, gc=False):
    """What one packet says of what its sender holds."""

    lines: list[Line]
    folds: list[EpochFold]
    whole: bool = True  # of everything; False: of the epochs of its folds and no others


class Compared(Struct, frozen=True, gc=False):
    lacks: list[Lack]  # what we hold and they do not
    differing: list[EpochFold]  # theirs, of which neither side knows yet what is different
    partial: bool  # of some log they told a part of what they hold, and the next line tells another


class LinedLogs:
    """The logs that have a line in a packet, by origin and epoch."""

    __slots__ = ("_logs",)

    def __init__(self, logs: Iterable[Log]) -> None:
        self._logs: dict[str, list[Log]] = {}
        for log in logs:
            self._logs.setdefault(log.id.origin, []).append(log)
        for own in self._logs.values():
            if len(own) > 1:
                own.sort(key=_epoch_of)

    def of(self, origin: str) -> list[Log]:
        return self._logs.get(origin, [])

    def between(self, origin: str, first: int, last: int) -> list[Log]:
        own = self._logs.get(origin, [])
        low, high = bisect_left(own, first, key=_epoch_of), bisect_right(own, last, key=_epoch_of)
        return own[low:high]


class EpochFolds:
    """Summaries of a frontier with folds in them. Holds no more than whose turn it is.

    What does not fit into one packet takes turns: each `next_...` moves on to another part.
    """

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        # Whose turn it is: one count for each thing that takes turns, so that none keeps step with
        # another; and where packets differ only in whom they are for, one for each peer.
        self._named_turn: dict[str, int] = {}
        self._opened_turn = 0
        self._lacking_turn = 0
        self._untold_turn = 0

    # --- saying it ----------------------------------------------------------------------------

    def next_summary(self, frontier: Frontier, differing: Sequence[EpochFold] = ()) -> FoldSummary:
        """All that is held. Of these folds of theirs ours are opened, unless they hold more."""
        named = self._named(frontier)
        kept_max = _kept_max(frontier)
        lined: list[Log] = []
        folds: list[EpochFold] = []
        for origin, logs in frontier.by_origin:
            kept = _kept(frontier, origin, logs, kept_max)
            if kept is None:
                lined += logs.by_epoch
                continue
            own = kept + [log for log in named.get(origin, ()) if log not in kept]
            own.sort(key=_epoch_of)
            lined += own
            if len(own) < len(logs):
                folds.append(_fold(origin, 1, EPOCH_MAX, logs.sum(0, len(logs)), own))
        if differing:
            lined, folds = self._opened(frontier, differing, lined, folds)
        return FoldSummary(self.strategy.next_lines(frontier, lined), folds)

    def _named(self, frontier: Frontier) -> dict[str, list[Log]]:
        """The forked and disputed logs whose turn it is to be named even if they are old."""
        naming = frontier.naming.in_order()
        if len(naming) > NAMED_LOGS_MAX:
            first = self._named_turn.get(frontier.listener, 0) % len(naming)
            self._named_turn[frontier.listener] = first + NAMED_LOGS_MAX
            naming = _window(naming, first, NAMED_LOGS_MAX)
        named: dict[str, list[Log]] = {}
        for log_id in naming:
            log = frontier.get(log_id)
            if log is not None and log.count:
                named.setdefault(log_id.origin, []).append(log)
        return named

    def _opened(
        self,
        frontier: Frontier,
        differing: Sequence[EpochFold],
        lined: list[Log],
        folds: list[EpochFold],
    ) -> tuple[list[Log], list[EpochFold]]:
        """The summary with those of our folds opened of which they hold no more than we do."""
        counts = {fold.origin: fold.count for fold in folds}
        ours = [fold for fold in differing if fold.count <= counts.get(fold.origin, -1)]
        ours = [fold for fold in ours if (fold.first, fold.last) == (1, EPOCH_MAX)]
        lined_logs = LinedLogs(lined)
        listed, parts = self._parts_of_all(
            frontier, ours, lined_logs, _room(frontier, lined, folds)
        )
        opened = {fold.origin for fold in parts}
        rest = [fold for fold in folds if fold.origin not in opened]
        return lined + listed, sorted(rest + parts, key=_place_of)

    def unfold(self, frontier: Frontier, differing: Sequence[EpochFold]) -> FoldSummary:
        """What we hold in these folds of theirs, in more detail."""
        listed, folds = self._parts_of_all(frontier, differing, LinedLogs(()), OPENED_BYTES_MAX)
        folds.sort(key=_place_of)
        return FoldSummary(self.strategy.next_lines(frontier, listed), folds, whole=False)

    def _parts_of_all(
        self, frontier: Frontier, differing: Sequence[EpochFold], lined_logs: LinedLogs, room: int
    ) -> tuple[list[Log], list[EpochFold]]:
        """Logs to list and parts of our folds, as many as there is room for, in turns."""
        listed: list[Log] = []
        folds: list[EpochFold] = []
        if not differing:
            return listed, folds
        first = self._opened_turn % len(differing)
        self._opened_turn += 1
        for fold in [*differing[first:], *differing[:first]]:
            logs = frontier.of(fold.origin)
            if folds and room < _opened_bytes(fold, logs, lined_logs):
                continue  # nothing is looked at that has no room
            own, parts = _parts(fold, logs, lined_logs)
            cost = sum(_line_bytes(frontier, log) for log in own) + len(parts) * _fold_bytes(fold)
            if cost > room and folds:
                continue
            room -= cost
            listed += own
            folds += parts
        return listed, folds

    # --- comparing it -------------------------------------------------------------------------

    def hear(self, frontier: Frontier, theirs: FoldSummary) -> None:
        """Learn what they claim to hold."""
        self.strategy.hear(frontier, theirs.lines)

    def next_comparison(self, frontier: Frontier, theirs: FoldSummary) -> Compared:
        """What they lack of ours, and where that cannot be said yet. `hear` comes before."""
        partial = any(line.partial for line in theirs.lines)
        lined = (frontier.get(LogId(line.origin, line.epoch)) for line in theirs.lines)
        lined_logs = LinedLogs(log for log in lined if log is not None and log.count)
        differing: list[EpochFold] = []
        lacked: list[Log] = []
        for fold in theirs.folds:
            left_out = _left_out(frontier.of(fold.origin), fold, lined_logs)
            if left_out is None:
                differing.append(fold)
            else:
                lacked += left_out
        if theirs.whole:
            lacked += _unspoken(frontier, theirs.folds, lined_logs)
        few = self._few(frontier, lacked)
        lacks = self.strategy.next_lacks(frontier, theirs.lines, few)
        if not theirs.whole:
            differing += _wanted(frontier, theirs)
        return Compared(lacks, differing, partial or len(few) < len(lacked))

    def next_untold(
        self, frontier: Frontier, theirs: FoldSummary, beside: Sequence[EpochFold]
    ) -> list[EpochFold]:
        """Of each log where a line of theirs has more than we hold, and no line of ours tells what.

        In our fold they cannot see what we lack there, so it is we who must say what we hold. What
        is in one of the folds beside is told with that one. Many take turns.
        """
        kept_max = _kept_max(frontier)
        kept_of: dict[str, list[Log] | None] = {}
        untold: dict[LogId, EpochFold] = {}
        for line in theirs.lines:
            origin, epoch = line.origin, line.epoch
            log_id = LogId(origin, epoch)
            log = frontier.get(log_id)
            if not (_has_more(line, log) and frontier.room(log_id)):
                continue
            if origin not in kept_of:
                kept_of[origin] = _kept(frontier, origin, frontier.of(origin), kept_max)
            kept = kept_of[origin]
            if kept is not None and log not in kept and _fold_at(beside, log_id) is None:
                untold[log_id] = EpochFold(origin, epoch, epoch, 0, _NOTHING)
        folds = list(untold.values())
        if len(folds) > UNTOLD_MAX:
            first = self._untold_turn % len(folds)
            self._untold_turn = first + UNTOLD_MAX
            folds = _window(folds, first, UNTOLD_MAX)
        return folds

    def _few(self, frontier: Frontier, lacked: list[Log]) -> list[Log]:
        """As many of these as one delta has room for, in turns, and what is written in now."""
        if len(lacked) <= LACKED_MAX:
            return lacked
        first = self._lacking_turn % len(lacked)
        self._lacking_turn = first + LACKED_MAX
        few, all_lacked = _window(lacked, first, LACKED_MAX), set(lacked)
        written = [frontier.get(log_id) for log_id in frontier.places.all_written()]
        first_of_all = [log for log in written if log in all_lacked and log not in few]
        return first_of_all + few


def _kept_max(frontier: Frontier) -> int:
    """How many logs of one origin keep a line because they are new."""
    return min(KEPT, max(ITEMS_SHARED // max(frontier.origins, 1) - 1, 1))


def _kept(frontier: Frontier, origin: str, logs: Logs, kept_max: int) -> list[Log] | None:
    """The logs of this origin that keep a line because they are new; None: all have one."""
    if len(logs.by_epoch) <= kept_max + 1:
        return None
    return logs.kept(frontier.places.written(origin).epoch, kept_max)


def _window(rows: list[Row], first: int, size: int) -> list[Row]:
    """So many from the first on, as if the beginning came after the end."""
    return rows[first : first + size] + rows[: max(first + size - len(rows), 0)]


def _opened_bytes(fold: EpochFold, logs: Logs, lined_logs: LinedLogs) -> int:
    """What it takes at least to open this fold."""
    low, high = logs.span(fold.first, fold.last)
    listed = high - low - len(lined_logs.between(fold.origin, fold.first, fold.last))
    return listed * LINE_BYTES if listed <= LISTED_MAX else PARTS // 2 * FOLD_BYTES


def _parts(fold: EpochFold, logs: Logs, lined_logs: LinedLogs) -> tuple[list[Log], list[EpochFold]]:
    """Few logs are listed, and the fold says that there are no others; many become parts."""
    origin, (low, high) = fold.origin, logs.span(fold.first, fold.last)
    if high - low <= LISTED_MAX + len(lined := lined_logs.between(origin, fold.first, fold.last)):
        listed = [log for log in logs.by_epoch[low:high] if log not in lined]
        return listed, [EpochFold(origin, fold.first, fold.last, 0, _NOTHING)]
    size = -(-(high - low) // PARTS)
    begins = range(low, high, size)
    firsts = [fold.first] + [logs.by_epoch[at].id.epoch for at in begins[1:]]
    lasts = [first - 1 for first in firsts[1:]] + [fold.last]
    parts = []
    for at, first, last in zip(begins, firsts, lasts, strict=True):
        within = logs.sum(at, min(at + size, high))
        parts.append(_fold(origin, first, last, within, lined_logs.between(origin, first, last)))
    return [], parts


def _left_out(logs: Logs, fold: EpochFold, lined_logs: LinedLogs) -> list[Log] | None:
    """Those of ours begun last, without which the rest is their fold; None: unknown."""
    low, high = logs.span(fold.first, fold.last)
    lined = lined_logs.between(fold.origin, fold.first, fold.last)
    total, count = _less(logs.sum(low, high), lined)
    left_out: list[Log] = []
    if count > fold.count:
        spoken = {log.id.epoch for log in lined}
        for log in logs.newest(low, high):
            if count <= fold.count:
                break
            if log.id.epoch not in spoken:
                total, count = total - log.total, count - log.count
                left_out.append(log)
    if count == fold.count and root_of(total, count) == fold.root:
        return left_out
    return None


def _unspoken(frontier: Frontier, folds: list[EpochFold], lined_logs: LinedLogs) -> list[Log]:
    """Those of ours that have no line and are in no fold of a packet that speaks of everything."""
    folds_of = {origin: list(group) for origin, group in groupby(folds, key=_origin_of)}
    unspoken: list[Log] = []
    for origin, logs in frontier.by_origin:
        if origin not in folds_of:
            count = len(lined_logs.of(origin))
            if not count:
                unspoken += logs.by_epoch
            if not count or count == len(logs.by_epoch):
                continue
        first = 1
        gaps: list[tuple[int, int]] = []
        for fold in folds_of.get(origin, ()):
            gaps.append((first, fold.first - 1))
            first = fold.last + 1
        gaps.append((first, EPOCH_MAX))
        for begin, end in gaps:
            low, high = logs.span(begin, end)
            if low < high:
                spoken = {log.id.epoch for log in lined_logs.between(origin, begin, end)}
                between = logs.by_epoch[low:high]
                unspoken += [log for log in between if log.id.epoch not in spoken]
    return unspoken


def _wanted(frontier: Frontier, theirs: FoldSummary) -> list[EpochFold]:
    """The folds of theirs that are told in lines, where a line has what we do not hold."""
    wanted: dict[tuple[str, int], EpochFold] = {}
    for line in theirs.lines:
        log_id = LogId(line.origin, line.epoch)
        fold = _fold_at(theirs.folds, log_id)
        if fold is None or fold.count:
            continue
        log = frontier.get(log_id)
        if _has_more(line, log) or (log is not None and _is_to_be_named(line, log)):
            wanted[_place_of(fold)] = fold
    return list(wanted.values())


def _fold_at(folds: Sequence[EpochFold], log: LogId) -> EpochFold | None:
    """Which of these folds, in order and apart, speaks of this log."""
    at = bisect_right(folds, (log.origin, log.epoch), key=_place_of) - 1
    if at < 0 or folds[at].origin != log.origin or log.epoch > folds[at].last:
        return None
    return folds[at]


def _is_to_be_named(line: Line, log: Log) -> bool:
    """Whether our line, which has tags, tells them what positions do not."""
    return log.disputed or (log.forked and not line.tags)


def _has_more(line: Line, log: Log | None) -> bool:
    """Whether it tells of positions that are not held here."""
    if log is None or line.prefix > log.prefix:
        return True
    return any(True for positions in line.ranges for _ in log.held.missing_from(*positions))


def _fold(
    origin: str, first: int, last: int, within: tuple[int, int], lined: Iterable[Log]
) -> EpochFold:
    """Of what adds up to `within`, less the logs that have a line."""
    total, count = _less(within, lined)
    return EpochFold(origin, first, last, count, root_of(total, count))


def _less(within: tuple[int, int], lined: Iterable[Log]) -> tuple[int, int]:
    total, count = within
    for log in lined:
        total, count = total - log.total, count - log.count
    return total, count


def _room(frontier: Frontier, lined: list[Log], folds: list[EpochFold]) -> int:
    left = room_beside([], folds) - sum(_line_bytes(frontier, log) for log in lined)
    return min(left, OPENED_BYTES_MAX)


def _line_bytes(frontier: Frontier, log: Log) -> int:
    return line_bytes(log.id.origin, min(log.held.parts, frontier.ranges_max))


def _fold_bytes(fold: EpochFold) -> int:
    return FOLD_BYTES + len(fold.origin.encode())


def _origin_of(fold: EpochFold) -> str:
    return fold.origin


def _epoch_of(log: Log) -> int:
    return log.id.epoch


def _place_of(fold: EpochFold) -> tuple[str, int]:
    return fold.origin, fold.first
