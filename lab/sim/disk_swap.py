"""The bay of a machine: which disk is in it. Others are put in while its node is down."""

from typing import Literal

from lab.sim.disk import Contents, SimDisk
from node.storage.files import MemoryStorage

DiskIs = Literal["new", "same", "empty", "older", "other"]  # than at the end of the last life


class DiskSwap:
    """Mutable. `disk` is always the same object; what is on it changes."""

    def __init__(self, disk: SimDisk) -> None:
        self.disk = disk
        self.disk_is: DiskIs = "new"
        self._old: Contents | None = None
        self._own: Contents | None = None  # taken out, while that of another node is in

    def keep_copy(self, _: object) -> None:
        """Somebody makes a backup of the directory, which will be put back one day."""
        self._old = self.disk.copied()

    def put(self, disk: Literal["empty", "older"]) -> None:
        """Another disk."""
        self._own = None
        if disk == "older" and self._old is not None:
            self.disk_is = "older"
            files, _, _, rot = self._old
            self.disk.replaced(files.killed(), {name: places[:] for name, places in rot.items()})
        else:
            self.disk_is = "empty"
            self.disk.replaced(MemoryStorage(f"{self.disk.place()}'"))

    def move(self) -> None:
        """The directory was copied to another place, as a backup is, and the node runs there."""
        disk = self.disk
        _, _, _, rot = disk.copied()
        disk.replaced(disk.files.copy(f"{disk.place()}'"), rot)

    def put_other(self, files: MemoryStorage) -> None:
        """The disk of another node, by mistake."""
        if self._own is None:
            self.disk_is = "other"
            self._own = self.disk.replaced(files.copy(self.disk.place()))

    def take_out(self) -> bool:
        """Somebody reads why the node does not start. True: and puts its own disk back."""
        if self._own is None:
            return False
        self.disk.put_back(self._own)
        self._own, self.disk_is = None, "same"
        return True
