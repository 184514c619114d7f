"""Deletes what nodes have stored, and nothing else.

Files are recognised by name: those of a node and those of a launcher. Other files in a state folder
are left there and reported. Symbolic links are not followed: if a node's folder or journal is a
link, it is left, because its target is outside the state folder. Only what is really gone is
reported as removed.
"""

import os
import shutil
from pathlib import Path

from msgspec import Struct, field

from lab.client.location import ClusterLocation, NodeLocation
from node.config.cluster_mark import LOCK_FILE, MARK_FILE, node_dirs

NODE_FILES = ("node.jsonl", "node.jsonl.1", "stderr.txt", "node.pid", "control", "feed")
NODE_FOLDERS = ("trace", "journal")
ROOT_FILES = (
    *("launched.json", "launcher.jsonl", "launcher.stderr", "launcher.sock", "launcher.pid"),
    *("nodes.json", "nodes.json.lock", "faults.json", "launcher.lock"),
)


class WipeResult(Struct):
    """What was removed, and what was left, with the reason."""

    gone: list[str] = field(default_factory=list)  # names of nodes
    left: dict[str, str] = field(default_factory=dict)  # path -> why
    failed: bool = False  # something of ours is left

    def leave(self, path: Path, why: str, *, failed: bool = True) -> None:
        self.left[str(path)] = why
        self.failed = self.failed or failed

    def text(self) -> str:
        return "; ".join(f"left {path}: {why}" for path, why in self.left.items())


def link_in(at: NodeLocation) -> str:
    """Why this node's state cannot be removed without leaving its folder; "" if it can."""
    for path in (Path(at.dir), Path(at.journal_dir)):
        if path.is_symlink():
            return f"{path} is a link to {os.path.realpath(path)}: remove what is there yourself"
    return ""


def keep_former(folders: list[Path], swept: WipeResult) -> None:
    """Nodes that are not in the file any more: their state is kept unless they are named."""
    for folder in folders:
        what = f"{folder.name} is not in the file; `chatlab cluster wipe {folder.name}` removes it"
        swept.leave(folder, what, failed=False)


def sweep_node(at: NodeLocation, swept: WipeResult) -> None:
    """All that this node stored."""
    folder = Path(at.dir)
    if why := link_in(at):
        swept.leave(folder, why)
        return
    before = len(swept.left)
    note = Path(at.journal_id)
    _remove_files(note.parent, (note.name,), swept)
    for name in NODE_FOLDERS:
        _remove_tree(folder / name, swept)
    _remove_files(folder, NODE_FILES, swept)
    if Path(at.control).parent != Path(os.path.realpath(folder)):
        _remove_files(Path(at.control).parent, NODE_FILES, swept)
        _remove_folder(Path(at.control).parent, swept)
    _remove_folder(folder, swept)
    if len(swept.left) == before:
        swept.gone.append(at.name)


def sweep_root(place: ClusterLocation, swept: WipeResult) -> None:
    """What belongs to the cluster as a whole; the mark, too, if nothing else is left."""
    from node.storage.journal_id import read_journal_id  # lazy: the journal

    root, sockets = Path(place.root), Path(place.launcher_socket).parent
    if sockets != Path(os.path.realpath(root)):
        _remove_files(sockets, ROOT_FILES, swept)
        _remove_folder(sockets, swept)
    if not root.exists():
        return
    _remove_files(root, ROOT_FILES, swept)
    if swept.failed or node_dirs(root):
        return
    notes = [path.name for path in root.glob("*.journal") if read_journal_id(path) is not None]
    _remove_files(root, tuple(notes), swept)
    left = [path for path in root.iterdir() if path.name != MARK_FILE]
    if left:  # the folder stays ours, or no `up` could use it again
        _tell_left(left, swept)
        return
    _remove_files(root, (MARK_FILE,), swept)
    if not root.is_symlink():
        _remove_folder(root, swept)


def _remove_tree(folder: Path, swept: WipeResult) -> None:
    if not os.path.lexists(folder):
        return
    if folder.name == "journal" and not (folder / LOCK_FILE).exists() and any(os.scandir(folder)):
        swept.leave(folder, "no journal of a node", failed=False)
        return

    def fails(_: object, path: str, error: tuple[type, BaseException, object]) -> None:
        what = error[1]
        why = what.strerror if isinstance(what, OSError) and what.strerror else str(what)
        swept.leave(Path(path), why)

    shutil.rmtree(folder, onerror=fails)


def _remove_files(folder: Path, names: tuple[str, ...], swept: WipeResult) -> None:
    try:
        there = [one.name for one in os.scandir(folder)]
    except OSError:
        return
    for name in there:
        whole, _, pid = name.rpartition(".")  # `.NAME.PID`: it was being replaced
        if name not in names and not (pid.isdigit() and whole.removeprefix(".") in names):
            continue
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            swept.leave(folder / name, str(error.strerror))


def _remove_folder(folder: Path, swept: WipeResult) -> None:
    """Remove the folder if it is empty; else report what is left in it, unless reported already."""
    try:
        inside = sorted(folder.iterdir())
        if not inside:
            folder.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        swept.leave(folder, str(error.strerror))
        return
    _tell_left(inside, swept)


def _tell_left(paths: list[Path], swept: WipeResult) -> None:
    for path in sorted(paths):
        if not any(told == str(path) or told.startswith(f"{path}/") for told in swept.left):
            swept.leave(path, "not chatlab's", failed=False)
