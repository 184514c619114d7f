"""Decides whose state a folder holds, by the mark that the first `cluster up` leaves in it.

    <state folder>/cluster.json   {"id", "file", "root", "made_at_ms", "folder"}

`id` is random and said in packets and in answers, so that clusters that meet by mistake stay apart.
`file` and `root` are the resolved paths of the cluster file and of the folder, which tell a folder
that was moved or copied, and a file that merely has the same name for its cluster.

Rules
- State of another file is refused as long as that file is there and still means this folder, also
  where both were moved or copied.
- A folder that was renamed keeps its id. A copy is a cluster of its own: it gets another id at its
  first `up`; until then no node of it runs. So does what was moved to another disk.
- A folder without a mark is ours if a version before marks has left its journals there. Any other
  folder with something in it is somebody's own: it is neither used nor removed.
- Where there is no mark and no `id` in the cluster file, a cluster is known by its name, as before.
"""

import os
from enum import Enum
from pathlib import Path

from msgspec import Struct

from node.config.cluster_file import ConfigError, load
from node.config.cluster_mark import (
    ClusterMark,
    MarkError,
    is_empty,
    node_dirs,
    read_mark,
    same_file,
    text_of,
)
from node.config.paths import ClusterPaths

OLDER_SIGNS = ("launcher.lock", "launched.json", "launcher.stderr", "nodes.json.lock")


class Standing(Enum):
    """How a state folder stands to the cluster file that means it."""

    FREE = "free"  # nothing is there
    OWN = "own"
    OLDER = "older"  # state from before marks
    MOVED = "moved"  # with its file, or its file was renamed
    COPY = "copy"  # of a folder that may go on elsewhere


class Claim(Struct, frozen=True):
    standing: Standing
    mark: ClusterMark | None  # as it was found


def look(root: Path, file: Path, wanted: str) -> Claim:
    """Whether this file may use this folder. Raises ConfigError, which names both sides, if not,
    and OSError.

    `wanted` is the `id` of the cluster file, "" if it has none.
    """
    try:
        mark = read_mark(root)
    except MarkError as error:
        raise ConfigError(str(error)) from None
    if mark is None:
        return Claim(_unmarked(root), None)
    own_root, known = text_of(root), same_file(mark.file, file)
    beside = _moved_along(mark, root)
    if not known and not same_file(str(beside), file) and _means(beside, own_root):
        raise _of_another(root, mark, beside, file)
    if mark.root != own_root and (mark.is_elsewhere(root) or _original(mark, root)):
        return Claim(Standing.COPY, mark)
    if not known and _means(Path(mark.file), own_root):
        raise _of_another(root, mark, Path(mark.file), file)
    if wanted not in ("", mark.id):
        raise ConfigError(
            f"{root} holds the state of cluster {mark.id}, and {file} has `id: {wanted}`: "
            "use another `name` or `data_dir`, or take `id` out of the file"
        )
    return Claim(Standing.OWN if mark.fits(root, file) else Standing.MOVED, mark)


def _moved_along(mark: ClusterMark, root: Path) -> Path:
    """Where the marked file is if it was moved or copied together with the folder."""
    return Path(os.path.normpath(root / os.path.relpath(mark.file, mark.root)))


def _of_another(root: Path, mark: ClusterMark, theirs: Path, file: Path) -> ConfigError:
    return ConfigError(
        f"{root} holds the state of another cluster file, {theirs} (cluster {mark.id}): "
        f"give {file} a `name` or a `data_dir` of its own"
    )


def known_id(root: Path, file: Path, wanted: str) -> str:
    """The id under which a node may run here; "" where none is known. Raises ConfigError."""
    claim = look(root, file, wanted)
    if claim.standing is Standing.COPY:
        assert claim.mark is not None
        raise ConfigError(
            f"{root} is a copy of {claim.mark.root} (cluster {claim.mark.id}): "
            "`chatlab cluster up` makes it a cluster of its own"
        )
    return claim.mark.id if claim.mark is not None else wanted


def _unmarked(root: Path) -> Standing:
    if is_empty(root):
        return Standing.FREE
    if node_dirs(root) or any((root / name).exists() for name in OLDER_SIGNS):
        return Standing.OLDER
    raise ConfigError(
        f"{root} is there already, and nothing in it is chatlab's: "
        "use another `name` or `data_dir`, so that nothing of yours is touched"
    )


def _original(mark: ClusterMark, here: Path) -> bool:
    """The folder that the mark speaks of is still there, and another one than this."""
    there = Path(mark.root)
    try:
        if os.path.samestat(there.stat(), here.stat()):
            return False
        known = read_mark(there)
    except (OSError, MarkError):
        return False
    return known is not None and known.id == mark.id


def _means(file: Path, root: str) -> bool:
    """That cluster file, as it is now, keeps its state in this folder."""
    if not file.is_file():
        return False
    try:
        return text_of(ClusterPaths(file.parent, load(file)).root) == root
    except ConfigError:
        return True  # it cannot be read now; it has been
