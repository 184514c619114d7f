"""Listens at a path of the file system, for its owner only (umask 077).

Whatever lies at the path is removed, for a killed process leaves its socket there. The lock on the
data directory, which is taken before, keeps two nodes from doing that to each other. The path is
removed by its owner only: whoever finds another socket there leaves it.
"""

import contextlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from node.sockets.listening import BACKLOG


class IpcError(OSError):
    """The path cannot be used. The text is one clear line."""


class IpcPath:
    """One path, bound by one socket at a time."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._inode: int | None = None

    def listen(self) -> socket.socket:
        """Listen with mode 0700 less the execute bits, in a directory made 0700 if need be."""
        before = os.umask(0o077)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            Path(self.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISSOCK(os.stat(self.path).st_mode):
                    os.unlink(self.path)
            listener.bind(self.path)
            listener.listen(BACKLOG)
            self._inode = os.stat(self.path).st_ino
        except OSError as error:
            listener.close()
            raise IpcError(
                f"{self.path}: cannot bind a socket there: {error.strerror or error}"
            ) from None
        finally:
            os.umask(before)
        return listener

    def listen_again(self, reopen: Callable[[socket.socket], None]) -> str:
        """Hand a new listener on if the old one is lost. Returns the path then, else "".

        Raises OSError if that cannot be.
        """
        if not self.is_lost:
            return ""
        reopen(self.listen())
        return self.path

    @property
    def is_lost(self) -> bool:
        """Somebody has removed the socket that listens, or put something else in its place."""
        if self._inode is None:
            return False
        try:
            return os.stat(self.path).st_ino != self._inode
        except OSError:
            return True

    def remove(self) -> None:
        """Nobody finds the socket any more; connections that stand go on."""
        if self._inode is None:
            return
        with contextlib.suppress(OSError):
            if os.stat(self.path).st_ino == self._inode:
                os.unlink(self.path)
        self._inode = None
