"""What happens to the folders and files of running nodes, done by whoever has a shell."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from node.pidfile import birth_of
from tests.cluster.conftest import Lab

pytestmark = pytest.mark.cluster
SCRUBS_OFTEN = "scrub_bytes_per_s: 100000000\n"


def notes(lab: Lab, node: str, event: str) -> list[Any]:
    lines = Path(lab.place.nodes[node].log_file).read_text().splitlines()
    return [one for one in map(json.loads, lines) if one["event"] == event]


def test_durable_is_not_said_of_a_journal_that_was_removed(lab: Lab, until: Any) -> None:
    """And the next start does not begin empty in silence, nor does a read restart it empty."""
    lab.write("nodes: [n1]\n").up()
    assert "durable" in lab.well("send", "n1", "one").out
    journal = Path(lab.place.nodes["n1"].journal_dir)
    journal.rename(journal.with_name("away"))
    refused = lab.chatlab("send", "n1", "two")
    assert refused.code == 5 and "moved, removed or replaced while the node ran" in refused.err
    assert notes(lab, "n1", "storage_failed")
    assert lab.well("status", "n1", "--json").json["state"] == "read_only"
    lab.chatlab("timeline", "n1")  # whatever it says: no empty life begins
    started = lab.chatlab("cluster", "restart", "n1")
    assert started.code != 0 and "is not there: put it back" in started.err, started
    assert "exited 5" in started.err
    assert not journal.exists()  # nothing was made in its place
    journal.with_name("away").rename(journal)
    lab.well("cluster", "up", "-d")
    assert [one["text"] for one in lab.well("timeline", "n1", "--json").lines] == ["one"]
    # To begin anew is a wish of its own.
    shutil.rmtree(lab.place.nodes["n1"].dir)
    lab.cluster.stop(["n1"])
    assert lab.chatlab("cluster", "up", "-d").code != 0
    lab.well("cluster", "wipe", "n1")
    lab.well("cluster", "up", "-d")
    assert lab.well("timeline", "n1", "--json").lines == []


def test_a_node_that_says_nothing_notices_too(lab: Lab, until: Any) -> None:
    lab.write(f"nodes: [n1]\n{SCRUBS_OFTEN}").up()
    lab.well("send", "n1", "one")
    segment = Path(lab.place.nodes["n1"].journal_dir, "00000001.seg")
    segment.write_bytes(b"")
    until(lambda: notes(lab, "n1", "storage_failed"), timeout_s=20)
    assert "was cut: 0 of" in notes(lab, "n1", "storage_failed")[0]["reason"]
    lab.well("cluster", "down")
    verified = lab.chatlab("journal", "verify", str(segment.parent))
    assert verified.code == 7 and "00000001.seg is empty" in verified.out + verified.err
    lab.well("cluster", "up", "-d")
    (told,) = notes(lab, "n1", "journal_quarantined")
    assert told["level"] == "error"


def test_nodes_whose_folder_is_gone_end_by_themselves(lab: Lab, until: Any) -> None:
    """No command reaches them any more."""
    lab.write(f"nodes: [n1, n2]\n{SCRUBS_OFTEN}").up()
    records = [lab.cluster.process(name) for name in ("n1", "n2")]
    assert all(records)
    root = Path(lab.place.root)
    root.rename(root.with_name("elsewhere"))
    until(lambda: not any(birth_of(r.pid) == r.birth for r in records if r), timeout_s=20)
    told = (root.with_name("elsewhere") / "n1" / "stderr.txt").read_text()
    assert "moved, removed or replaced" in told
