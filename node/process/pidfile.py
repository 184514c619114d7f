"""The pid file: names the process of a node, so that a re-used pid is recognised.

A pid names a process only as long as it lives; then the kernel gives the number to somebody else.
So the file also holds the process's `birth`: boot identity and start time, which no two processes
with the same pid share. And it holds the identity of its folder: a copy of the folder brings the
file along, and the process is none of the copy's. It is replaced atomically, and removed only by
the process it names.
"""

import contextlib
import os
import sys
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from node.config.cluster_mark import folder_id


class ProcessRecord(Struct, frozen=True):
    pid: int
    birth: str
    started_at_ms: int = 0
    folder: str = ""  # `folder_id` of the node's folder; "": written by an older version


def birth_of(pid: int) -> str | None:
    """The process's birth, or None if there is no such process or it is only a zombie."""
    if not sys.platform.startswith("linux"):
        return _birth_elsewhere(pid)
    try:
        raw = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = raw.rpartition(")")[2].split()  # the name in parentheses may hold anything
    return None if fields[0] in ("Z", "X") else f"{_boot_id()}/{fields[19]}"


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        return "boot"


def _birth_elsewhere(pid: int) -> str | None:
    import psutil  # lazy: only where there is no /proc

    try:
        process = psutil.Process(pid)
        dead = process.status() == psutil.STATUS_ZOMBIE
        return None if dead else f"{process.create_time():.2f}"
    except psutil.Error:
        return None


def write_pid_file(path: Path) -> None:
    """Name this process. Raises OSError."""
    pid = os.getpid()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    now_ms = time.time_ns() // 1_000_000
    record = ProcessRecord(pid, birth_of(pid) or "", now_ms, folder_id(path.parent))
    beside = path.with_name(f".{path.name}.{pid}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(record) + b"\n")
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def remove_pid_file(path: Path) -> None:
    """If it names this process."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        if msgspec.json.decode(path.read_bytes(), type=ProcessRecord).pid == os.getpid():
            path.unlink()
