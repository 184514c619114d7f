"""Checkpoints of real processes: a start after kill -9 by them, and one that must not believe."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import Lab

pytestmark = pytest.mark.cluster

LINE = "word " * 900  # so that a few thousand of them fill several segments
COUNT = 3000


def notes(lab: Lab, node: str, event: str) -> list[Any]:
    lines = Path(lab.place.nodes[node].log_file).read_text().splitlines()
    return [one for one in map(json.loads, lines) if one["event"] == event]


def killed_and_started(lab: Lab, until: Any) -> None:
    pid = notes(lab, "n1", "node_started")[-1]["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists() or lab.chatlab("status", "n1").code)
    lab.well("cluster", "up", "-d")


def test_after_a_kill_only_what_no_checkpoint_holds_is_read(lab: Lab, until: Any) -> None:
    lab.write("nodes: [n1]\n").up()
    lines = "".join(f"{number} {LINE}\n" for number in range(COUNT))
    lab.well("send", "n1", "--stdin", "--as", "ana", stdin=lines.encode())
    journal = Path(lab.place.nodes["n1"].journal_dir)
    sealed = len(list(journal.glob("*.seg"))) - 1
    assert sealed >= 2
    until(lambda: len(list(journal.glob("*.checkpoint"))) >= sealed - 1)
    before = lab.well("timeline", "n1", "--json").out
    killed_and_started(lab, until)
    opened = notes(lab, "n1", "journal_opened")[-1]
    assert opened["records"] == COUNT + 1
    assert 0 < opened["read"] < COUNT
    assert lab.well("timeline", "n1", "--json").out == before
    # Without them the journal alone is enough, and they are made again.
    for path in journal.glob("*.checkpoint"):
        path.unlink()
    killed_and_started(lab, until)
    opened = notes(lab, "n1", "journal_opened")[-1]
    assert opened["read"] == opened["records"] == COUNT + 1
    assert lab.well("timeline", "n1", "--json").out == before
    assert len(list(journal.glob("*.checkpoint"))) >= sealed


def test_damage_behind_a_checkpoint_ends_a_life_and_the_next_one_reads_all(
    lab: Lab, until: Any
) -> None:
    lab.write("nodes: [n1]\n").up()
    lines = "".join(f"{number} {LINE}\n" for number in range(COUNT))
    lab.well("send", "n1", "--stdin", "--as", "ana", stdin=lines.encode())
    journal = Path(lab.place.nodes["n1"].journal_dir)
    until((journal / "00000001.checkpoint").exists)
    with (journal / "00000001.seg").open("r+b") as file:
        byte = os.pread(file.fileno(), 1, 1_000_000)
        os.pwrite(file.fileno(), bytes([byte[0] ^ 0x10]), 1_000_000)
    killed_and_started(lab, until)
    assert notes(lab, "n1", "journal_quarantined") == []  # nobody has looked
    lab.chatlab("timeline", "n1")
    until(lambda: len(notes(lab, "n1", "journal_opened")) == 3, timeout_s=20)
    (aside,) = notes(lab, "n1", "journal_quarantined")
    assert (aside["segment"], aside["records"] > 0) == (1, True)
    opened = notes(lab, "n1", "journal_opened")[-1]
    assert opened["read"] == opened["records"] == COUNT + 1 - aside["records"]
    assert list(journal.glob("*.checkpoint")) == []
