"""The command line against real nodes: what each command says when all is well."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.complaints import complains
from tests.work import busy

pytestmark = pytest.mark.cluster

# --- talking --------------------------------------------------------------------------------------


def test_send_join_leave_timeline_and_presence(five: Any) -> None:
    five.well("join", "n1", "--as", "ana")
    sent = five.well("send", "n2", "hello", "--as", "ana", "--ack", "replicated:4", "--json").json
    assert sent["dot"]["origin"] == "n2" and sent["verdict"] == "clean" and sent["rules"] == []
    assert sent["ack"] == "replicated:4" and sent["text"] == "hello"
    assert int(sent["dot"]["epoch"], 16) > 0
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
    lines = "\n".join(f"line {i} \x1b[31m\u202e\u200fé" for i in range(300)).encode()
    for name in ("n1", "n3", "n5"):
        five.well("send", name, "--stdin", "--as", name, stdin=lines)
    five.well("wait", "--timeout", "10")
    causal = {five.well("timeline", f"n{i}", "--order", "causal").out for i in range(1, 6)}
    assert len(causal) == 1
    text = causal.pop()
    assert len(text.splitlines()) == 900 and "\x1b" not in text and "\u202e" not in text
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
    with subprocess.Popen(
        five.command("timeline", "n1", "--follow", "--json"),
        stdout=subprocess.PIPE,
        cwd=five.folder,
        env=five.environment,
        text=True,
    ) as process:
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
        "    - {id: 'no', words: no.txt, action: reject}\n"
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
    assert faults["n1"].keys() == {"n3", "n4", "n5"} and faults["n1"]["n3"]["blocked"]
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
    segment = min(journal.glob("*.seg"))
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
        took.append((time.monotonic() - began) / busy())
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
