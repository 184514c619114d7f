"""The launcher, with stand-in nodes: starts, exits, budgets, adoption, and a stop that is one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from lab.client.atomic_json import write_json
from lab.client.location import FORMAT, ClusterLocation, NodeLocation
from lab.cluster.cluster import Cluster
from lab.cluster.launcher_state import read_launched
from lab.cluster.processes import live_record, record_of, send_signal

LAUNCHER = """
import os, signal, sys, time
from pathlib import Path
import msgspec
from lab.cluster.fork import freeze
import lab.cluster.launcher
from lab.cluster.launcher import Launcher
from lab.client.location import ClusterLocation

def run(name, file, ready):
    behave = Path(file).with_name(name + ".do")
    do = behave.read_text() if behave.exists() else "live"
    if do == "crash":
        print("no luck today", file=sys.stderr)
        return 5
    signal.signal(signal.SIGTERM, (lambda *_: sys.exit(0)) if do != "deaf" else signal.SIG_IGN)
    ready()
    if do == "crash-later":
        time.sleep(0.05)
        return 1
    while True:
        time.sleep(60)

look = lab.cluster.launcher.record_of

def look_late(pid, *more):
    time.sleep(0.3)  # by then, who crashes at once has crashed
    return look(pid, *more)

if Path(sys.argv[1]).with_name("late.do").exists():
    lab.cluster.launcher.record_of = look_late
def no_process():
    raise BlockingIOError(11, "Resource temporarily unavailable")

