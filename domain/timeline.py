"""The timeline is a projection: all events that a node has received, in an order for users to read.

There are three orders of the same arrivals. *Causal* sorts by `Arrival.key`: the hybrid logical
clock first, so that no answer stands above its question; it is the same on every node that holds
the same events. *Arrival* is the order of receipt at this node. *Author* groups the causal order by
participant.

How it works. Most arrivals have the largest key so far, and are appended. The others are *late*: a
user may have read the timeline without them, so they are counted (churn). Late arrivals wait in a
pending list. When the causal order is next read they are merged, with a few insertions or with one
sort of the part that they fall into. So neither a shuffled history nor a slow trickle of late
events costs more than one sort per read.

If many events claim one dot, only those with the smallest tags are shown, because only these are
kept. So the timeline depends on the set of events that is held, and not on their order of arrival.
An arrival that is hidden by a later one remains in the history, and a rewind shows it again.

Missing events are known from two facts: a log counts from 1 without gaps, and events name their
parents. A hole says that an event exists somewhere, not what it contains.

An event can name parents that do not exist. So of logs of which this node holds nothing, a bounded
number is remembered: in total, and as first named by the events of one log. Beyond that limit they
are counted in `overlooked`, which says that the holes are incomplete. Holes of logs of which this
node holds something are always remembered.
"""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from domain.arrival import Arrival, OrderKey
from domain.dot import Dot
from domain.history import History, LogKey
from domain.projection import FINGERPRINT_BYTES, Fold, fingerprint_of
from domain.seqset import SeqSet

Order = Literal["causal", "arrival", "author"]
Indices = Sequence[int]  # of arrivals in the history

NAMED_MAX = 4096  # logs that parents name and of which nothing is held
NAMED_EACH_MAX = 256  # of these named first by the events of one log
BRANCHES_MAX = 4096  # of one dot; as many as a frontier keeps
INSERTIONS_MAX = 32  # more pending arrivals than this are sorted in, not inserted one by one

_FIRST: OrderKey = (-1, 0, "", 0, 0, b"")  # before every key


class TimelineRows(Struct, frozen=True):
    """The effect of consecutive arrivals on a timeline, in columns, each the bytes of an array."""

    order: bytes  # their indices in causal order, 4 bytes each; empty: that of their arrival
    late: bytes  # those of them that were late, 4 bytes each
    raised_by: bytes  # undo: which of them named a further parent, 4 bytes each
    raised_logs: bytes  # in which log, by number, 4 bytes each
    raised_before: bytes  # and what had been named there before, 8 bytes each
    names: tuple[LogKey, ...]  # of the logs that got a number here
    mentioned: tuple[tuple[int, int], ...]  # what is named last: log number, seq


