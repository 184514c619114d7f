"""Standard streams that are closed, full, short or non-blocking: nothing is lost or crashes."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.cluster.processes import read_record, record_of, state_of
from node.process.pidfile import birth_of


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not deep: sockets fit into it."""
    with tempfile.TemporaryDirectory(prefix="cl-", dir="/tmp") as made:
        Path(made, "cluster.yaml").write_text("nodes: [n1]\n")
        yield Path(made)


ROOT = Path(__file__).resolve().parents[3]
LINES = 3000
TEXTS = "".join(f"a sentence of some length, number {n}\n" for n in range(LINES)).encode()


def chatlab(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "lab.cli", *arguments]


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CHATLAB")}
    return kept | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"} | more


def shell(command: str, folder: Path, stdin: bytes = b"", **more: str) -> tuple[int, str, str]:
    """The command, where `C` is chatlab."""
    words = " ".join(chatlab())
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command.replace('C ', words + ' ')}"],
        input=stdin,
        capture_output=True,
        cwd=folder,
        env=environment(**more),
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def nonblocking(fd: int) -> None:
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)


@pytest.mark.parametrize("pause_s", [0.0, 1.0])
def test_a_nonblocking_pipe_loses_no_line(folder: Path, pause_s: float) -> None:
    (folder / "texts").write_bytes(TEXTS)
    read_end, write_end = os.pipe()
    nonblocking(write_end)
    with (folder / "texts").open("rb") as texts:
        process = subprocess.Popen(
            chatlab("moderate", "--stdin"),
            stdin=texts,
            stdout=write_end,
            cwd=folder,
            env=environment(),
        )
    os.close(write_end)
    time.sleep(pause_s)  # the reader is late: that is the case
    with os.fdopen(read_end, "rb") as reader:
        got = reader.read()
    assert process.wait() == 0
    assert got.count(b"\n") == LINES


def test_a_nonblocking_stdin_is_waited_for(folder: Path) -> None:
    read_end, write_end = os.pipe()
    nonblocking(read_end)
    process = subprocess.Popen(
        chatlab("moderate", "--stdin"),
        stdin=read_end,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment(),
    )
    os.close(read_end)
    for line in (b"one\n", b"two\n"):
        time.sleep(0.5)  # nothing is there: that is the case
        os.write(write_end, line)
    os.close(write_end)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.count(b"\n"), err) == (0, 2, b"")


@pytest.mark.parametrize(
    "command",
    [
        "C cluster ps --json >&-",
        "C cluster ps <&- >&- 2>&-",
        "C moderate hello >&-",
        "C lab list >&-",
        "C --help >&-",
        "C moderate --stdin <&-",
        "C doctor <&- >&- 2>&-",
    ],
)
def test_a_closed_stream_is_an_empty_one(folder: Path, command: str) -> None:
    code, out, err = shell(command, folder)
    assert (code, out, err) == (0, "", ""), (code, out, err)


def test_a_closed_stdin_has_no_messages(folder: Path) -> None:
    code, _, err = shell("C send n1 --stdin <&-", folder)
    assert code == 4 and "n1 is not running" in err  # what it would say to an empty one


def test_descriptors_of_a_node_are_not_taken_for_its_files(folder: Path) -> None:
    """Started without streams, as by a service manager that closes them all."""
    command = ["bash", "-c", f"exec {' '.join(chatlab('node', 'run', 'n1'))} <&- >&- 2>&-"]
    process = subprocess.Popen(command, cwd=folder, env=environment())
    try:
        control = folder / ".chatlab" / "chatlab" / "n1" / "control"
        until(control.exists)
        links = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3)]
        assert links == [os.devnull] * 3
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0


def test_a_full_device_is_named(folder: Path) -> None:
    code, _, err = shell("C moderate hello > /dev/full", folder)
    assert (code, err) == (1, "chatlab: standard output: No space left on device\n")


def test_where_nobody_can_be_told_the_exit_code_says_it(folder: Path) -> None:
    code, out, _ = shell("C moderate --nonsense 2> /dev/full", folder)
    assert (code, out) == (1, "")


@pytest.mark.parametrize(
    "command", ["C moderate --stdin < texts | head -1", "C lab list | head -1", "C --help | true"]
)
def test_a_reader_that_has_seen_enough_is_no_failure(folder: Path, command: str) -> None:
    (folder / "texts").write_bytes(TEXTS)
    code, _, err = shell(command, folder)
    assert (code, err) == (0, "")


