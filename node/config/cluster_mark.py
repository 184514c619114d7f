"""The cluster mark: a small file in a state folder that says which cluster the folder belongs to.

    <state folder>/cluster.json   {"id", "file", "root", "made_at_ms", "folder"}

What it means is said in `node.config.ownership`. This module only reads and writes, without the
parser of cluster files: every command looks at the mark.
"""

import contextlib
import os
import re
import time
from pathlib import Path

import msgspec
from msgspec import Struct

MARK_FILE = "cluster.json"
MARK_BYTES_MAX = 64 * 1024
FILE_BYTES_MAX = 1024 * 1024  # of a cluster file, and of any other that is read like one
ID_HEX = 16
LOCK_FILE = "LOCK"  # in a journal's folder: the first thing that a node makes there


class MarkError(ValueError):
    """There is a mark, and it cannot be read. The text is one clear line."""


class ClusterMark(Struct, frozen=True):
    id: str  # random, 64 bits in hex
    file: str  # the cluster file, in its resolved folder
    root: str  # the state folder, resolved
    made_at_ms: int = 0
    folder: str = ""  # `folder_id` of the state folder

    def is_elsewhere(self, root: Path) -> bool:
        """It was made for another folder than this, which at most has its name or its content."""
        return self.folder not in ("", folder_id(root))

    def fits(self, root: Path, file: Path) -> bool:
        """It was made for this file, and the folder is where it was then."""
        return self.root == text_of(root) and same_file(self.file, file)


def read_mark(root: Path) -> ClusterMark | None:
    """None if there is none. Raises MarkError if it is something else, and OSError."""
    path = root / MARK_FILE
    try:
        with path.open("rb") as file:
            data = file.read(MARK_BYTES_MAX)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        mark = msgspec.json.decode(data, type=ClusterMark)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from None
    if re.fullmatch(rf"[0-9a-f]{{{ID_HEX}}}", mark.id) is None:
        raise _damaged(path, "its id is no id")
    if not (os.path.isabs(mark.file) and os.path.isabs(mark.root)):
        raise _damaged(path, "it names no file or no folder")
    return mark


def _damaged(path: Path, why: str) -> MarkError:
    return MarkError(
        f"{path}: does not say which cluster this is ({why}): "
        "remove it, `chatlab cluster up` makes a new one"
    )


def new_id() -> str:
    return os.urandom(ID_HEX // 2).hex()


def leave_mark(root: Path, file: Path, cluster_id: str, *, anew: bool) -> ClusterMark:
    """Write the mark, durably; not `anew`: unless somebody has just done it. Raises OSError.

    Returns the one that is there afterwards.
    """
    now_ms = time.time_ns() // 1_000_000
    mark = ClusterMark(cluster_id, path_of(file), text_of(root), now_ms, folder_id(root))
    path = root / MARK_FILE
    beside = root / f".{MARK_FILE}.{os.getpid()}"
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(mark)) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        if anew:
            os.replace(beside, path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(beside, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
    return read_mark(root) or mark


# --- what is there ----------------------------------------------------------------------------


def node_dirs(root: Path) -> list[str]:
    """The names of the folders in which nodes run or have kept their journals, former ones too."""
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if _is_of_node(Path(entry.path)))
    except OSError:
        return []


def _is_of_node(folder: Path) -> bool:
    return _holds_journal(folder) or os.path.lexists(folder / "node.pid")


def is_node_dir(folder: Path) -> bool:
    """A node may use this folder: there is none, nothing is in it, or a node was there before."""
    return _holds_journal(folder) or os.path.exists(folder / "stderr.txt") or is_empty(folder)


def _holds_journal(folder: Path) -> bool:
    return os.path.exists(folder / "journal" / LOCK_FILE)


def is_empty(folder: Path) -> bool:
    """Nothing is in it but folders of which the same is true: as a start that failed leaves it."""
    try:
        with os.scandir(folder) as entries:
            return all(
                entry.is_dir(follow_symlinks=False) and is_empty(Path(entry)) for entry in entries
            )
    except FileNotFoundError:
        return True
    except OSError:
        return False


def folder_id(folder: Path) -> str:
    """Device and inode: a folder that is renamed keeps them, a copy has others. "" if unknown."""
    try:
        status = folder.stat()
    except OSError:
        return ""
    return f"{status.st_dev:x}:{status.st_ino}"


def text_of(path: Path) -> str:
    """Resolved; bytes that are no UTF-8 are spelt out."""
    return os.fsencode(os.path.realpath(path)).decode("utf-8", "backslashreplace")


def path_of(file: Path) -> str:
    """Of the file itself, also where it is a link: the state lies beside it."""
    name = os.fsencode(file.name).decode("utf-8", "backslashreplace")
    return os.path.join(text_of(file.parent), name)


def same_file(known: str, file: Path) -> bool:
    if known == path_of(file):
        return True
    try:
        return os.path.samefile(known, file)
    except OSError:
        return False
