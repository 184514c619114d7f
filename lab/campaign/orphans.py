"""A worker process ends when its parent process ends, even if the parent was killed.

A killed parent cannot notify its workers. They would wait for work for ever, because each of them
also holds the other ends of the pipes.
"""

import os
import threading
import time
from multiprocessing import parent_process

LOOK_S = 0.5


def end_with_parent() -> None:
    """Called once by a worker of a pool: from now on it ends within a second after its parent."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.pid,), name="orphan", daemon=True).start()


def _watch(parent: int | None) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os._exit(1)
