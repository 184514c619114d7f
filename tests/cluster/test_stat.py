"""`chatlab stat` beside real nodes: true figures, one line each, and nothing but text in a pipe."""

import csv
import json
import os
import pty
import re
import signal
import subprocess
from itertools import pairwise
from typing import Any

import pytest

from lab.observe.cluster_rates import ClusterFigures

pytestmark = pytest.mark.cluster
KEYS = list(ClusterFigures.__struct_fields__)


def test_it_counts_what_happens(lab: Any) -> None:
    lab.write("nodes: [n1, n2, n3]\n")
    lab.up()
    process = subprocess.Popen(
        lab.command("stat", "--json", "--every", "0.2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=lab.folder,
        env=lab.environment,
        text=True,
    )
    lines: list[dict[str, Any]] = []

    def told(**wanted: object) -> dict[str, Any]:
        """The next line of which all that is true. (The test's own time limit bounds it.)"""
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(json.loads(line))
            assert list(lines[-1]) == KEYS
            if all(lines[-1][name] == value for name, value in wanted.items()):
                return lines[-1]
        raise AssertionError("it ended and never said so")

    def so_far(key: str) -> float:
        """What the rates add up to. The first line is since the reading before it."""
        times = [line["at_ms"] for line in lines]
        took_s = [(b - a) / 1000 for a, b in pairwise(times)]
        rates: list[float] = [line[key] for line in lines[1:]]
        return sum((rate * s for rate, s in zip(rates, took_s, strict=True)), 0.0)

    with process:
        told(up=3, nodes=3, events=0, roots=1)
        lab.well("send", "n1", "--stdin", "--ack", "replicated:2", stdin=b"x\n" * 50)
        told(events=50, missing=0, roots=1)
        told()  # what came behind the reading of statuses
        assert so_far("posted_per_s") == pytest.approx(50, abs=2)
        assert so_far("events_per_s") == pytest.approx(50, abs=2)
        assert so_far("sent_bytes_per_s") > 0 and so_far("rounds_per_s") > 0
        before = len(lines)
        lab.well("cluster", "kill", "n3")
        told(up=2)
        lab.well("cluster", "restart", "n3")
        told(up=3)
        assert sum(line["restarts"] for line in lines[before:]) == 1
        lab.well("cluster", "partition", "n1", "n2,n3")
        lab.well("send", "n1", "alone", "--ack", "durable")
        assert told(roots=2)["missing"] == 2
        lab.well("cluster", "heal")
        told(roots=1, missing=0, events=51)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")


def test_in_a_pipe_there_is_one_header_and_no_control_character(lab: Any) -> None:
    lab.write("nodes: [n1]\n")
    lab.up()
    ran = lab.chatlab("stat", "--count", "3", "--every", "0.1", FORCE_COLOR="1", TERM="xterm")
    assert ran.code == 0 and ran.err == ""
    head, *rows = ran.out.splitlines()
    assert head.split()[:3] == ["TIME", "UP", "EVENTS"] and len(rows) == 3
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d +1/1 +0 +[\d. k]+", row) for row in rows), rows
    assert ran.out.replace("\n", "").isprintable()

    table = lab.well("stat", "--csv", "--count", "2", "--every", "0.1").out.splitlines()
    read = list(csv.DictReader(table))
    assert len(read) == 2 and list(read[0]) == KEYS
    assert {row["up"] for row in read} == {"1"} and int(read[1]["at_ms"]) > int(read[0]["at_ms"])

    lab.cluster.down()
    (row,) = csv.DictReader(lab.well("stat", "--csv", "--count", "1").out.splitlines())
    assert (row["up"], row["events"], row["missing"]) == ("0", "", "")


def test_on_a_terminal_the_header_comes_again(lab: Any) -> None:
    lab.write("nodes: [n1]\n")
    lab.up()
    ours, theirs = pty.openpty()
    words = lab.command("stat", "--count", "21", "--every", "0.1")
    with subprocess.Popen(words, stdout=theirs, cwd=lab.folder, env=lab.environment) as process:
        os.close(theirs)
        text = b""
        while True:
            try:
                more = os.read(ours, 4096)
            except OSError:  # the other side is closed
                break
            if not more:
                break
            text += more
    os.close(ours)
    assert process.returncode == 0
    assert text.count(b"TIME") == 2 and text.count(b"\r\n") == 23
    assert b"\x1b" not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--csv", "--json"), "choose one"),
        (("--count", "0"), "--count must be 1 or more"),
        (("--every", "-1"), "--every must be from 0 to 86400"),
        ((), "no cluster.yaml here"),
    ],
)
def test_what_it_cannot_do_is_one_line(lab: Any, words: tuple[str, ...], said: str) -> None:
    ran = lab.chatlab("stat", *words)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert said in ran.err


def test_whoever_reads_may_have_seen_enough(lab: Any) -> None:
    lab.write("nodes: [n1]\n")
    lab.up()
    process = subprocess.Popen(
        lab.command("stat", "--csv", "--every", "0.1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=lab.folder,
        env=lab.environment,
    )
    with process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == b""
