"""Records one life of a node: every input of its core, and a hash of every Outbox.

With `trace: true` each life of a node leaves a file in its folder `trace/`
(`node.recording.format`): what its replica was made of, every input in order, and after each drain
a hash of the Outbox.

Rules
- It costs one append a drain, of bytes that exist already; the reader does the rest of the work.
- An entry is in the file before the Outbox that it speaks of is executed; one of an empty Outbox
  may wait for the next. What a node did before kill -9 is therefore all there; the last of what is
  there was perhaps not done.
- A node never suffers from being recorded. Where the disk is full or a file is as long as it may
  be, the file is cut back to its last whole entry and says that it is incomplete; so does the log,
  once. What is not recorded from there on is counted.
- Without a recorder nothing of this runs: a plain `Replica` is used.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random

import msgspec

from domain.moderation import Policy
from node.core.interface import Input, Outbox
from node.core.ports import EventCodec, Fields, Note, Pages, Record
from node.core.replica import Replica, ReplicaConfig
from node.network.link_faults import FaultTable
from node.recording.format import (
    BLOCKED,
    HEADER_BYTES,
    MAGIC,
    SUFFIX,
    WHY,
    Began,
    Booted,
    Dropped,
    Ended,
    Entry,
    Failed,
    InputIn,
    Links,
    PolicyIn,
    Restored,
    Said,
    State,
    TickIn,
    Turn,
    counts_of,
    encode_entry,
    outbox_digest,
    recorded,
)
from node.storage.codec import encode_block
from node.storage.recovered import Recovery

BYTES_MAX = 1024 * 1024 * 1024  # of one file
BLOCK_RECORDS = 1024
WAITING_MAX = 256  # entries
_NOTHING = counts_of(Outbox())
_HASH_OF_NOTHING = outbox_digest(Outbox())


class Recorder:
    """Writes the file of one life. Nothing here raises once it is open."""

    def __init__(
        self,
        path: Path,
        *,
        bytes_max: int = BYTES_MAX,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Begin a new file. Raises OSError."""
        self.path = path
        self.lost = 0  # entries
        self.size = HEADER_BYTES  # up to the last whole entry
        self.dropped_of: Callable[[], Mapping[str, Mapping[str, int]]] | None = None
        self._bytes_max = bytes_max
        self._now_ns = now_ns
        self._inputs: list[InputIn] = []
        self._began_ns = 0
        self._waiting: list[Entry] = []  # for the next drain
        self._plans: dict[str, list[list[float]]] = {}
        self._dropped: dict[str, tuple[int, Mapping[str, int]]] = {}
        self._log: Callable[[Note, str], None] | None = None
        self._stopped: Note | None = None  # waits for a log to be told in
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)
        try:
            os.write(self._fd, _header("+", 0))
        except OSError:
            os.close(self._fd)
            raise

    @property
    def complete(self) -> bool:
        return not self.lost

    # --- the core -------------------------------------------------------------------------------

    def began(self, entry: Began) -> None:
        self._put([entry])

    def restored(self, records: list[Record]) -> None:
        for first in range(0, len(records), BLOCK_RECORDS):
            self._put([Restored(encode_block(records[first : first + BLOCK_RECORDS]))])

    def booted(self, now_ms: int, wall_ms: int, must_open_epoch: str, unsynced: int) -> None:
        self._put([Booted(self._now_ns(), now_ms, wall_ms, must_open_epoch, unsynced)])

    def stepped(self, item: Input) -> None:
        """Before it is: an input that is too much for the replica is seen, too."""
        self._take(recorded(item))

    def policy(self, policy: Policy) -> None:
        self._take(PolicyIn(msgspec.json.encode(policy)))

    def _take(self, item: InputIn) -> None:
        if not self._inputs or type(item) is TickIn:  # rules may have come before the turn
            self._began_ns = self._now_ns()
        self._inputs.append(item)

    def drained(self, outbox: Outbox) -> None:
        inputs, self._inputs = self._inputs, []
        began_ns = self._began_ns if inputs else self._now_ns()
        counts = counts_of(outbox)
        if counts == _NOTHING:
            self._waiting.append(Turn(began_ns, inputs, _HASH_OF_NOTHING, counts))
            if len(self._waiting) >= WAITING_MAX:
                self._put([])
            return
        self._look_at_links()
        self._put([Turn(began_ns, inputs, outbox_digest(outbox), counts)])

    def failed(self, error: BaseException) -> None:
        inputs, self._inputs = self._inputs, []
        text = f"{type(error).__name__}: {error}"
        self._put([Failed(self._now_ns(), inputs, text)])

    # --- around it ------------------------------------------------------------------------------

    def planned(self, peer: str, delays_ms: list[float]) -> None:
        """A fault acted on the next packet of the last Outbox to this peer."""
        self._plans.setdefault(peer, []).append(delays_ms)

    def heard(self, write_note: Callable[[Note, str], None]) -> Callable[[Note, str], None]:
        """The same way to the log; those notes that the replica did not make are recorded."""
        self._log = write_note
        self._tell_stopped()

        def write(note: Note, worker: str) -> None:
            write_note(note, worker)
            if worker != "replica":
                fields = dict(note.fields)
                self._waiting.append(Said(self._now_ns(), worker, note.event, note.level, fields))

        return write

    def _look_at_links(self) -> None:
        dropped: Dropped = {}
        if self.dropped_of is not None:
            for peer, counts in self.dropped_of().items():
                total = sum(counts.values())
                before, counted = self._dropped.get(peer, (0, {}))
                if total != before:
                    more = {why: count - counted.get(why, 0) for why, count in counts.items()}
                    dropped[peer] = {why: count for why, count in more.items() if count}
                    self._dropped[peer] = (total, dict(counts))
        if dropped or self._plans:
            self._waiting.append(Links(self._now_ns(), self._plans, dropped))
            self._plans = {}

    def ended(self, written: int, durable: int) -> None:
        """The life ends in order."""
        self._look_at_links()
        self._put([Ended(self._now_ns(), written, durable)])
        self._close(".")

    def close(self) -> None:
        """It ends otherwise, or has ended already."""
        self._put([])
        self._close("+")

    # --- the file -------------------------------------------------------------------------------

    def _put(self, more: list[Entry]) -> None:
        """Write what waits, and these."""
        entries, self._waiting = [*self._waiting, *more], []
        if self.lost or self._fd < 0:
            self.lost += len(entries)
            return
        parts: list[bytes] = []
        written = 0
        try:
            for entry in entries:
                data = encode_entry(entry)
                parts += (len(data).to_bytes(4, "big"), data)
            chunk = b"".join(parts)
            if self.size + len(chunk) > self._bytes_max:
                self._give_up(len(entries), "^")
                return
            written = os.write(self._fd, chunk)
        except (OSError, ValueError, TypeError):  # the disk; or half a character in a note
            chunk = b"?"
        if written != len(chunk):
            self._give_up(len(entries), "!")
            return
        self.size += written

    def _give_up(self, lost: int, why: State) -> None:
        """From here on there would be a gap: nothing more is recorded."""
        self.lost += lost
        with suppress(OSError):
            os.ftruncate(self._fd, self.size)
        with suppress(OSError):  # in place: that needs no room
            os.pwrite(self._fd, _header(why, self.lost), 0)
        fields: Fields = {"file": self.path.name, "bytes": self.size, "reason": WHY[why]}
        self._stopped = Note("recording_stopped", "warning", fields)
        self._tell_stopped()

    def _tell_stopped(self) -> None:
        if self._stopped is not None and self._log is not None:
            note, self._stopped = self._stopped, None
            self._log(note, "recorder")

    def _close(self, state: State) -> None:
        if self._fd < 0:
            return
        with suppress(OSError):
            if self.lost:
                os.pwrite(self._fd, self.lost.to_bytes(8, "big"), len(MAGIC) + 1)
            else:
                os.pwrite(self._fd, _header(state, 0), 0)
        with suppress(OSError):
            os.close(self._fd)
        self._fd = -1


