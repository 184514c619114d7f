"""The pid file names a process, not a number."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

import lab.cluster.processes
from node.process.pidfile import ProcessRecord, birth_of, remove_pid_file, write_pid_file


def test_it_names_this_process_and_since_when(tmp_path: Path) -> None:
    path = tmp_path / "below" / "node.pid"
    before_ms = int(time.time() * 1000)
    write_pid_file(path)
    record = msgspec.json.decode(path.read_bytes(), type=ProcessRecord)
    assert record.pid == os.getpid()
    assert record.birth == birth_of(os.getpid())
    assert before_ms <= record.started_at_ms <= int(time.time() * 1000)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["node.pid"]


def test_it_replaces_what_a_killed_process_left(tmp_path: Path) -> None:
    path = tmp_path / "node.pid"
    path.write_text("half of a rec")
    write_pid_file(path)
    assert msgspec.json.decode(path.read_bytes(), type=ProcessRecord).pid == os.getpid()


def test_the_lab_reads_what_the_node_wrote(tmp_path: Path) -> None:
    write_pid_file(tmp_path / "node.pid")
    record = lab.cluster.processes.read_record(tmp_path / "node.pid")
    assert record is not None
    assert (record.pid, record.birth) == (os.getpid(), birth_of(os.getpid()))


def test_two_processes_never_share_a_birth_with_their_pid() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        birth = birth_of(child.pid)
        assert birth is not None
        assert birth == birth_of(child.pid)
        assert birth != birth_of(os.getpid())
        assert child.stdin is not None
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert birth_of(child.pid) is None, "a zombie is no process"
    assert birth_of(child.pid) is None


def test_elsewhere_psutil_tells_the_same_story(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil  # noqa: F401  (while it still knows where it is)

    monkeypatch.setattr(sys, "platform", "darwin")
    birth = birth_of(os.getpid())
    assert birth is not None
    assert birth == birth_of(os.getpid())
    assert birth_of(2**22 + 1) is None


def test_it_is_removed_only_by_the_process_that_it_names(tmp_path: Path) -> None:
    path = tmp_path / "node.pid"
    for other in (msgspec.json.encode(ProcessRecord(os.getpid() + 1, "x")), b"{", b"\xff"):
        path.write_bytes(other)
        remove_pid_file(path)
        assert path.read_bytes() == other
    write_pid_file(path)
    remove_pid_file(path)
    assert not path.exists()
    remove_pid_file(path)
