"""The command line against real nodes: what works, and one clear line for what does not."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.cluster

TEXT_BYTES_MAX = 64 * 1024


def complains(ran: Any, code: int, *words: str) -> None:
    """One line on stderr, the right exit code, no traceback, nothing on stdout."""
    assert ran.code == code, ran
    lines = ran.err.splitlines()
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("chatlab: ")
    assert all(word in lines[0] for word in words), lines[0]


# --- starting and stopping ------------------------------------------------------------------------


def test_up_is_fast_idempotent_and_down_stops_everything(lab: Any) -> None:
    began = time.monotonic()
    up = lab.well("cluster", "up", "-d")
    took_s = time.monotonic() - began
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
    from lab.states import states_of

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


# --- talking --------------------------------------------------------------------------------------


def test_send_join_leave_timeline_and_presence(five: Any) -> None:
    five.well("join", "n1", "--as", "ana")
    sent = five.well("send", "n2", "hello", "--as", "ana", "--ack", "replicated:4", "--json").json
    assert sent["dot"]["origin"] == "n2" and sent["verdict"] == "clean" and sent["rules"] == []
    assert sent["ack"] == "replicated:4" and sent["text"] == "hello"
    assert type(sent["dot"]["epoch"]) is int
    five.well("leave", "n3", "--as", "bea")
    five.well("wait", "--converged", "--timeout", "10")
    items = five.well("timeline", "n5", "--json").lines
    assert [item["kind"] for item in items] == ["joined", "posted", "left"]
    posted = items[1]
    assert posted["dot"] == sent["dot"] and posted["text"] == "hello"
    assert posted["via"] in ("rumor", "anti-entropy")
    assert {"ms", "counter"} == posted["hlc"].keys() and posted["received_at_ms"] > 0
    people = {p["author"]: p for p in five.well("presence", "n4", "--json").lines}
    assert people["ana"]["active"] and not people["bea"]["active"]
    assert people["ana"]["dot"] == sent["dot"] or people["ana"]["because"] == "joined"


def test_timelines_of_converged_nodes_are_identical_bytes(five: Any) -> None:
    lines = "\n".join(f"line {i} \x1b[31m‮‏é" for i in range(300)).encode()
    for name in ("n1", "n3", "n5"):
        five.well("send", name, "--stdin", "--as", name, stdin=lines)
    five.well("wait", "--timeout", "10")
    causal = {five.well("timeline", f"n{i}", "--order", "causal").out for i in range(1, 6)}
    assert len(causal) == 1
    text = causal.pop()
    assert len(text.splitlines()) == 900 and "\x1b" not in text and "‮" not in text
    last = five.well("timeline", "n2", "--last", "7").out
    assert text.endswith(last) and len(last.splitlines()) == 7
    for order in ("arrival", "author"):
        assert len(five.well("timeline", "n2", "--order", order).out.splitlines()) == 900


def test_a_past_view_is_a_prefix_of_what_arrived(five: Any) -> None:
    five.well("send", "n1", "early")
    time.sleep(0.05)
    moment = str(int(time.time() * 1000))
    time.sleep(0.05)
    five.well("send", "n1", "late")
    then = five.well("timeline", "n1", "--as-of", moment, "--json").lines
    assert [item["text"] for item in then] == ["early"]
    assert five.well("timeline", "n1", "--as-of", "1h", "--json").lines == []


def test_following_a_timeline_survives_a_kill_of_the_node(five: Any, until: Any) -> None:
    five.well("send", "n1", "before")
    process = subprocess.Popen(
        five.command("timeline", "n1", "--follow", "--json"),
        stdout=subprocess.PIPE,
        cwd=five.folder,
        env=five.environment,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline())["text"] == "before"
        five.well("send", "n1", "one")
        assert json.loads(process.stdout.readline())["text"] == "one"
        five.cluster.kill("n1")
        five.well("send", "n2", "while away")
        five.cluster.up()
        five.well("send", "n1", "two")
        texts = {json.loads(process.stdout.readline())["text"] for _ in range(2)}
        assert texts == {"while away", "two"}
    finally:
        process.kill()
        process.wait()


def test_moderation_rejects_and_censors(lab: Any) -> None:
    (lab.folder / "no.txt").write_text("forbidden\n")
    (lab.folder / "mild.txt").write_text("confounded\n")
    lab.write(
        "nodes: [n1]\nmoderation:\n  rules:\n"
        "    - {id: no, words: no.txt, action: reject}\n"
        "    - {id: mild, words: mild.txt, action: censor}\n"
    )
    lab.up()
    refused = lab.chatlab("send", "n1", "this is forbidden", "--json")
    assert refused.code == 3
    assert refused.json["refused"] == "moderation" and refused.json["rules"] == ["no"]
    censored = lab.well("send", "n1", "a confounded cat", "--json").json
    assert censored["verdict"] == "censored" and censored["rules"] == ["mild"]
    assert "confounded" not in censored["text"] and censored["text"].endswith(" cat")
    assert [i["text"] for i in lab.well("timeline", "n1", "--json").lines] == [censored["text"]]
    dry = lab.well("moderate", "a confounded cat", "--json").json
    assert dry["verdict"] == "censored" and dry["spans"] == [[2, 12]]
    assert dry["text"] == censored["text"]
    complains(lab.chatlab("send", "n1", "forbidden"), 3, "moderation", "no")


# --- bad input ------------------------------------------------------------------------------------


def test_texts_that_cannot_be_sent_are_one_line_and_nothing_is_lost(five: Any) -> None:
    complains(five.chatlab("send", "n1", ""), 3, "domain")
    complains(five.chatlab("send", "n1", "  \n "), 3, "domain")
    complains(five.chatlab("send", "n1", "x" * (TEXT_BYTES_MAX + 1)), 3, "65536")
    complains(five.chatlab("send", "n1", b"caf\xff"), 2, "UTF-8", "byte 3")
    complains(five.chatlab("send", "n1", "x", "--as", b"\xff"), 2, "UTF-8")
    complains(five.chatlab("send", "n1", "x", "--as", "a" * 65), 3, "64")
    complains(five.chatlab("join", "n1", "--as", ""), 3, "domain")
    largest = "é" * (TEXT_BYTES_MAX // 2)
    five.well("send", "n1", largest)
    stdin = b"one\n\xff\xfe\n\n" + b"x" * 200_000 + b"\ntwo\n"
    ran = five.chatlab("send", "n1", "--stdin", stdin=stdin)
    assert ran.code in (2, 3) and "sent 3, acked 2, refused 2, failed 1" in ran.out
    assert [line.split(":")[0] for line in sorted(ran.err.splitlines())] == [
        "line 2",
        "line 3",
        "line 4",
    ]
    texts = [item["text"] for item in five.well("timeline", "n1", "--json").lines]
    assert texts == [largest, "one", "two"]


def test_stdin_is_pipelined_and_summed_up(five: Any) -> None:
    stdin = b"".join(b"message %d\n" % i for i in range(5000))
    ran = five.well("send", "n1", "--stdin", "--json", stdin=stdin)
    summary = ran.lines[-1]
    assert summary["sent"] == summary["acked"] == 5000 and summary["unknown"] == 0
    assert len({(line["dot"]["seq"]) for line in ran.lines[:-1]}) == 5000
    five.well("wait", "--timeout", "10")
    assert five.well("status", "n5", "--json").json["events"] == 5000


def test_a_wrong_node_is_one_line_with_a_guess(five: Any) -> None:
    for arguments in (
        ("send", "n9", "x"),
        ("timeline", "n9"),
        ("presence", "n9"),
        ("join", "n9", "--as", "a"),
        ("status", "n9"),
        ("diff", "n1", "n9"),
        ("logs", "n9"),
        ("cluster", "kill", "n9"),
        ("cluster", "restart", "n9"),
        ("cluster", "pause", "n9"),
        ("cluster", "resume", "n9"),
        ("cluster", "wipe", "n9"),
        ("cluster", "partition", "n1", "n9"),
        ("cluster", "fault", "n9", "--loss", "1%"),
        ("cluster", "fault", "n1", "--peer", "n9", "--loss", "1%"),
        ("node", "run", "n9"),
        ("journal", "verify", "n9"),
    ):
        complains(five.chatlab(*arguments), 2, "no node 'n9'", "did you mean n")


def test_a_dead_node_is_one_line_at_once(five: Any) -> None:
    five.cluster.kill("n2")
    for arguments in (
        ("send", "n2", "x"),
        ("timeline", "n2"),
        ("presence", "n2"),
        ("leave", "n2", "--as", "a"),
        ("status", "n2"),
        ("diff", "n1", "n2"),
        ("cluster", "kill", "n2"),
        ("cluster", "pause", "n2"),
        ("cluster", "fault", "n2", "--loss", "1%"),
    ):
        began = time.monotonic()
        complains(five.chatlab(*arguments), 4, "n2")
        assert time.monotonic() - began < 3
    ran = five.chatlab("send", "n2", "--stdin", stdin=b"x\n")
    complains(ran, 4, "n2")
    assert five.well("wait", "--timeout", "10", "--json").json["converged"]
    state = {one["node"]: one for one in five.well("cluster", "ps", "--json").lines}["n2"]
    assert state["state"] == "down" and state["exit"] == "killed by SIGKILL"
    five.well("cluster", "restart", "n2")
    five.well("send", "n2", "back")


def test_a_paused_node_is_one_line_and_goes_on_later(five: Any) -> None:
    five.well("cluster", "pause", "n3")
    complains(five.chatlab("send", "n3", "x"), 4, "n3 is paused")
    complains(five.chatlab("timeline", "n3"), 4, "n3 is paused")
    complains(five.chatlab("wait", "--timeout", "0.5"), 6, "n3")
    five.well("cluster", "resume", "n3")
    five.well("send", "n3", "awake")
    five.well("wait", "--timeout", "10")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("send", "n1"), "TEXT"),
        (("send", "n1", "x", "--stdin"), "TEXT"),
        (("send", "n1", "x", "--ack", "maybe"), "--ack"),
        (("send", "n1", "x", "--ack", "replicated:9"), "9 other nodes"),
        (("send", "n1", "x", "--timeout", "-1"), "--timeout"),
        (("send", "n1", "x", "--nope"), "--nope"),
        (("timeline", "n1", "--order", "upside-down"), "--order"),
        (("timeline", "n1", "--last", "-3"), "--last"),
        (("timeline", "n1", "--as-of", "someday"), "--as-of"),
        (("wait", "--timeout", "soon"), "--timeout"),
        (("logs", "--grep", "["), "--grep"),
        (("logs", "--level", "loud"), "--level"),
        (("cluster", "kill", "n1", "--signal", "HUGS"), "HUGS"),
        (("cluster", "partition", "n1,n2"), "two groups"),
        (("cluster", "partition", "n1,n2", "n2,n3"), "n2"),
        (("cluster", "fault", "n1"), "--loss"),
        (("cluster", "fault", "n1", "--loss", "120%"), "--loss"),
        (("cluster", "fault", "n1", "--delay", "20ms±50ms"), "jitter"),
        (("cluster", "up", "-n", "0"), "-n"),
        (("cluster", "pz"), "pz"),
        (("sned", "n1", "x"), "send"),
        (("moderate",), "TEXT"),
        (("moderate", "x", "--words", "nowhere.txt"), "nowhere.txt"),
        (("journal", "verify", "/nowhere/at/all"), "/nowhere/at/all"),
    ],
)
def test_wrong_usage_is_one_line(lab: Any, arguments: tuple[str, ...], word: str) -> None:
    lab.write()
    complains(lab.chatlab(*arguments), 2, word)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nodes: [n1", ("cluster.yaml:",)),
        ("nodes: [n1]\nnodez: 3\n", ("cluster.yaml:2", "nodez")),
        ("nodes: [N1]\n", ("cluster.yaml:1",)),
        ("nodes: [n1, n1]\n", ("cluster.yaml", "n1")),
        ("nodes: [{name: n1, listen: 7}]\n", ("cluster.yaml:1",)),
        ("", ("cluster.yaml",)),
    ],
)
def test_a_wrong_cluster_file_is_one_line_that_names_the_place(
    lab: Any, text: str, words: tuple[str, ...]
) -> None:
    lab.write(text)
    complains(lab.chatlab("cluster", "up", "-d"), 2, *words)
    complains(lab.chatlab("send", "n1", "x"), 2, *words)


def test_a_missing_cluster_file_is_one_line(lab: Any) -> None:
    complains(lab.chatlab("send", "n1", "x"), 2, "cluster.yaml")
    complains(lab.chatlab("-f", "nowhere.yaml", "cluster", "ps"), 2, "nowhere.yaml")
    complains(
        lab.chatlab("cluster", "ps", CHATLAB_CLUSTER="x.yaml"), 2, "x.yaml", "CHATLAB_CLUSTER"
    )
    complains(lab.chatlab("-f", str(lab.folder), "cluster", "ps"), 2, "not a file")


def test_a_wrong_word_list_is_one_line(lab: Any) -> None:
    lab.write("nodes: [n1]\nmoderation: {rules: [{id: a, words: gone.txt, action: reject}]}\n")
    complains(lab.chatlab("moderate", "x"), 2, "gone.txt")
    complains(lab.chatlab("cluster", "up", "-d"), 2, "gone.txt")


# --- looking --------------------------------------------------------------------------------------


def test_status_has_the_keys_of_the_contract(five: Any) -> None:
    five.well("send", "n1", "x")
    keys = {
        "node", "state", "epoch", "events", "root", "frontier", "missing", "peers", "durability",
        "durable_upto", "quiet_for_ms", "stable", "workers", "forked",
    }  # fmt: skip
    found = five.well("status", "--json").lines
    assert [one["node"] for one in found] == ["n1", "n2", "n3", "n4", "n5"]
    assert all(keys <= one.keys() for one in found)
    assert "n1  running" in five.well("status", "n1").out


def test_diff_shows_what_each_side_lacks(five: Any) -> None:
    five.well("cluster", "partition", "n1,n2", "n3,n4,n5")
    for _ in range(3):
        five.well("send", "n1", "left")
    five.well("send", "n4", "right")
    time.sleep(0.3)
    diff = five.well("diff", "n2", "n5", "--json").json
    assert sum(one["events"] for one in diff["only_a"]) == 3
    assert [one["ranges"] for one in diff["only_b"]] == [[[1, 1]]]
    faults = {one["node"]: one["faults"] for one in five.well("cluster", "ps", "--json").lines}
    assert faults["n1"].keys() == {"n3", "n4", "n5"} and "blocked" in faults["n1"]["n3"]
    five.well("cluster", "restart", "n1")  # the cut is of the links, not of the process
    faults = {one["node"]: one["faults"] for one in five.well("cluster", "ps", "--json").lines}
    assert faults["n1"].keys() == {"n3", "n4", "n5"}
    five.well("cluster", "heal")
    five.well("wait", "--converged", "--quiet", "0.2", "--timeout", "10")
    assert "hold the same 4 events" in five.well("diff", "n2", "n5").out


def test_logs_are_merged_filtered_and_tell_of_exits(five: Any) -> None:
    five.cluster.kill("n4")
    five.cluster.up()
    lines = five.well("logs", "--json").lines
    assert [line["ts"] for line in lines] == sorted(line["ts"] for line in lines)
    assert {line["node"] for line in lines} == {"n1", "n2", "n3", "n4", "n5"}
    assert all({"ts", "level", "event", "node", "worker"} <= line.keys() for line in lines)
    only = five.well("logs", "n4", "--json", "--grep", "node_exited").lines
    assert len(only) == 1 and only[0]["exit"] == "killed by SIGKILL"
    assert all(
        line["level"] in ("warning", "error")
        for line in five.well("logs", "--json", "--level", "warning").lines
    )


def test_journals_are_verified_inspected_and_repaired(five: Any) -> None:
    for i in range(20):
        five.well("send", "n1", f"message {i}") if i < 2 else None
    five.well("wait", "--timeout", "10")
    five.well("journal", "verify", "n1", "n2")
    five.well("cluster", "down")
    journal = Path(five.place.nodes["n1"].journal_dir)
    assert "whole" in five.well("journal", "verify", str(journal)).out
    kinds = [item["kind"] for item in five.well("journal", "inspect", "n1", "--json").lines]
    assert kinds.count("event") == 2 and "epoch" in kinds
    segment = sorted(journal.glob("*.seg"))[0]
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    ran = five.chatlab("journal", "verify", str(journal))
    assert ran.code == 7 and segment.name in ran.out and "offset" in ran.out
    five.well("journal", "repair", str(journal))
    assert five.chatlab("journal", "verify", str(journal)).code == 0


# --- the installation -----------------------------------------------------------------------------


def test_quick_commands_load_no_heavy_module(five: Any) -> None:
    heavy = {"structlog", "asyncio", "rich", "yaml", "textual", "psutil", "google.protobuf"}
    program = (
        "import sys, lab.cli; code = lab.cli.main(sys.argv[2:]);"
        "print('LOADED', *(set(sys.argv[1].split(',')) & set(sys.modules)), file=sys.stderr);"
        "sys.exit(code)"
    )
    for arguments in (("send", "n1", "x"), ("cluster", "ps"), ("cluster", "kill", "n5")):
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, ",".join(heavy), *arguments],
            capture_output=True,
            cwd=five.folder,
            env=five.environment,
            check=False,
        )
        assert done.returncode == 0, done
        assert done.stderr.splitlines()[-1] == b"LOADED", (arguments, done.stderr)


def test_send_feels_instant(five: Any) -> None:
    took: list[float] = []
    for _ in range(7):
        began = time.monotonic()
        five.well("send", "n1", "x")
        took.append(time.monotonic() - began)
    assert min(took) < 0.4, took  # 0.2 s on a quiet machine; tests share theirs


def test_doctor_finds_nothing_to_fix(five: Any) -> None:
    findings = five.well("doctor", "--json").lines
    assert all(one["ok"] for one in findings), findings


def test_the_demo_proves_convergence_and_leaves_nothing(lab: Any, tmp_path: Path) -> None:
    began = time.monotonic()
    ran = lab.chatlab("demo", "--fast", TMPDIR=str(tmp_path))
    assert ran.code == 0, ran
    assert time.monotonic() - began < 60
    assert "PROVED" in ran.out and "kill -9" in ran.err
    assert list(tmp_path.iterdir()) == [] and list(lab.folder.iterdir()) == []
