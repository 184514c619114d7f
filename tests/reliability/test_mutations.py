"""The runner of mutations: what a failing test prints is read whatever bytes it is made of."""

from pathlib import Path

import pytest

from tests.reliability.mutations import failures

PRINTS_NO_TEXT = """
def test_says_what_cannot_be_decoded():
    assert False, "\\udcff"
"""


def test_a_failure_that_prints_no_valid_utf8_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In this locale Python writes a lone surrogate as the byte that it stands for.
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    (tmp_path / "test_one.py").write_text(PRINTS_NO_TEXT, encoding="utf-8")
    assert failures(tmp_path, ("test_one.py",)) == ["test_one.py::test_says_what_cannot_be_decoded"]