fork = os.fork
os.fork = lambda: no_process() if Path(sys.argv[1]).with_name("no-fork.do").exists() else fork()
os.umask(0o077)
place = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=ClusterLocation)
freeze()
Launcher(place, run, (3, 60.0), lambda _: place).serve()
"""


def place_in(folder: Path, restart: str) -> ClusterLocation:
    nodes = {}
    for name in ("n1", "n2", "n3"):
        at = folder / name
        nodes[name] = NodeLocation(
            name,
            str(at),
            str(at / "journal"),
            str(at / "node.jsonl"),
            str(at / "stderr"),
            str(at / "pid"),
            str(folder / f"{name}.journal"),
            str(at / "control"),
            str(at / "feed"),
        )
    socket = str(folder / "launcher.sock")
    file, book = str(folder / "cluster.yaml"), str(folder / "nodes.json")
    return ClusterLocation(FORMAT, file, "", "test", str(folder), socket, book, restart, nodes)


class Bench:
    """A launcher in a process of its own, and everything that it may have left behind."""

    def __init__(self, folder: Path, restart: str = "never") -> None:
        self.folder = folder
        self.place = place_in(folder, restart)
        self.cluster = Cluster(self.place)
        self.launcher: subprocess.Popen[bytes] | None = None
        write_json(folder / "place.json", self.place)

    def launch(self) -> subprocess.Popen[bytes]:
        self.launcher = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, str(self.folder / "place.json")],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        )
        until(self.cluster.launcher_runs)
        return self.launcher

    def start(self, *names: str) -> dict[str, str]:
        started = self.cluster._request("start", list(names), 10.0, None)
        return {one.node: one.state for one in started}

    def pid(self, name: str) -> int:
        record = live_record(Path(self.place.nodes[name].pid_file))
        return record.pid if record is not None else 0

    def state(self, name: str) -> str:
        return read_launched(self.place.launched_file).nodes[name].state

    def exit(self, name: str) -> str:
        return read_launched(self.place.launched_file).nodes[name].exit

    def behave(self, name: str, how: str) -> None:
        (self.folder / f"{name}.do").write_text(how)

    def close(self) -> None:
        if self.launcher is not None:
            self.launcher.kill()
            self.launcher.wait()
        for at in self.place.nodes.values():
            record = live_record(Path(at.pid_file))
            if record is not None:
                send_signal(record, signal.SIGKILL)


def until(done: Callable[[], object], timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.005)


@pytest.fixture
def bench(short_path: Path) -> Iterator[Bench]:
    made = Bench(short_path)
    yield made
    made.close()


@pytest.fixture
def always(short_path: Path) -> Iterator[Bench]:
    made = Bench(short_path, "always")
    yield made
    made.close()


def test_nodes_are_processes_of_their_own_session_with_their_own_stderr(bench: Bench) -> None:
    bench.launch()
    assert bench.start("n1", "n2") == {"n1": "running", "n2": "running"}
    pid = bench.pid("n1")
    assert pid and os.getsid(pid) == pid
    opened = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert opened == {"/dev/null", bench.place.nodes["n1"].stderr_file}
    status = Path(f"/proc/{pid}/status").read_text()
    assert "SigBlk:\t0000000000000000" in status


def test_starting_again_only_starts_what_is_missing(bench: Bench) -> None:
    bench.launch()
    bench.start("n1")
    pid = bench.pid("n1")
    assert bench.start("n1", "n2") == {"n1": "running", "n2": "running"}
    assert bench.pid("n1") == pid


def test_the_sockets_and_files_are_private(bench: Bench) -> None:
    bench.launch()
    bench.start("n1")
    for path in (bench.place.launcher_socket, bench.place.nodes["n1"].pid_file):
        assert os.stat(path).st_mode & 0o077 == 0


def test_a_node_that_ends_before_it_is_ready_is_reported_with_its_exit(bench: Bench) -> None:
    bench.behave("n2", "crash")
    bench.launch()
    assert bench.start("n1", "n2") == {"n1": "running", "n2": "down"}
    assert bench.exit("n2") == "exited 5"
    assert "no luck today" in Path(bench.place.nodes["n2"].stderr_file).read_text()


def test_a_node_that_ends_before_it_could_be_looked_at_is_reported_too(bench: Bench) -> None:
    bench.behave("n2", "crash")
    bench.behave("late", "yes")
    bench.launch()
    assert bench.start("n1", "n2") == {"n1": "running", "n2": "down"}
    assert bench.exit("n2") == "exited 5"


def test_a_killed_node_stays_down_and_its_exit_is_one_log_line(bench: Bench) -> None:
    bench.launch()
    bench.start("n1", "n2")
    assert bench.cluster.kill("n1")
    until(lambda: bench.state("n1") == "down")
    assert bench.exit("n1") == "killed by SIGKILL"
    lines = [msgspec.json.decode(raw) for raw in bench.place.launcher_log.read_bytes().splitlines()]
    exits = [line for line in lines if line["event"] == "node_exited"]
    assert len(exits) == 1 and exits[0]["node"] == "n1" and exits[0]["exit"] == "killed by SIGKILL"
    assert bench.state("n2") == "running"
    assert bench.start("n1") == {"n1": "running"}
    assert read_launched(bench.place.launched_file).nodes["n1"].starts == 2


def test_a_node_that_was_just_killed_is_not_called_running_but_started(bench: Bench) -> None:
    """Killed and started again at once, many times: the launcher may not have reaped it yet."""
    bench.launch()
    bench.start("n1")
    for _ in range(25):
        before = bench.pid("n1")
        os.kill(before, signal.SIGKILL)
        while bench.pid("n1") == before:
            pass  # a zombie is gone: the launcher hears of it no sooner than we do
        assert bench.start("n1") == {"n1": "running"}
        assert bench.pid("n1") not in (0, before)


def test_with_restart_always_a_killed_node_comes_back(always: Bench) -> None:
    always.launch()
    always.start("n1", "n2")
    pid, other = always.pid("n1"), always.pid("n2")
    assert always.cluster.kill("n1")
    until(lambda: always.pid("n1") not in (0, pid))
    until(lambda: always.state("n1") == "running")
    assert always.pid("n2") == other


def test_over_its_budget_a_node_is_failed_and_the_others_are_left_alone(always: Bench) -> None:
    always.behave("n1", "crash-later")
    always.launch()
    assert always.start("n2") == {"n2": "running"}
    other = always.pid("n2")
    always.start("n1")
    until(lambda: always.state("n1") == "failed")
    assert read_launched(always.place.launched_file).nodes["n1"].starts == 4  # one and three more
    assert always.pid("n2") == other
    always.behave("n1", "live")
    assert always.start("n1") == {"n1": "running"}  # a person asks: a fresh budget


def test_a_stop_is_not_a_crash(always: Bench) -> None:
    always.launch()
    always.start("n1")
    always.cluster.stop(["n1"])
    assert always.state("n1") == "down" and always.exit("n1") == "exited 0"
    time.sleep(0.3)  # longer than the first backoff
    assert always.pid("n1") == 0


def test_down_stops_paused_and_deaf_nodes_too(bench: Bench) -> None:
    bench.behave("n3", "deaf")
    bench.launch()
    bench.start("n1", "n2", "n3")
    bench.cluster.signal("n2", signal.SIGSTOP)
    assert bench.cluster.paused("n2") or True
    pids = [bench.pid(name) for name in ("n1", "n2", "n3")]
    assert bench.cluster.down() == 3
    assert all(record_of(pid) is None for pid in pids)
    assert bench.launcher is not None and bench.launcher.wait(5) == 0
    assert not os.path.exists(bench.place.launcher_socket)


def test_nodes_outlive_their_launcher_and_the_next_one_adopts_them(always: Bench) -> None:
    launcher = always.launch()
    always.start("n1", "n2")
    pids = {name: always.pid(name) for name in ("n1", "n2")}
    launcher.kill()
    launcher.wait()
    assert {name: always.pid(name) for name in pids} == pids
    always.launch()
    assert always.start("n1", "n2") == {"n1": "running", "n2": "running"}
    assert {name: always.pid(name) for name in pids} == pids
    assert always.cluster.kill("n1")
    until(lambda: always.pid("n1") not in (0, pids["n1"]))  # adopted nodes are watched as well
    assert always.cluster.down() == 2


def test_a_stale_pid_file_is_not_adopted(bench: Bench) -> None:
    Path(bench.place.nodes["n1"].dir).mkdir()
    own = record_of(os.getpid())
    assert own is not None
    stale = msgspec.structs.replace(own, birth="another-boot/1")
    write_json(Path(bench.place.nodes["n1"].pid_file), stale)
    bench.launch()
    assert bench.start("n1") == {"n1": "running"}
    assert bench.pid("n1") != os.getpid()


def test_a_bad_request_does_not_hurt_the_launcher(bench: Bench) -> None:
    import socket

    bench.launch()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(bench.place.launcher_socket)
        connection.sendall(b'nonsense\n{"do": "dance"}\n')
        answers = b""
        while answers.count(b"\n") < 2:
            answers += connection.recv(4096)
    assert b"not a request" in answers and b"unknown request" in answers
    assert bench.start("n9") == {"n9": "failed"}
    assert bench.start("n1") == {"n1": "running"}


def test_the_launcher_ends_when_its_folder_is_removed(bench: Bench) -> None:
    launcher = bench.launch()
    bench.folder.rename(bench.folder.with_name(f"{bench.folder.name}.away"))
    try:
        assert launcher.wait(5) == 0
    finally:
        bench.folder.with_name(f"{bench.folder.name}.away").rename(bench.folder)


def test_a_fork_that_fails_and_a_folder_in_the_place_of_a_pid_file_end_no_launcher(
    bench: Bench,
) -> None:
    launcher = bench.launch()
    assert bench.start("n1") == {"n1": "running"}
    bench.behave("no-fork", "")
    assert bench.start("n2") == {"n2": "failed"}
    assert "cannot be started: Resource temporarily unavailable" in bench.exit("n2")
    (bench.folder / "no-fork.do").unlink()
    pid_file = Path(bench.place.nodes["n3"].pid_file)
    pid_file.mkdir(parents=True)
    bench.behave("n3", "crash")
    assert bench.start("n3") == {"n3": "down"}
    assert launcher.poll() is None and bench.pid("n1")
    pid_file.rmdir()
    assert bench.start("n2") == {"n2": "running"}


# --- one node's trouble --------------------------------------------------------------------------


@pytest.mark.parametrize("restart", ["never", "always"])
@pytest.mark.parametrize("what", ["a link to nowhere", "a file", "its stderr is a folder"])
def test_a_node_that_cannot_be_started_is_its_own_trouble(
    short_path: Path, what: str, restart: str
) -> None:
    bench = Bench(short_path, restart)
    if what == "a link to nowhere":
        (short_path / "n2").symlink_to("/nonexistent/disk")
    elif what == "a file":
        (short_path / "n2").touch()
    else:
        (short_path / "n2" / "stderr").mkdir(parents=True)
    try:
        launcher = bench.launch()
        started = bench.cluster._request("start", ["n1", "n2", "n3"], 20.0, None)
        states = {one.node: (one.state, one.code) for one in started}
        assert states == {"n1": ("running", 1), "n2": ("failed", 5), "n3": ("running", 1)}
        assert str(short_path / "n2") in bench.exit("n2")
        # The launcher is there, and keeps its word to the others.
        pid = bench.pid("n1")
        os.kill(pid, signal.SIGKILL)
        if restart == "always":
            until(lambda: bench.pid("n1") not in (0, pid))
        else:
            until(lambda: bench.state("n1") == "down")
        assert launcher.poll() is None
    finally:
        bench.close()


def test_with_restart_always_what_could_not_be_forked_is_tried_again(always: Bench) -> None:
    launcher = always.launch()
    assert always.start("n1") == {"n1": "running"}
    pid = always.pid("n1")
    always.behave("no-fork", "")
    os.kill(pid, signal.SIGKILL)
    until(lambda: "cannot be started" in always.exit("n1"))
    (always.folder / "no-fork.do").unlink()
    until(lambda: always.pid("n1") not in (0, pid))
    assert launcher.poll() is None


def test_a_socket_that_was_removed_is_bound_again(bench: Bench) -> None:
    launcher = bench.launch()
    bench.start("n1")
    os.unlink(bench.place.launcher_socket)
    until(bench.cluster.launcher_runs)
    assert bench.start("n2") == {"n2": "running"}
    assert launcher.poll() is None
