"""Storage: a flat directory of append-only files, with only what the journal needs.

The journal runs on any `Storage`: a real directory, memory with a model of what a power cut leaves
behind (`MemoryStorage`), and one that fails at the n-th call (`FaultyStorage`).

Rules:
- `append` may write less than it was given, as write(2) may. Nothing is buffered in user space:
  what `append` counted survives kill -9.
- What was written is durable after `sync` of its file. A new, renamed or removed name is durable
  after `sync_dir`.
- Operating errors are OSError with an errno. The journal makes `StorageError`s of them.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Protocol

from node.config.os_errors import reason_of, shown

LOCK = "LOCK"
PARENTS_SYNCED = 4  # of a node, of its cluster, of all clusters, and what these are in
SECTOR_BYTES = 512
# No space, over quota, over the file size limit: goes away when somebody makes room.
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StorageError(Exception):
    """The journal could not be read or written. `final`: this journal object is of no more use."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class DiskFull(StorageError):
    """There is no room. What was to be written was taken back whole; try again later."""


class StorageLocked(StorageError):
    """Another process has this directory open."""


class Reader(Protocol):
    """Reading needs no lock and changes nothing."""

    def names(self) -> list[str]:
        """All file names, sorted."""
        ...

    def size(self, name: str) -> int: ...

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Up to `length` bytes; fewer only at the end of the file."""
        ...


class Storage(Reader, Protocol):
    def create(self, name: str) -> None:
        """A new empty file. FileExistsError if there is one."""
        ...

    def append(self, name: str, data: bytes) -> int: ...

    def sync(self, name: str) -> None: ...

    def sync_dir(self) -> None: ...

    def truncate(self, name: str, size: int) -> None: ...

    def rename(self, old: str, new: str) -> None:
        """Replaces `new` if it exists, atomically."""
        ...

    def remove(self, name: str) -> None: ...

    def astray(self, sizes: Mapping[str, int]) -> str:
        """Why a start would not find what is written here, in a few words; "" if it would.

        Somebody may have moved, removed or replaced the directory, its lock, or one of these files;
        or a file is shorter than so many bytes. What is open goes on being written all the same.
        """
        ...

    def place(self) -> str:
        """Where the directory is: changes when it is copied, not when it is reopened."""
        ...

    def nonce(self, size: int) -> bytes:
        """Random bytes that no other storage hands out."""
        ...

    def close(self) -> None: ...


# --- a real directory ---------------------------------------------------------------------------


class FileReader:
    """A directory on disk, read without taking the lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        return sorted(entry.name for entry in os.scandir(self.path) if entry.is_file())

    def size(self, name: str) -> int:
        return os.stat(self.path / name).st_size

    def read(self, name: str, offset: int, length: int) -> bytes:
        fd = os.open(self.path / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts: list[bytes] = []
            while length > 0 and (part := os.pread(fd, length, offset)):
                parts.append(part)
                offset += len(part)
                length -= len(part)
            return parts[0] if len(parts) == 1 else b"".join(parts)
        finally:
            os.close(fd)


class FileStorage(FileReader):
    """A real directory (0700, files 0600), locked with flock for as long as this object is open.

    The lock is taken before anything else is looked at. It is bound to the open file, not to the
    process: a second FileStorage of the same process is refused as well. NFS is not supported.
    """

    def __init__(self, path: Path, *, make: bool = True) -> None:
        super().__init__(path)
        self._appending: dict[str, int] = {}  # the descriptors of the two files written last
        self._locked: _Inode | None = None  # of the lock file
        try:
            if make and not (path / LOCK).exists():
                _make_durably(path)
            self._dir = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._lock = self._take_lock()
            except BaseException:
                os.close(self._dir)
                raise
        except OSError as error:
            raise StorageError(
                f"{shown(path)}: cannot be opened: {reason_of(error)}", final=True
            ) from None

    def _take_lock(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        lock = os.open(LOCK, flags, 0o600, dir_fd=self._dir)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            with suppress(OSError):  # the pid is a courtesy: a full disk must not keep us out
                os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise StorageLocked(
                f"{shown(self.path)}: already open by pid {holder}; stop that node first",
                final=True,
            ) from None
        except BaseException:
            os.close(lock)
            raise
        self._locked = _inode(os.fstat(lock))
        return lock

    def astray(self, sizes: Mapping[str, int]) -> str:
        """What is open cannot change hands: so equal numbers mean the same file."""
        if _seen(self.path, follow_symlinks=True) != _inode(os.fstat(self._dir)):
            return f"{shown(self.path)} was moved, removed or replaced"
        if _seen(self.path / LOCK) != self._locked:
            return f"{shown(self.path / LOCK)} was moved, removed or replaced"
        for name, size in sizes.items():
            try:
                status = os.stat(name, dir_fd=self._dir, follow_symlinks=False)
            except FileNotFoundError:
                return f"{shown(self.path / name)} was moved or removed"
            fd = self._appending.get(name)
            if not stat.S_ISREG(status.st_mode) or (fd is not None and not _same(fd, status)):
                return f"{shown(self.path / name)} was replaced"
            if status.st_size < size:
                return (
                    f"{shown(self.path / name)} was cut: {status.st_size} of {size} bytes are left"
                )
        return ""

    def create(self, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(name, flags, 0o600, dir_fd=self._dir))

    def append(self, name: str, data: bytes) -> int:
        return os.write(self._open(name), data)

    def sync(self, name: str) -> None:
        os.fdatasync(self._open(name))

    def sync_dir(self) -> None:
        os.fsync(self._dir)

    def truncate(self, name: str, size: int) -> None:
        os.ftruncate(self._open(name), size)

    def rename(self, old: str, new: str) -> None:
        self._forget(old, new)
        os.rename(old, new, src_dir_fd=self._dir, dst_dir_fd=self._dir)

    def remove(self, name: str) -> None:
        self._forget(name)
        os.unlink(name, dir_fd=self._dir)

    def place(self) -> str:
        stat = os.fstat(self._dir)
        return f"{stat.st_dev}:{stat.st_ino}"

    def nonce(self, size: int) -> bytes:
        return os.urandom(size)

    def close(self) -> None:
        if self._dir < 0:
            return
        self._forget(*self._appending)
        os.close(self._dir)
        os.close(self._lock)  # last: this releases the lock
        self._dir = self._lock = -1

    def _open(self, name: str) -> int:
        """The descriptor for `name`. Kept: a sync error shows only on the descriptor that wrote.

        Two are: the segment that grows, and what is written beside it.
        """
        if name in self._appending:
            return self._appending[name]
        if len(self._appending) > 1:
            self._forget(next(iter(self._appending)))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(name, flags, dir_fd=self._dir)
        self._appending[name] = fd
        return fd

    def _forget(self, *names: str) -> None:
        for name in names:
            if (fd := self._appending.pop(name, None)) is not None:
                os.close(fd)


_Inode = tuple[int, int]  # device and number


def _inode(status: os.stat_result) -> _Inode:
    return status.st_dev, status.st_ino


def _same(fd: int, status: os.stat_result) -> bool:
    return _inode(os.fstat(fd)) == _inode(status)


def _seen(path: Path, *, follow_symlinks: bool = False) -> _Inode | None:
    """What is there; None if nothing is, also where a folder on the way is gone."""
    try:
        return _inode(os.stat(path, follow_symlinks=follow_symlinks))
    except OSError:
        return None


def _make_durably(path: Path) -> None:
    """The folder, and the names of the folders above it that may be as new. Raises OSError."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    for parent in list(path.absolute().parents)[:PARENTS_SYNCED]:
        with suppress(PermissionError):  # somebody else's, and so not new
            fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


# --- in memory ----------------------------------------------------------------------------------


class _File:
    """Bytes as a process sees them, and what of them a power cut would leave."""

    __slots__ = ("cut", "data", "durable_tail", "shared")

    def __init__(self, data: bytes = b"", *, durable: bool = False) -> None:
        self.data = bytearray(data)
        self.shared = len(data) if durable else 0  # data[:shared] is on disk as it is here
        self.durable_tail = b""  # what the disk still has after it
        # What was cut off and never synced, and where it began: the kernel may have written it.
        self.cut: tuple[int, bytes] = 0, b""

    @property
    def durable(self) -> bytes:
        return bytes(self.data[: self.shared]) + self.durable_tail

    def sync(self) -> None:
        self.shared, self.durable_tail, self.cut = len(self.data), b"", (0, b"")

    def truncate(self, size: int) -> None:
        if len(self.data) > max(size, self.shared):
            at = max(size, self.shared)
            self.cut = at, bytes(self.data[at:])
        if size < self.shared:
            self.durable_tail = bytes(self.data[size : self.shared]) + self.durable_tail
            self.shared = size
        del self.data[size:]
        self.data.extend(bytes(size - len(self.data)))

    def after_power_cut(self, rng: Random) -> bytes:
        """Any subset of the unsynced sectors survives; the others hold zeros or older bytes."""
        old, new = self.durable, bytes(self.data)
        at, cut = self.cut
        if len(new) < at + len(cut) and at <= len(new) and rng.getrandbits(1):
            new += cut[len(new) - at :]  # the disk does not know yet that it was cut off
        size = rng.choice((len(old), len(new), rng.randint(*sorted((len(old), len(new))))))
        out = bytearray(size)
        out[: len(old)] = old[:size]
        sector = self.shared - self.shared % SECTOR_BYTES
        while sector < size:
            if rng.getrandbits(1):
                piece = new[max(sector, self.shared) : min(sector + SECTOR_BYTES, size)]
                at = max(sector, self.shared)
                out[at : at + len(piece)] = piece
            sector += SECTOR_BYTES
        return bytes(out)


class MemoryStorage:
    """A directory in memory that keeps written and synced bytes apart.

    `killed` and `power_cut` give what the next process finds. Deterministic: nonces come from the
    name, crashes from the generator passed in.
    """

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self._files: dict[str, _File] = {}
        self._open: dict[str, _File] = {}  # as descriptors, of the two files written last
        self._gone = False  # the directory was moved away; what is open goes on being written
        self._durable_names: dict[str, _File] = {}
        self._nonces = 0

    def names(self) -> list[str]:
        return sorted(self._files)

    def size(self, name: str) -> int:
        return len(self._file(name).data)

    def read(self, name: str, offset: int, length: int) -> bytes:
        return bytes(self._file(name).data[offset : offset + length])

    def create(self, name: str) -> None:
        if name in self._files:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        self._files[name] = _File()

    def append(self, name: str, data: bytes) -> int:
        self._opened(name).data.extend(data)
        return len(data)

    def sync(self, name: str) -> None:
        self._opened(name).sync()

    def sync_dir(self) -> None:
        self._durable_names = dict(self._files)

    def truncate(self, name: str, size: int) -> None:
        self._opened(name).truncate(size)

    def rename(self, old: str, new: str) -> None:
        self._files[new] = self._file(old)
        del self._files[old]
        for name in (old, new):
            self._open.pop(name, None)

    def remove(self, name: str) -> None:
        self._file(name)
        del self._files[name]
        self._open.pop(name, None)

    def astray(self, sizes: Mapping[str, int]) -> str:
        if self._gone:
            return f"{self.name} was moved, removed or replaced"
        for name, size in sizes.items():
            file = self._files.get(name)
            if file is None:
                return f"{name} was moved or removed"
            if self._open.get(name, file) is not file:
                return f"{name} was replaced"
            if len(file.data) < size:
                return f"{name} was cut: {len(file.data)} of {size} bytes are left"
        return ""

    def place(self) -> str:
        return self.name

    def nonce(self, size: int) -> bytes:
        self._nonces += 1
        return Random(f"{self.name}/{self._nonces}").randbytes(size)

    def close(self) -> None: ...

    def killed(self) -> "MemoryStorage":
        """What kill -9 leaves: everything written."""
        return self._successor({name: bytes(f.data) for name, f in self._files.items()})

    def power_cut(self, rng: Random | None = None) -> "MemoryStorage":
        """What a power cut leaves. Without a generator: what was synced, and nothing else."""
        if rng is None:
            return self._successor({n: f.durable for n, f in self._durable_names.items()})
        names = self._files if rng.getrandbits(1) else self._durable_names
        return self._successor({name: f.after_power_cut(rng) for name, f in names.items()})

    def copy(self, name: str) -> "MemoryStorage":
        """The directory, copied to another place."""
        copied = self.killed()
        copied.name = name
        return copied

    def set(self, name: str, data: bytes) -> None:
        """Put these bytes into a file behind the journal's back: a new one, in its place."""
        self._files[name] = self._durable_names[name] = _File(data, durable=True)

    def vanish(self, name: str = "") -> tuple[dict[str, _File], dict[str, _File]]:
        """Somebody removes this file, or moves all of the directory away. It stays open.

        Returns what was there, by name, and by durable name.
        """
        before = dict(self._files), dict(self._durable_names)
        for names in (self._files, self._durable_names):
            if name:
                names.pop(name, None)
            else:
                names.clear()
        self._gone |= not name
        return before

    def come_back(self, files: dict[str, _File], durable: dict[str, _File]) -> None:
        """What `vanish` took is in its place again."""
        self._files, self._durable_names, self._gone = files, durable, False

    def empty(self, name: str) -> None:
        """Somebody empties the file, durably."""
        file = self._file(name)
        file.truncate(0)
        file.sync()

    def damage(self, name: str, at: int, piece: bytes) -> None:
        """Change bytes in place, behind the journal's back. What is synced stays synced."""
        self._file(name).data[at : at + len(piece)] = piece

    def _successor(self, files: dict[str, bytes]) -> "MemoryStorage":
        after = MemoryStorage(self.name)
        after._nonces = self._nonces
        for name, data in files.items():
            after.set(name, data)
        return after

    def open_size(self, name: str) -> int:
        """Of the file that is open, whatever is by that name in the directory."""
        return len(self._opened(name).data)

    def _opened(self, name: str) -> _File:
        """As `FileStorage._open`."""
        file = self._open.get(name)
        if file is None:
            file = self._file(name)
            if len(self._open) > 1:
                del self._open[next(iter(self._open))]
            self._open[name] = file
        return file

    def _file(self, name: str) -> _File:
        file = self._files.get(name)
        if file is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return file


class FaultyStorage(MemoryStorage):
    """Fails the n-th call that could fail on a real disk, once or from then on. n counts from 1.

    On a full disk a failing append is short first, as on real file systems, and fails when asked
    for the rest.
    """

    def __init__(self, fail_at: int, code: int, *, always: bool = False, name: str = "mem") -> None:
        super().__init__(name)
        self.fail_at, self.code, self.always = fail_at, code, always
        self.calls = 0
        self._cut_short = False

    def _fail_if_due(self) -> None:
        self.calls += 1
        if self.calls == self.fail_at or (self.always and self.calls > self.fail_at):
            raise OSError(self.code, os.strerror(self.code))

    def create(self, name: str) -> None:
        self._fail_if_due()
        super().create(name)

    def append(self, name: str, data: bytes) -> int:
        due = self.calls + 1 == self.fail_at and not self._cut_short
        if due and self.code in DISK_FULL and len(data) > 1:
            self._cut_short = True
            return super().append(name, data[: len(data) // 2])
        self._fail_if_due()
        return super().append(name, data)

    def sync(self, name: str) -> None:
        self._fail_if_due()
        super().sync(name)

    def sync_dir(self) -> None:
        self._fail_if_due()
        super().sync_dir()

    def truncate(self, name: str, size: int) -> None:
        if self.code not in DISK_FULL:  # cutting a file back needs no room
            self._fail_if_due()
        super().truncate(name, size)

    def rename(self, old: str, new: str) -> None:
        self._fail_if_due()
        super().rename(old, new)
