"""What people meet: hints that can be pasted, silent ends, names of processes, true notes."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from lab.cluster.processes import read_record, send_signal
from lab.terminal.display import width_of

pytestmark = pytest.mark.cluster


def test_hints_repeat_the_file_that_was_given(lab: Any) -> None:
    other = lab.folder / "three nodes.yaml"
    other.write_text("name: three\nnodes: [n1, n2, n3]\n", encoding="utf-8")
    given = ("-f", "three nodes.yaml")
    up = lab.well(*given, "cluster", "up", "-d")
    try:
        assert "chatlab -f 'three nodes.yaml' send n1" in up.err
        killed = lab.well(*given, "cluster", "kill", "n2")
        assert "chatlab -f 'three nodes.yaml' cluster restart n2" in killed.out
        assert (
            "chatlab -f 'three nodes.yaml' cluster restart n2"
            in lab.well(*given, "cluster", "ps").err
        )
        gone = lab.chatlab(*given, "send", "n2", "x")
        assert gone.code == 4 and "`chatlab -f 'three nodes.yaml' cluster restart n2`" in gone.err
    finally:
        lab.chatlab(*given, "cluster", "down")


def test_a_file_behind_the_command_is_told_where_it_stands(lab: Any) -> None:
    lab.write("nodes: [n1]\n")
    ran = lab.chatlab("send", "n1", "hi", "-f", "x.yaml")
    assert ran.code == 2 and "stands in front: `chatlab -f FILE send`" in ran.err


def test_processes_are_named_and_logs_are_no_flood(lab: Any) -> None:
    lab.write("nodes: [n1, n2]\n")
    lab.up()
    pids = {one["node"]: one["pid"] for one in lab.well("cluster", "ps", "--json").lines}
    for name, pid in pids.items():
        line = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").decode()
        assert line == f"chatlab {name}: {lab.file}"
        assert Path(f"/proc/{pid}/comm").read_text().strip() == f"chatlab {name}"
    launcher = next(
        Path(f"/proc/{pid}/status").read_text().partition("PPid:")[2].split()[0]
        for pid in pids.values()
    )
    assert Path(f"/proc/{launcher}/cmdline").read_bytes().startswith(b"chatlab launcher: ")
    lab.well("send", "n1", "x")
    end = time.monotonic() + 15
    debug = ("logs", "--level", "debug", "--json")
    while not any(one["event"] == "telemetry" for one in lab.well(*debug).lines):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert not any(one["event"] == "telemetry" for one in lab.well("logs", "--json").lines)


def test_how_a_node_ended_that_nobody_saw_end_is_not_made_up(lab: Any) -> None:
    lab.write("nodes: [n1, n2]\n")
    lab.up()
    lab.well("cluster", "kill", "n1", "--signal", "TERM")
    lab.well("cluster", "restart", "n1")
    record = read_record(Path(lab.place.nodes["n1"].pid_file))
    assert record is not None
    parent = Path(f"/proc/{record.pid}/status").read_text().partition("PPid:")[2].split()[0]
    os.kill(int(parent), signal.SIGKILL)  # the launcher of this test's own cluster
    assert send_signal(record, signal.SIGKILL)
    end = time.monotonic() + 10
    while True:
        state = {one["node"]: one for one in lab.well("cluster", "ps", "--json").lines}["n1"]
        if state["state"] == "down":
            break
        assert time.monotonic() < end
        time.sleep(0.05)
    assert state["exit"] == "ended unseen: its launcher was gone"
    assert state["address"].startswith("tcp://127.0.0.1:")


def test_what_a_node_lacks_is_shown_and_a_partition_says_what_it_adds_to(lab: Any) -> None:
    lab.write("nodes: [n1, n2, n3]\n")
    lab.up()
    lab.well("cluster", "partition", "n1", "n2,n3")
    for _ in range(3):
        lab.well("send", "n1", "alone")
    states = {one["node"]: one["lacks"] for one in lab.well("cluster", "ps", "--json").lines}
    assert states == {"n1": 0, "n2": 3, "n3": 3}
    assert "0 (lacks 3)" in lab.well("cluster", "ps").out
    more = lab.well("cluster", "partition", "n1", "n2", "--one-way")
    assert "adds to what was cut before: n1 -x-> n2,n3, n2 -x-> n1, n3 -x-> n1" in more.err
    lab.well("cluster", "heal")
    assert "adds to" not in lab.well("cluster", "partition", "n1", "n2", "--one-way").err


def test_small_things_are_said_plainly(lab: Any) -> None:
    lab.write("nodes: [n1]\n")
    up = lab.well("cluster", "up", "-d")
    assert "1 node ready" in up.err
    for wait in ("0", "7200"):
        ran = lab.chatlab("send", "n1", "x", "--timeout", wait)
        assert ran.code == 2 and "from 0.001 to 3600 seconds" in ran.err
    lab.well("cluster", "pause", "n1")
    assert "paused" in lab.well("cluster", "kill", "n1", "-s", "TERM").out
    status = lab.chatlab("status", "n1")
    assert status.code == 4 and "paused: wake it" in status.err
    lab.well("cluster", "resume", "n1")
    end = time.monotonic() + 10
    while lab.well("cluster", "ps", "--json").json["state"] != "down":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert "n1 is not running" in lab.chatlab("status", "n1").err
    lab.write("nodes:\u00a0[n1]\n")
    assert "no-break space (U+00A0)" in lab.chatlab("cluster", "ps").err


@pytest.mark.parametrize("after_s", [0.002, 0.02, 0.05, 0.1, 0.2, 0.4])
def test_ctrl_c_is_silent_at_any_moment(lab: Any, after_s: float) -> None:
    lab.write("nodes: [n1]\n")
    program = (
        "import signal, sys; from lab.__main__ import main; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "print('began', flush=True); sys.exit(main())"
    )
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", program, "watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=lab.folder,
        env=lab.environment,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"began\n"
    time.sleep(after_s)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert b"Traceback" not in err and b"KeyboardInterrupt" not in err, err
    assert child.returncode in (0, 130, -signal.SIGINT)


def on_a_terminal(lab: Any, columns: int, *arguments: str) -> list[str]:
    """What a command shows on a terminal so wide."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen(
        lab.command(*arguments), stdout=follower, stderr=subprocess.DEVNULL,
        cwd=lab.folder, env=lab.environment,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    while True:
        try:
            more = os.read(leader, 65536)
        except OSError:
            break
        if not more:
            break
        shown += more
    os.close(leader)
    assert child.wait(60) == 0
    return shown.decode().splitlines()


