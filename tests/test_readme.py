"""The README cannot drift: its commands are run in order, and what they say has the same shape.

Numbers, times, hashes and ports are not compared, nor who was first to bring an event. A line of
three dots stands for any number of lines.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.cluster.conftest import Lab

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOTS = "..."
READS = re.compile(r"chatlab (timeline|cluster ps|logs)\b")
EVENTUALLY_S = 5.0


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(README) if name == language]


def dialogue() -> Iterator[tuple[str, list[str]]]:
    """Every command of the README, with what it is said to print."""
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *said = part.splitlines()
            yield command, said


SHAPES = [
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", "DATE"),
    (r"\d\d:\d\d:\d\d\.\d{3}", "CLOCK"),
    (r"tcp://[\d.:]+", "ADDRESS"),
    (r"\b(n\d)\.[0-9a-f]{4,16}\b", r"\1.EPOCH"),
    (r"\b[0-9a-f]{16}\b", "HASH"),
    (r"\b\d+(\.\d+)? (ms|s|min)\b", "SPAN"),
    (r"\b\d+\b", "N"),
    (r"\b(rumor|anti-entropy)\b", "VIA"),
    (r"\bpeer=n\d\b", "peer=NODE"),
    (r"\s+", " "),
]


def shape(line: str) -> str:
    for pattern, instead in SHAPES:
        line = re.sub(pattern, instead, line)
    return line.strip()


def interleaved(said: list[str], out: list[str], err: list[str]) -> bool:
    """Whether `said` shows all lines of both streams, each in its order, but for the dots."""

    @cache
    def matches(s: int, o: int, e: int) -> bool:
        if s == len(said):
            return o == len(out) and e == len(err)
        if said[s] == DOTS:
            return (
                matches(s + 1, o, e)
                or (o < len(out) and matches(s, o + 1, e))
                or (e < len(err) and matches(s, o, e + 1))
            )
        return (o < len(out) and out[o] == said[s] and matches(s + 1, o + 1, e)) or (
            e < len(err) and err[e] == said[s] and matches(s + 1, o, e + 1)
        )

    return matches(0, 0, 0)


def test_the_comparison_compares() -> None:
    assert interleaved(["a", "x", "b"], ["a", "b"], ["x"])
    assert interleaved(["a", DOTS, "x"], ["a", "b", "c"], ["x"])
    assert not interleaved(["a", "b"], ["b", "a"], [])
    assert not interleaved(["a"], ["a"], ["x"])
    assert shape("n1.5bdd:1  stored, 12 ms") == shape("n1.01bd:1 stored, 1.5 s")
    assert shape("n1.5bdd:1  stored") != shape("n2.5bdd:1  stored")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory(prefix="cl-", dir="/tmp") as folder:
        made = Lab(Path(folder))
        made.write((ROOT / "cluster.yaml").read_text(encoding="utf-8"))
        command = Path(folder, "bin", "chatlab")
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m lab.cli "$@"\n')
        command.chmod(0o755)
        try:
            yield made
        finally:
            made.clean()


def run(lab: Lab, command: str) -> subprocess.CompletedProcess[str]:
    environment = lab.environment
    environment["PATH"] = f"{lab.folder / 'bin'}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["/bin/sh", "-c", command],
        capture_output=True,
        text=True,
        cwd=lab.folder,
        env=environment,
        timeout=60,
        check=False,
    )


def shapes(text: str) -> list[str]:
    return [shape(line) for line in text.splitlines() if line.strip()]


def test_the_commands_do_what_the_readme_shows(lab: Lab) -> None:
    commands = 0
    for command, said in dialogue():
        expected = [shape(line) for line in said if line.strip()]
        until = time.monotonic() + EVENTUALLY_S
        while True:
            ran = run(lab, command)
            told = f"$ {command}\n{ran.stdout}{ran.stderr}"
            assert ran.returncode == 0, told
            if interleaved(expected, shapes(ran.stdout), shapes(ran.stderr)):
                break
            # Who reads what others have said may have to read again.
            assert READS.match(command) and time.monotonic() < until, told
            time.sleep(0.05)
        commands += 1
    assert commands >= 10
    assert lab.cluster.running() == []


def test_the_demo_ends_as_the_readme_shows(lab: Lab) -> None:
    ran = run(lab, "chatlab demo --fast")
    assert ran.returncode == 0, ran
    (said,) = [block for block in blocks("text") if "PROVED" in block]
    expected = [DOTS, *shapes(said), DOTS]
    assert interleaved(expected, shapes(ran.stdout), shapes(ran.stderr)), ran.stdout + ran.stderr


def test_the_scripts_exist() -> None:
    scripts = re.findall(r"^(scripts/\w+)", "".join(blocks("sh")), re.MULTILINE)
    assert scripts == ["scripts/demo", "scripts/test"]
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)
