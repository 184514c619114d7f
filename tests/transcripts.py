"""Transcripts: behaviour as text files that people read, and that `pytest --rewrite` writes anew.

A block is one command, a line `----`, and what the command prints, up to an empty line. Lines that
begin with `#` are comments; `# ---` begins a chapter with a new bench. After `--rewrite` the
difference is what a reviewer reads.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "scenarios"


def transcripts(pattern: str) -> list[Path]:
    """The files of tests/scenarios that match; there is at least one."""
    found = sorted(FOLDER.glob(pattern))
    assert found, pattern
    return found


def check_transcript(
    path: Path, bench: Callable[[], Callable[[str], str]], request: pytest.FixtureRequest
) -> None:
    """Run every command of the file. `bench` makes a fresh runner: command in, output out."""
    before = path.read_text(encoding="utf-8")
    run = bench()
    out: list[str] = []
    lines = iter(before.splitlines())
    for line in lines:
        out.append(line)
        if not line or line.startswith("#"):
            if line.startswith("# ---"):
                run = bench()
            continue
        for old in lines:  # what it printed last time
            if not old:
                break
        out += ["----", run(line), ""]
    after = "\n".join(out).rstrip("\n") + "\n"
    if request.config.getoption("rewrite", default=False):
        path.write_text(after, encoding="utf-8")
    assert after == path.read_text(encoding="utf-8"), (
        f"{path.name}: run pytest --rewrite and review the difference"
    )
