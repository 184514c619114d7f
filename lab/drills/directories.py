"""Drill of `node.storage.files`: `FileStorage`, `MemoryStorage` and `FaultyStorage`.

The model is a dictionary: by name, the bytes now and the bytes at the last sync, and which names
the last sync of the directory covered. Random steps: create, append, sync, truncate, rename and
remove. After each, names, sizes and bytes must be equal; in memory also what a kill and a power cut
leave. `FaultyStorage` must raise the error that is set, at the call that is set; on a full disk an
append may be short first. Half of the drills use a real directory, too. Left out: a real power cut.
"""

import errno
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from lab.drills.beside import holds, refused, same
from node.storage.files import (
    DISK_FULL,
    LOCK,
    FaultyStorage,
    FileReader,
    FileStorage,
    MemoryStorage,
    Storage,
    StorageLocked,
)

NAMES = ("a", "b", "c", "d")
STEPS = 12
IN_MEMORY = Path("/dev/shm")  # noqa: S108  (a folder of our own is made there)


class File:
    """The bytes now, at the last sync, and each time since then before some were cut off."""

    def __init__(self) -> None:
        self.now = b""
        self.synced = b""
        self.cut: list[bytes] = []


class Model:
    """The files as a process sees them, and as a power cut would leave them."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.durable: dict[str, File] = {}

    def synced(self) -> dict[str, bytes]:
        return {name: file.synced for name, file in self.durable.items()}


def directories(rng: Random) -> None:
    _in_memory(rng)
    _failing(rng)
    if rng.random() < 0.5:
        where = IN_MEMORY if IN_MEMORY.is_dir() else None
        with tempfile.TemporaryDirectory(prefix="chatlab-drill-", dir=where) as folder:
            _real(rng, Path(folder) / "node")


def _real(rng: Random, path: Path) -> None:
    storage, model = FileStorage(path), Model()
    same("mode", path.stat().st_mode & 0o777, 0o700)
    refused("a second one", StorageLocked, lambda: FileStorage(path))
    for _ in range(STEPS):
        _step(rng, storage, model)
        _look(storage, model, (LOCK,))
    place, reader = storage.place(), FileReader(path)
    same("read by others", reader.names(), sorted([LOCK, *model.files]))
    for name in model.files:
        same("mode", (path / name).stat().st_mode & 0o777, 0o600)
        same("size", reader.size(name), len(model.files[name].now))
    same("nonce", len(storage.nonce(16)), 16)
    holds("nonces differ", storage.nonce(16) != storage.nonce(16))
    storage.close()
    storage.close()
    again = FileStorage(path)
    _look(again, model, (LOCK,))
    same("place", again.place(), place)
    again.close()


def _in_memory(rng: Random) -> None:
    storage, model = MemoryStorage("m"), Model()
    for _ in range(STEPS):
        _step(rng, storage, model)
        _look(storage, model)
        _look(storage.killed(), model)
        after = storage.power_cut()
        left = {name: after.read(name, 0, 1 << 20) for name in after.names()}
        same("after a power cut", left, model.synced())
    copied = storage.copy("other")
    _look(copied, model)
    same("place", (storage.place(), copied.place()), ("m", "other"))
    chance = storage.power_cut(rng)
    left = {name: chance.read(name, 0, 1 << 20) for name in chance.names()}
    may = [files for files in (model.files, model.durable) if files.keys() == left.keys()]
    fits = [all(_survived(left[name], files[name]) for name in files) for files in may]
    holds("what may be left", any(fits))
    storage.set("x", b"abc")
    storage.damage("x", 1, b"Z")
    same("damaged", storage.read("x", 0, 9), b"aZc")
    same("damage is on disk", storage.power_cut().read("x", 0, 9), b"aZc")
    holds("nonces differ", storage.nonce(8) != storage.nonce(8))


def _survived(left: bytes, file: File) -> bool:
    """Each byte is the new one, the old one, one that was cut off and not synced, or zero."""
    now, old, all_of_them = file.now, file.synced, [file.now, file.synced, *file.cut]
    least, most = min(len(now), len(old)), max(map(len, all_of_them))
    return least <= len(left) <= most and all(
        byte == now[at]
        if at < least and now[at] == old[at]
        else byte in {0, *(one[at] for one in all_of_them if at < len(one))}
        for at, byte in enumerate(left)
    )


# --- the same steps for both ----------------------------------------------------------------------


def _step(rng: Random, storage: Storage, model: Model) -> None:
    name, other = rng.choice(NAMES), rng.choice(NAMES)
    if name not in model.files:
        for call in _calls(storage, name):
            refused(f"{name}, which is not there", FileNotFoundError, call)
        storage.create(name)
        model.files[name] = File()
        return
    file = model.files[name]
    match rng.randrange(9):
        case 0 | 1 | 2:
            data = rng.randbytes(rng.choice((1, 40, 600)))
            same("appended", storage.append(name, data), len(data))
            file.now += data
        case 3:
            storage.sync(name)
            file.synced, file.cut = file.now, []
        case 4:
            storage.sync_dir()
            model.durable = dict(model.files)
        case 5:
            size = rng.randint(0, len(file.now) + 5)
            storage.truncate(name, size)
            file.cut.append(file.now)
            file.now = file.now[:size].ljust(size, b"\0")
        case 6 if other != name:
            storage.rename(name, other)
            model.files[other] = model.files.pop(name)
        case 7:
            storage.remove(name)
            del model.files[name]
        case _:
            refused(f"{name} again", FileExistsError, lambda: storage.create(name))


def _calls(storage: Storage, name: str) -> list[Callable[[], object]]:
    return [
        lambda: storage.append(name, b"x"),
        lambda: storage.sync(name),
        lambda: storage.truncate(name, 0),
        lambda: storage.size(name),
        lambda: storage.read(name, 0, 1),
        lambda: storage.remove(name),
        lambda: storage.rename(name, "z"),
    ]


def _look(storage: Storage, model: Model, besides: tuple[str, ...] = ()) -> None:
    same("names", storage.names(), sorted([*model.files, *besides]))
    for name, file in model.files.items():
        same(f"size of {name}", storage.size(name), len(file.now))
        same(f"bytes of {name}", storage.read(name, 0, 1 << 20), file.now)
        same(f"some of {name}", storage.read(name, 3, 5), file.now[3:8])


# --- one that fails -------------------------------------------------------------------------------


def _failing(rng: Random) -> None:
    code = rng.choice((errno.EIO, errno.ENOSPC, errno.EDQUOT))
    due, always = rng.randint(1, 8), rng.random() < 0.5
    storage = FaultyStorage(due, code, always=always)
    full, short, calls, there = code in DISK_FULL, False, 0, set[str]()
    storage.set("f", b"")
    size = 0
    for step in range(12):
        name = f"s{step}"
        kind = rng.randrange(6)
        if kind == 0 and calls + 1 == due and full and not short:
            same("a short write", storage.append("f", b"0123456789"), 5)
            size, short = size + 5, True
            continue
        free = kind == 5 and full  # cutting a file back needs no room
        calls += not free
        fails = not free and (calls == due or (always and calls > due))
        if kind == 4:
            storage.set("old", b"")
        call = _failing_call(storage, kind, name, size)
        if fails:
            error = refused("the call that is due", OSError, call)
            same("its code", getattr(error, "errno", 0), code)
            if kind == 4:
                storage.set("old", b"")
                MemoryStorage.remove(storage, "old")
            continue
        call()
        size += 10 if kind == 0 else 0
        if kind in (1, 4):
            there.add(name)
    same("size", storage.size("f"), size)
    same("names", storage.names(), sorted({"f", *there}))
    same("calls", storage.calls, calls)


def _failing_call(storage: FaultyStorage, kind: int, name: str, size: int) -> Callable[[], object]:
    return (
        lambda: storage.append("f", b"0123456789"),
        lambda: storage.create(name),
        lambda: storage.sync("f"),
        storage.sync_dir,
        lambda: storage.rename("old", name),
        lambda: storage.truncate("f", size),
    )[kind]
