"""A cluster of real node processes on this machine: the interface that commands and tests use.

`Cluster` is the client of the launcher, and starts one if there is none. The launcher starts and
stops nodes; signals go directly to the processes that the pid files name. Nothing here prints: the
caller decides what a user sees.
"""

import contextlib
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from signal import SIGCONT, SIGINT, SIGKILL, SIGTERM, Signals

import msgspec
from msgspec import Struct

from lab.client.location import ClusterLocation, LocationError, NodeLocation, relatives, standing_of
from lab.cluster.processes import live_record, record_of, send_signal, state_of, wait_gone
from lab.cluster.wipe import WipeResult, keep_former, link_in, sweep_node, sweep_root
from lab.terminal.errors import Exit, Problem
from node.config.cluster_mark import ClusterMark, is_node_dir, leave_mark, new_id, node_dirs
from node.config.os_errors import complaint
from node.process.pidfile import ProcessRecord

LAUNCHER_WAIT_S = 10.0
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 6.0
TERM_GRACE_S = 3.0
POLL_S = 0.005


class StartedNodes(Struct, frozen=True):
    """The result of starting or stopping one node."""

    node: str
    state: str  # running, or why not: down, failed
    pid: int = 0
    took_ms: int | None = None  # None: it was running already
    exit: str = ""
    code: int = 1  # the exit code of a command that is about this, where it failed


class _Line(Struct, frozen=True):
    node: str = ""
    state: str = ""
    pid: int = 0
    took_ms: int | None = None
    exit: str = ""
    code: int = 1
    done: bool = False
    error: str = ""


OnStarted = Callable[[StartedNodes], None]


