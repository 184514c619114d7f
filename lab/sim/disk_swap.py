"""Replacement of a node's disk while the node is down: by an empty one, an older copy, or that of
another node.
"""

from typing import Literal

from lab.sim.disk import Contents, SimDisk
from node.storage.files import MemoryStorage

DiskIs = Literal["new", "same", "empty", "older", "other"]  # than at the end of the last life


class DiskSwap:
    """The disk of one machine. `disk` is always the same object; its contents change. Mutable."""

    def __init__(self, disk: SimDisk) -> None:
        self.disk = disk
        self.disk_is: DiskIs = "new"
        self._old: Contents | None = None
        self._own: Contents | None = None  # taken out, while that of another node is in

    def keep_copy(self, _: object) -> None:
        """Make a backup of the directory, which a later fault puts back."""
        self._old = self.disk.copied()

    def put(self, disk: Literal["empty", "older"]) -> None:
        """Put in an empty disk, or the backup."""
        self._own = None
        if disk == "older" and self._old is not None:
            self.disk_is = "older"
            files, _, _, rot = self._old
            self.disk.replaced(files.killed(), {name: places[:] for name, places in rot.items()})
        else:
            self.disk_is = "empty"
            self.disk.replaced(MemoryStorage(f"{self.disk.place()}'"))

    def move(self) -> None:
        """Move the directory to another path, as when a backup is restored elsewhere."""
        disk = self.disk
        _, _, _, rot = disk.copied()
        disk.replaced(disk.files.copy(f"{disk.place()}'"), rot)

    def put_other(self, files: MemoryStorage) -> None:
        """Put in the disk of another node, as an operator might by mistake."""
        if self._own is None:
            self.disk_is = "other"
            self._own = self.disk.replaced(files.copy(self.disk.place()))

    def take_out(self) -> bool:
        """Undo `put_other`, as an operator does who reads the error. False if there is nothing to
        undo.
        """
        if self._own is None:
            return False
        self.disk.put_back(self._own)
        self._own, self.disk_is = None, "same"
        return True
