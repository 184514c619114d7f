"""S3: nothing but printable text and newlines reaches a terminal; a log stays one object a line."""

import json
from itertools import islice
from pathlib import Path

import pytest

from node.core.ports import Note
from node.process.structured_log import open_log
from tests.reliability.outputs import OUTPUTS, check, code_points, escapes, shown_by, wrong_in

# Blocks of 1024 code points where those lie that are not letters, and a few others. The long form,
# `scripts/evidence text --long`, takes all; tests/lab/terminal/test_display.py has the function.
BLOCKS = {*range(13), 0x36, 0x37, 0x38, 0x3E, 0x3F, 0x44, 0x74, 0x380, 0x3FF, 0x43F}


def some_code_points() -> list[str]:
    return [block for i, block in enumerate(code_points(1024)) if i in BLOCKS]


@pytest.mark.parametrize("output", OUTPUTS)
def test_escape_sequences_are_shown_and_not_obeyed(output: str) -> None:
    assert check(output, islice(escapes(), 150)) == 150


@pytest.mark.parametrize("output", OUTPUTS)
def test_code_points_are_shown_inert(output: str) -> None:
    assert check(output, iter(some_code_points()))


def test_the_check_would_see_what_is_not_inert() -> None:
    for char in ("\x1b", "\x9b", "\x07", "\r", "\u202e", "\u2028", "\x7f", "\u200b", "\ud800"):
        assert wrong_in(f"a{char}b\n") == [f"U+{ord(char):04X}"]
    assert shown_by("errors", "plain").startswith("chatlab: plain\n")


def test_a_text_does_not_make_a_line_of_its_own() -> None:
    assert len(shown_by("errors", "a\nb\x85c\u2028d").splitlines()) == 4  # as many as with "a"
    assert len(shown_by("logs", "a\nb").splitlines()) == len(shown_by("logs", "a b").splitlines())


def test_the_log_file_is_ascii_and_one_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "n1.jsonl"
    log = open_log(path, "n1")
    texts = [*some_code_points(), *islice(escapes(), 100), "half \ud800 of one", "\udcff"]
    for text in texts:
        log.write(Note("faults_set", "warning", {"faults": [text], "who": text}), text)
    log.close()
    raw = path.read_bytes()
    assert raw.count(b"\n") == len(texts)
    assert all(byte == 10 or 32 <= byte < 127 for byte in raw)
    for line, text in zip(raw.splitlines(), texts, strict=True):
        fields = json.loads(line)
        assert list(fields)[:5] == ["ts", "level", "event", "node", "worker"]
        if "cut_bytes" not in fields and text.isprintable():
            assert fields["faults"] == [text]
