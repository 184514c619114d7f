"""Bit rot in the journal of a running node: found, told, set aside, and pulled back from peers."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from node.storage.verify import examine
from tests.cluster.conftest import Lab

pytestmark = pytest.mark.cluster


def notes(lab: Lab, node: str, event: str) -> list[Any]:
    lines = Path(lab.place.nodes[node].log_file).read_text().splitlines()
    return [one for one in map(json.loads, lines) if one["event"] == event]


def rot(lab: Lab, node: str, share: float) -> None:
    """Flip one bit of what the node wrote long ago."""
    segment = Path(lab.place.nodes[node].journal_dir, "00000001.seg")
    with segment.open("r+b") as file:
        at = int(segment.stat().st_size * share)
        byte = os.pread(file.fileno(), 1, at)[0]
        os.pwrite(file.fileno(), bytes([byte ^ 0x10]), at)


def say(lab: Lab, node: str, first: int, last: int) -> None:
    lines = "".join(f"message {number}\n" for number in range(first, last))
    for line in lines.splitlines(keepends=True):
        lab.well("send", node, "--stdin", "--as", "ana", stdin=line.encode())


def texts(lab: Lab, node: str) -> list[str]:
    return [one["text"] for one in lab.well("timeline", node, "--json").lines]


def test_bit_rot_under_a_running_node_is_found_told_and_pulled_back(lab: Lab, until: Any) -> None:
    lab.write("nodes: [n1, n2]\nscrub_bytes_per_s: 10000000\n").up()
    say(lab, "n1", 0, 8)
    lab.well("wait", "--converged", "--timeout", "10")
    before = texts(lab, "n2")
    assert len(before) == 8
    rot(lab, "n1", 0.5)
    until(lambda: len(notes(lab, "n1", "node_ready")) == 2, timeout_s=20)
    (found,) = notes(lab, "n1", "journal_damaged")
    (aside,) = notes(lab, "n1", "journal_quarantined")
    assert found["segment"] == 1 and found["worker"] == "scrub" and found["level"] == "error"
    assert (found["offset"], found["bytes"]) == (aside["offset"], aside["bytes"])
    assert aside["records"] > 0
    # Nothing is lost, nothing is twice, and the node goes on, in a new epoch.
    until(lambda: sorted(texts(lab, "n1")) == sorted(before))
    lab.well("send", "n1", "after", "--as", "ana")
    status = lab.well("status", "n1", "--json").json
    assert status["counters"]["scrub_damaged"] == 1
    assert status["state"] == "running"
    assert "1 damaged places found" in lab.well("status", "n1").out
    lab.well("wait", "--converged", "--timeout", "10")
    # `journal verify` sees the same place, knows that it was set aside, and finds all events.
    journal = Path(lab.place.nodes["n1"].journal_dir)
    report = examine(journal)
    (finding,) = [one for one in report.findings if one.severity == "damage"]
    assert (finding.offset, finding.length) == (found["offset"], found["bytes"])
    assert "quarantined" in finding.what
    assert report.events == len(before) + 1
    # And an offline repair leaves a journal without findings.
    lab.well("cluster", "down")
    lab.well("journal", "repair", str(journal))
    lab.well("journal", "verify", str(journal))
    lab.well("cluster", "up", "-d")
    assert sorted(texts(lab, "n1")) == sorted([*before, "after"])


def test_a_node_alone_goes_on_with_what_is_left_and_says_how_much_is_not(
    lab: Lab, until: Any
) -> None:
    lab.write("nodes: [n1]\nscrub_bytes_per_s: 10000000\n").up()
    say(lab, "n1", 0, 8)
    rot(lab, "n1", 0.5)
    until(lambda: len(notes(lab, "n1", "node_ready")) == 2, timeout_s=20)
    (aside,) = notes(lab, "n1", "journal_quarantined")
    assert len(texts(lab, "n1")) == 8 - aside["records"]
    lab.well("send", "n1", "after")
    status = lab.well("status", "n1", "--json").json
    assert (status["state"], status["missing"]) == ("degraded", aside["records"])


def test_in_mode_strict_the_node_tells_and_goes_on(lab: Lab, until: Any) -> None:
    lab.write("nodes: [n1]\nscrub_bytes_per_s: 10000000\nrecovery: strict\n").up()
    say(lab, "n1", 0, 5)
    rot(lab, "n1", 0.5)
    until(lambda: notes(lab, "n1", "journal_damaged"), timeout_s=20)
    lab.well("send", "n1", "still here")
    assert lab.well("status", "n1", "--json").json["events"] == 6
    assert len(notes(lab, "n1", "node_ready")) == 1


def test_a_scrub_that_is_off_reads_nothing(lab: Lab) -> None:
    lab.write("nodes: [n1]\nscrub_bytes_per_s: 0\n").up()
    status = lab.well("status", "n1", "--json").json
    assert "scrub" not in status["workers"]
    assert "scrub_bytes" not in status["counters"]
