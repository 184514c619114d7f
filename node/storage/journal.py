"""The journal: a node's append-only log of records, in segments of frames. No thread, no clock.

Who drives it: at a start `Journal.open`, then `append` and `sync` from one thread at a time, and
`close` at the end. The process uses `node.storage.committer` for that, the simulator calls it
directly.

Promises:
- `append` is all or nothing. When it returns, its records are `written`: they survive kill -9.
  When it raises, the file ends with the last whole frame before, and nothing of it will be found.
- When `sync` returns, all that was written is `durable`: it survives power loss.
- A failed `sync` is final. The kernel may have dropped the pages and would call a second sync a
  success, so there is none: every later call raises, and the process starts again from the disk.
  In mode `always` nothing was promised about unsynced records, and they are cut off. In the other
  modes they were acknowledged as written, and stay.
- A journal that somebody moves, removes, replaces or empties while it is open takes nothing more:
  that is noticed before anything is called durable, in the relaxed modes before it is called
  written, and by `check`. It is final.
- `DiskFull` and a failed write are not final: the same call may work later.
- What an earlier process left without a clean stop is durable once it has been written anew. In the
  relaxed modes a full disk may put that off (`unrenewed`): until it is done, those records are not
  called durable, and each `append` tries to do it first.

Numbers: `written` and `durable` count the records that this journal delivered at its opening plus
those appended since. The numbers inside the frames also count lost records, and so never repeat.
"""

from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from node.core.checkpoint import Checkpoint, Seal
from node.core.ports import Durability, Record
from node.storage import frames, recovery
from node.storage.blocks import blocks_of
from node.storage.checkpoint_files import CheckpointKeeper, Sealer
from node.storage.files import DISK_FULL, DiskFull, Storage, StorageError
from node.storage.headers import (
    CleanStop,
    Identity,
    Mark,
    Quarantined,
    SegmentHeader,
    Started,
    encode_mark,
    encode_segment_header,
)
from node.storage.offset_index import WrittenFrame
from node.storage.recovered import Recovery, begin
from node.storage.scan import ScanResult
from node.storage.segments import Segment, read_records, segment_name

SEGMENT_BYTES = 4 * 1024 * 1024  # a start after a kill reads no more than this, and a commit


class JournalOptions(Struct, frozen=True):
    durability: Durability = "always"
    recover: recovery.Mode = "tail"
    segment_bytes: int = SEGMENT_BYTES  # a segment this long is sealed before the next append
    trust: bool = True  # believe checkpoints; mode strict never does