def _header(state: State, lost: int) -> bytes:
    return MAGIC + state.encode() + lost.to_bytes(8, "big")


class RecordedReplica(Replica):
    """A replica that tells its recorder what it is asked and what it hands over."""

    def __init__(
        self,
        config: ReplicaConfig,
        codec: EventCodec,
        rng_seed: int,
        incarnation: int,
        recorder: Recorder,
        pages: Pages | None = None,
    ) -> None:
        super().__init__(config, codec, Random(rng_seed), incarnation, pages=pages)
        self._recorder = recorder

    def restore(self, records: Iterable[Record]) -> None:
        batch = list(records)
        self._recorder.restored(batch)
        super().restore(batch)

    def boot(self, now_ms: int, wall_ms: int, must_open_epoch: str, unsynced: int = 0) -> None:
        self._recorder.booted(now_ms, wall_ms, must_open_epoch, unsynced)
        super().boot(now_ms, wall_ms, must_open_epoch, unsynced)

    def step(self, item: Input) -> None:
        self._recorder.stepped(item)
        try:
            super().step(item)
        except Exception as error:
            self._recorder.failed(error)
            raise

    def drain(self) -> Outbox:
        try:
            outbox = super().drain()
        except Exception as error:
            self._recorder.failed(error)
            raise
        self._recorder.drained(outbox)
        return outbox

    def set_policy(self, policy: Policy) -> None:
        self._recorder.policy(policy)
        super().set_policy(policy)


class RecordedFaults(FaultTable):
    """A table of faults that tells its recorder what they do to each packet."""

    def __init__(self, peers: Iterable[str], rng: Random, recorder: Recorder) -> None:
        super().__init__(peers, rng)
        self._recorder = recorder

    def plan(self, peer: str) -> list[float]:
        fault = self.get(peer)
        delays_ms = super().plan(peer)
        if not fault.none:
            self._recorder.planned(peer, BLOCKED if fault.blocked else delays_ms)
        return delays_ms


def begin(
    folder: Path, config: ReplicaConfig, rng_seed: int, recovery: Recovery
) -> Recorder | None:
    """The recorder of a life that begins. None if there can be none: the node lives all the same.

    A directory that was emptied counts its starts anew, so the time is a part of the file's name.
    """
    name = f"{time.monotonic_ns():020d}-{recovery.incarnation:06d}{SUFFIX}"
    try:
        recorder = Recorder(folder / name)
    except OSError:
        return None
    recorder.began(
        Began(
            node=config.node,
            incarnation=recovery.incarnation,
            pid=os.getpid(),
            config=msgspec.json.encode(config),
            rng_seed=rng_seed,
            clean=recovery.clean,
            torn_bytes=recovery.torn_bytes,
            quarantined=recovery.lost,
            holes=recovery.new_holes,
        )
    )
    return recorder
