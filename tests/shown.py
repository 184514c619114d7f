"""Documents whose commands are run: what a page shows is what its commands print.

    for step in steps(page):            in the order of the page
        step.done(lab)                  a file is written, a command is run and compared

A page has blocks of two kinds. In ```` ```yaml NAME ```` stands a file that the reader writes. In
```` ```console ```` each line that begins with `$ ` is a command, and what follows is what it
prints, on both streams.

Rules
- Numbers, times, hashes, ports and tokens are not compared, nor who was first to bring an event.
  In verdicts and stories of the laboratory it is not compared either which node or client it was.
- A line of three dots stands for any number of lines; behind three dots a line may go on.
- A command must end with the exit code that the shown output calls for: 7 where it says FAIL, 8
  where it says UNKNOWN, else 0.
- `TOKEN` and `SEED` in a command stand for those that were printed last.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from msgspec import Struct

from tests.cluster.conftest import Lab

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```([^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOTS = "..."
READS = re.compile(r"chatlab (timeline|cluster ps|logs|diff)\b")
EVENTUALLY_S = 5.0
TIMEOUT_S = 120.0

_TOKEN = r"(?:[a-z-]+\+)?(?:(?:own|plan)_[\w.-]+|[a-z][a-z-]*)\.\d+\.[\w.-]{16,}"
SHAPES = [
    (_TOKEN, "TOKEN"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", "DATE"),
    (r"\d\d:\d\d:\d\d\.\d{3}", "CLOCK"),
    (r"tcp://[\d.:]+", "ADDRESS"),
    (r"\b(n\d+)\.[0-9a-f]{4,16}\b", r"\1.EPOCH"),
    (r"\b[0-9a-f]{32}\b", "HASH"),
    (r"\b[0-9a-f]{16}\b", "HASH"),
    (r"\b\d+(\.\d+)? (ms|s|min)\b", "SPAN"),
    (r"\b\d[\d,]*[kM]?\b", "N"),
    (r"[.|o-]{21}", "BAR"),
    (r"\b(rumor|anti-entropy)\b", "VIA"),
    (r"\bpeer=n\d\b", "peer=NODE"),
    (r"\s+", " "),
]
LAB = re.compile(r"^(C\d+ |fail |token |\d+ +\d|  +\d+\.\d{3} s|  What happened)")
WHO = [
    (r"\bn\d+\b", "NODE"),
    (r"\bm\d+\b", "MESSAGE"),
    (r"\b(alice|bob|carol|dave|erin|frank|grace|heidi)\b", "CLIENT"),
    (r"#[0-9a-f]{16}\b", "#HASH"),
]


def shape(line: str) -> str:
    for pattern, instead in [*WHO, *SHAPES] if LAB.match(line) else SHAPES:
        line = re.sub(pattern, instead, line)
    return line.strip()


def shapes(text: str) -> list[str]:
    return [shape(line) for line in text.splitlines() if line.strip()]


def is_line(said: str, line: str) -> bool:
    if said != DOTS and said.endswith(DOTS):
        return line.startswith(said.removesuffix(DOTS).rstrip())
    return line == said


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
        return (o < len(out) and is_line(said[s], out[o]) and matches(s + 1, o + 1, e)) or (
            e < len(err) and is_line(said[s], err[e]) and matches(s + 1, o, e + 1)
        )

    return matches(0, 0, 0)


# --- what stands on a page ------------------------------------------------------------------------


class Command(Struct, frozen=True):
    text: str
    said: list[str]

    @property
    def code(self) -> int:
        text = "\n".join(self.said)
        return 7 if re.search(r"^FAIL\b", text, re.MULTILINE) else 8 if "UNKNOWN:" in text else 0


class File(Struct, frozen=True):
    name: str
    text: str


def blocks(page: str, language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(page) if name == language]


def steps(page: str) -> Iterator[Command | File]:
    """What the reader does, in the order of the page."""
    for name, text in BLOCK.findall(page):
        language, _, file = name.partition(" ")
        if language == "yaml" and file:
            yield File(file, text)
        elif language == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, *said = part.splitlines()
                yield Command(command, said)


# --- doing it -------------------------------------------------------------------------------------


class Reader:
    """Somebody who does what a page says, in a folder of his own. Mutable."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.ran: dict[str, str] = {}  # what each command printed on stdout
        self.endless: dict[str, Callable[[Command], str]] = {}
        self._last = {"TOKEN": "", "SEED": ""}

    def follow(self, page: str) -> int:
        """Do every step; returns how many commands there were. Commands of `endless` do not end by
        themselves: whoever gave them does something meanwhile, and ends them.
        """
        commands = 0
        for step in steps(page):
            if type(step) is File:
                (self.lab.folder / step.name).write_text(step.text, encoding="utf-8")
            elif type(step) is Command:
                endless = self.endless.get(step.text)
                self.ran[step.text] = endless(step) if endless else self._run(step)
                commands += 1
        return commands

    def _run(self, step: Command) -> str:
        command = step.text
        for name, value in self._last.items():
            command = re.sub(rf"\b{name}\b", value, command)
        expected = [shape(line) for line in step.said if line.strip()]
        until = time.monotonic() + EVENTUALLY_S
        while True:
            ran = run(self.lab, command)
            told = f"$ {command}\n{ran.stdout}{ran.stderr}"
            assert ran.returncode == step.code, told
            if interleaved(expected, shapes(ran.stdout), shapes(ran.stderr)):
                break
            # Who reads what others have said may have to read again.
            assert READS.match(command) and time.monotonic() < until, told
            time.sleep(0.05)
        self.take(ran.stdout + ran.stderr)
        return ran.stdout

    def take(self, text: str) -> None:
        """Keep the last token and the last seed of what is shown."""
        for name, pattern in (("TOKEN", rf"(?<!\S)({_TOKEN})"), ("SEED", r" seed (\d+) ")):
            found = re.findall(pattern, text)
            if found:
                self._last[name] = found[-1]


@contextmanager
def reader() -> Iterator[Reader]:
    """In a new folder, with `chatlab` on the path; what was started there is stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="cl-", dir="/tmp") as folder:
        lab = Lab(Path(folder))
        command = Path(folder, "bin", "chatlab")
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m lab.cli "$@"\n')
        command.chmod(0o755)
        try:
            yield Reader(lab)
        finally:
            lab.clean()


def environment_of(lab: Lab) -> dict[str, str]:
    environment = lab.environment
    return environment | {"PATH": f"{lab.folder / 'bin'}{os.pathsep}{environment['PATH']}"}


def run(lab: Lab, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", command],
        capture_output=True,
        text=True,
        cwd=lab.folder,
        env=environment_of(lab),
        timeout=TIMEOUT_S,
        check=False,
    )
