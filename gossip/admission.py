"""Takes received runs of entries into the frontier: returns what is new, and counts the rest.

`OpenEntry` tells the engine what it must not know: given a claimed dot and bytes, it returns the
predecessor's chain hash and any value of the caller's, or None if the bytes are not that entry.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

from domain.dot import Dot, LogId
from gossip.entry import Entry, hash_of
from gossip.frontier import Added, Frontier
from gossip.packets import ENTRIES_MAX, LOGS_BEGUN_MAX, Run

Value = TypeVar("Value")
OpenEntry = Callable[[Dot, bytes], tuple[bytes, Value] | None]


COUNTERS = (
    *("rounds_begun", "rounds_same", "rounds_differed", "rounds_useless", "rounds_missed"),
    *("entries_sent", "entries_new", "entries_duplicate", "entries_rival"),
    *("entries_far", "entries_full", "entries_bad", "entries_unread", "strangers", "pushes_held"),
    *("comparisons_refused", "entries_current"),
)


class Share(Struct, gc=False):
    """How many entries of the packet at hand may still be opened, and how many logs begun."""

    left: int = ENTRIES_MAX
    begins: int = LOGS_BEGUN_MAX


class Learnt(Struct, Generic[Value], frozen=True, gc=False):
    """An entry that is new here, with what `open_entry` made of it."""

    entry: Entry
    value: Value
    rival: bool  # its position was held with other bytes: a fork


def learn(
    frontier: Frontier,
    open_entry: OpenEntry[Value],
    runs: list[Run],
    counters: dict[str, int],
    share: Share,
    *,
    pushed: bool,
) -> list[Learnt[Value]]:
    """Take these runs into the frontier: what of them is new here, in their order."""
    learnt: list[Learnt[Value]] = []
    if len(runs) > ENTRIES_MAX:
        counters["entries_unread"] += sum(len(run.data) for run in runs[ENTRIES_MAX:])
        runs = runs[:ENTRIES_MAX]
    for run in runs:
        log = LogId(run.origin, run.epoch)
        known = frontier.get(log)
        if not frontier.room(log):
            frontier.places.refuse(log.origin, len(run.data))
            counters["entries_full"] += len(run.data)
            continue
        if known is None and not share.begins:
            counters["entries_unread"] += len(run.data)
            continue
        before = len(learnt)
        for seq, data in enumerate(run.data, run.first):
            # Most of what comes goes to the end of its log, and cannot be held already.
            held = known is not None and seq <= known.held.last
            if held and known is not None and seq in known.held and frontier.meter.spent():
                counters["entries_unread"] += 1  # it comes again, if it is not the same
                continue
            if held and frontier.data_if_held(log, seq) == data:
                counters["entries_duplicate"] += 1
                continue
            if not share.left:  # the rest comes again
                counters["entries_unread"] += run.first + len(run.data) - seq
                break
            share.left -= 1
            dot = Dot(run.origin, run.epoch, seq)
            opened = open_entry(dot, data)
            if opened is None:
                counters["entries_bad"] += 1
                continue
            entry = Entry(dot, opened[0], hash_of(data), data)
            added = frontier.add(entry, pushed=pushed)
            if known is None:
                known = frontier.get(log)
                share.begins -= known is not None
            if added is Added.NEW or added is Added.RIVAL:
                learnt.append(Learnt(entry, opened[1], added is Added.RIVAL))
                counters["entries_new"] += 1
                counters["entries_rival"] += added is Added.RIVAL
            else:
                counters["entries_far" if added is Added.FAR else "entries_duplicate"] += 1
        if frontier.places.writes(log):
            counters["entries_current"] += len(learnt) - before
    return learnt
