"""Scripts that write files, run in a folder of their own."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    return tmp_path


def new_adr(project: Path, *title: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [project / "scripts" / "new-adr", *title], capture_output=True, text=True, check=False
    )


def test_decision_records_are_numbered_one_after_the_other(project: Path) -> None:
    assert new_adr(project, "Sans-IO: an Outbox").stdout == "docs/adr/0001-sans-io-an-outbox.md\n"
    (project / "docs" / "adr" / "0008-gap.md").touch()
    (project / "docs" / "adr" / "README.md").touch()
    assert new_adr(project, "Two", "words").stdout == "docs/adr/0009-two-words.md\n"
    text = (project / "docs" / "adr" / "0009-two-words.md").read_text()
    assert text.startswith("# 9. Two words\n\nStatus: proposed, 20")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Context",
        "## Decision",
        "## Consequences",
    ]


@pytest.mark.parametrize("title", [(), ("",), ("?!",)])
def test_a_decision_record_needs_a_title(project: Path, title: tuple[str, ...]) -> None:
    ran = new_adr(project, *title)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", "usage: scripts/new-adr TITLE\n")
    assert not (project / "docs").exists()
