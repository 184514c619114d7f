"""What programs read: epochs that survive any reader, faults as data, errors as objects."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.cluster


def epochs_in(value: Any) -> list[Any]:
    """Everything called `epoch`, at any depth."""
    if isinstance(value, dict):
        here = [value["epoch"]] if "epoch" in value else []
        return here + [found for one in value.values() for found in epochs_in(one)]
    if isinstance(value, list):
        return [found for one in value for found in epochs_in(one)]
    return []


def one_error(ran: Any, code: int) -> Any:
    """The one object on stderr; the exit code stands in it too."""
    assert ran.code == code, ran
    error = json.loads(ran.err)
    assert error["exit"] == code and error["error"] and error["kind"]
    return error


def test_an_epoch_is_the_same_text_in_all_json_and_in_the_logs(lab: Any) -> None:
    lab.write("nodes: [n1, n2]\n")
    lab.up()
    sent = lab.well("send", "n1", "hello", "--ack", "replicated:1", "--json").json
    epoch = sent["dot"]["epoch"]
    assert isinstance(epoch, str) and int(epoch, 16) < 2**63
    # As a reader does that keeps every number as floating point.
    floating = json.loads(json.dumps(sent), parse_int=float)
    assert floating["dot"]["epoch"] == epoch
    lab.well("cluster", "partition", "n1", "n2")
    lab.well("send", "n1", "more")
    for line in (
        ("timeline", "n2"),
        ("presence", "n1"),
        ("status",),
        ("diff", "n1", "n2"),
        ("journal", "inspect", "n1"),
    ):
        found = epochs_in(lab.well(*line, "--json").lines)
        assert found and all(isinstance(one, str) for one in found), line
        assert epoch in found, line
    (opened,) = [
        one for one in lab.well("logs", "n1", "--json").lines if one["event"] == "epoch_opened"
    ]
    assert opened["log"] == f"n1.{epoch}"
    assert f"n1.{epoch[:4]}:1" in lab.well("timeline", "n1").out


def test_faults_are_objects(lab: Any) -> None:
    lab.write("nodes: [n1, n2]\n")
    lab.up()
    lab.well("cluster", "fault", "n2", "--loss", "20%", "--dup", "5%", "--delay", "10s±1s")
    expected = {
        "blocked": False, "loss": 0.2, "duplicate": 0.05, "delay_ms": 10000, "jitter_ms": 1000,
    }  # fmt: skip
    states = {one["node"]: one for one in lab.well("cluster", "ps", "--json").lines}
    assert states["n2"]["faults"] == {"n1": expected} and states["n1"]["faults"] == {}
    status = {one["node"]: one for one in lab.well("status", "--json").lines}
    assert status["n2"]["peers"]["n1"]["fault"] == expected
    assert status["n1"]["peers"]["n2"]["fault"] is None
    assert "loss 20% dup 5% delay 10000ms±1000ms" in lab.well("status", "n2").out


def test_what_is_not_as_wanted_has_an_exit_code(lab: Any) -> None:
    lab.write("nodes: [n1, n2, n3]\n")
    lab.up()
    lab.well("wait", "--check", "--timeout", "10")
    lab.well("cluster", "ps", "--check")
    lab.well("diff", "n1", "n2", "--check")
    lab.well("cluster", "partition", "n1", "n2,n3")
    lab.well("send", "n1", "alone")
    lab.well("diff", "n1", "n2")
    assert lab.chatlab("diff", "n1", "n2", "--check").code == 7
    lab.well("cluster", "heal")
    lab.well("cluster", "kill", "n3")
    lab.well("cluster", "ps")
    assert lab.chatlab("cluster", "ps", "--check").code == 7
    waited = lab.well("wait", "--timeout", "10")
    assert "2 nodes" in waited.out and "not counted: n3 (down)" in waited.err
    checked = lab.chatlab("wait", "--check", "--json")
    assert checked.json["not_counted"] == {"n3": "down"}
    assert "n3" in one_error(checked, 7)["error"]


def test_every_error_is_an_object_with_json(lab: Any) -> None:
    (lab.folder / "mild.txt").write_text("darn\n", encoding="utf-8")
    rule = "{id: mild, words: mild.txt, action: reject}"
    lab.write(f"nodes: [n1, n2]\nmoderation: {{rules: [{rule}]}}\n")
    lab.up()
    assert one_error(lab.chatlab("send", "n9", "hi", "--json"), 2)["kind"] == "usage"
    assert one_error(lab.chatlab("timeline", "n1", "--nope", "--json"), 2)["kind"] == "usage"
    refused = lab.chatlab("send", "n1", "darn", "--json")
    assert refused.json["refused"] == "moderation"
    assert one_error(refused, 3)["kind"] == "refused"
    lab.well("cluster", "kill", "n2")
    assert one_error(lab.chatlab("status", "n2", "--json"), 4)["kind"] == "unreachable"
    assert one_error(lab.chatlab("journal", "verify", "/nowhere/x", "--json"), 2)
    assert one_error(lab.chatlab("-f", "gone.yaml", "cluster", "ps", "--json"), 2)
    assert lab.chatlab("send", "n9", "--", "--json").err.startswith("chatlab: no node")


def test_debug_keeps_exit_codes(lab: Any) -> None:
    lab.write("nodes: [n1]\n")
    for line in (("send", "n9", "x"), ("send", "n1", "x"), ("send", "n1", "--nope")):
        plain, debug = lab.chatlab(*line), lab.chatlab("--debug", *line)
        assert plain.code == debug.code != 1, line
        assert "Traceback" in debug.err and debug.err.endswith(plain.err), line


def test_a_reader_with_floating_point_keeps_the_epoch(lab: Any) -> None:
    """As jq 1.6 and every browser do."""
    lab.write("nodes: [n1]\n")
    lab.up()
    for _ in range(3):
        lab.well("send", "n1", "x")
        lab.well("cluster", "wipe", "n1")
        lab.well("cluster", "restart", "n1")
        sent = lab.well("send", "n1", "y", "--json").out
        again = json.dumps(json.loads(sent, parse_int=lambda text: int(float(text))))
        assert json.loads(again)["dot"] == json.loads(sent)["dot"]