class Cluster:
    def __init__(self, place: ClusterLocation) -> None:
        self.place = place
        self.lengths: dict[str, int] = {}  # of what nodes write, before the last start
        self.adopted = ""  # what a person should know of the state folder that was taken

    # --- up and down ----------------------------------------------------------------------------

    def up(
        self, names: Iterable[str] | None = None, on: OnStarted | None = None
    ) -> list[StartedNodes]:
        """Start what is not running, and wait until each answers or ends."""
        wanted = list(self.place.nodes) if names is None else list(names)
        for name in wanted:
            self.place.node(name)
        self._claim()
        self._assign_addresses()
        self._ensure_launcher()
        files = [(at.stderr_file, at.log_file) for at in self.place.nodes.values()]
        self.lengths = {path: length_of(path) for both in files for path in both}
        return self._request("start", wanted, START_TIMEOUT_S, on)

    def stop(self, names: Iterable[str]) -> list[StartedNodes]:
        """Stop nodes: SIGTERM, then SIGKILL. Without a launcher nothing starts them again."""
        wanted = list(names)
        if self.launcher_runs():
            stopped = self._request("stop", wanted, STOP_TIMEOUT_S, None)
        else:
            stopped = []
        self._end([self.process(name) for name in wanted])
        return stopped

    def down(self) -> int:
        """Stop every node that runs in the folder, and the launcher. Returns how many did.

        Also those that run under a former name of the same file.
        """
        count = sum(Cluster(one).down() for one in relatives(self.place) if self.place.nodes)
        names = [*self.place.nodes, *self.former()]
        running = [record for name in names if (record := self.process(name))]
        if self.launcher_runs():
            with contextlib.suppress(Problem):
                self._request("quit", [], STOP_TIMEOUT_S, None)
        self._end(running)
        self._await_no_launcher()
        return count + len(running)

    def wipe(self, names: Iterable[str], swept: WipeResult | None = None) -> list[str]:
        """Remove what the nodes stored. Running nodes are stopped first; returns their names.

        Raises Problem if something of it is left. Files that are not chatlab's are left, and listed
        in `swept`.
        """
        standing_of(self.place)
        wanted = [self.node(name) for name in names]
        for at in wanted:
            if why := link_in(at):
                raise LocationError(f"{at.name} is not wiped: {why}")
        stopped = [at.name for at in wanted if self.process(at.name)]
        self.stop([at.name for at in wanted])
        swept = swept if swept is not None else WipeResult()
        for at in wanted:
            sweep_node(at, swept)
        if swept.failed:
            raise Problem(f"not all of it could be removed: {swept.text()}", Exit.STORAGE)
        return stopped

    def wipe_all(self) -> WipeResult:
        """Remove all state of a cluster that is down, but not that of former nodes.

        Raises LocationError, before anything is removed, if the folder is not this cluster's.
        """
        standing_of(self.place)
        swept = WipeResult()
        for at in self.place.nodes.values():
            sweep_node(at, swept)
        keep_former([Path(at.dir) for at in self.former().values()], swept)
        sweep_root(self.place, swept)
        return swept

    # --- single nodes ---------------------------------------------------------------------------

    def former(self) -> dict[str, NodeLocation]:
        """Nodes that run or have kept something in the folder, and are not in the file."""
        names = node_dirs(Path(self.place.root))
        return {name: self.place.at(name) for name in names if name not in self.place.nodes}

    def under_former_names(self) -> list[str]:
        """Which nodes still run where the file kept its state before."""
        return [
            f"{', '.join(running)} of this file run under its former name, in {one.root}"
            for one in relatives(self.place)
            if (running := Cluster(one).running())
        ]

    def node(self, name: str) -> NodeLocation:
        """The location of a node, of the file or a former one. Raises LocationError."""
        former = self.former() if name not in self.place.nodes else {}
        return former[name] if name in former else self.place.node(name)

    def process(self, name: str) -> ProcessRecord | None:
        """The node's process if it runs, however it was started."""
        at = self.node(name)
        record = live_record(Path(at.pid_file))
        if record is not None or not Path(at.control).exists():
            return record
        from lab.client.panel import status_of  # lazy: only for a node without a record

        status = status_of(at)
        if status is None or not self._ours(status.cluster):
            return None
        return record_of(status.pid)

    def _ours(self, cluster_id: str) -> bool:
        """Whether a node that says it is of this cluster is: one that knows no id is."""
        mark = self.place.mark
        return not cluster_id or mark is None or mark.id == cluster_id

    def signal(self, name: str, number: Signals) -> ProcessRecord:
        """Signal a running node; raises when it is not running."""
        record = self.process(name)
        if record is None or not send_signal(record, number):
            raise Problem(
                f"{name} is not running: start it with `chatlab cluster restart {name}`",
                Exit.UNREACHABLE,
            )
        return record

    def kill(self, name: str, number: Signals = Signals.SIGKILL) -> bool:
        """Signal a node. True if it is gone afterwards."""
        record = self.signal(name, number)
        if number not in (SIGKILL, SIGTERM, SIGINT):
            return bool(not wait_gone([record], 0.05))
        return not wait_gone([record], TERM_GRACE_S)

    def restart(self, names: Iterable[str], on: OnStarted | None = None) -> list[StartedNodes]:
        wanted = [self.place.node(name).name for name in names]
        self._claim()
        self.stop([name for name in wanted if self.process(name)])
        return self.up(wanted, on)

    def paused(self, name: str) -> bool:
        record = self.process(name)
        return record is not None and state_of(record.pid) == "T"

    def running(self) -> list[str]:
        """The names of the nodes that run, also of those that are not in the file."""
        return [name for name in (*self.place.nodes, *self.former()) if self.process(name)]

    # --- the launcher ---------------------------------------------------------------------------

    def launcher_runs(self) -> bool:
        connection = self._connect()
        if connection is None:
            return False
        connection.close()
        return True

    def renew_launcher(self) -> None:
        """End the launcher; the nodes go on, and the next start begins one of this version."""
        connection = self._connect()
        if connection is None or not hasattr(socket, "SO_PEERCRED"):
            return
        with connection:
            told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        launcher = record_of(struct.unpack("3i", told)[0])
        if launcher is not None and send_signal(launcher, SIGTERM):
            wait_gone([launcher], TERM_GRACE_S)

    def _connect(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(self.place.launcher_socket)
        except OSError:
            connection.close()
            return None
        return connection

    def _ensure_launcher(self) -> None:
        if self.launcher_runs():
            return
        root = Path(self.place.root)
        errors = root / "launcher.stderr"
        sources = str(Path(__file__).resolve().parents[2])
        paths = [sources, *filter(None, [os.environ.get("PYTHONPATH")])]
        from node.config.paths import private_dir  # lazy: the YAML parser

        try:
            private_dir(Path(self.place.launcher_socket).parent)
            with errors.open("wb") as output:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "lab.cluster.launcher", self.place.file],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
                )
        except OSError as error:
            text = f"the launcher cannot be started: {complaint(error)}"
            raise Problem(text, Exit.STORAGE) from None
        until = time.monotonic() + LAUNCHER_WAIT_S
        while not self.launcher_runs():
            code = process.poll()
            late = time.monotonic() > until
            if late or (code is not None and code != 0):
                last = last_lines(errors, 1)
                why = last[0] if last else "no output"
                text = f"the launcher did not start: {why} (all of it in {errors})"
                known = code in (int(Exit.USAGE), int(Exit.STORAGE))
                raise Problem(text, Exit(code) if code is not None and known else Exit.FAILED)
            time.sleep(POLL_S)

    def _await_no_launcher(self) -> None:
        until = time.monotonic() + 1.0
        while self.launcher_runs() and time.monotonic() < until:
            time.sleep(POLL_S)

    def _request(
        self, do: str, names: list[str], timeout_s: float, on: OnStarted | None
    ) -> list[StartedNodes]:
        connection = self._connect()
        if connection is None:
            raise Problem("the launcher went away: try again", Exit.UNREACHABLE)
        came: list[StartedNodes] = []
        with connection:
            connection.settimeout(timeout_s)
            file = os.fsencode(self.place.file).hex()  # it may be no UTF-8
            request = {"do": do, "nodes": names, "file": file}
            connection.sendall(msgspec.json.encode(request) + b"\n")
            with connection.makefile("rb") as lines:
                try:
                    for raw in lines:
                        line = msgspec.json.decode(raw, type=_Line)
                        if line.error:
                            raise Problem(line.error, Exit.USAGE)
                        if line.done:
                            return came
                        one = StartedNodes(
                            node=line.node,
                            state=line.state,
                            pid=line.pid,
                            took_ms=line.took_ms,
                            exit=line.exit,
                            code=line.code,
                        )
                        came.append(one)
                        if on is not None:
                            on(one)
                except TimeoutError:
                    late = sorted(set(names) - {one.node for one in came})
                    raise Problem(
                        f"not {do}ed within {timeout_s:g} s: {', '.join(late) or 'the launcher'}",
                        Exit.TIMED_OUT,
                    ) from None
        if do == "quit":
            return came
        raise Problem("the launcher went away: try again", Exit.UNREACHABLE)

    def _end(self, records: Iterable[ProcessRecord | None]) -> None:
        left = [record for record in records if record is not None]
        for record in left:
            if send_signal(record, SIGTERM):
                send_signal(record, SIGCONT)
        left = wait_gone(left, TERM_GRACE_S)
        for record in left:
            send_signal(record, SIGKILL)
        wait_gone(left, 1.0)

    # --- before a start -------------------------------------------------------------------------

    def _claim(self) -> None:
        """Make the folder and write this cluster's mark. Raises LocationError if it is another's,
        or if nodes run under former names.
        """
        from node.config.ownership import Standing  # lazy: the YAML parser

        place, root, file = self.place, Path(self.place.root), Path(self.place.file)
        claim = standing_of(place)
        for what in self.under_former_names():
            raise LocationError(f"{what}: stop them first with `chatlab cluster down`")
        for at in place.nodes.values():
            # A path that is no folder is an error of this node, reported when it is started.
            if Path(at.dir).is_dir() and not is_node_dir(Path(at.dir)):
                text = f"{at.dir} is there already, and nothing in it is chatlab's"
                raise LocationError(f"{text}: use another name for the node, or another data_dir")
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if claim.mark is None:
                mark = leave_mark(root, file, place.id or new_id(), anew=False)
            elif claim.standing is Standing.OWN:
                return
            else:
                was = claim.mark
                if claim.standing is Standing.COPY:
                    _refuse_while_it_runs(was, root)
                keeps = was.id if claim.standing is Standing.MOVED else new_id()
                mark = leave_mark(root, file, place.id or keeps, anew=True)
        except OSError as error:
            text = f"cannot make {error.filename or place.root}: {error.strerror}"
            raise Problem(text, Exit.STORAGE) from None
        self.adopted = {
            Standing.OLDER: f"{root} is of an older version: it is cluster {mark.id} from now on",
            Standing.MOVED: f"{root} was moved or its file renamed: it stays cluster {mark.id}",
            Standing.COPY: f"{root} is a copy: it is a cluster of its own, {mark.id}, from now on",
        }.get(claim.standing, "")

    def _assign_addresses(self) -> None:
        from lab.cluster.addresses import assign  # lazy: only a start needs it
        from node.config.cluster_file import ConfigError

        try:
            assign(self.place, anyone_runs=bool(self.running()))
        except ConfigError as error:
            raise LocationError(str(error)) from None
        except OSError as error:
            raise Problem(complaint(error), Exit.STORAGE) from None


def _refuse_while_it_runs(original: ClusterMark, here: Path) -> None:
    """Two clusters of one past, of which one goes on, are seldom meant."""
    there = Path(original.root)
    pid_files = [there / name / "node.pid" for name in node_dirs(there)]
    running = [path.parent.name for path in pid_files if live_record(path) is not None]
    if running:
        raise LocationError(
            f"{here} is a copy of {there} (cluster {original.id}), where {', '.join(running)} "
            f"runs: stop it there first with `chatlab -f {original.file} cluster down`"
        )


def length_of(path: str | Path) -> int:
    """The length of a file in bytes; 0 if there is no such file."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def last_lines(path: str | Path, count: int, since: int = 0) -> list[str]:
    """The last lines of a text file, each safe to show; empty if there is none.

    `since`: what stands before this offset is not looked at, unless the file is shorter by now.
    """
    from lab.terminal.display import display_safe

    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(since if since <= size else 0, size - 64 * 1024))
            raw = file.read()
    except OSError:
        return []
    lines = raw.decode("utf-8", "replace").splitlines()
    return [display_safe(line) for line in lines if line.strip()][-count:]
