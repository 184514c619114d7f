"""A simulated disk, below the real journal. It is a `node.storage.files.MemoryStorage`, which keeps
written and synced bytes apart, plus the faults of disks and kernels.

Rules
- A fault appears as the kernel would report it: an OSError with EIO or ENOSPC, or a short write.
- A crash at a point inside the journal raises `Died`, which no code of the node catches.
- After a failed sync the kernel marks the pages as clean: they can be read, no later sync writes
  them, and a power failure loses them, even if the process has restarted in between ("fsyncgate").
- Every fault that acts is reported to `fired`, so that a planned fault that never acted is noticed.
- For data that was damaged without the journal's knowledge, the bytes as they were written are kept
  for the trace (`as_written`). No node reads them.
"""

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Literal

from lab.plan.faults import Site
from node.storage.checkpoint_files import CHECKPOINT_SUFFIX
from node.storage.files import SECTOR_BYTES, MemoryStorage, _File
from node.storage.recovery import IDENTITY_FILE, load_identity
from node.storage.segments import SEGMENT_SUFFIX, list_segments, read_frames

AddStream = Callable[[str, Random], Random]  # see `RandomStreams.add`
Fired = Callable[[str, str], None]  # the word of the fault, and where
Doomed = dict[str, list[tuple[int, int]]]  # by file: bytes that no sync will write
Names = tuple[dict[str, _File], dict[str, _File]]  # as a process sees them, and durable ones
Spoilt = Literal["stale", "misdirected"]
Rot = dict[str, list[tuple[int, bytes]]]  # by file: where, and what stood there, in order of damage
Contents = tuple[MemoryStorage, dict[str, int], Doomed, Rot]


