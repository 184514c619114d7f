"""A pid file names one process for ever; a stale one is never trusted and never signalled."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.client.atomic_json import write_json
from lab.cluster.processes import (
    live_record,
    lives,
    read_record,
    record_of,
    send_signal,
    state_of,
    wait_gone,
)
from node.process.pidfile import ProcessRecord, birth_of


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_a_running_process_is_recognised_by_pid_and_birth(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    record = record_of(sleeper.pid)
    assert record is not None and lives(record)
    write_json(tmp_path / "pid", record)
    assert live_record(tmp_path / "pid") == record
    assert (tmp_path / "pid").stat().st_mode & 0o077 == 0


def test_a_process_that_ended_is_gone_even_before_it_is_reaped(
    sleeper: subprocess.Popen[bytes],
) -> None:
    record = record_of(sleeper.pid)
    assert record is not None
    assert send_signal(record, signal.SIGKILL)
    assert wait_gone([record], 5.0) == []  # a zombie until the fixture waits for it
    assert not send_signal(record, signal.SIGTERM)


def test_a_reused_pid_is_neither_trusted_nor_killed(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    stale = ProcessRecord(sleeper.pid, "another-boot/1")
    write_json(tmp_path / "pid", stale)
    assert read_record(tmp_path / "pid") == stale
    assert live_record(tmp_path / "pid") is None
    assert not send_signal(stale, signal.SIGKILL)
    assert birth_of(sleeper.pid) is not None


def test_a_stopped_process_is_seen_as_such(sleeper: subprocess.Popen[bytes]) -> None:
    record = record_of(sleeper.pid)
    assert record is not None and send_signal(record, signal.SIGSTOP)
    os.waitpid(sleeper.pid, os.WUNTRACED)
    assert state_of(sleeper.pid) == "T" and lives(record)


@pytest.mark.parametrize("content", [b"", b"123", b"{}", b'{"pid": "x"}', b"\xff\xfe"])
def test_a_damaged_pid_file_is_no_record(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pid").write_bytes(content)
    assert read_record(tmp_path / "pid") is None


def test_no_process_has_no_birth() -> None:
    assert birth_of(2**22 + 1) is None
    assert state_of(2**22 + 1) == ""
