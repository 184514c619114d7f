"""What does not work is one clear line on stderr, with its exit code, and nothing is lost."""

import time
from typing import Any

import pytest

from tests.cluster.complaints import complains

pytestmark = pytest.mark.cluster

TEXT_BYTES_MAX = 64 * 1024


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
