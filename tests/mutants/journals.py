"""Mutants of the journal and of recovery: what a disk is asked, and what is believed of it."""

from collections.abc import Callable, Sequence
from copy import deepcopy

from msgspec.structs import replace

from lab.sim import committer as commits
from node.core.commit_tracker import CommitTracker
from node.core.interface import Persisted
from node.core.ports import Record
from node.storage import frames, recovery
from node.storage import recovered as opening
from node.storage.files import Reader, Storage, StorageError
from node.storage.frames import BLOCK, HEADER_BYTES, Frame
from node.storage.group_commit import Act, GroupCommit, Progress
from node.storage.headers import Identity
from node.storage.journal import Journal
from node.storage.scan import ScanResult, TornTail
from node.storage.segments import Segment
from tests.mutants.planting import Bed, Swaps, standing

BED = Bed()
planted = BED.planted

# --- before the disk says so --------------------------------------------------------------------


@planted(
    "ack-before-sync",
    "An event is shown, gossiped and acknowledged once it is written, in mode always too.",
    "node.core.commit_tracker.CommitTracker.persisted, and in the simulator "
    "node.storage.group_commit.comes_to_something",
    "C5 C1",
    "power-cuts",
)
def ack_before_sync() -> Swaps:
    original = CommitTracker.persisted

    def persisted(self: CommitTracker, progress: Persisted, *, always: bool) -> bool:
        return original(self, progress, always=False)

    def comes_to_something(progress: Progress, *, always: bool) -> bool:
        return True

    return [
        (CommitTracker, "persisted", persisted),
        (commits, "comes_to_something", comes_to_something),
    ]


@planted(
    "committer-acks-early",
    "The committer says durable after the append; the sync comes later.",
    "node.storage.group_commit.GroupCommit.settle",
    "C1 C5",
    "power-cuts",
    "power-after-ack",
)
def committer_acks_early() -> Swaps:
    original = GroupCommit.settle

    def settle(self: GroupCommit, act: Act, error: StorageError | None, now_us: int) -> object:
        progress = original(self, act, error, now_us)
        if act is Act.APPEND and type(progress) is Persisted:
            return Persisted(progress.written, progress.written)
        return progress

    return [(GroupCommit, "settle", settle)]


@planted(
    "sync-skipped",
    "The journal counts records as durable and never calls sync on its segment.",
    "node.storage.journal.Journal.sync",
    "C5 C1",
    "power-cuts",
)
def sync_skipped() -> Swaps:
    def sync(self: Journal) -> None:
        self._check_usable()
        self._durable_size = self._size
        self.durable = self.written

    return [(Journal, "sync", sync)]


@planted(
    "sync-retried",
    "A failed sync is tried again, and the second one, which syncs nothing, is believed.",
    "node.storage.journal.Journal.sync",
    "C5 C1",
    "sync-errors",
)
def sync_retried() -> Swaps:
    def sync(self: Journal) -> None:
        self._check_usable()
        for _ in range(8):
            try:
                self._storage.sync(self._name)
                break
            except OSError:
                continue
        self._durable_size = self._size
        self.durable = self.written

    return [(Journal, "sync", sync)]


@planted(
    "rotate-without-dir-sync",
    "After a rotation the directory is not synced: the new segment is gone after a power cut.",
    "node.storage.journal.Journal._rotate",
    "C5 C1",
    "small-segments",
)
def rotate_without_dir_sync() -> Swaps:
    original = Journal._rotate

    def rotate(self: Journal) -> None:
        storage = self._storage
        self._storage = _NoDirSync(storage)  # type: ignore[assignment]
        try:
            original(self)
        finally:
            self._storage = storage

    return [(Journal, "_rotate", rotate)]