def test_a_foreign_package_is_named_in_one_line(folder: Path) -> None:
    foreign = folder / "their code"
    (foreign / "domain").mkdir(parents=True)
    (foreign / "domain" / "__init__.py").write_text("x = 1\n")
    path = f"{foreign}:{ROOT}"
    for command in ("C moderate hello", "C doctor"):
        code, _, err = shell(command, folder, PYTHONPATH=path)
        assert code == 2 and err.count("\n") == 1, err
        assert str(foreign / "domain") in err and "PYTHONPATH" in err


def test_a_foreign_module_in_the_place_of_a_dependency_is_named(folder: Path) -> None:
    (folder / "theirs").mkdir()
    (folder / "theirs" / "typer.py").write_text("x = 1\n")
    path = f"{folder / 'theirs'}:{ROOT}"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "lab.__main__", "cluster", "ps"],
        capture_output=True,
        cwd=folder,
        env=environment(PYTHONPATH=path),
        check=False,
    )
    err = done.stderr.decode()
    assert done.returncode == 2 and err.count("\n") == 1, err
    assert str(folder / "theirs" / "typer.py") in err and "PYTHONPATH" in err


@pytest.mark.parametrize("name", ["lab", "domain", "node"])
def test_the_script_names_a_foreign_package_before_it_starts(folder: Path, name: str) -> None:
    (folder / f"{name}.py").write_text("x = 1\n")
    done = subprocess.run(
        [ROOT / "scripts" / "chatlab", "--version"],
        capture_output=True,
        env=environment(PYTHONPATH=f"/nonexistent:{folder}"),
        cwd=folder,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.decode().count("\n") == 1 and str(folder) in done.stderr.decode()


# --- workers, and signals ------------------------------------------------------------------------


def until(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    return [
        int(one)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for one in (task / "children").read_text().split()
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_workers_end_with_their_parent(folder: Path, number: signal.Signals) -> None:
    # Whoever starts these tests by nohup has SIGHUP ignored, and children inherit that.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        process = subprocess.Popen(
            chatlab("lab", "explore", "--jobs", "2", "--seeds", "1000000"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment(),
        )
    finally:
        signal.signal(signal.SIGHUP, before)
    try:
        until(lambda: len(children(process.pid)) == 2)
        workers = [record for pid in children(process.pid) if (record := record_of(pid))]
        assert len(workers) == 2
        time.sleep(1.0)  # they have begun to work
        process.send_signal(number)
        process.wait(timeout=20)
        until(lambda: not any(birth_of(one.pid) == one.birth for one in workers), 10.0)
    finally:
        process.kill()


def test_a_node_stops_on_term_although_its_parent_blocked_it(folder: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    try:
        process = subprocess.Popen(
            chatlab("node", "run", "n1"),
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment(),
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        until((folder / ".chatlab" / "chatlab" / "n1" / "control").exists)
        assert state_of(process.pid) != "T"
        process.terminate()
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_starts_a_cluster_ends_it_however_it_is_ended(
    folder: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        chatlab("demo"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=environment(TMPDIR=str(folder)),
    )
    try:
        until(lambda: len(list(folder.rglob("node.pid"))) == 5)
        pids = [read_record(path) for path in folder.rglob("node.pid")]
        process.send_signal(number)
        assert process.wait(timeout=30) == 130
        until(lambda: not any(birth_of(one.pid) == one.birth for one in pids if one))
        assert not list(folder.rglob("node.pid"))
    finally:
        process.kill()


INTERRUPTED = """
import signal, sys
from node.process import standard_streams
standard_streams.make_patient()

class Stop(Exception):
    pass

def stop(number, frame):
    raise Stop

signal.signal(signal.SIGALRM, stop)
for number in range(20_000):
    try:
        signal.setitimer(signal.ITIMER_REAL, 20e-6 + number % 97 * 1e-6)
        print(number, flush=True)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Stop:
        pass
signal.setitimer(signal.ITIMER_REAL, 0)
"""


def test_an_interrupt_while_a_line_is_written_writes_nothing_twice(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        cwd=folder,
        env=environment(),
        timeout=60,
        check=True,
    )
    written = done.stdout.split()
    assert len(written) > 1000 and len(set(written)) == len(written)