def test_an_eighty_column_terminal_shows_each_node_in_one_row(lab: Any) -> None:
    lab.write("nodes: [n1, n2, n3]\n")
    lab.up()
    lab.well("cluster", "kill", "n3")
    lines = on_a_terminal(lab, 80, "cluster", "ps")
    assert all(len(line) <= 80 for line in lines), lines
    assert sum(line.startswith(("n1", "n2", "n3")) for line in lines) == 3
    assert "killed by SIGKILL" in "\n".join(lines) and "127.0.0.1:" in "\n".join(lines)


def test_every_table_fits_its_terminal(lab: Any) -> None:
    lab.write("nodes: [n1, n2]\n")
    lab.up()
    for name in ("👨‍👩‍👧 family", "日本語の名前です", "a" * 60):
        lab.well("send", "n1", "hi", "--as", name, "--ack", "replicated:1")
    lab.well("cluster", "fault", "n1", "--loss", "20%", "--dup", "5%", "--delay", "50ms±20ms")
    for command in (
        ("presence", "n1"),
        ("status", "n1"),
        ("lab", "mutants", "--list"),
        ("lab", "compare", "--list"),
        ("lab", "sweep", "lossy", "gossip.fanout=1,2", "--seeds", "1", "-j", "1"),
    ):
        for columns in (80, 60):
            lines = [line for line in on_a_terminal(lab, columns, *command) if line.strip()]
            tabled = [line for line in lines if not line.startswith(("  scrub", "  workers"))]
            assert all(width_of(line) <= columns for line in tabled), (command, columns, lines)
