"""The launcher is one detached process per cluster. It starts the nodes, and notices and records
when they end.

Duties, and nothing else:
1. Import a node once, then fork one child per node that it is asked to start (`lab.cluster.fork`).
2. Reap ended children; record each exit with one log line and in `launched.json`, which `ps` reads.
3. With `restart: always`, start an ended node again: backoff with jitter, and a budget. A node over
   its budget is failed and stays down; the others are left alone.
4. Answer start, stop and quit on a Unix socket: one JSON object per line, each answered by any
   number of lines of which the last has "done".

It is a single point for restarts only. Nodes are sessions of their own: if the launcher dies they
go on, and the next one adopts them from their pid files. The exit of an adopted node is seen by
a pidfd, or by polling; its exit code is unknown. One loop, one thread, no ZeroMQ.
"""

import contextlib
import errno
import fcntl
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from lab.client.atomic_json import write_json
from lab.client.location import ClusterLocation, LocationError, parse
from lab.cluster.fork import RunNode, exit_text, fork_node, freeze, name_process
from lab.cluster.launcher_state import Caller, Child, read_launched
from lab.cluster.processes import (
    await_exit,
    live_record,
    lives,
    read_record,
    record_of,
    send_signal,
    wait_gone,
)
from lab.terminal.errors import Problem
from node.config.os_errors import complaint

STOP_GRACE_S = 3.0
WATCH_S = 0.5  # how often adopted nodes without a pidfd, and our own folder, are looked at
DYING_S = 1.0  # for the threads of a process that has been killed
REQUEST_BYTES_MAX = 64 * 1024
UNSEEN = -1  # an inode that cannot be looked at: nothing is known
EXIT_FAILED, EXIT_CONFIG, EXIT_STORAGE = 1, 2, 5


