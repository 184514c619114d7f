"""A model of each node's disk, for checkers: which records its journal holds, and why others are
missing after a restart.

Rules
- Records get the numbers 1, 2, ... within a life; those recovered at its boot come first. A crash
  must keep every record up to a *floor*: those written, or after a power failure those synced. A
  failed sync counts as a power failure, because it is unknown what it left on the disk.
- A record that is missing after a boot is lost. Its excuse is the mildest that covers it: the disk
  was destroyed, an older copy was put back, bits or sectors were damaged, or the record was above
  the floor. If there is no excuse, the excuse is "", and the journal has broken its promise.
- Records that damage removed may come back: a misdirected write may restore exactly the bytes that
  once stood there. Such a record has its old place and number, behind the same record as before,
  and is valid again. So its place is remembered. It may come back only there, and only at a start
  before which the disk was damaged once more.
"""

from collections.abc import Sequence

from msgspec import Struct

from lab.checkers.verdict import Wants
from lab.trace.kinds import (
    Boot,
    Crash,
    Epoch,
    Fired,
    Handed,
    StartRefused,
    Stopped,
    Unwritten,
    Written,
)
from lab.trace.trace import Event

HARM = frozenset(
    {"flip", "stale", "misdirected", "end_lost"}
)  # faults that damage what is on a disk
DESTROYED, OLDER, DAMAGED, UNSYNCED = "destroyed", "older", "damaged", "unsynced"
GONE = frozenset({DESTROYED, OLDER, DAMAGED})  # excuses that cover what was synced


class DiskLoss(Struct, frozen=True):
    """The loss of one record, found at this boot."""

    excuse: str  # one of the above, "": there is none
    boot: int  # seq


class Reopening(Struct, frozen=True):
    """A boot, and the journal as it was before it."""

    event: Event
    before: list[str]
    stood: list[str]  # `before`, and in its place what damage took and could have given back
    floor: int
    damaged: bool
    tried: bool  # a start failed before this one
    lost: dict[str, DiskLoss]


def numbered(records: Sequence[str]) -> dict[str, int]:
    """The number of each record, from 1, by its name."""
    return {name: at for at, name in enumerate(records, start=1)}


class Disk:
    """The disk of one node. Mutable."""

    def __init__(self) -> None:
        self.records: list[str] = []  # refs and `epoch LOG`, by number - 1
        self.number_of: dict[str, int] = {}
        self.written = 0  # as the node was told, in this life
        self.durable = 0
        self.synced: set[str] = set()  # records that were ever durable here
        self.marked = 0  # of the records, so many are in `synced`
        self.sure = 0  # of the recovered: an earlier life had synced these
        self.floor = 0  # once it is down: records 1..floor must come back
        self.up = False
        self.damaged = False  # bits were flipped, and may be found at any start
        self.flipped = False  # at any time: a copy may be of then
        self.harmed = False  # since the last life began
        self.taken: list[tuple[int, str]] = []  # by damage: after so many records stood this one
        self.tried = False  # since the last life a start failed; its repairs are not in the trace
        self.losses: dict[str, DiskLoss] = {}
        self.past: list[list[str]] = []  # the records at the end of each life
        self.reopening: Reopening | None = None

    def reached(self, data: Written | Crash | Stopped) -> None:
        self.written, self.durable = data.written, max(data.durable, self.sure)

    def sync(self) -> None:
        """Remember which records are durable now; a later loss does not change that."""
        upto = min(self.durable, len(self.records))
        if self.marked < upto:
            self.synced.update(self.records[self.marked : upto])
            self.marked = upto

    def cut(self, kept: int) -> None:
        """Remove the records after `kept`."""
        del self.records[kept:]
        self.marked = min(self.marked, kept)
        self.number_of = numbered(self.records)
        self.taken = [(min(after, kept), name) for after, name in self.taken]

    def put(self, number: int, name: str) -> None:
        if number <= len(self.records):  # used before, and no Unwritten between: see C5
            self.cut(max(number - 1, 0))
        while len(self.records) < number - 1:
            self.records.append("")  # a gap, which C5 reports
        self.records.append(name)
        self.number_of[name] = number

    def stood(self) -> list[tuple[int, str]]:
        """The records by number, and in their places, with number 0, those that damage took."""
        found: list[tuple[int, str]] = []
        done = 0
        for after, name in self.taken:
            found += enumerate(self.records[done:after], start=done + 1)
            found.append((0, name))
            done = max(done, after)
        found += enumerate(self.records[done:], start=done + 1)
        return found

    def taken_now(self, found: Sequence[str], floor: int) -> list[tuple[int, str]]:
        """What damage has taken, once this is all that is found on the same disk.

        What was lost with something found after it is in a hole, so its bytes are still there. With
        nothing after it, it was cut off, but for what should have come back.
        """
        taken: list[tuple[int, str]] = []
        at = 0
        for number, name in self.stood():
            if (number or self.harmed) and at < len(found) and found[at] == name:
                at += 1
            elif not number or at < len(found) or (self.damaged and number <= floor):
                taken.append((at, name))
        return taken