class Timeline(Fold):
    """Mutable; not thread-safe. `apply`, `rewind` and `fingerprint` as in `domain.projection`."""

    def __init__(self, arrivals: Iterable[Arrival] = (), history: History | None = None) -> None:
        super().__init__(history)
        # Indices of arrivals, all of these.
        self._causal = array("I")  # sorted by key; all arrivals but the pending ones
        self._pending = array("I")  # late ones since the last reading, in arrival order
        self._late = array("I")  # those that were late
        self._last_key = _FIRST  # of the last one in causal order, which is never pending
        self._held: dict[LogKey, SeqSet] = {}
        self._branches: dict[Dot, int] = {}  # further branches held of a dot that is held already
        self._crowds: dict[Dot, list[tuple[bytes, int]]] = {}  # those shown: tag, index; sorted
        self._gone: dict[int, int] = {}  # arrivals that are not shown: because of which other one
        self._gone_by: dict[int, int] = {}  # the other way round
        self._mentioned: dict[LogKey, int] = {}  # the last seq named by parents, beyond the held
        # Of each log in it, also of one that is held by now: the arrival that named it first.
        self._charged: dict[LogKey, int] = {}
        self._unheld = 0  # how many of them are not held, and as named first by which log
        self._named_by: dict[LogKey, int] = {}
        self._overlooked_by = array("I")  # arrivals that named what is not remembered
        self._mentioned_names: list[LogKey] = []
        self._mentioned_numbers: dict[LogKey, int] = {}
        # Undo: which arrival named more than was named before, of which log, and what was before.
        self._raised_by = array("I")
        self._raised_logs = array("I")
        self._raised_before = array("Q")
        self._sum = 0  # of the hashes of the first _summed arrivals
        self._summed = 0
        self.extend(arrivals)

    # --- the fold -------------------------------------------------------------------------------

    def apply(self, arrival: Arrival) -> None:
        index = self._take(arrival)
        key = arrival.key
        if key > self._last_key:
            self._causal.append(index)
            self._last_key = key
        else:
            assert key != self._last_key, f"{arrival.event.dot} was applied twice"
            self._pending.append(index)
            self._late.append(index)
        dot = arrival.event.dot
        log = (dot.origin, dot.epoch)
        held = self._held.get(log)
        if held is None:
            held = self._hold(log)
        if not held.add(dot.seq):
            self._branch(index, arrival.tag, dot)
        for parent in arrival.event.parents:
            self._mention(index, log, (parent.origin, parent.epoch), parent.seq)

    def extend(self, arrivals: Iterable[Arrival]) -> None:
        """Apply many. However they are shuffled, the next reading sorts once."""
        for arrival in arrivals:
            self.apply(arrival)

    def rewind(self) -> Arrival:
        arrival = self._newest()
        index = self._applied - 1
        while self._raised_by and self._raised_by[-1] == index:
            self._raised_by.pop()
            log = self._mentioned_names[self._raised_logs.pop()]
            if before := self._raised_before.pop():
                self._mentioned[log] = before
            else:
                del self._mentioned[log]
                self._count(log, -1)
                del self._charged[log]
        if self._overlooked_by and self._overlooked_by[-1] == index:
            self._overlooked_by.pop()
        self._come_back(index, arrival.event.dot)
        self._let_go(arrival.event.dot)
        history = self._history
        if self._late and self._late[-1] == index:
            self._late.pop()
            if self._pending:  # everything pending is newer than everything merged
                self._pending.pop()
            else:
                del self._causal[bisect_left(self._causal, arrival.key, key=history.key)]
        else:
            self._causal.pop()
            self._last_key = history.key(self._causal[-1]) if self._causal else _FIRST
        if self._summed > index:
            self._summed = index
            self._sum -= _hash(arrival.key)
        self._give_back()
        return arrival

    def fingerprint(self) -> bytes:
        """A hash of the set of events, and so of the causal order: equal on nodes with the same
        events.
        """
        key = self._history.key
        for index in range(self._summed, self._applied):
            self._sum += _hash(key(index))
        self._summed = self._applied
        self._sum %= 1 << (8 * FINGERPRINT_BYTES)
        shown = self._sum - sum(_hash(key(index)) for index in self._gone)
        return (shown % (1 << (8 * FINGERPRINT_BYTES))).to_bytes(FINGERPRINT_BYTES, "big")

    # --- rows, to be written down and taken back ------------------------------------------------

    @property
    def named(self) -> int:
        """How many logs that parents named have a number."""
        return len(self._mentioned_names)

    def rows(self, first: int, named: int) -> TimelineRows:
        """What the arrivals from this index on have done. No dot may have two branches, and
        nothing may have been overlooked.

        `named`: what `named` was before the first of them.
        """
        assert not self._branches and not self._overlooked_by
        late = self._late[bisect_left(self._late, first) :]
        raised = bisect_left(self._raised_by, first)
        numbers = self._raised_logs[raised:]
        names = self._mentioned_names
        order = array("I", self._history.in_order(range(first, self._applied)) if late else ())
        return TimelineRows(
            order=order.tobytes(),
            late=late.tobytes(),
            raised_by=self._raised_by[raised:].tobytes(),
            raised_logs=numbers.tobytes(),
            raised_before=self._raised_before[raised:].tobytes(),
            names=tuple(names[named:]),
            mentioned=tuple(
                (number, self._mentioned[names[number]]) for number in sorted(set(numbers))
            ),
        )

    def take_rows(
        self, rows: TimelineRows, count: int, held: Iterable[tuple[LogKey, int, int]]
    ) -> None:
        """Apply so many of the next arrivals at once, which the history has.

        `held`: the positions that they hold, as (log, first, last).
        """
        index = self._take_many(count)
        order = array("I", () if rows.order else range(index, self._applied))
        order.frombytes(rows.order)
        self._late.frombytes(rows.late)
        raised = len(self._raised_by)
        self._raised_by.frombytes(rows.raised_by)
        self._raised_logs.frombytes(rows.raised_logs)
        self._raised_before.frombytes(rows.raised_before)
        for log in rows.names:
            self._number(log)
        for number, seq in rows.mentioned:
            self._mentioned[self._mentioned_names[number]] = seq
        for log, first, last in held:
            (self._held.get(log) or self._hold(log)).add_range(first, last)
        for at in range(raised, len(self._raised_by)):
            if not self._raised_before[at]:
                self._charge(self._mentioned_names[self._raised_logs[at]], self._raised_by[at])
        if count:
            self._merge(order)
            self._last_key = self._history.key(self._causal[-1])

    # --- reading --------------------------------------------------------------------------------

    @property
    def late(self) -> int:
        """Churn: the number of arrivals inserted before an event that was already there."""
        return len(self._late)

    @property
    def shown(self) -> int:
        """How many events there are, less those that stand aside in a crowd."""
        return self._applied - len(self._gone)

    def contains(self, dot: Dot) -> bool:
        held = self._held.get((dot.origin, dot.epoch))
        return held is not None and dot.seq in held

    def arrival(self, index: int) -> Arrival:
        """One of those that `pick` named."""
        return self._history[index]

    def select(
        self,
        order: Order,
        *,
        arrivals: int | None = None,
        as_of_ms: int | None = None,
        last: int | None = None,
    ) -> list[Arrival]:
        """The arrivals at the indices that `pick` returns."""
        picked = self.pick(order, arrivals=arrivals, as_of_ms=as_of_ms, last=last)
        return [self._history[index] for index in picked]

    def pick(
        self,
        order: Order,
        *,
        arrivals: int | None = None,
        as_of_ms: int | None = None,
        last: int | None = None,
    ) -> Indices:
        """The timeline in one order: whole, as it stood at some past moment, or its last part.

        `arrivals` takes only the first so many arrivals into account, `as_of_ms` those up to the
        last one that was received by then, by the wall clock of the node; both together, what is in
        both. So it is always a timeline that was, also where that clock was set back: as it was
        when the clock showed that time last. `last` keeps the end of what is left.
        """
        known = self._applied if arrivals is None else min(max(arrivals, 0), self._applied)
        at_ms = self._history.received_at_ms
        if as_of_ms is not None:
            while known and at_ms(known - 1) > as_of_ms:
                known -= 1
        picked: Indices = range(known)
        if order != "arrival":
            picked = self._order()
            if known < self._applied:
                picked = array("I", [index for index in picked if index < known])
        history = self._history
        if self._gone:
            hidden = {index for index, by in self._gone.items() if by < known}
            picked = array("I", [index for index in picked if index not in hidden])
        if order == "author":
            picked = array("I", sorted(picked, key=history.author))
        return picked[:] if last is None else picked[max(len(picked) - max(last, 0), 0) :]

    @property
    def overlooked(self) -> bool:
        """Parents named more logs than are remembered: more is known to be missing than `holes`."""
        return bool(self._overlooked_by)

    def holes(self) -> list[tuple[str, int, int, int]]:
        """Events known to exist and not held: (origin, epoch, first, last), sorted."""
        found: list[tuple[str, int, int, int]] = []
        nothing = SeqSet()
        for log in sorted(self._held.keys() | self._mentioned.keys()):
            held = self._held.get(log, nothing)
            last = max(held.last, self._mentioned.get(log, 0))
            if held.prefix < last:
                found += [(*log, a, b) for a, b in held.missing_from(held.prefix + 1, last)]
        return found

    # --- inside ---------------------------------------------------------------------------------

    def _branch(self, index: int, tag: bytes, dot: Dot) -> None:
        """One more event with this dot. Of too many the one with the largest tag goes."""
        self._branches[dot] = self._branches.get(dot, 0) + 1
        if self._branches[dot] < BRANCHES_MAX:
            return
        crowd = self._crowds.get(dot)
        if crowd is None:
            here = [one for one in self._history.of(dot) if one < index and one not in self._gone]
            crowd = self._crowds[dot] = sorted((self._history.key(one)[-1], one) for one in here)
        insort(crowd, (tag, index))
        _, gone = crowd.pop()
        self._gone[gone] = index
        self._gone_by[index] = gone

    def _come_back(self, index: int, dot: Dot) -> None:
        """This arrival is rewound: what stood aside for it is shown again."""
        self._crowds.pop(dot, None)  # found anew when needed
        gone = self._gone_by.pop(index, None)
        if gone is not None:
            del self._gone[gone]

    def _mention(self, index: int, by: LogKey, log: LogKey, seq: int) -> None:
        held = self._held.get(log)
        if held is not None and seq <= held.last:
            return  # its log is held, and shows the hole as long as this arrival is applied
        before = self._mentioned.get(log, 0)
        if seq <= before:
            return
        if not before:
            full = self._unheld >= NAMED_MAX or self._named_by.get(by, 0) >= NAMED_EACH_MAX
            if held is None and full:
                if not self._overlooked_by or self._overlooked_by[-1] != index:
                    self._overlooked_by.append(index)
                return
            self._charge(log, index)
        self._raised_by.append(index)
        self._raised_logs.append(self._number(log))
        self._raised_before.append(before)
        self._mentioned[log] = seq

    def _charge(self, log: LogKey, index: int) -> None:
        """This arrival is the first that names this log."""
        self._charged[log] = index
        self._count(log, 1)

    def _hold(self, log: LogKey) -> SeqSet:
        """Something of this log is about to be held."""
        self._count(log, -1)
        held = self._held[log] = SeqSet()
        return held

    def _count(self, log: LogKey, change: int) -> None:
        """This log begins or ceases to be one that is named, and of which nothing is held."""
        index = self._charged.get(log)
        if index is None or log in self._held:
            return
        _, _, origin, epoch, _, _ = self._history.key(index)
        by = (origin, epoch)
        self._unheld += change
        self._named_by[by] = self._named_by.get(by, 0) + change
        if not self._named_by[by]:
            del self._named_by[by]

    def _number(self, log: LogKey) -> int:
        number = self._mentioned_numbers.get(log)
        if number is None:
            number = self._mentioned_numbers[log] = len(self._mentioned_names)
            self._mentioned_names.append(log)
        return number

    def _let_go(self, dot: Dot) -> None:
        others = self._branches.get(dot, 0)
        if others > 1:
            self._branches[dot] = others - 1
        elif others == 1:
            del self._branches[dot]
        else:
            log = (dot.origin, dot.epoch)
            self._held[log].discard(dot.seq)
            if not self._held[log]:
                del self._held[log]
                self._count(log, 1)

    def _order(self) -> "array[int]":
        """The causal order, with what was pending merged in."""
        pending, causal, history = self._pending, self._causal, self._history
        if len(pending) <= INSERTIONS_MAX:
            for index in pending:
                causal.insert(bisect_right(causal, history.key(index), key=history.key), index)
        else:
            self._merge(array("I", history.in_order(pending)))
        del pending[:]
        return causal

    def _merge(self, more: "array[int]") -> None:
        """Put these into the causal order; they are sorted, and not empty."""
        causal, history = self._causal, self._history
        tail = bisect_left(causal, history.key(more[0]), key=history.key)
        if tail < len(causal):
            more = array("I", history.in_order(causal[tail:] + more))
        causal[tail:] = more


def _hash(key: OrderKey) -> int:
    return int.from_bytes(fingerprint_of(repr(key)), "big")