class Journal:
    def __init__(self, storage: Storage, options: JournalOptions, identity: Identity) -> None:
        """Use `Journal.open`."""
        self._storage = storage
        self._options = options
        self._identity = identity
        self._segment = 0
        self._name = ""  # of the file of the current segment
        self._size = 0  # of the current segment, up to its last whole frame
        self._durable_size = 0
        self._crc = 0
        self._next_number = 1
        self._unrenewed = ""  # the segment that must be written anew before anything else
        self._started = 0  # the last start that the journal tells of
        self._failed = ""
        self._closed = False
        self._placed: list[WrittenFrame] = []
        self._sealer = Sealer(ScanResult())
        self._keeper = CheckpointKeeper(storage, identity.directory_id, 0)
        self.written = 0
        self.durable = 0

    @classmethod
    def open(
        cls,
        storage: Storage,
        node: str,
        options: JournalOptions,
        wall_ms: int,
        known: recovery.Known | None = None,
    ) -> "tuple[Journal, Recovery]":
        """Recover what the directory holds, and get ready to append. Raises StorageError.

        `known`: what was there before, as somebody knows who does not depend on the directory.
        """
        try:
            trust = options.trust and options.recover != "strict"
            start = begin(
                storage,
                node,
                options.durability,
                options.recover,
                wall_ms,
                trust=trust,
                known=known,
            )
            journal = cls(storage, options, start.now)
            journal._begin(start.scan, doubted=bool(start.doubted))
            if start.needs_segment and journal._segment == start.scan.last_segment:
                journal._rotate()
            journal._keeper = CheckpointKeeper(storage, start.now.directory_id, start.prefix.crc)
            if not journal.unrenewed:
                journal._remember(start.saved)
        except OSError as error:
            raise recovery.storage_error("open", error, final=True) from None
        return journal, start.recovery(storage, unsynced=journal.written - journal.durable)

    def append(self, records: Sequence[Record]) -> None:
        """Write the records, all or none. Raises DiskFull, or StorageError."""
        self._check_usable()
        if not records:
            return
        self.renew()
        if self._size >= self._options.segment_bytes:
            self._rotate()
        before = self._size
        new = blocks_of(records, self._segment, before, self._crc, self._next_number)
        self._write(new.data)
        self._sealer.wrote(new.placed, records, self._next_number)
        self._next_number, self._crc = new.next_number, new.crc
        if self._options.durability != "always":
            try:
                self._check_there()  # the next sync may be far away
            except StorageError:
                self._take_back(before)
                raise
        self.written += len(records)
        self._placed += new.placed

    def take_placed(self) -> list[WrittenFrame]:
        """Where the records went that were appended since the last time."""
        placed, self._placed = self._placed, []
        return placed

    def take_seals(self) -> list[Seal]:
        """Which segments were sealed since the last time."""
        return self._sealer.take()

    def keep(self, checkpoint: Checkpoint) -> str:
        """Write it beside its segment. Returns why that could not be, or ""."""
        return self._keeper.keep(checkpoint)

    def sync(self) -> None:
        """Make all that was written durable. A failure is final, unless it is one of `renew`."""
        self._check_usable()
        self.renew()
        before = self._durable_size
        dropping = self._options.durability == "always"
        if before != self._size:
            self._sync_file(dropping=dropping)
        try:
            self._check_there()
        except StorageError:
            if dropping and before != self._size:
                self._durable_size = before
                self._take_back(before)
                self.written = self.durable
            raise
        self.durable = self.written

    def check(self) -> None:
        """Raises StorageError, final, if a start would not find what is written here."""
        self._check_usable()
        self._check_there()

    @property
    def unrenewed(self) -> bool:
        """What an earlier process left is not durable yet, for want of room."""
        return bool(self._unrenewed)

    def renew(self) -> None:
        """Make durable what an earlier process left, unless it is. Raises DiskFull, StorageError.

        A failure is not final: each try writes a new file.
        """
        self._check_usable()
        if not self._unrenewed:
            return
        name = self._unrenewed
        try:
            self._write_anew(name)
        except OSError as error:
            raise recovery.storage_error("renew", error, name) from None
        self._unrenewed = ""
        self._check_there()
        self.durable = self.written  # nothing was appended meanwhile

    def close(self, clean: bool) -> str:
        """Release the directory. `clean`: say in the journal that this stop was in order.

        Returns why the journal does not say so; "" if it does, durably. Then nothing before the
        mark is in doubt; without it the next start is more careful. Raises StorageError where
        something could not be synced.
        """
        if self._closed:
            return "the journal was closed before"
        try:
            if self._failed:
                return self._failed
            return self._mark_clean() if clean else "the journal is left as it is"
        finally:
            self._closed = True
            self._storage.close()

    def _mark_clean(self) -> str:
        """Sync, then write the mark, then sync that. Returns why there is none, or "".

        Were the mark written first, a failed sync would leave it in the kernel's memory, where the
        next start would read that nothing is in doubt.
        """
        try:
            self.renew()
            self.sync()
            self._remember_if_possible()
            self._append_mark(CleanStop(self._identity.incarnation))
        except DiskFull as error:
            return str(error)
        self._sync_file(dropping=True)  # nobody was promised a mark
        return ""

    @property
    def failed(self) -> str:
        """Why this journal is of no more use; "" while it is."""
        return self._failed

    @property
    def known(self) -> recovery.Known:
        """What the next opening must find."""
        number = self._next_number if self.durable == self.written else 0
        return recovery.Known(self._identity.directory_id, number, self._segment)

    # --- inside ---------------------------------------------------------------------------------

    def _check_usable(self) -> None:
        if self._failed:
            raise StorageError(self._failed, final=True)
        assert not self._closed, "the journal is closed"

    def _check_there(self) -> None:
        """Whoever starts next looks by name: what is open counts for nothing if it is not there."""
        astray = self._storage.astray({self._name: self._size})
        if astray:
            what = f"journal: {astray} while the node ran; put it back and restart the node"
            raise self._fail(StorageError(what, final=True))

    def _begin(self, scan: ScanResult, *, doubted: bool) -> None:
        """Go on with the journal where the scan found its end."""
        self._next_number, self._crc, self._sealer = scan.next_number, scan.crc, Sealer(scan)
        self.written = self.durable = scan.records
        self._started = scan.started
        last = scan.segments[-1] if scan.segments else None
        if last is None:
            self._new_segment(1)
        else:
            self._segment, self._name = last.number, last.name
            self._size = scan.torn.offset if scan.torn else last.size
            readable = last.ranges[-1][1] if last.ranges else 0
            damaged = last.skipped or readable != self._size
            if self._size and not scan.clean_stop and not last.skipped:
                # The next start looks for doubt in the last segment only.
                self._renew_left(last, doubted=doubted, may_wait=not damaged)
            if damaged:
                # Behind damage that is not a torn tail a new segment keeps the two apart.
                self._new_segment(last.number + 1)
            elif self._size == 0:
                self._write_header()
        self._append_marks(scan)
        self._storage.sync(self._name)
        self._storage.sync_dir()
        self._durable_size = self._size

    def _append_marks(self, scan: ScanResult) -> None:
        """Say what this start found, and that it was."""
        for hole in scan.holes:
            if not hole.known:
                mark = Quarantined(hole.segment, hole.offset, hole.length, hole.records)
                # Nothing behind it says how much was in a lost end: so the mark counts for it.
                self._append_mark(mark, hole.records if hole is scan.lost_end else 0)
        for healed in scan.healed:
            self._append_mark(healed)
        if self._started < self._identity.incarnation:
            with suppress(DiskFull):  # IDENTITY counts, too
                self._append_mark(Started(self._identity.incarnation))

    def _renew_left(self, last: Segment, *, doubted: bool, may_wait: bool) -> None:
        """What the last process left is about to be called durable: write it anew.

        If a sync failed there, the kernel calls its pages clean, and no sync would write them.
        A full disk must not keep the node down. In mode `always` a failed sync leaves nothing
        behind, so a sync will do; in the other modes the records wait for `renew`, if they may. A
        node that now promises `always` shows nothing before it is durable, and so has to wait
        itself.
        """
        try:
            self._write_anew(last.name)
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            self._storage.sync(last.name)
            if not doubted:
                return
            if self._options.durability == "always" or not may_wait:
                raise
            self._unrenewed = last.name
            self.durable -= sum(1 for _ in read_records(self._storage, [last]))

    def _write_anew(self, name: str) -> None:
        """The same bytes in a new file in its place. Raises OSError; the old one is whole then."""
        left = self._storage.read(name, 0, self._storage.size(name))
        try:
            recovery.replace_file(self._storage, name, left)
        except OSError:
            with suppress(OSError):  # there is none, or the next start removes it
                self._storage.remove(name + recovery.PART_SUFFIX)
            raise

    def _rotate(self) -> None:
        """Seal the current segment and begin the next. If that fails the current one stays."""
        self.sync()
        before = (self._segment, self._name, self._size, self._durable_size, self._crc)
        tail = self._sealer.tail
        seal = self._sealer.sealed(self._segment, self._size, self._crc, self._next_number)
        try:
            self._new_segment(self._segment + 1)
        except (OSError, StorageError) as error:
            name = self._name
            self._segment, self._name, self._size, self._durable_size, self._crc = before
            self._sealer.tail = tail
            try:
                self._storage.remove(name)
            except FileNotFoundError:
                pass
            except OSError as second:
                raise self._fail(
                    recovery.storage_error("remove", second, name, final=True)
                ) from None
            if isinstance(error, OSError):
                raise recovery.storage_error("begin", error, name) from None
            raise
        self._sealer.begin(seal)
        self._remember_if_possible()

    def _remember(self, saved: Identity) -> None:
        """Write down in IDENTITY, where `saved` is, how far the journal is durable. Raises OSError.

        A journal that ends before has lost its end, and no frame in it would say so.
        """
        now = replace(self._identity, next_number=self._next_number, last_segment=self._segment)
        if now != saved:
            recovery.save_identity(self._storage, now)
        self._identity = now

    def _remember_if_possible(self) -> None:
        """All of the journal is durable. Without a note of it, less of a loss would be seen."""
        with suppress(OSError):
            self._remember(self._identity)

    def _new_segment(self, number: int) -> None:
        self._segment, self._name = number, segment_name(number)
        self._size = self._durable_size = 0
        self._storage.create(self._name)
        self._write_header()

    def _write_header(self) -> None:
        header = SegmentHeader(
            self._identity.node,
            self._segment,
            self._identity.directory_id,
            self._identity.incarnation,
        )
        self._append_frame(encode_segment_header(header), frames.SEGMENT_HEADER)
        self._started = header.incarnation
        self._storage.sync(self._name)
        self._storage.sync_dir()
        self._durable_size = self._size

    def _append_mark(self, mark: Mark, count: int = 0) -> None:
        self._append_frame(encode_mark(mark), frames.MARK, count)

    def _append_frame(self, payload: bytes, kind: int, count: int = 0) -> None:
        data, crc = frames.encode(
            payload,
            type=kind,
            offset=self._size,
            previous=self._crc,
            number=self._next_number,
            count=count,
        )
        self._write(data)
        self._sealer.tail = self._size - len(data)
        self._crc = crc
        self._next_number += count

    def _write(self, data: bytes) -> None:
        """Append to the current segment, or leave it as it was."""
        try:
            recovery.append_all(self._storage, self._name, data)
        except OSError as error:
            try:
                self._storage.truncate(self._name, self._size)
            except OSError as second:
                raise self._fail(
                    recovery.storage_error("cut back", second, self._name, final=True)
                ) from None
            raise recovery.storage_error("append to", error, self._name) from None
        self._size += len(data)

    def _fail(self, failure: StorageError) -> StorageError:
        self._failed = str(failure)
        return failure

    def _sync_file(self, *, dropping: bool) -> None:
        """`dropping`: after a failure cut off what is not durable. Raises StorageError, final."""
        try:
            self._storage.sync(self._name)
        except OSError as error:
            failure = self._fail(recovery.storage_error("sync", error, self._name, final=True))
            if dropping:
                self._drop_unsynced()
            raise failure from None
        self._durable_size = self._size

    def _take_back(self, size: int) -> None:
        """What is refused must not come back with the file, not even after a power cut."""
        with suppress(OSError):
            self._storage.truncate(self._name, size)
            self._storage.sync(self._name)

    def _drop_unsynced(self) -> None:
        """After a failed sync: what is not durable must not look so to the next process, and must
        not come back after a power cut. The second sync writes the new length, and may fail, too.
        """
        try:
            self._storage.truncate(self._name, self._durable_size)
        except OSError:
            return  # the disk is failing; the next start reads what is there
        with suppress(OSError):
            self._storage.sync(self._name)
        self.written = self.durable
