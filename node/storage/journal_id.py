"""A note of which journal a node has, kept beside its folder: `<node>.journal`.

The journal names itself in its file IDENTITY. If its folder is moved away, removed, or on a disk
that is not mounted, nothing there can say so, and an empty place looks like that of a new node. So
the note lies outside, and a start that finds the note and no journal is refused. `wipe` removes the
note with the rest.
"""

import contextlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from node.config.os_errors import shown
from node.storage.files import FileReader, StorageError
from node.storage.recovery import GONE, IDENTITY_FILE, Known
from node.storage.segments import list_segments

ID_BYTES_MAX = 4096


class _Note(Struct, frozen=True):
    directory_id: str  # hexadecimal


def read_journal_id(path: Path) -> Known | None:
    """What the note says; None if there is none, or none that can be read."""
    try:
        with path.open("rb") as file:
            note = msgspec.json.decode(file.read(ID_BYTES_MAX), type=_Note)
        return Known(bytes.fromhex(note.directory_id))
    except (OSError, msgspec.MsgspecError, ValueError):
        return None


def note_journal_id(path: Path, directory_id: bytes) -> None:
    """Note it, unless that was done. Where that cannot be, the node does without."""
    known = read_journal_id(path)
    if known is not None and known.directory_id == directory_id:
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(_Note(directory_id.hex())) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)


def refuse_if_gone(path: Path, known: Known | None) -> None:
    """Before anything is made in its place. Raises StorageError, final, and OSError."""
    if known is None:
        return
    reader = FileReader(path)
    try:
        there = IDENTITY_FILE in reader.names() or bool(list_segments(reader))
    except FileNotFoundError:
        there = False
    if not there:
        raise StorageError(f"{shown(path)}: {GONE}", final=True)