class Died(Exception):
    """The process ends here, inside a call to the disk."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.site = site


class DiskFaults:
    """The faults that are active on one disk; the injector changes them. Mutable."""

    def __init__(self) -> None:
        self.errors: dict[str, list[tuple[float, Random]]] = {}  # by call: write, sync
        self.full: list[list[int]] = []  # [bytes that still fit], one for each such fault
        self.short: list[tuple[float, Random]] = []
        self.slow_us: list[tuple[int, Random]] = []
        self.dies: Callable[[Site], bool] | None = None  # asked at each site: does it die here?


class SimDisk:
    """Implements `node.storage.files.Storage`. Mutable."""

    def __init__(
        self, name: str, fired: Fired, add_stream: AddStream = lambda _, made: made
    ) -> None:
        self._name = name
        self._add_stream = add_stream
        self._checkpoints_rng: Random | None = None
        self.files = MemoryStorage(name)
        self._checkpoints = MemoryStorage(name)
        self.faults = DiskFaults()
        self.opening = False  # while the journal is opened: sites have another name
        self.robbed = False  # a file was taken from the running process, which may not know it
        self.unbegun = 0  # segments that a journal has removed: it could not begin them
        self._fired = fired
        self._synced: dict[str, int] = {}  # how long each file was at its last sync
        self._doomed: Doomed = {}
        self._rot: Rot = {}
        self._away: Names | None = None  # the directory, while it is somewhere else
        self._telling = False

    # --- reading --------------------------------------------------------------------------------

    def names(self) -> list[str]:
        return sorted(self.files.names() + self._checkpoints.names())

    def size(self, name: str) -> int:
        return self._with(name).size(name)

    def read(self, name: str, offset: int, length: int) -> bytes:
        if self._telling and name in self._rot:
            return self._undamaged(name)[offset : offset + length]
        return self._with(name).read(name, offset, length)

    @property
    def rotten(self) -> bool:
        """Whether some bytes differ from what was written."""
        return bool(self._rot)

    @contextmanager
    def as_written(self) -> Iterator[None]:
        """A context in which reads return what was written, without damage. For the trace only."""
        self._telling = True
        try:
            yield
        finally:
            self._telling = False

    def _undamaged(self, name: str) -> bytes:
        data = bytearray(self.files.read(name, 0, self.files.size(name)))
        for at, piece in reversed(self._rot[name]):
            data[at : at + len(piece)] = piece[: max(len(data) - at, 0)]
        return bytes(data)

    def astray(self, sizes: Mapping[str, int]) -> str:
        return self.files.astray(sizes)

    def place(self) -> str:
        return self.files.place()

    def nonce(self, size: int) -> bytes:
        return self.files.nonce(size)

    def close(self) -> None:
        self.files.close()

    def _with(self, name: str) -> MemoryStorage:
        """Where this file is. Checkpoints lie apart: what goes wrong with the journal does not
        depend on them, so that a seed means with them what it meant without.
        """
        return self._checkpoints if CHECKPOINT_SUFFIX in name else self.files

    # --- writing --------------------------------------------------------------------------------

    def create(self, name: str) -> None:
        self._pass("write", name)
        self._with(name).create(name)

    def append(self, name: str, data: bytes) -> int:
        faults = self.faults
        if faults.errors or faults.full or faults.short or faults.dies is not None:
            data = self._admitted(name, data)
        return self._with(name).append(name, data)

    def sync(self, name: str) -> None:
        try:
            self._pass("sync", name)
        except OSError:
            dirty = (self._synced.get(name, 0), self.files.open_size(name))
            if dirty[0] < dirty[1]:
                self._doomed.setdefault(name, []).append(dirty)
                self._synced[name] = dirty[1]
            raise
        self.files.sync(name)
        self._synced[name] = self.files.open_size(name)

    def sync_dir(self) -> None:
        self._pass("sync", "the directory")
        self.files.sync_dir()

    def truncate(self, name: str, size: int) -> None:
        self._pass("write", name)
        self.files.truncate(name, size)
        self._synced[name] = min(self._synced.get(name, 0), size)
        self._clip(name, size)

    def rename(self, old: str, new: str) -> None:
        self._pass("write", new)
        self._with(new).rename(old, new)
        for about in (self._synced, self._doomed, self._rot):
            about.pop(new, None)
            if old in about:
                about[new] = about.pop(old)  # type: ignore[assignment]

    def remove(self, name: str) -> None:
        self._pass("write", name)
        self._with(name).remove(name)
        self.unbegun += name.endswith(SEGMENT_SUFFIX)
        self._synced.pop(name, None)
        self._doomed.pop(name, None)
        self._rot.pop(name, None)

    def _pass(self, call: str, name: str) -> None:
        """Raises what goes wrong with this call, if anything does."""
        faults = self.faults
        if CHECKPOINT_SUFFIX in name:
            return
        if self.opening and faults.dies is not None and faults.dies("mid_open"):
            raise Died("mid_open")
        for share, rng in faults.errors.get(call, ()):
            if rng.random() < share:
                self._fired("disk_errors", f"{call} {name}")
                raise OSError(errno.EIO, os.strerror(errno.EIO), name)

    def _admitted(self, name: str, data: bytes) -> bytes:
        """How much of this a write takes. Raises OSError where it takes nothing."""
        if CHECKPOINT_SUFFIX in name:
            return data
        self._pass("write", name)
        faults = self.faults
        if not self.opening and faults.dies is not None and faults.dies("mid_write"):
            self.files.append(name, data[: len(data) // 2])
            raise Died("mid_write")
        for share, rng in faults.short:
            if len(data) > 1 and rng.random() < share:
                self._fired("short_writes", name)
                data = data[: rng.randrange(1, len(data))]
        if faults.full:
            room = min(left[0] for left in faults.full)
            if room <= 0:
                self._fired("disk_full", name)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
            data = data[:room]
            for left in faults.full:
                left[0] -= len(data)
        return data

    def sync_us(self, mean_us: int, rng: Random) -> int:
        """How long the next sync takes."""
        took_us = mean_us // 2 + int(rng.random() * mean_us)
        for most_us, own in self.faults.slow_us:
            took_us += own.randrange(most_us)
            self._fired("slow_sync", "")
        return took_us

    # --- what a crash leaves --------------------------------------------------------------------

    def killed(self) -> None:
        """kill -9: the page cache survives."""
        self.files = self.files.killed()
        self._checkpoints = self._checkpoints.killed()
        self.robbed = False

    def power_cut(self, rng: Random) -> None:
        """Power failure: what was synced survives, and any subset of the unsynced sectors."""
        if self._checkpoints_rng is None:  # most disks never need one
            label = f"checkpoints {self._name}"
            self._checkpoints_rng = self._add_stream(label, Random(label))
        self._checkpoints = self._checkpoints.power_cut(self._checkpoints_rng)
        self.files = self.files.power_cut(rng if rng.getrandbits(1) else None)
        for name, ranges in self._doomed.items():
            if name in self.files.names():
                data = bytearray(self.files.read(name, 0, self.files.size(name)))
                for first, end in ranges:
                    data[first:end] = bytes(len(data[first:end]))
                self.files.set(name, bytes(data))
        self._doomed.clear()
        for name in list(self._rot):
            self._clip(name, self.files.size(name) if name in self.files.names() else 0)
        self._synced = {name: self.files.size(name) for name in self.files.names()}
        self.robbed = False

    def _clip(self, name: str, size: int) -> None:
        """Of what is cut off nothing is kept: other bytes will be written in its place."""
        if name in self._doomed:
            doomed = [(first, min(end, size)) for first, end in self._doomed[name] if first < size]
            self._doomed[name] = doomed
        left = [(at, piece[: size - at]) for at, piece in self._rot.pop(name, ()) if at < size]
        if left:
            self._rot[name] = left

    def copied(self) -> Contents:
        """A backup of it, with its damage."""
        return self.files.killed(), {}, {}, {name: rot[:] for name, rot in self._rot.items()}

    def replaced(self, files: MemoryStorage, rot: Rot | None = None) -> Contents:
        """Another disk stands in its place. Returns the one that was taken out."""
        taken = (self.files, self._synced, self._doomed, self._rot)
        self.put_back((files, {name: files.size(name) for name in files.names()}, {}, rot or {}))
        return taken

    def put_back(self, contents: Contents) -> None:
        self.files, self._synced, self._doomed, self._rot = contents

    def move_away(self) -> bool:
        """Under a running process, which goes on writing to what it has open. False: it is away."""
        if self._away is not None:
            return False
        self._away = self.files.vanish()
        return True

    def move_back(self) -> bool:
        """False: it is there, or another disk is in its place."""
        away, self._away = self._away, None
        if away is None or list_segments(self.files):
            return False
        self.files.come_back(*away)
        return True

    def lose_segment(self, *, emptied: bool) -> str:
        """The last one, under a running process. Returns which; "" if there is none."""
        segments = list_segments(self.files)
        if not segments:
            return ""
        name = segments[-1].name
        if emptied:
            self.files.empty(name)
            self._synced[name] = 0
        else:
            self.files.vanish(name)
            self._synced.pop(name, None)
        self.robbed = True
        self._clip(name, 0)
        return name

    def lose_identity(self) -> bool:
        """Remove the file IDENTITY. False if it is gone, or no journal would show the loss."""
        if IDENTITY_FILE not in self.files.names() or not list_segments(self.files):
            return False
        self.files.remove(IDENTITY_FILE)
        self.files.sync_dir()
        return True

    def lose_end(self, rng: Random) -> str:
        """Remove durable data at the end of the journal: the last file, or its last frames.

        The cut is chosen so that IDENTITY, which stays, reveals the loss. Returns the place; "" if
        no such cut exists.
        """
        files = self.files
        identity, segments = load_identity(files), list_segments(files)
        if identity is None or not segments or self._rot:
            return ""
        last = segments[-1]
        ends = {0} if identity.last_segment == last.number else set()
        for frame, _ in read_frames(files, last):
            if frame.end < last.size and frame.number + frame.count < identity.next_number:
                ends.add(frame.end)
        if not ends:
            return ""
        end = rng.choice(sorted(ends))
        self._clip(last.name, end)
        if end:
            files.set(last.name, files.read(last.name, 0, end))
            self._synced[last.name] = end
        else:
            files.remove(last.name)
            files.sync_dir()
            self._synced.pop(last.name, None)
            self._doomed.pop(last.name, None)
        return f"{last.name}:{end}"

    def spoil(self, rng: Random, count: int) -> list[tuple[Spoilt, str]]:
        """So many sectors at rest lack what was last written there; the process is down.

        Every other of those writes went to another sector instead. Returns what, and where.
        """
        done: list[tuple[Spoilt, str]] = []
        for _ in range(count):
            places = [
                (name, at)
                for name in self.files.names()
                for at in range(0, self.files.size(name), SECTOR_BYTES)
            ]
            if not places:
                break
            name, at = rng.choice(places)
            written = self.files.read(name, at, SECTOR_BYTES)
            other, to = rng.choice(places)
            self._overwrite(name, at, bytes(len(written)))
            if rng.getrandbits(1) and (other, to) != (name, at):
                self._overwrite(other, to, written)
                done.append(("misdirected", f"{name}:{at} to {other}:{to}"))
            else:
                done.append(("stale", f"{name}:{at}"))
        return done

    def _overwrite(self, name: str, at: int, piece: bytes) -> None:
        """No file gets longer."""
        piece = piece[: max(self.files.size(name) - at, 0)]
        self._rot.setdefault(name, []).append((at, self.files.read(name, at, len(piece))))
        self.files.damage(name, at, piece)

    def flip(self, rng: Random, count: int) -> list[str]:
        """Flip so many bits, whether the process is up or not. Returns where."""
        sizes = [(name, self.files.size(name)) for name in self.files.names()]
        where: list[str] = []
        for _ in range(count):
            total = sum(size for _, size in sizes)
            if not total:
                break
            at = rng.randrange(total)
            for name, size in sizes:
                if at < size:
                    bit = self.files.read(name, at, 1)[0] ^ 1 << rng.randrange(8)
                    self._overwrite(name, at, bytes((bit,)))
                    where.append(f"{name}:{at}")
                    break
                at -= size
        return where
