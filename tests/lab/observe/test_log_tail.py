"""Following a log survives whatever happens to the file."""

import json
import os
from pathlib import Path

import pytest

from lab.observe.log_tail import LAST_BYTES, Tail, history, news, parse_line


def write(path: Path, *events: str, start: int = 0) -> None:
    with path.open("ab") as file:
        for number, event in enumerate(events, start):
            line = {"ts": f"2026-01-01T00:00:{number:02d}.000Z", "event": event, "node": "n1"}
            file.write(json.dumps(line).encode() + b"\n")


def events(tails: list[Tail]) -> list[str]:
    return [line.event for line in news(tails)]


def test_new_lines_come_once_and_a_half_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "node.jsonl"
    write(path, "a")
    tail = Tail(path, "n1")
    assert events([tail]) == ["a"]
    with path.open("ab") as file:
        file.write(b'{"event": "b", ')
        file.flush()
        assert events([tail]) == []
        file.write(b'"node": "n1"}\n')
    assert events([tail]) == ["b"]


def test_a_file_that_does_not_exist_yet_is_waited_for(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "later" / "node.jsonl", "n1")
    assert events([tail]) == []
    (tmp_path / "later").mkdir()
    write(tmp_path / "later" / "node.jsonl", "first")
    assert events([tail]) == ["first"]


def test_rotation_reads_the_old_file_to_its_end_and_the_new_one_from_its_start(
    tmp_path: Path,
) -> None:
    path = tmp_path / "node.jsonl"
    write(path, "a")
    tail = Tail(path, "n1")
    assert events([tail]) == ["a"]
    write(path, "b")
    os.replace(path, tmp_path / "node.jsonl.1")
    write(path, "c", start=1)
    assert events([tail]) == ["b", "c"]


def test_a_truncated_file_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "node.jsonl"
    write(path, "a", "b", "c")
    tail = Tail(path, "n1")
    assert len(events([tail])) == 3
    os.truncate(path, 0)
    write(path, "d")
    assert events([tail]) == ["d"]


def test_a_wiped_and_recreated_file_is_followed_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "node.jsonl"
    tail = Tail(path, "n1")
    for number in range(5):
        path.unlink(missing_ok=True)
        write(path, f"start-{number}")
        assert events([tail]) == [f"start-{number}"]


def test_history_merges_nodes_by_time_and_includes_rotated_parts(tmp_path: Path) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    write(tmp_path / "one.jsonl.2", "1a", start=0)
    write(tmp_path / "one.jsonl.1", "1b", start=2)
    write(one, "1c", start=4)
    write(two, "2a", start=1)
    write(two, "2b", start=3)
    tails = [Tail(one, "n1"), Tail(two, "n2")]
    assert [line.event for line in history(tails)] == ["1a", "2a", "1b", "2b", "1c"]
    assert events(tails) == []  # nothing twice


def test_a_line_that_is_not_json_is_shown_as_text() -> None:
    line = parse_line(b"Traceback \xff", "n3")
    assert (line.node, line.event, line.fields) == ("n3", "not_json", {"text": "Traceback \ufffd"})


@pytest.mark.parametrize(("last", "events"), [(2, ["c", "d"]), (9, ["a", "b", "c", "d"]), (0, [])])
def test_a_tail_may_begin_with_the_last_lines(tmp_path: Path, last: int, events: list[str]) -> None:
    path = tmp_path / "node.jsonl"
    path.write_bytes(b"".join(b'{"event": "%c"}\n' % ord(one) for one in "abcd"))
    tail = Tail(path, "n1", last=last)
    assert [line.event for line in tail.lines()] == events
    with path.open("ab") as more:
        more.write(b'{"event": "e"}\n')
    assert [line.event for line in tail.lines()] == ["e"]
    tail.close()
    path.write_bytes(b'{"event": "x"}\n' + b'{"event": "y"}\n' * (LAST_BYTES // 8))
    long = Tail(path, "n1", last=10**6)
    seen = [line.event for line in long.lines()]
    assert set(seen) == {"y"} and len(seen) * 15 <= LAST_BYTES
    long.close()