class Disks:
    """The disks of all nodes. Mutable."""

    def __init__(self) -> None:
        self.of: dict[str, Disk] = {}

    def wants(self) -> Wants:
        return {
            Handed: self._on_handed,
            Epoch: self._on_epoch,
            Written: self._on_written,
            Unwritten: self._on_unwritten,
            Boot: self._on_boot,
            Crash: self._on_crash,
            Stopped: self._on_stopped,
            StartRefused: self._on_refused,
            Fired: self._on_fired,
        }

    def disk(self, node: str) -> Disk:
        found = self.of.get(node)
        if found is None:
            found = self.of[node] = Disk()
        return found

    def _on_handed(self, event: Event) -> None:
        data = event.data
        assert type(data) is Handed
        disk = self.disk(event.node)
        if data.number == len(disk.records) + 1:
            disk.records.append(data.ref)
            disk.number_of[data.ref] = data.number
        else:
            disk.put(data.number, data.ref)

    def _on_epoch(self, event: Event) -> None:
        assert type(event.data) is Epoch
        self.disk(event.node).put(event.data.number, f"epoch {event.data.log}")

    def _on_written(self, event: Event) -> None:
        data = event.data
        assert type(data) is Written
        disk = self.disk(event.node)
        disk.reached(data)
        disk.sync()

    def _on_unwritten(self, event: Event) -> None:
        assert type(event.data) is Unwritten
        self.disk(event.node).cut(event.data.kept)

    def _on_crash(self, event: Event) -> None:
        data = event.data
        assert type(data) is Crash
        disk = self.disk(event.node)
        power = data.how in ("power", "storage") or data.site.endswith(", power")
        if disk.up:
            disk.up = False
            disk.reached(data)
            disk.sync()
            disk.floor = disk.durable if power else data.written
            disk.past.append(disk.records[:])
            disk.tried = False
            return
        disk.tried = True
        if power:  # while it was down, or starting
            disk.floor = min(disk.floor, disk.durable)

    def _on_refused(self, event: Event) -> None:
        self.disk(event.node).tried = True

    def _on_stopped(self, event: Event) -> None:
        data = event.data
        assert type(data) is Stopped
        disk = self.disk(event.node)
        disk.up = False
        disk.reached(data)
        disk.sync()
        disk.floor = data.written
        disk.tried = False
        disk.past.append(disk.records[:])

    def _on_fired(self, event: Event) -> None:
        assert type(event.data) is Fired
        if event.data.what in HARM:
            disk = self.disk(event.node)
            disk.damaged = disk.flipped = disk.harmed = True

    def _on_boot(self, event: Event) -> None:
        data = event.data
        assert type(data) is Boot
        disk = self.disk(event.node)
        floor = disk.written if disk.up else disk.floor
        before = disk.records
        if disk.up:  # the trace has no end of the last life
            disk.past.append(before[:])
        if data.disk == "older":
            disk.damaged = disk.flipped
        kept = set(data.recovered)
        lost: dict[str, DiskLoss] = {}
        for number, name in enumerate(before, start=1):
            if name in kept or not name:
                continue
            excuse = UNSYNCED if number > floor else ""
            if data.disk == "empty":
                excuse = DESTROYED
            elif data.disk == "older":
                excuse = OLDER
            elif number <= floor and disk.damaged:
                excuse = DAMAGED
            lost[name] = DiskLoss(excuse, event.seq)
        for name, loss in lost.items():
            earlier = disk.losses.get(name)
            # A copy that came back from peers and was not synced: what was synced went earlier.
            if loss.excuse != UNSYNCED or earlier is None or earlier.excuse not in GONE:
                disk.losses[name] = loss
        stood = [name for _, name in disk.stood()] if disk.harmed else before
        disk.reopening = Reopening(
            event=event,
            before=before,
            stood=stood,
            floor=floor,
            damaged=disk.damaged,
            tried=disk.tried,
            lost=lost,
        )
        disk.taken = disk.taken_now(data.recovered, floor) if data.disk == "same" else []
        disk.harmed = False
        if data.disk in ("new", "empty"):
            disk.damaged = False
        disk.records = list(data.recovered)
        disk.number_of = numbered(data.recovered)
        disk.sure = disk.durable if before[: disk.durable] == disk.records[: disk.durable] else 0
        disk.written = len(data.recovered)
        disk.durable = max(disk.written - data.unsynced, disk.sure)
        disk.marked = 0
        disk.sync()
        disk.up = True
