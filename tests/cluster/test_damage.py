"""A disk that changes under a running node: noticed when it is read, set aside, pulled back."""

from pathlib import Path
from typing import Any

import pytest

from node.storage.segments import segment_name

pytestmark = pytest.mark.cluster


def flip_a_byte(segment: Path) -> None:
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0x10
    segment.write_bytes(data)


def test_a_node_whose_journal_is_damaged_begins_anew_and_gets_it_back(lab: Any, until: Any) -> None:
    lab.write("nodes: [n1, n2]\n").up()
    words = "\n".join(f"word {number}" for number in range(2000)).encode()
    lab.well("send", "n1", "--stdin", stdin=words)
    lab.well("wait", "--converged", "--timeout", "10")
    before = lab.well("timeline", "n2").out

    flip_a_byte(Path(lab.place.nodes["n1"].journal_dir) / segment_name(1))
    ran = lab.chatlab("timeline", "n1")
    assert ran.code in (4, 5), (ran.code, ran.err)  # 4: it ended before the answer was read

    def whole() -> bool:
        return bool(lab.chatlab("timeline", "n1").out == before)

    until(whole, 20)
    lab.well("wait", "--converged", "--timeout", "10")
    notes = lab.well("logs", "n1").out
    assert "core_crashed" in notes and "journal_quarantined" in notes
