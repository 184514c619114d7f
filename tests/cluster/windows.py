"""A node process that gets a signal in one window of its life: `python -m ... NODE FILE WINDOW`.

The signal is sent by the very call that a window names, so that no clock decides whether it hits.
Before that the child writes down when it was; see `told`.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

REOPEN_AFTER = "a finding, as the scrub has them"
CRASH_WAIT_S = 60.0  # nobody waits for its end
_said: list[str] = []


def told(file: Path) -> Path:
    """Where the child writes the moment of the signal, in seconds of the monotonic clock."""
    return file.with_name("signalled")


def main(name: str, file: Path, window: str) -> int:
    def send() -> None:
        if not _said:
            _said.append(window)
            told(file).write_text(str(time.monotonic()))
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(100):  # a handler runs between two instructions: here, and not later
                pass

    if window == "import":
        sys.meta_path.insert(0, _Importing("node.process.lifecycle", send))
    else:
        _WINDOWS[window](send)
    from node.__main__ import run

    return run(name, file)


class _Importing(MetaPathFinder):
    def __init__(self, name: str, send: Callable[[], None]) -> None:
        self._name, self._send = name, send

    def find_spec(self, name: str, *_: Any) -> None:
        if name == self._name:
            self._send()


def before(owner: Any, name: str, send: Callable[[], None], nth: int = 1) -> None:
    """Send as this is called for the nth time."""
    real, count = getattr(owner, name), [0]

    def call(*args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        if count[0] == nth:
            send()
        return real(*args, **kwargs)

    setattr(owner, name, call)


def reopens(fail: bool = False) -> None:
    """The first life reopens its journal once its workers run; or its core fails."""
    from node.process.runtime import Runtime

    real, once = Runtime.start, threading.Lock()

    async def start(self: Any) -> None:
        await real(self)
        if once.acquire(blocking=False):
            if fail:
                self._replica.drain = None  # not callable: an exception out of the next turn
                self.soon()
            else:
                self._loop.call_soon(self.reopen, REOPEN_AFTER)

    Runtime.start = start  # type: ignore[method-assign]


# --- the windows ----------------------------------------------------------------------------------


def _config(send: Callable[[], None]) -> None:
    import node.config.cluster_file

    before(node.config.cluster_file, "load", send)


def _locked(send: Callable[[], None]) -> None:
    import node.process.pidfile

    before(node.process.pidfile, "write_pid_file", send)


def _opening(call: str, nth: int = 1) -> Callable[[Callable[[], None]], None]:
    def patch(send: Callable[[], None]) -> None:
        import node.storage.recovery

        before(node.storage.recovery, call, send, nth)

    return patch


def _surveying(send: Callable[[], None]) -> None:
    import node.storage.recovered

    before(node.storage.recovered, "scan_journal", send)


def _replica(call: str, nth: int = 1) -> Callable[[Callable[[], None]], None]:
    def patch(send: Callable[[], None]) -> None:
        from node.core.replica import Replica

        before(Replica, call, send, nth)

    return patch


def _binding(send: Callable[[], None]) -> None:
    from node.network.transport import Transport

    before(Transport, "start", send)


def _ready(send: Callable[[], None]) -> None:
    from node.control.server import ControlServer

    before(ControlServer, "start", send)


def _storing(send: Callable[[], None], nth: int) -> None:
    from node.storage.files import FileStorage

    before(FileStorage, "__init__", send, nth)


def _again(patch: Callable[[Callable[[], None]], None], *, fail: bool = False) -> Any:
    def both(send: Callable[[], None]) -> None:
        reopens(fail)
        patch(send)

    return both


def _finishing(send: Callable[[], None]) -> None:
    from node.process.runtime import Runtime

    before(Runtime, "finish", send)


def _long_wait(_: Callable[[], None]) -> None:
    """The test itself sends the signal: nothing of the node runs while it waits."""
    from node.process.restart_budget import RestartBudget

    reopens(fail=True)
    RestartBudget.crashed = lambda *_: CRASH_WAIT_S  # type: ignore[method-assign]


_WINDOWS: dict[str, Callable[[Callable[[], None]], None]] = {
    "config": _config,
    "locked": _locked,
    "identity": _opening("save_identity"),
    "survey": _surveying,
    "recall": _replica("recall"),
    "restore": _replica("restore"),
    "boot": _replica("boot"),
    "bind": _binding,
    "control": _ready,
    "first turn": _replica("drain"),
    "reopen: the end of a life": _again(_finishing),
    "reopen: between two lives": _again(lambda send: _storing(send, 2)),
    "reopen: identity": _again(_opening("save_identity", 2)),
    "reopen: restore": _again(_replica("restore", 2)),
    "reopen: boot": _again(_replica("boot", 2)),
    "crash: the end of a life": _again(_finishing, fail=True),
    "crash: the wait": _long_wait,
    "crash: between two lives": _again(lambda send: _storing(send, 2), fail=True),
    "crash: restore": _again(_replica("restore", 2), fail=True),
}
NAMES = ("import", *_WINDOWS)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
