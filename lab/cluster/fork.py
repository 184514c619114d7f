"""Starts a node process by forking the launcher, which has already imported everything.

Importing a node takes a tenth of a second and ten megabytes; forking from a process that has done
it takes a millisecond, and the pages stay shared. Two rules make that safe: the launcher has one
thread and never makes a ZeroMQ context (libzmq's threads do not survive a fork), and the child
starts clean: its own session, default signals, no inherited descriptor but a pipe on which it says
that it is ready, its own random state, output to its own file.
"""

import gc
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from setproctitle import setproctitle

from node.config.os_errors import shown

RunNode = Callable[[str, Path, Callable[[], None]], int]  # name, file, ready -> exit code


def fork_node(name: str, file: Path, stderr_file: Path, run: RunNode) -> tuple[int, int]:
    """Start a node. Returns its pid and a descriptor that gets a byte when it is ready."""
    stderr_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Here, so that an error in it is reported by the process that starts the node.
    errors = os.open(stderr_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    ends: tuple[int, ...] = ()
    try:
        ends = read_end, write_end = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
    except OSError:
        for fd in (errors, *ends):
            os.close(fd)
        raise
    if pid:
        os.close(write_end)
        os.close(errors)
        os.set_blocking(read_end, False)
        return pid, read_end
    code = 1
    try:
        _become_node(name, file, errors, write_end)
        code = run(name, file, lambda: _say_ready(write_end))
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else 1
    except BaseException:  # nothing may propagate into the launcher's stack, which is below
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def freeze() -> None:
    """Before the first fork: keep the collector from touching, and so copying, shared pages."""
    gc.collect()
    gc.freeze()


def _say_ready(write_end: int) -> None:
    os.write(write_end, b"r")
    os.close(write_end)


def _become_node(name: str, file: Path, errors: int, keep: int) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.setsid()
    os.umask(0o077)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(errors, 1)
    os.dup2(errors, 2)
    os.closerange(3, keep)
    os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX") if keep < 4096 else keep + 4096)
    random.seed()
    name_process(f"chatlab {name}", str(file))


def name_process(title: str, more: str) -> None:
    """Set the name that process lists show: `title`, of which some show 15 bytes, then `more`."""
    setproctitle(f"{title}: {shown(more)}")  # which takes UTF-8 only
    try:  # what `ps -o comm` and `top` show; on Linux only
        Path("/proc/self/comm").write_text(title[:15])
    except OSError:
        return


def exit_text(status: int) -> str:
    """A wait status in words: "exited 0", "killed by SIGKILL"."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"killed by {signal.Signals(number).name}"
        except ValueError:
            return f"killed by signal {number}"
    return f"exited {os.waitstatus_to_exitcode(status)}"
