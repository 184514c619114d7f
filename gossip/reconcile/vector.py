"""Version vector with ranges: one line per log, so the cost follows the logs, not the entries.

A line is a prefix, the ranges above it and the tag at the prefix. Because every log is a hash
chain, that one tag vouches for the whole prefix; above the prefix, where both sides hold the same
positions, a sum of tags does. If one of them differs, the log has two histories. Then both sides
name their entries by tag, until each holds both branches.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from domain.dot import LogId
from domain.seqset import SEQ_MAX, SeqSet
from gossip.frontier import Frontier
from gossip.log import Log, numbers_of
from gossip.meter import ENTRY_BYTES, STEP_BYTES
from gossip.packets import Line
from gossip.reconcile import Lack

RUN_MAX = 64  # tags that are compared at once
UNHELD_MAX = 1024  # entries at positions that they do not hold, listed beside a window of tags


class Vector:
    name = "vector+ranges"

    def next_lines(self, frontier: Frontier, logs: Iterable[Log] | None = None) -> list[Line]:
        return frontier.next_lines(logs)

    def hear(self, frontier: Frontier, theirs: Iterable[Line]) -> None:
        frontier.meter.begin()
        for log_id, line in _by_log(theirs).items():
            log = frontier.get(log_id)
            if log is not None and _is_ours(line, log):
                continue
            log = frontier.claim(log_id, line.ranges[-1][1] if line.ranges else line.prefix)
            if log is not None:
                frontier.confirm(log, line.prefix, line.head)
                if line.above and log.above_of(line.ranges) not in (None, line.above):
                    frontier.dispute(log)

    def next_lacks(
        self, frontier: Frontier, theirs: Iterable[Line], unnamed: Iterable[Log] | None = None
    ) -> list[Lack]:
        lines = _by_log(theirs)
        ours: Iterable[Log] = frontier
        if unnamed is not None:
            known = map(frontier.get, lines)
            ours = chain((log for log in known if log is not None), unnamed)
        lacks = []
        for log in ours:
            line = lines.get(log.id)
            if not log.count or (line is not None and _is_ours(line, log)):
                continue
            lack = self._lack(frontier, log, line)
            if lack.count:
                lacks.append(lack)
        return lacks

    def _lack(self, frontier: Frontier, log: Log, line: Line | None) -> Lack:
        if line is not None and not (line.ranges or line.tags or log.held.parts):
            # Two prefixes: nearly every line of a sound cluster.
            first, last = line.prefix + 1, log.prefix
            return Lack(
                log, [(first, last)] if first <= last else [], [], max(last - line.prefix, 0)
            )
        if line is None and log.held.whole and not frontier.meter.spent():
            frontier.meter.spend(2 * STEP_BYTES)
            return Lack(log, [(1, log.prefix)], [], log.prefix)
        held = SeqSet()
        first, last = 1, SEQ_MAX
        if line is not None and (line.prefix or line.ranges):
            if line.tags:
                return self._lack_by_tag(frontier, log, line)
            # Also where the log is disputed: a position that they do not hold is lacking there,
            # whichever branch they mean. What they hold with other bytes, tags will tell.
            if frontier.meter.spent():
                return Lack(log, [], [], 0)  # in a later exchange
            frontier.meter.spend(STEP_BYTES * len(line.ranges))
            if line.prefix:
                held.add_range(1, line.prefix)
            for low, high in line.ranges:
                held.add_range(low, high)
            first, last = line.tags_first, line.tags_last or SEQ_MAX
        ranges: list[tuple[int, int]] = []
        for low, high in log.held.within(first, last):
            if frontier.meter.spent():
                break  # the rest in a later exchange
            gaps = list(held.missing_from(low, high))
            frontier.meter.spend(STEP_BYTES * (1 + len(gaps)))
            ranges += gaps
        return Lack(log, ranges, [], sum(high - low + 1 for low, high in ranges))

    def _lack_by_tag(self, frontier: Frontier, log: Log, line: Line) -> Lack:
        """A long backlog comes in parts. Looking for it goes on where it stopped the last time."""
        frontier.dispute(log)  # answer by tag, too
        theirs = set(numbers_of(line.tags))
        first, last = line.tags_first, line.tags_last or SEQ_MAX
        at = log.probed if first <= log.probed <= last else first
        log.probed = 0
        lacking: list[tuple[int, bytes]] = []
        if frontier.meter.spent():
            return Lack(log, [], lacking, 0)
        for low, high in _unheld(log, line, first, last):
            for seq, _, data in frontier.tagged(log, low, high):
                if frontier.meter.spent() or len(lacking) >= UNHELD_MAX:
                    break
                frontier.meter.spend(len(data) + ENTRY_BYTES + STEP_BYTES)
                lacking.append((seq, data))

        def most() -> int:
            return min(frontier.meter.affords(ENTRY_BYTES), RUN_MAX)

        for seq, tags, first_data in _rows(frontier, log, (at, last), theirs, most):
            if frontier.meter.spent():
                log.probed = seq
                break
            frontier.meter.spend(len(first_data) + ENTRY_BYTES * len(tags))
            lacked = [tag for tag in tags if numbers_of(tag)[0] not in theirs]
            frontier.meter.spend(STEP_BYTES * len(lacked))
            lacking += [(seq, frontier.data_of(log, seq, tag, first_data)) for tag in lacked]
        return Lack(log, [], lacking, len(lacking))


def _rows(
    frontier: Frontier,
    log: Log,
    within: tuple[int, int],
    theirs: set[int],
    most: Callable[[], int],
) -> Iterator[tuple[int, list[bytes], bytes]]:
    """What is to be looked at by position: (seq, tags, what was read).

    Where all tags of some positions, `most` at once, are theirs, that is paid here and no more.
    """
    for seq, tags, first_data in frontier.runs_of_tags(log, *within, most):
        if isinstance(tags, list):
            yield seq, tags, first_data
        elif theirs.issuperset(tags):
            frontier.meter.spend(ENTRY_BYTES * len(tags))
        else:
            yield from frontier.tags(log, seq, seq + len(tags) - 1)


def _by_log(lines: Iterable[Line]) -> dict[LogId, Line]:
    return {LogId(line.origin, line.epoch): line for line in lines}


def _is_ours(line: Line, log: Log) -> bool:
    """What we would say: nothing is to be learnt, and nothing lacks."""
    return line == log.last_line and not log.tagged


def _unheld(log: Log, line: Line, first: int, last: int) -> list[tuple[int, int]]:
    """What we hold above their prefix, outside of the window of tags, and they in no branch.

    That takes no tags. So what is written after a fork does not wait until the tags of all that
    was written before have had their turn, nor does what was lost on the way.
    """
    if line.ranges and not line.above:
        return []  # they told a part of their ranges, and not which
    held = SeqSet(line.ranges)
    if first <= last:  # a peer may tell of an empty window
        held.add_range(first, last)
    unheld: list[tuple[int, int]] = []
    for low, high in log.held.within(line.prefix + 1, SEQ_MAX):
        unheld += held.missing_from(low, high)
        if len(unheld) > UNHELD_MAX:
            break
    return unheld
