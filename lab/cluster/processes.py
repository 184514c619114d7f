"""Pid files: which process is a node. They stay correct when the system reuses a pid.

The system gives the number of an ended process to a new one. So a pid file also holds the `birth`
of the process, its boot identity and start time, which no two processes with the same pid share,
and the folder in which the file was written. A record is stale if the birth does not match, or if
it lies in a copy of its folder; a stale record is never trusted and its process never signalled.
Signals go through a pidfd where the system has them, so that the process cannot be replaced between
the check and the signal.
"""

import os
import select
import signal
import time
from pathlib import Path

import msgspec

from node.config.cluster_mark import folder_id
from node.process.pidfile import ProcessRecord, birth_of

POLL_S = 0.005


def state_of(pid: int) -> str:
    """One letter as in `ps`: R running, S sleeping, T stopped by a signal. Empty if unknown."""
    fields = _stat(pid)
    return fields[0] if fields is not None else ""


def _stat(pid: int) -> list[str] | None:
    try:
        raw = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return raw.rpartition(")")[2].split()  # the name in parentheses may hold anything


def record_of(pid: int, pid_file: Path | None = None) -> ProcessRecord | None:
    """The record of a living process, to be kept in `pid_file`."""
    birth = birth_of(pid)
    if birth is None:
        return None
    folder = folder_id(pid_file.parent) if pid_file is not None else ""
    return ProcessRecord(pid, birth, int(time.time() * 1000), folder)


def lives(record: ProcessRecord | None) -> bool:
    return record is not None and birth_of(record.pid) == record.birth


def read_record(path: Path) -> ProcessRecord | None:
    """The record, alive or stale; None if there is no readable one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=ProcessRecord)
    except (OSError, msgspec.MsgspecError):
        return None


def live_record(path: Path) -> ProcessRecord | None:
    """The record, if its process is alive and it was written in this folder; else None."""
    record = read_record(path)
    if record is None or record.folder not in ("", folder_id(path.parent)):
        return None
    return record if lives(record) else None


def send_signal(record: ProcessRecord, number: signal.Signals) -> bool:
    """Signal exactly the recorded process. False if it is gone."""
    try:
        if hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal"):
            handle = os.pidfd_open(record.pid)
            try:
                if not lives(record):  # looked at after opening: the handle cannot change hands
                    return False
                signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)
        else:
            if not lives(record):
                return False
            os.kill(record.pid, number)
    except (ProcessLookupError, OSError):
        return False
    return True


def wait_gone(records: list[ProcessRecord], timeout_s: float) -> list[ProcessRecord]:
    """Wait until the processes are gone; returns those that are not."""
    until = time.monotonic() + timeout_s
    left = [record for record in records if lives(record)]
    while left and time.monotonic() < until:
        time.sleep(POLL_S)
        left = [record for record in left if lives(record)]
    return left


def await_exit(pid: int, timeout_s: float) -> None:
    """Wait until the last thread of a dying child has ended: it cannot be reaped before.

    A process whose first thread has ended looks like a zombie, and still holds its files and locks.
    """
    if not hasattr(os, "pidfd_open"):
        return
    handle = os.pidfd_open(pid)
    try:
        select.select([handle], [], [], timeout_s)
    finally:
        os.close(handle)
