"""The structured log: one JSON object per line whatever the text, and it never ends a node."""

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.ports import Note
from node.process.structured_log import (
    LINE_BYTES_MAX,
    NOTES,
    RESERVED,
    Level,
    StructuredLog,
    open_log,
    utc_now,
)

_OPENED: list[StructuredLog] = []


@pytest.fixture(autouse=True)
def _closed_again() -> Iterator[None]:
    yield
    while _OPENED:
        _OPENED.pop().close()


def opened(path: Path, node: str, level: Level = "info") -> StructuredLog:
    _OPENED.append(open_log(path, node, level))
    return _OPENED[-1]


def note(level: Level = "info", **fields: Any) -> Note:
    return Note("telemetry", level, fields)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Every line is an object, and the last one is whole."""
    data = path.read_bytes()
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


class Spoilt:
    """A file whose next writes come out in part, or not at all (None)."""

    def __init__(self, file: BinaryIO, *parts: int | None) -> None:
        self.file = file
        self.parts = list(parts)

    def write(self, data: bytes) -> int:
        part = self.parts.pop(0) if self.parts else len(data)
        if part is None:
            raise OSError(28, "No space left on device")
        return self.file.write(data[:part])

    def close(self) -> None:
        self.file.close()


def spoil(log: StructuredLog, *parts: int | None) -> None:
    log._file = cast(BinaryIO, Spoilt(log._file, *parts))


# --- lines ----------------------------------------------------------------------------------------


def test_a_line_has_the_same_head_in_the_same_order_and_then_its_fields(tmp_path: Path) -> None:
    log = opened(tmp_path / "n1.jsonl", "n1")
    log.write(Note("node_started", "warning", {"pid": 7, "seed": "ab"}), "node")
    (line,) = lines_of(tmp_path / "n1.jsonl")
    assert tuple(line)[: len(RESERVED)] == RESERVED
    assert list(line.items())[1:] == [
        ("level", "warning"),
        ("event", "node_started"),
        ("node", "n1"),
        ("worker", "node"),
        ("pid", 7),
        ("seed", "ab"),
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["ts"])
    assert line["ts"] <= utc_now()


def test_every_kind_of_field_comes_back_as_it_was(tmp_path: Path) -> None:
    log = opened(tmp_path / "log", "n1")
    fields: dict[str, Any] = {
        "a": "x",
        "b": 1,
        "c": 1.5,
        "d": True,
        "e": ["x", "y"],
        "f": {"n2": 3},
    }
    log.write(note(**fields), "telemetry")
    (line,) = lines_of(tmp_path / "log")
    assert {name: line[name] for name in fields} == fields


@given(st.lists(st.text(st.characters(exclude_categories=())), min_size=1, max_size=5))
def test_no_text_breaks_a_line(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    """Also line ends of every script, control characters, and halves of characters."""
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.unlink(missing_ok=True)
    log = opened(path, "n1")
    for text in texts:
        log.write(note(text=text, more=[text], counts={text: 1}), text)
    log.close()
    found = lines_of(path)
    assert [line["text"] for line in found] == [
        text.encode("utf-8", "backslashreplace").decode() for text in texts
    ]
    assert not re.search(rb"[\x00-\x09\x0b-\x1f]", path.read_bytes())


def test_a_file_name_that_is_not_utf_8_is_written_out(tmp_path: Path) -> None:
    log = opened(tmp_path / "log", "n1")
    log.write(note(path=os.fsdecode(b"caf\xe9")), "node")
    assert lines_of(tmp_path / "log")[0]["path"] == "caf\\udce9"


def test_a_line_that_is_too_long_keeps_its_head_and_says_how_long_it_was(tmp_path: Path) -> None:
    log = opened(tmp_path / "log", "n1")
    log.write(note(text="x" * LINE_BYTES_MAX), "node")
    log.write(note(text="short"), "node")
    cut, whole = lines_of(tmp_path / "log")
    assert set(cut) == {*RESERVED, "cut_bytes"}
    assert LINE_BYTES_MAX < cut["cut_bytes"] < LINE_BYTES_MAX + 200
    assert whole["text"] == "short"


# --- what is refused, and what is left out --------------------------------------------------------


def test_a_name_that_is_not_registered_is_refused(tmp_path: Path) -> None:
    log = opened(tmp_path / "log", "n1", "error")
    with pytest.raises(ValueError, match="'surprise' is not registered"):
        log.write(Note("surprise", "debug", {}), "node")
    assert lines_of(tmp_path / "log") == []


@pytest.mark.parametrize("field", RESERVED)
def test_a_field_may_not_take_the_name_of_one_in_the_head(tmp_path: Path, field: str) -> None:
    log = opened(tmp_path / "log", "n1")
    with pytest.raises(ValueError, match=f"has a field '{field}', which is reserved"):
        log.write(Note("telemetry", "info", {field: "x"}), "node")


def test_below_its_level_nothing_is_written(tmp_path: Path) -> None:
    levels: list[Level] = ["debug", "info", "warning", "error"]
    for number, least in enumerate(levels):
        log = opened(tmp_path / least, "n1", least)
        for level in levels:
            log.write(note(level), "node")
        assert [line["level"] for line in lines_of(tmp_path / least)] == levels[number:]


def test_every_registered_note_has_a_meaning_in_one_sentence() -> None:
    for name, meaning in NOTES.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
        assert meaning.endswith(".")
        assert "\n" not in meaning


# --- the disk -------------------------------------------------------------------------------------


def test_a_full_disk_ends_nothing_and_the_lost_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.symlink_to("/dev/full")
    log = opened(path, "n1")
    for _ in range(3):
        log.write(note(), "node")
    assert log.lost == 3
    path.unlink()
    log.reopen()
    log.write(note(text="again"), "node")
    told, line = lines_of(path)
    assert log.lost == 0
    assert (told["event"], told["level"], told["lines"]) == ("log_lines_lost", "error", 3)
    assert (told["node"], told["worker"]) == ("n1", "log")
    assert line["text"] == "again"


def test_lines_are_counted_until_the_count_itself_can_be_written(tmp_path: Path) -> None:
    log = opened(tmp_path / "log", "n1")
    spoil(log, None, None, None)
    for number in range(4):
        log.write(note(number=number), "node")
    told, line = lines_of(tmp_path / "log")
    assert (told["lines"], line["number"]) == (3, 3)


def test_a_count_that_gets_through_is_not_told_twice(tmp_path: Path) -> None:
    log = opened(tmp_path / "log", "n1")
    spoil(log, None, 10_000, None)  # lost; the count of it; lost again
    for number in range(3):
        log.write(note(number=number), "node")
    told = [line.get("lines", line.get("number")) for line in lines_of(tmp_path / "log")]
    assert told == [1, 1, 2]
    assert log.lost == 0


def test_a_line_that_came_out_in_part_spoils_no_other(tmp_path: Path) -> None:
    log = opened(tmp_path / "log", "n1")
    spoil(log, 20)
    log.write(note(number=1), "node")
    log.write(note(number=2), "node")
    torn, *rest = (tmp_path / "log").read_bytes().split(b"\n")
    assert len(torn) == 20
    assert [json.loads(line)["event"] for line in rest[:-1]] == ["log_lines_lost", "telemetry"]
    assert json.loads(rest[-2])["number"] == 2


def test_a_closed_log_counts_and_raises_nothing(tmp_path: Path) -> None:
    log = opened(tmp_path / "log", "n1")
    log.close()
    log.write(note(), "node")
    assert log.lost == 1


# --- the file -------------------------------------------------------------------------------------


def test_a_line_is_in_the_file_at_once_and_behind_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "below" / "log"
    for number in range(2):  # two lives of one node, and the first is never closed
        log = opened(path, "n1")
        log.write(note(number=number), "node")
        assert lines_of(path)[-1]["number"] == number
    assert len(lines_of(path)) == 2


def test_only_its_owner_reads_a_log(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        opened(tmp_path / "below" / "log", "n1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "below" / "log").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "below").stat().st_mode) == 0o700


def test_after_a_reopen_the_moved_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = opened(path, "n1")
    log.write(note(number=1), "node")
    path.rename(tmp_path / "old")
    log.write(note(number=2), "node")
    log.reopen()
    log.write(note(number=3), "node")
    assert [line["number"] for line in lines_of(tmp_path / "old")] == [1, 2]
    assert [line["number"] for line in lines_of(path)] == [3]


def test_a_reopen_that_fails_goes_on_in_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = opened(path, "n1")
    path.rename(tmp_path / "old")
    path.mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        log.reopen()
    log.write(note(number=1), "node")
    assert [line["number"] for line in lines_of(tmp_path / "old")] == [1]