class Launcher:
    """Starts, watches and restarts the nodes of one cluster. One thread.

    `reload` reads the cluster file again, because it may change, and be renamed, in the meantime.
    """

    def __init__(
        self,
        place: ClusterLocation,
        run: RunNode,
        restarts: tuple[int, float],
        reload: Callable[[Path], ClusterLocation],
    ) -> None:
        self.place = place
        self.reload = reload
        self.run_node = run
        self.restarts = restarts
        self.children: dict[str, Child] = {}
        self.selector = selectors.DefaultSelector()
        self.launched = read_launched(place.launched_file)
        self.quitting: Caller | None = None
        self.done = False
        self.root = _inode(place.root)  # of the folder itself, while it is there

    # --- life -----------------------------------------------------------------------------------

    def serve(self) -> None:
        """Run until a command says quit, or until the cluster's folder is gone."""
        self.listener = listener = self._listen()
        wake_read, wake_write = os.pipe()
        for end in (wake_read, wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_sigterm)
        self.selector.register(listener, selectors.EVENT_READ, self._accept)
        self.selector.register(wake_read, selectors.EVENT_READ, lambda: _drained(wake_read))
        for name in self.place.nodes:
            self._guarded(self._child(name), self._adopted)
        self._save()
        while not self.done:
            for key, _ in self.selector.select(self._wait_s()):
                if self.selector.get_map().get(key.fd) is key:  # not closed meanwhile
                    key.data()
            self._reap()
            self._on_time(time.monotonic())
            if self.quitting is not None and not any(c.up for c in self.children.values()):
                self.done = True
            elif _inode(self.place.root) not in (self.root, UNSEEN):
                self._leave()
                return
            elif (
                _inode(self.place.launcher_socket) not in (self.inode, UNSEEN)
                and not self._listens_again()
            ):
                return  # another launcher took over: leave its socket
        if self.quitting is not None:
            self.quitting.say(done=True)
        Path(self.place.launcher_socket).unlink(missing_ok=True)

    def _leave(self) -> None:
        """The folder was removed or moved, so the nodes would write to deleted files: stop them."""
        records = [c.record for c in self.children.values() if c.up and c.record is not None]
        for record in records:
            send_signal(record, signal.SIGTERM)
            send_signal(record, signal.SIGCONT)
        for record in wait_gone(records, STOP_GRACE_S):
            send_signal(record, signal.SIGKILL)

    def _listen(self) -> socket.socket:
        path = Path(self.place.launcher_socket)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        os.chmod(path, 0o600)
        listener.listen(64)
        listener.setblocking(False)  # noqa: FBT003  (it has no name)
        self.inode = _inode(self.place.launcher_socket)
        return listener

    def _listens_again(self) -> bool:
        """Listen again if the socket was removed, perhaps with its folder, by a cleaner of /tmp."""
        path = Path(self.place.launcher_socket)
        if os.path.lexists(path):
            return False
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            listener = self._listen()
        except OSError:
            return True  # it is tried again; meanwhile the nodes are served
        self.selector.unregister(self.listener)
        self.listener.close()
        self.listener = listener
        self.selector.register(listener, selectors.EVENT_READ, self._accept)
        return True

    def _guarded(self, child: Child, do: Callable[[Child], object]) -> None:
        """What the system refuses for one node is that node's trouble, and not the others'."""
        try:
            do(child)
        except OSError as error:
            self._log("error", "launcher_failed", child, reason=complaint(error))

    def _on_sigterm(self, *_: object) -> None:
        self.done = True  # nodes go on; the next command starts a launcher that adopts them

    def _wait_s(self) -> float:
        times = [WATCH_S + time.monotonic()]
        for child in self.children.values():
            times += [at for at in (child.restart_at, child.kill_at) if at is not None]
        return max(0.0, min(times) - time.monotonic())

    # --- requests -------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        connection.settimeout(1.0)
        caller = Caller(connection)
        self.selector.register(connection, selectors.EVENT_READ, lambda: self._read(caller))

    def _read(self, caller: Caller) -> None:
        try:
            data = caller.connection.recv(REQUEST_BYTES_MAX)
        except OSError:
            data = b""
        caller.data += data
        if not data or len(caller.data) > REQUEST_BYTES_MAX:
            self.selector.unregister(caller.connection)
            caller.connection.close()
            for child in self.children.values():
                child.asked = [asked for asked in child.asked if asked is not caller]
            return
        while b"\n" in caller.data:
            line, _, caller.data = caller.data.partition(b"\n")
            try:
                request = msgspec.json.decode(line, type=dict[str, Any])
            except msgspec.MsgspecError as error:
                caller.say(done=True, error=f"not a request: {error}")
                continue
            self._handle(caller, request)

    def _handle(self, caller: Caller, request: dict[str, Any]) -> None:
        do, names = request.get("do"), [str(name) for name in request.get("nodes", [])]
        if do == "quit":
            self.quitting = caller
            self._stop(caller, list(self.children), owe=False)
        elif do == "stop":
            self._stop(caller, names, owe=True)
        elif do == "start":
            self._start(caller, names, self._file_of(request))
        else:
            caller.say(done=True, error=f"unknown request {do!r}")

    def _file_of(self, request: dict[str, Any]) -> Path:
        """The cluster file that is meant. Its name may be no UTF-8."""
        try:
            file = os.fsdecode(bytes.fromhex(str(request.get("file", ""))))
        except ValueError:
            file = ""
        return Path(file or self.place.file)

    def _start(self, caller: Caller, names: list[str], file: Path) -> None:
        try:
            place = self.reload(file)
        except LocationError as error:
            caller.say(done=True, error=str(error))
            return
        if os.path.realpath(place.root) != os.path.realpath(self.place.root):
            caller.say(done=True, error=f"{place.file} keeps its state in {place.root} by now")
            return
        self.place = place
        self.restarts = place.restarts or self.restarts
        for name, child in self.children.items():
            child.budget.budget, child.budget.window_s = self.restarts
            if name not in place.nodes and child.restart_at is not None:
                child.wanted, child.restart_at, child.seen.state = False, None, "down"
        caller.owed = set(names)
        for name in names:
            if name not in self.place.nodes:
                caller.say(node=name, state="failed", exit="not in the cluster file")
                caller.settle(name)
                continue
            child = self._child(name)
            child.wanted = True
            child.budget.renew()
            self._guarded(
                child, self._look
            )  # it may have been killed a moment ago, and not be reaped yet
            if child.seen.state == "running":
                caller.say(node=name, state="running", pid=child.seen.pid)
                caller.settle(name)
                continue
            child.asked.append(caller)
            if child.seen.state != "starting" and not self._adopted(child):
                self._fork(child)
        if not names:
            caller.say(done=True)

    def _stop(self, caller: Caller, names: list[str], owe: bool) -> None:
        known = [name for name in names if name in self.children]
        if owe:
            caller.owed = set(known)
        for name in known:
            child = self.children[name]
            child.wanted, child.restart_at = False, None
            if child.seen.state == "backoff":
                child.seen.state = "down"
        self._save()  # before any caller gets an answer
        for name in known:
            child = self.children[name]
            if not child.up or child.record is None:
                caller.settle(name)
                continue
            child.asked.append(caller)
            send_signal(child.record, signal.SIGTERM)
            send_signal(child.record, signal.SIGCONT)  # a paused node must wake up to stop
            child.kill_at = time.monotonic() + STOP_GRACE_S
        if owe and not known:
            caller.say(done=True)

    # --- nodes ----------------------------------------------------------------------------------

    def _child(self, name: str) -> Child:
        if name not in self.children:
            child = Child(name, *self.restarts)
            child.seen = self.launched.nodes.setdefault(name, child.seen)
            if child.seen.state != "failed":
                child.seen.state = "down"
            self.children[name] = child
        return self.children[name]

    def _fork(self, child: Child) -> None:
        at = self.place.nodes[child.name]
        child.restart_at = child.kill_at = None
        child.adopted = False
        child.started_at = time.monotonic()
        child.seen.starts += 1
        child.seen.state = "starting"
        file, errors = Path(self.place.file), Path(at.stderr_file)
        try:
            pid, fd = fork_node(child.name, file, errors, self.run_node)
        except OSError as error:
            self._not_forked(child, error)
            return
        child.seen.pid, child.fd = pid, fd
        child.record = record_of(pid, Path(at.pid_file))
        if child.record is not None:
            with contextlib.suppress(OSError):  # the node needs it as well, and says what is wrong
                write_json(Path(at.pid_file), child.record)
        self.selector.register(fd, selectors.EVENT_READ, lambda: self._on_ready(child))
        self._log("info", "node_started", child, pid=pid, starts=child.seen.starts)
        self._save()

    def _not_forked(self, child: Child, error: OSError) -> None:
        """Its folder cannot be used, or no process, memory or descriptor is left: others go on."""
        child.seen.pid, child.record = 0, None
        child.seen.exit = f"cannot be started: {complaint(error)}"
        child.seen.exit_at_ms = int(time.time() * 1000)
        code = EXIT_STORAGE if error.filename else EXIT_FAILED
        if self.place.restart == "always" and child.wanted and self._again(child):
            self._log("warning", "node_failed", child, reason=child.seen.exit)
            return
        child.wanted, child.seen.state = False, "failed"
        self._log("error", "node_failed", child, reason=child.seen.exit)
        self._answer(child, state="failed", exit=child.seen.exit, code=code)

    def _again(self, child: Child) -> bool:
        """Later, if the budget allows; whoever waits for the node goes on waiting."""
        wait_s = child.budget.crashed(time.monotonic())
        if wait_s is None:
            return False
        child.seen.state = "backoff"
        child.restart_at = time.monotonic() + wait_s
        self._save()
        return True

    def _on_ready(self, child: Child) -> None:
        assert child.fd is not None
        try:
            data = os.read(child.fd, 16)
        except BlockingIOError:
            return
        self._forget_fd(child)
        if not data:
            return  # it ended, or is about to: the reaper will say how
        child.seen.state = "running"
        took_ms = round((time.monotonic() - child.started_at) * 1000)
        self._log("info", "node_ready", child, pid=child.seen.pid, took_ms=took_ms)
        self._answer(child, state="running", pid=child.seen.pid, took_ms=took_ms)

    def _adopted(self, child: Child) -> bool:
        """Take over a node that runs already, by its pid file."""
        record = live_record(Path(self.place.nodes[child.name].pid_file))
        if record is None:
            return False
        child.record, child.adopted, child.wanted = record, True, True
        child.seen.pid, child.seen.state = record.pid, "running"
        with contextlib.suppress(AttributeError, OSError):
            child.fd = os.pidfd_open(record.pid)
            self.selector.register(child.fd, selectors.EVENT_READ, lambda: self._on_gone(child))
        self._log("info", "node_adopted", child, pid=record.pid)
        self._answer(child, state="running", pid=record.pid)
        return True

    def _answer(self, child: Child, **line: Any) -> None:
        """Tell those who asked for it; what others read is written by then."""
        self._save()
        for caller in child.asked:
            caller.say(node=child.name, **line)
            caller.settle(child.name)
        child.asked.clear()

    def _reap(self) -> None:
        for child in list(self.children.values()):
            self._guarded(child, self._look)

    def _look(self, child: Child) -> None:
        """Whether it has ended."""
        if not child.up:
            return
        if child.adopted:
            self._on_gone(child)
            return
        # Also one without a record: it ended before it could be looked at.
        pid, status = os.waitpid(child.seen.pid, os.WNOHANG)
        if not pid and child.record is not None and not lives(child.record):
            await_exit(child.seen.pid, DYING_S)  # its first thread has ended: the others will
            pid, status = os.waitpid(child.seen.pid, os.WNOHANG)
        if pid:
            self._ended(child, exit_text(status), status)

    def _on_gone(self, child: Child) -> None:
        if not child.adopted or child.record is None or lives(child.record):
            return  # it has been reported already
        self._ended(child, "gone (its exit code went to another launcher)", None)

    def _ended(self, child: Child, how: str, status: int | None) -> None:
        self._forget_fd(child)
        asked_down = not child.wanted
        child.seen.exit = how
        child.seen.exit_at_ms = int(time.time() * 1000)
        child.seen.state = "down"
        child.kill_at = None
        pid_file = Path(self.place.at(child.name).pid_file)
        left = read_record(pid_file)
        if left is not None and left.pid == child.seen.pid:
            with contextlib.suppress(OSError):
                pid_file.unlink()
        level = "info" if asked_down else "warning"
        self._log(level, "node_exited", child, pid=child.seen.pid, exit=how, asked=asked_down)
        code = os.waitstatus_to_exitcode(status) if status is not None else EXIT_FAILED
        hopeless = code == EXIT_CONFIG
        in_file = child.name in self.place.nodes  # as it was at the last start of a node
        if self.place.restart == "always" and in_file and not asked_down and not hopeless:
            if self._again(child):
                return
            child.seen.state = "failed"
            child.wanted = False
            of = child.budget
            self._log("error", "node_failed", child, budget=of.budget, window_s=of.window_s)
        self._answer(child, state=child.seen.state, exit=how, code=max(code, EXIT_FAILED))

    def _on_time(self, now: float) -> None:
        for child in self.children.values():
            if child.kill_at is not None and now >= child.kill_at and child.record is not None:
                child.kill_at = None
                send_signal(child.record, signal.SIGKILL)
                self._log("warning", "node_killed", child, pid=child.seen.pid)
            if child.restart_at is not None and now >= child.restart_at:
                self._guarded(child, self._fork)

    def _forget_fd(self, child: Child) -> None:
        if child.fd is not None:
            self.selector.unregister(child.fd)
            os.close(child.fd)
            child.fd = None

    # --- what others read -----------------------------------------------------------------------

    def _save(self) -> None:
        if _inode(self.place.root) not in (self.root, UNSEEN):
            return  # nothing is left where the folder was
        with contextlib.suppress(OSError):  # a full disk must not stop restarts
            write_json(self.place.launched_file, self.launched)

    def _log(self, level: str, event: str, child: Child, **fields: Any) -> None:
        now = time.time()
        ts = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        ts += f".{int(now * 1000) % 1000:03d}Z"
        line = {"ts": ts, "level": level, "event": event, "node": child.name, "worker": "launcher"}
        with contextlib.suppress(OSError), self.place.launcher_log.open("ab") as file:
            file.write(msgspec.json.encode(line | fields) + b"\n")


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        return UNSEEN


def _drained(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(fd, 4096):
            pass


def main(arguments: list[str]) -> int:
    """`python -m lab.cluster.launcher FILE`: started by `lab.cluster.cluster`, already detached."""
    try:
        return _launched(Path(arguments[0]))
    except OSError as error:
        print(f"cannot run: {complaint(error)}", file=sys.stderr)
        return EXIT_STORAGE
    except Problem as problem:
        print(problem, file=sys.stderr)
        return int(problem.code)


def _launched(file: Path) -> int:
    from node.__main__ import prepare, run  # lazy: the whole node
    from node.config.cluster_file import load

    os.umask(0o077)
    place = parse(file)
    config = load(file)
    Path(place.root).mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(Path(place.root, "launcher.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0  # another launcher runs; the caller will find it
    prepare()
    freeze()
    name_process("chatlab launcher", str(file))
    budget = (config.restarts.budget, config.restarts.window_s)
    Launcher(place, run, budget, parse).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
