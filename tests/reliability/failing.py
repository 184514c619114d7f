"""A node whose disk fails on demand: `python -m tests.reliability.failing NODE FILE SWITCHES`.

While the file `sync` is in the folder SWITCHES, fdatasync of a segment fails with EIO; while `full`
is, a write to one fails with ENOSPC. The calls themselves are made by nobody else, and every line
of the node is its own.
"""

import errno
import os
import sys
from pathlib import Path

from node.__main__ import run
from node.storage.files import FileStorage
from node.storage.segments import SEGMENT_SUFFIX

SWITCHES = Path(sys.argv[3])


def fail(switch: str, name: str, code: int) -> None:
    if name.endswith(SEGMENT_SUFFIX) and (SWITCHES / switch).exists():
        raise OSError(code, os.strerror(code), name)


def main() -> int:
    append, sync = FileStorage.append, FileStorage.sync

    def failing_append(self: FileStorage, name: str, data: bytes) -> int:
        fail("full", name, errno.ENOSPC)
        return append(self, name, data)

    def failing_sync(self: FileStorage, name: str) -> None:
        fail("sync", name, errno.EIO)
        sync(self, name)

    FileStorage.append, FileStorage.sync = failing_append, failing_sync  # type: ignore[method-assign]
    return run(sys.argv[1], Path(sys.argv[2]))


if __name__ == "__main__":
    sys.exit(main())