class _NoDirSync:
    """A storage whose sync_dir does nothing."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def sync_dir(self) -> None:
        pass

    def __getattr__(self, name: str) -> object:
        return getattr(self._storage, name)


@planted(
    "batch-backwards",
    "The records of one batch are written in the wrong order.",
    "node.storage.journal.Journal.append",
    "C5",
    "crash-storm",
)
def batch_backwards() -> Swaps:
    original = Journal.append

    def append(self: Journal, records: Sequence[Record]) -> None:
        original(self, list(reversed(records)))

    return [(Journal, "append", append)]


# --- writes that go wrong -----------------------------------------------------------------------


@planted(
    "short-write-believed",
    "A write that took only a part of the bytes is taken for whole.",
    "node.storage.recovery.append_all",
    "C5 C1 C14",
    "short-writes",
)
def short_write_believed() -> Swaps:
    def append_all(storage: Storage, name: str, data: bytes) -> None:
        storage.append(name, data)

    return [(recovery, "append_all", append_all)]


@planted(
    "no-cut-back",
    "After a write that failed, the part of it that was written stays in the file.",
    "node.storage.journal.Journal._write",
    "C5 C1",
    "full-disks",
    "full-for-a-while",
)
def no_cut_back() -> Swaps:
    original = Journal._write

    def write(self: Journal, data: bytes) -> None:
        storage = self._storage
        self._storage = _NoTruncate(storage)  # type: ignore[assignment]
        try:
            original(self, data)
        finally:
            self._storage = storage

    return [(Journal, "_write", write)]


class _NoTruncate(_NoDirSync):
    def truncate(self, name: str, size: int) -> None:
        pass

    def sync_dir(self) -> None:
        self._storage.sync_dir()


# --- recovery -----------------------------------------------------------------------------------


@planted(
    "tail-not-cut",
    "A torn tail is copied aside and stays in the file.",
    "node.storage.recovery.repair_tail",
    "C5 C1",
    "power-cuts",
    "torn-twice",
)
def tail_not_cut() -> Swaps:
    def repair_tail(storage: Storage, torn: TornTail) -> str:
        if not torn.length:
            return ""
        return recovery.keep_copy(storage, torn.name, torn.offset, torn.length, "torn")

    # The renewal of what a crash left would cut the tail off as well.
    return [(recovery, "repair_tail", repair_tail), (Journal, "_write_anew", _only_sync)]


@planted(
    "left-pages-believed",
    "What a process left whose sync had failed is synced again, and that is believed.",
    "node.storage.journal.Journal._write_anew",
    "C5 C1",
    "sync-errors",
    "sync-error-then-power",
)
def left_pages_believed() -> Swaps:
    return [(Journal, "_write_anew", _only_sync)]


def _only_sync(self: Journal, name: str) -> None:
    self._storage.sync(name)


@planted(
    "one-record-too-many",
    "With a torn tail, the last whole block before it is cut off too.",
    "node.storage.recovered.scan_journal",
    "C5 C1",
    "power-cuts",
    "torn-twice",
)
def one_record_too_many() -> Swaps:
    original: Callable[[Reader, bytes, ScanResult], ScanResult] = standing(opening, "scan_journal")

    def survey(reader: Reader, directory_id: bytes, begun: ScanResult) -> ScanResult:
        again = deepcopy(begun)  # a survey goes on with what it is given
        found = original(reader, directory_id, begun)
        torn = found.torn
        if torn is None or not torn.length:
            return found
        data = reader.read(torn.name, 0, torn.offset)
        whole = [one for one in frames.scan(data) if type(one) is Frame]
        if len(whole) < 2 or whole[-1].type != BLOCK:
            return found
        at = whole[-1].offset
        again = original(_Cut(reader, torn.name, at), directory_id, again)
        length = torn.offset + torn.length - at
        again.torn = TornTail(torn.segment, torn.name, at, length, torn.cause)
        return again

    return [(opening, "scan_journal", survey)]


class _Cut:
    """A reader to which one file looks shorter."""

    def __init__(self, reader: Reader, name: str, size: int) -> None:
        self._reader, self._name, self._size = reader, name, size

    def names(self) -> list[str]:
        return self._reader.names()

    def size(self, name: str) -> int:
        return self._size if name == self._name else self._reader.size(name)

    def read(self, name: str, offset: int, length: int) -> bytes:
        if name == self._name:
            length = max(min(length, self._size - offset), 0)
        return self._reader.read(name, offset, length)


@planted(
    "crc-ignored",
    "The CRC of a payload is not looked at: a frame with a flipped bit is believed.",
    "node.storage.frames.parse",
    "C3 C5 C9 C14",
    "bit-rot",
)
def crc_ignored() -> Swaps:
    original = frames.parse

    def parse(data: bytes, at: int, base: int = 0) -> Frame | str:
        found = original(data, at, base)
        if type(found) is str and found.startswith("payload CRC"):
            body = at + HEADER_BYTES
            head = frames._LAYOUT.unpack(data[at : body - 4])
            _, _, kind, flags, length, count, offset, previous, number, crc = head
            if offset == base + at:
                return Frame(
                    offset, base + body + length, kind, flags, count, previous, number, crc
                )
        return found

    return [(frames, "parse", parse)]


@planted(
    "holes-unsaid",
    "Damage in the middle of the journal is skipped, and nobody hears of it.",
    "node.storage.recovered.scan_journal",
    "C5 C3",
    "bit-rot",
)
def holes_unsaid() -> Swaps:
    original: Callable[[Reader, bytes, ScanResult], ScanResult] = standing(opening, "scan_journal")

    def survey(reader: Reader, directory_id: bytes, begun: ScanResult) -> ScanResult:
        found = original(reader, directory_id, begun)
        found.holes = []
        return found

    return [(opening, "scan_journal", survey)]


@planted(
    "last-segment-only",
    "After a restart only the last segment is read back.",
    "node.storage.recovered.Records (the segments that it reads)",
    "C5 C1",
    "small-segments",
)
def last_segment_only() -> Swaps:
    original = standing(opening, "read_records")

    def read_records(reader: Reader, segments: Sequence[Segment]) -> object:
        return original(reader, segments[-1:])

    return [(opening, "read_records", read_records)]


@planted(
    "strange-disk-accepted",
    "A journal that belongs to another node is opened all the same.",
    "node.storage.recovery.refuse_unless_ours",
    "C5 C3",
    "other-disk",
)
def strange_disk_accepted() -> Swaps:
    def refuse_unless_ours(*_: object) -> None:
        return

    return [(recovery, "refuse_unless_ours", refuse_unless_ours)]


@planted(
    "torn-wish-lost",
    "The wish for a new epoch is not written down: a crash between repair and epoch forgets it.",
    "node.storage.recovery.next_identity",
    "C3 C5",
    "crash-while-opening",
)
def torn_wish_lost() -> Swaps:
    original = recovery.save_identity

    def save_identity(storage: Storage, identity: Identity) -> None:
        original(storage, replace(identity, must_open_epoch=""))

    return [(recovery, "save_identity", save_identity)]
