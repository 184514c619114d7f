"""Clusters and nodes, started and stopped by the command line."""

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from lab.cluster.processes import read_record, send_signal, wait_gone
from tests.cluster.complaints import complains
from tests.work import busy

pytestmark = pytest.mark.cluster


def test_up_is_fast_idempotent_and_down_stops_everything(lab: Any) -> None:
    began = time.monotonic()
    up = lab.well("cluster", "up", "-d")
    took_s = (time.monotonic() - began) / busy()
    assert "generated a cluster of 5 nodes" in up.err
    assert len(up.out.splitlines()) == 6
    assert took_s <= 3.0, took_s  # 1.5 s on a quiet machine; tests share theirs
    before = {one["node"]: one["pid"] for one in lab.well("cluster", "ps", "--json").lines}
    again = lab.well("cluster", "up", "-d")
    assert "running already" in again.err
    after = {one["node"]: one["pid"] for one in lab.well("cluster", "ps", "--json").lines}
    assert before == after and len(before) == 5
    assert "stopped 5 nodes" in lab.well("cluster", "down").out
    for pid in before.values():
        assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()
    assert "no node was running" in lab.well("cluster", "down").out


def test_a_start_tells_step_by_step_what_it_did(lab: Any) -> None:
    lab.write("nodes: [n1]\n")
    lab.up()
    lab.well("send", "n1", "hello")
    lab.well("cluster", "down")
    lab.up()
    told = lab.well("logs", "n1", "--json").lines
    first, second = (one for one in told if one["event"] == "journal_opened")
    assert (first["records"], first["segments"], first["clean"]) == (0, 0, False)
    assert (second["records"] > 1, second["segments"], second["clean"]) == (True, 1, True)
    assert second["incarnation"] == first["incarnation"] + 1
    for event in ("node_started", "node_stopped"):
        assert any(one["event"] == event for one in told), event


def test_generated_nodes_beside_a_file_do_not_touch_its_cluster(lab: Any) -> None:
    lab.write("name: mine\nnodes: [a, b]\n")
    lab.well("cluster", "up", "-n", "3", "-d")
    lab.well("send", "n3", "hello")
    complains(lab.chatlab("cluster", "up", "-d"), 2, "generated cluster is running")
    lab.well("cluster", "down")
    lab.well("cluster", "up", "-d")
    assert [one["node"] for one in lab.well("cluster", "ps", "--json").lines] == ["a", "b"]


def test_foreground_follows_the_logs_and_ctrl_c_stops_all(lab: Any, until: Any) -> None:
    lab.write()
    process = subprocess.Popen(
        lab.command("cluster", "up"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=lab.folder,
        env=lab.environment,
    )
    try:
        until(lambda: len(lab.cluster.running()) == 5)
        until(lambda: all(s.state == "running" for s in states(lab)))
        time.sleep(0.3)  # until it follows
        lab.cluster.kill("n2")
        until(lambda: "n2" not in lab.cluster.running())
        time.sleep(0.5)  # the exit's line must be read before the end
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == 0
    assert lab.cluster.running() == []
    assert b"node_exited" in out and b"SIGKILL" in out


def states(lab: Any) -> Any:
    from lab.observe.node_states import states_of

    return states_of(lab.cluster)


def test_a_second_run_of_a_node_is_refused_and_does_not_hurt_the_first(five: Any) -> None:
    pid = five.cluster.process("n1").pid
    complains(five.chatlab("node", "run", "n1"), 5, "n1")
    assert five.cluster.process("n1").pid == pid
    five.well("send", "n1", "still here")


def test_a_node_in_the_foreground_is_seen_and_stops_on_sigterm(lab: Any, until: Any) -> None:
    lab.write("nodes: [n1, n2]\n")
    process = subprocess.Popen(
        lab.command("node", "run", "n1"), cwd=lab.folder, env=lab.environment
    )
    try:
        until(lambda: states(lab)[0].state == "running")
        lab.well("send", "n1", "hello")
        lab.well("cluster", "up", "-d")  # only starts n2
        assert lab.cluster.process("n1").pid == process.pid
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    finally:
        process.kill()
        process.wait()


def test_a_port_that_is_taken_is_one_line_and_the_others_start(lab: Any) -> None:
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        lab.write(f"nodes:\n  - {{name: n1, listen: '127.0.0.1:{port}'}}\n  - n2\n")
        ran = lab.chatlab("cluster", "up", "-d")
    assert ran.code == 1
    last = ran.err.splitlines()[-1]
    assert last.startswith("chatlab: not started: n1")
    assert [s.state for s in states(lab)] == ["down", "running"]


def test_all_nodes_killed_at_one_moment_come_back_and_converge(lab: Any) -> None:
    lab.write("nodes: [n1, n2, n3, n4, n5]\nrestart: always\n").up()
    names = list(lab.place.nodes)
    lines = b"".join(b"message %d\n" % number for number in range(200))
    for name in names:
        lab.well("send", name, "--stdin", "--as", name, stdin=lines)
    records = [read_record(Path(lab.place.nodes[name].pid_file)) for name in names]
    for record in records:
        assert record is not None and send_signal(record, signal.SIGKILL)
    for record in records:
        assert record is not None and not wait_gone([record], 5)
    started = lab.cluster.up()
    assert [one.state for one in started] == ["running"] * 5, "none is marked failed"
    lab.well("wait", "--converged", "--timeout", "10")
    for name in names:
        status = lab.well("status", name, "--json").json
        assert status["events"] == 1000, name
        assert status["state"] == "running"
        rounds = sum(peer["rounds"] for peer in status["peers"].values())
        assert rounds < 200, "no herd: rounds stay as few as their pauses allow"
