"""The frontier: which entries one node holds, log by log, and the root that names exactly that set.

Rules
- Per log (origin, epoch): the set of positions held (a contiguous prefix and ranges above it), the
  tag of the entry at the prefix (`head`), and a sum of entry hashes.
- `root` is a hash over the sum, modulo 2^256, of the hashes of ALL entries held. Adding an entry is
  one addition whatever the history, the order of arrival does not matter, and two equal roots prove
  two equal sets (up to a hash collision; see docs/adr/0006).
- Entries of one log form a chain by `prev`. Where a dot is claimed by two different entries, or a
  `prev` does not fit, the log is `forked`: everything is kept, nothing is chosen, and all nodes
  that hold the same entries have the same root. The first entry seen at a position is the one in
  the store, the others are its rivals; no answer to a peer depends on which is which.
- A line about a forked log names entries by tag, a window of positions at a time: windows take
  turns, and so do the logs, so that no entry stays unnamed, and lines do not grow without bound.
- Bounded, whatever a peer invents: origins and logs (`gossip.places`), logs that are only claimed,
  ranges in all logs together, rivals at one position. The last is a rule by tag and not by arrival
  (the smallest stay), so that nodes that were offered the same still end with the same root. What
  one packet says of all logs is bounded by `gossip.epoch_folds`.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum, auto

from domain.arrival import TAG_BYTES
from domain.dot import Dot, LogId
from domain.seqset import SEQ_MAX
from gossip.entry import GENESIS, PREV_BYTES, Entry, hash_of
from gossip.line_turns import LineTurns
from gossip.log import Log
from gossip.logs import Logs
from gossip.meter import ENTRY_BYTES, Meter
from gossip.naming import Naming
from gossip.packets import TAGS_MAX, Line
from gossip.places import Places
from gossip.root import root_of
from gossip.store import Store, read_ahead

_MASK = (1 << 256) - 1
_NO_LOGS = Logs()
_NAMED_MAX = TAGS_MAX // 2  # tags in all lines together; the last position named may add as many
NAMED_BYTES_MAX = 512 * 1024  # of what is read for these tags, in one packet
CLAIMED_LOGS_MAX = 256  # logs of which nothing is held here
# The lines of many origins with 16 ranges each would not fit into a packet, so the more logs there
# are, the fewer ranges each may keep.
SUMMARIES_MAX = 1024  # that are waited for, before it is said that a round was of no use
RANGES_SHARED = 4096  # by all logs, once there are more than a few hundred
RIVALS_MAX = TAGS_MAX // 2 - 1  # beside the first entry of a position: one line can name them all


class Added(Enum):
    """What became of an entry offered to the frontier."""

    NEW = auto()
    KNOWN = auto()  # these very bytes were held already
    RIVAL = auto()  # the position was held with other bytes: a fork; kept beside it
    FAR = auto()  # too many ranges or rivals: not kept, it comes again later
    FULL = auto()  # no place for one more log


class Frontier:
    def __init__(self, store: Store, ranges_max: int, configured: Iterable[str] = ()) -> None:
        self.store = store
        self.places = Places(configured)
        self.meter = Meter(store)  # of what the packet at hand makes us read
        self._naming = Meter(store, NAMED_BYTES_MAX)
        self.ranges_max = ranges_max
        self.listener = ""  # who the next lines are for
        self._turns = LineTurns()
        self.summaries_needed = (
            0  # how many lines it takes to tell all of a log, where that is more than one
        )
        self._logs: dict[LogId, Log] = {}
        self._sorted: list[Log] = []  # by id; empty when it has to be sorted again
        self.naming = Naming()
        self._held: dict[str, Logs] = {}  # by origin: the logs of which something is held
        # The same, sorted by origin; empty when it has to be sorted again.
        self._by_origin: list[tuple[str, Logs]] = []
        self._begun = 0
        self._sum = 0
        self._root = b""
        self._turn = 0  # where among the logs to be named the next window begins
        self._disputed: list[Log] = []
        self._claimed: dict[LogId, Log] = {}  # of which a peer said that it holds more than we do
        self._empty: dict[LogId, Log] = {}  # of which nothing is held
        self.claims_refused = 0
        self.count = 0

    def __iter__(self) -> Iterator[Log]:
        return iter(self._logs.values())

    def __len__(self) -> int:
        return len(self._logs)

    def get(self, log: LogId) -> Log | None:
        return self._logs.get(log)

    def ensure(self, log: LogId) -> Log:
        known = self._logs.get(log)
        if known is None:
            known = self._logs[log] = self._empty[log] = Log(log, self.naming)
            self._begun += 1
            known.begun = self._begun
            self._sorted = []
        return known

    def claim(self, log_id: LogId, last: int) -> Log | None:
        """A peer says that it holds this log up to here. None: too many such logs are unknown."""
        log = self._logs.get(log_id)
        if log is None and last:
            if len(self._empty) >= CLAIMED_LOGS_MAX or not self.places.room(log_id):
                self.claims_refused += 1
                return None
            log = self.ensure(log_id)
        if log is not None and last > log.claimed and last > log.held.last:
            log.claimed = last
            self._claimed[log_id] = log
        return log

    def disclaim(self, log: Log) -> None:
        """What was said to be held of this log is not believed."""
        log.claimed = 0
        self.claims_refused += 1

    def room(self, log_id: LogId) -> bool:
        """Whether this log has its place, or could have one."""
        log = self._logs.get(log_id)
        return (log is not None and bool(log.count)) or self.places.room(log_id)

    def _begin(self, log_id: LogId) -> Log:
        """Something is about to be held of this log for the first time."""
        log = self.ensure(log_id)
        del self._empty[log_id]
        self.places.take(log_id)
        logs = self._held.get(log_id.origin)
        if logs is None:
            logs = self._held[log_id.origin] = Logs()
            self._by_origin = []
        logs.begin(log)
        return log

    @property
    def read_bytes(self) -> int:
        """What packets made this node read so far, as the meters count."""
        return self.meter.total + self._naming.total

    @property
    def root(self) -> bytes:
        """ROOT_BYTES that name exactly this set of entries."""
        if not self._root:
            self._root = root_of(self._sum, self.count)
        return self._root

    def root_without(self, entries: Sequence[Entry]) -> bytes:
        """The root of what is held less these entries, all of which are held."""
        if not entries:
            return self.root
        less = sum(int.from_bytes(entry.hash, "big") for entry in entries)
        return root_of(self._sum - less, self.count - len(entries))

    @property
    def missing(self) -> int:
        """As far as peers tell the truth. No more than a number on the wire can be."""
        return min(sum(log.missing for log in self), SEQ_MAX)

    @property
    def forked(self) -> list[str]:
        """The origins with two histories, sorted."""
        return sorted({log.id.origin for log in self if log.forked})

    def data_if_held(self, log: LogId, seq: int) -> bytes | None:
        """The bytes first seen at this position."""
        known = self._logs.get(log)
        return self._read(log, seq) if known is not None and seq in known.held else None

    def _read(self, log: LogId, seq: int) -> bytes:
        data = self.store.get(log, seq)
        self.meter.spend(len(data) + ENTRY_BYTES)
        return data

    def settled(self) -> None:
        """A peer names the same root: whatever was disputed between us is known to both.

        What was claimed and is not there at either side is forgotten: whoever has it says so again.
        """
        for log in self._disputed:
            log.disputed = False
        self._disputed.clear()
        for log in self._claimed.values():
            log.claimed = 0
            if self._empty.pop(log.id, None) is not None:
                self._forget(log.id)
        self._claimed.clear()

    def _forget(self, log: LogId) -> None:
        del self._logs[log]
        self._sorted = []

    def dispute(self, log: Log) -> None:
        """What a peer says it holds of this log does not fit what we hold."""
        if not log.disputed:
            log.disputed = True
            self._disputed.append(log)

    def add(self, entry: Entry, *, always: bool = False, pushed: bool = False) -> Added:
        """`always`: it is the node's own, or in its journal: there is a place for its log.

        `pushed`: nobody has compared anything, so it is left for later if it is far ahead.
        """
        dot = entry.dot
        log = self._logs.get(dot.log)
        if log is None or not log.count:
            if not always and not self.places.room(dot.log):
                return Added.FULL
            log = self._begin(dot.log)
        if dot.seq in log.held:
            outcome = self._rival(log, entry)
            if outcome is not Added.RIVAL:
                return outcome
        else:
            if pushed and self._too_far(log, dot.seq):
                return Added.FAR
            self.store.put(entry)
            log.append(entry)
            outcome = Added.NEW
        self._sum_up(log, int.from_bytes(entry.hash, "big"), 1)
        return outcome

    def fill(self, log_id: LogId, ranges: Iterable[tuple[int, int]], total: int) -> None:
        """These positions are held, none of which was; `total` is the sum of their hashes.

        The store has them. `Log.settle` must follow before anything else is added.
        """
        log = self._logs.get(log_id)
        if log is None or not log.count:
            log = self._begin(log_id)
        count = sum(log.held.add_range(first, last) for first, last in ranges)
        self._sum_up(log, total, count)

    def _sum_up(self, log: Log, number: int, count: int) -> None:
        """An entry has come, or one has gone: `number` is its hash, with its sign."""
        self._sum = (self._sum + number) & _MASK
        self.count += count
        self._root = b""
        log.total += number
        log.count += count
        self._held[log.id.origin].change(number, count)

    def _too_far(self, log: Log, seq: int) -> bool:
        if seq == log.held.last + 1 or seq == log.held.prefix + 1:
            return False
        touches = seq - 1 in log.held or seq + 1 in log.held
        return not touches and log.held.parts >= self._share(len(self._logs))

    def _share(self, logs: int) -> int:
        """How many ranges each of so many logs may have in one packet."""
        return min(self.ranges_max, max(RANGES_SHARED // max(logs, 1), 1))

    def _rival(self, log: Log, entry: Entry) -> Added:
        """Keep other bytes for a position that is held, unless these bytes are known."""
        seq, first = entry.dot.seq, self._read(log.id, entry.dot.seq)
        # Two entries at one dot with one tag are taken for the same: nobody could ask for the other
        # one, and no order of display would tell them apart (docs/protocol.md, section 14).
        if first == entry.data or entry.tag == hash_of(first)[:TAG_BYTES]:
            return Added.KNOWN
        others = log.rivals.setdefault(seq, {})
        if entry.tag in others:
            return Added.KNOWN
        if len(others) >= RIVALS_MAX:
            return self._crowded(log, entry, first, others)
        others[entry.tag] = entry
        log.forked = True
        return Added.RIVAL

    def _crowded(self, log: Log, entry: Entry, first: bytes, others: dict[bytes, Entry]) -> Added:
        """The position is full: of all that claim it, those with the smallest tags stay."""
        self.meter.spend(len(others))
        largest = others[max(others)]
        first_hash = hash_of(first)
        if entry.tag > max(largest.tag, first_hash[:TAG_BYTES]):
            return Added.FAR
        if first_hash[:TAG_BYTES] > largest.tag:
            self.store.put(largest)  # the first one goes, and another one stands in its place
            log.forget_tag(entry.dot.seq)
            gone = first_hash
        else:
            gone = largest.hash
        del others[largest.tag]
        others[entry.tag] = entry
        self._sum_up(log, -int.from_bytes(gone, "big"), -1)
        return Added.RIVAL

    def confirm(self, log: Log, prefix: int, head: bytes) -> bool:
        """True: 1..prefix of a peer, with this tag at the prefix, are held here as well.

        False also if that cannot be known yet, or only by reading more than the packet at hand may
        make us read, or at all: of a forked log, the tag of one branch says nothing of positions in
        another. If the tag is another one, the log is disputed.
        """
        if not 0 < prefix <= log.prefix or (prefix < log.prefix and self.meter.spent()):
            return False
        agreed = head == self.head_at(log, prefix)
        if not agreed:
            self.dispute(log)
        return agreed and not log.forked

    def head_at(self, log: Log, prefix: int) -> bytes:
        if prefix == log.prefix:
            return log.head
        tag = log.tag(prefix)
        if not tag:
            tag = self.tag_at(log.id, prefix)
            log.keep_tag(prefix, tag)
        return tag

    def tag_at(self, log: LogId, seq: int) -> bytes:
        return hash_of(self._read(log, seq))[:TAG_BYTES]

    def chain_hash_at(self, log: LogId, seq: int) -> bytes:
        """What the successor of this entry must carry as `prev`."""
        return hash_of(self.store.get(log, seq))[:PREV_BYTES] if seq else GENESIS

    # --- talking about it ---------------------------------------------------------------------

    def next_line(
        self, log: Log, named_max: int = _NAMED_MAX, ranges_max: int | None = None
    ) -> Line:
        """What is held of one log. Of a forked one the next call names the next window."""
        naming = log.tagged
        ranges_max = self.ranges_max if ranges_max is None else ranges_max
        if log.last_line is not None and not naming and len(log.last_line.ranges) <= ranges_max:
            return log.last_line
        in_parts = log.held.parts > ranges_max  # each listener is told all of them in turn
        turn = self._turns.turn(self.listener, log.id) if in_parts else 0
        ranges, first, last, above = log.part(turn, ranges_max)
        whole = (first, last) == (1, 0)
        tags = b""
        if naming and named_max:
            tags, first, last = self._named(log, named_max)
            above = above if whole else b""
        origin, epoch = log.id.origin, log.id.epoch
        line = Line(
            origin=origin,
            epoch=epoch,
            prefix=log.prefix,
            head=log.head,
            ranges=ranges,
            tags=tags,
            tags_first=first,
            tags_last=last,
            above=above,
        )
        log.last_line = line if whole and not naming else None
        return line

    @property
    def origins(self) -> int:
        """Of how many origins something is held."""
        return self.places.origins

    @property
    def by_origin(self) -> list[tuple[str, Logs]]:
        """The logs of which something is held, by origin, in order."""
        if not self._by_origin:
            self._by_origin = sorted(self._held.items(), key=_origin_of)
        return self._by_origin

    def of(self, origin: str) -> Logs:
        """The logs of one origin of which something is held."""
        return self._held.get(origin) or _NO_LOGS

    def in_order(self) -> list[Log]:
        """All logs, by origin and epoch."""
        if not self._sorted:
            self._sorted = [self._logs[log] for log in sorted(self._logs)]
        return self._sorted

    def next_lines(self, logs: Iterable[Log] | None = None) -> list[Line]:
        """The whole frontier, or these logs. Of a log of which nothing is held, nothing.

        What does not fit into one packet takes turns: the next call tells another part.
        """
        logs = [log for log in (self.in_order() if logs is None else logs) if log.count]
        self._turns.begin(self.listener)
        parts = [
            log.held.parts if log.last_line is None else len(log.last_line.ranges) for log in logs
        ]
        share = self._share(len(parts) - parts.count(0))
        naming = [log for log in logs if log.tagged]
        named = self._in_turn(naming, share) if naming else {}
        turns = -(-max(parts, default=0) // share) - 1
        windows = sum(log.count for log in naming) // _NAMED_MAX + len(naming) - len(named)
        self.summaries_needed = min(max(turns, 0) + windows, SUMMARIES_MAX)
        return [
            last_line
            if (last_line := log.last_line) is not None
            and not log.tagged
            and len(last_line.ranges) <= share
            else named.get(log.id) or self.next_line(log, 0, share)
            for log in logs
        ]

    def _in_turn(self, naming: list[Log], ranges_max: int) -> dict[LogId, Line]:
        """Lines with tags of as many of these logs as there is room for."""
        each = max(_NAMED_MAX // len(naming), 1)
        first = self._turn % len(naming)
        named: dict[LogId, Line] = {}
        tags = 0
        self._naming.begin()
        for log in naming[first:] + naming[:first]:
            if tags >= _NAMED_MAX or self._naming.spent():
                break
            line = named[log.id] = self.next_line(log, each, ranges_max)
            tags += len(line.tags) // TAG_BYTES
        self._turn = first + len(named)
        return named

    def _named(self, log: Log, named_max: int) -> tuple[bytes, int, int]:
        """The tags of the next window, and the first and last position they are complete for."""
        first = log.named if log.named <= log.held.last else 1
        tags = bytearray()
        last = 0
        log.named = 1

        def room() -> int:
            return min(named_max - len(tags) // TAG_BYTES, self._naming.affords(ENTRY_BYTES))

        for seq, here, data in self.runs_of_tags(log, first, SEQ_MAX, room):
            if tags and room() <= 0:
                log.named, last = seq, seq - 1  # a window ends between two positions
                break
            tags += b"".join(here) if isinstance(here, list) else here.tobytes()
            self._naming.spend(len(data) + ENTRY_BYTES * len(here))
        return bytes(tags[: TAGS_MAX * TAG_BYTES]), first, last

    def tagged(
        self, log: Log, first: int = 1, last: int = SEQ_MAX
    ) -> Iterator[tuple[int, bytes, bytes]]:
        """The entries held from first to last as (seq, tag, data), rivals too, in a fixed order."""
        for low, high in log.held.within(first, last):
            for seq, data in read_ahead(self.store, log.id, low, high):
                rows = [(hash_of(data)[:TAG_BYTES], data)]
                rows += [(tag, entry.data) for tag, entry in log.rivals.get(seq, {}).items()]
                yield from ((seq, tag, row) for tag, row in sorted(rows))

    def tags(
        self, log: Log, first: int = 1, last: int = SEQ_MAX
    ) -> Iterator[tuple[int, list[bytes], bytes]]:
        """The tags of what is held from first to last: (seq, tags in order, what was read).

        Those of a forked or disputed log are kept at hand, for each packet that names it and each
        that compares it asks for them again. What was read is the entry first seen there, or empty.
        """
        for low, high in log.held.within(first, last):
            for seq, tag, data in self._first_tags(log, low, high):
                others = log.rivals.get(seq)
                yield seq, sorted([tag, *others]) if others else [tag], data

    def runs_of_tags(
        self, log: Log, first: int, last: int, most: Callable[[], int]
    ) -> Iterator[tuple[int, "list[bytes] | array[int]", bytes]]:
        """The same, and where tags are at hand that have no rivals, at most so many at once.

        Those are numbers (`gossip.log.numbers_of`), of so many positions from this one on.
        """
        rivals = sorted(log.rivals)
        for low, high in log.held.within(first, last):
            at = low
            while at <= high:
                index = bisect_left(rivals, at)
                until = rivals[index] - 1 if index < len(rivals) else high
                if run := log.tags_from(at, min(until, high, at - 1 + most())):
                    yield at, run, b""
                    at += len(run)
                    continue
                for seq, here, data in self.tags(log, at, high):
                    yield seq, here, data
                    at = seq + 1
                    if log.tag(at) and at not in log.rivals:
                        break

    def _first_tags(self, log: Log, low: int, high: int) -> Iterator[tuple[int, bytes, bytes]]:
        seq = low
        while seq <= high:
            if tag := log.tag(seq):
                yield seq, tag, b""
                seq += 1
                continue
            for at, data in read_ahead(self.store, log.id, seq, high):
                tag = hash_of(data)[:TAG_BYTES]
                log.keep_tag(at, tag)
                yield at, tag, data
                seq = at + 1
                if log.tag(seq):
                    break

    def data_of(self, log: Log, seq: int, tag: bytes, first: bytes) -> bytes:
        """The entry with this tag, held at this position; `first`: the one first seen, if read."""
        rival = log.rivals.get(seq, {}).get(tag)
        return rival.data if rival is not None else first or self._read(log.id, seq)

    def dots_of_forks(self) -> list[Dot]:
        """The positions at which two entries are held."""
        return sorted(Dot(log.id.origin, log.id.epoch, seq) for log in self for seq in log.rivals)


def _origin_of(row: tuple[str, Logs]) -> str:
    return row[0]
